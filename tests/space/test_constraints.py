"""Hard constraints: the language, what it means, and that no text reaches Python's own evaluation."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import Any

import numpy as np
import pytest

from modelwright.errors import EmptySpaceError, SpaceError
from modelwright.space import Bool, Categorical, Float, Int, Ordinal, Space

PARAMETERS = {
    "a": Float(-10, 10),
    "b": Float(-10, 10),
    "n": Int(0, 10),
    "on": Bool(),
    "act": Categorical("relu", "it's"),
    "kind": Categorical(None, 1, "one"),
    "knn:k": Int(1, 9),
    "min": Int(0, 9),
    "size": Ordinal(16, 32),
}
VALUES: dict[str, Any] = {
    "a": 2.0, "b": -3.0, "n": 0, "on": True, "act": "relu", "kind": None, "knn:k": 4, "min": 3, "size": 32,
}  # fmt: skip


def holds(text: str, **values: Any) -> bool:
    space = Space(PARAMETERS, constraints=[text])
    config = {**VALUES, **values}
    by_column = bool(space.feasible(space.encode([config]))[0])
    assert space.satisfies(config) == by_column
    assert space.violations(config) == ([] if by_column else [text])
    return by_column


@pytest.mark.parametrize(
    "text",
    [
        "a + b * 2 == -4",
        "(a + b) * 2 == -2",
        "a - b - 1 == 4",
        "2 ** 3 ** 2 == 512 and a == a",
        "-2 ** 2 == -4 and a == a",
        "a ** -1 == 0.5",
        "7 // 2 == 3 and 7 % 4 == 3 and -7 // 2 == -4 and a == a",
        "8 / 4 / 2 == 1 and a == a",
        "-3 <= b < a <= 2",
        "not a < b",
        "not not on",
        "on and not (n > 0 or b > 0)",
        "a < 0 or b < 0 and on",
        "max(a, b, 1) == 2 and min(a, b) == -3 and abs(b) == 3",
        "min == 3 and min(min, 1) == 1",
        "act == 'relu'",
        'act != "it\'s"',
        r"act != 'it\'s'",
        "'relu' == act",
        "kind == None and kind != 1 and kind != 'one'",
        "`knn:k` * 2 == 8",
        "(a > 0) + (b > 0) == 1",
        "on == true and on == 1",
        "size >= 32",
        "1e1 * .5 == 5. and a == a",
        "+a == --a",
    ],
)
def test_true_statements(text: str) -> None:
    assert holds(text)
    assert not holds(f"not ({text})")


def test_what_cannot_be_computed_is_a_violation() -> None:
    assert not holds("1 / n > 0")
    assert not holds("not 1 / n > 0")
    assert not holds("1 // n >= 0 or 1 % n >= 0")
    assert not holds("n ** -1 > 0")
    assert not holds("b ** 0.5 > 0 or b ** 0.5 <= 0")
    assert not holds("a ** 5000 - a ** 5000 <= 1")


def test_the_right_side_counts_only_where_it_is_needed() -> None:
    assert holds("n == 0 or 1 / n < 1")
    assert not holds("n != 0 and 1 / n < 1")
    assert holds("not (n != 0 and 1 / n < 1)")


def test_overflow_is_an_infinite_number() -> None:
    assert holds("10 ** 400 > a")
    assert holds("1e308 * 10 > 1e308 and a == a")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("a <", "expected a number.*got the end"),
        ("a = 3", "Write =="),
        ("a & b", "Write 'and'"),
        ("a ^ 2 > 1", r"Write \*\*"),
        ("a < 3 b", "expected an operator or the end, got 'b'"),
        ("(a < 3", r"expected '\)', got the end"),
        ("act == 'relu", "closing quote"),
        ("`knn:k > 3", "closing one"),
        ("knn:k > 3", "backticks"),
        ("a.b > 3", "backticks"),
        ("abs(a, b) > 1", "one value"),
        ("min(a) > 1", "two or more"),
        ("sin(a) > 1", "got '\\('"),
        ("__import__('os') == 1", "got '\\('"),
        ("and < 3", "got 'and'"),
        ("1e999 > a", "larger than a float"),
        ("c > 3", "unknown parameter 'c'"),
        ("knnk > 3", "unknown.*'knn:k'"),
        ("1 < 2", "names no parameter"),
        ("a + b", "number value and not true or false"),
        ("act + 1 > 2", r"'\+' needs numbers"),
        ("act > 'a'", "'>' needs numbers"),
        ("act == 1", "compares a text with a number"),
        ("act == 'gelu'", "none of its choices"),
        ("a and b", "joins conditions"),
        ("not a", "joins conditions"),
        ("(" * 60 + "a" + ")" * 60 + " > 1", "50 levels"),
        ("-" * 5000 + "a > 1", "50 levels"),
        ("not " * 200 + "on", "50 levels"),
        ("a" + " ** a" * 200 + " > 1", "50 levels"),
        ("a > " + "1" * 20_000, "10,000 characters"),
    ],
)
def test_senseless_texts_are_refused(text: str, message: str) -> None:
    with pytest.raises(SpaceError, match=message) as caught:
        Space(PARAMETERS, constraints=[text])
    assert caught.value.code == "E_CONSTRAINT"


def test_long_sums_are_not_deep() -> None:
    assert holds(" + ".join(["n"] * 2000) + " <= 3")
    assert holds(" and ".join(["n < 3"] * 1000))


def test_a_constraint_applies_while_all_it_names_is_active() -> None:
    space = Space(
        kind=Categorical("x", "y"), a=Int(0, 9, when={"kind": "x"}), b=Int(0, 9), constraints=["a > b"]
    )
    assert space.satisfies({"kind": "y", "b": 9})
    assert not space.satisfies({"kind": "x", "a": 3, "b": 9})
    configs = space.sample_many(np.random.default_rng(0), 300)
    assert {config["kind"] for config in configs} == {"x", "y"}
    assert all(config["kind"] == "y" or config["a"] > config["b"] for config in configs)


def test_objects_go_by_their_labels() -> None:
    space = Space(cls=Categorical(dict, list), n=Int(0, 3), constraints=["cls == 'dict' or n == 0"])
    assert space.size == 5
    assert Space.from_json(space.to_json()).size == 5


def test_callables() -> None:
    def even(config: dict[str, Any]) -> bool:
        return config["n"] % 2 == 0

    space = Space(n=Int(0, 9), m=Int(0, 9), constraints=["n > m", even])
    assert all(c["n"] % 2 == 0 and c["n"] > c["m"] for c in space.sample_many(np.random.default_rng(0), 100))
    first, second = space.violations({"n": 3, "m": 4})
    assert first == "n > m"
    assert second.endswith("even")
    assert space == Space(n=Int(0, 9), m=Int(0, 9), constraints=["n > m", even])
    with pytest.raises(SpaceError, match=r"even is a function.*Write it as text"):
        space.to_json()
    broken = Space(n=Int(0, 9), constraints=[lambda config: config["q"] > 1])
    with pytest.raises(SpaceError, match=r"raised KeyError: 'q'.*config\.get"):
        broken.sample(np.random.default_rng(0))
    with pytest.raises(SpaceError, match="as text"):
        Space(n=Int(0, 9), constraints=[3])  # type: ignore[list-item]


def test_empty_spaces_end_early_with_the_number_of_tries() -> None:
    with pytest.raises(EmptySpaceError, match=r"none of the 100 configurations.*'n \+ m > 30'"):
        Space(n=Int(0, 9), m=Int(0, 9), constraints=["n + m > 30"]).sample(np.random.default_rng(0))
    continuous = Space(a=Float(0, 1), b=Float(0, 1), constraints=["a + b > 0.5", "a + b == 0.7"])
    with pytest.raises(EmptySpaceError, match=r"none of 1\d\d,\d{3} configurations.*'a \+ b == 0.7'"):
        continuous.ensure_feasible()
    with pytest.raises(EmptySpaceError):
        continuous.default()


def test_a_needle_in_a_short_list_is_found() -> None:
    space = Space(a=Int(0, 399), b=Int(0, 399), constraints=["a == 17 and b == 383"])
    assert space.sample(np.random.default_rng(0)) == {"a": 17, "b": 383}
    assert space.sample_many(np.random.default_rng(0), 2) == [{"a": 17, "b": 383}] * 2
    assert space.default() == {"a": 17, "b": 383}
    assert space.size == 1


def test_samples_are_uniform_within_the_constraints() -> None:
    space = Space(a=Int(1, 3), b=Int(1, 3), constraints=["a <= b"])
    single = [tuple(space.sample(rng).values()) for rng in [np.random.default_rng(1)] for _ in range(3000)]
    many = [tuple(config.values()) for config in space.sample_many(np.random.default_rng(1), 3000)]
    for drawn in (single, many):
        shares = [drawn.count((a, b)) / 3000 for a in (1, 2, 3) for b in range(a, 4)]
        # Six equal shares; 3,000 draws have a standard deviation of 0.007.
        assert shares == pytest.approx([1 / 6] * 6, abs=0.035)


def test_no_text_is_compiled_or_executed(tmp_path: Any) -> None:
    """Python's own audit events tell of every compile, eval and exec, also of those inside libraries."""
    script = textwrap.dedent(
        """
        import sys
        import numpy as np
        from modelwright.space import Categorical, Float, Int, Space

        def use(text):
            parameters = {"a": Float(-1, 1), "n": Int(0, 9), "odd name": Categorical("x", "y")}
            space = Space(parameters, constraints=[text])
            rng = np.random.default_rng(0)
            configs = space.sample_many(rng, 20)
            space.feasible(space.encode(configs)), space.check(configs[0]), space.neighbours(configs[0], rng)
            again = Space.from_json(space.to_json())
            again.sample(rng), again.size, again.default()

        use("n > 1")  # imports that numpy puts off until first use are over after this
        seen = []
        watched = ("compile", "exec", "import")
        sys.addaudithook(lambda event, args: seen.append(event) if event in watched else None)
        use("(abs(a) + n ** 2 // 3 <= max(4, n) or not `odd name` == 'x') and n / 2 != 0.25 < 1")
        try:
            use("__import__('os').system('true') == 0")
        except ValueError:
            pass
        found = [event for event in seen]
        eval("1")
        assert "compile" in seen[len(found):], "the hook does not work"
        print(found)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
