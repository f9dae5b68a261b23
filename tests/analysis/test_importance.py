from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelwright import Study
from modelwright.analysis import Importances, edge_warnings, importances
from modelwright.errors import InputError
from modelwright.records import Failure, FailureKind, History, Objective, Trial, TrialState
from modelwright.space import Bool, Categorical, Constant, Float, Int, Ordinal, Space
from modelwright.testing.strategies import spaces

Config = dict[str, Any]


def searched(space: Space, loss: Callable[[Config], float], n: int = 400, **trial: Any) -> History:
    """A history of random configurations."""
    history = History(space, [Objective()])
    for number, config in enumerate(space.sample_many(np.random.default_rng(0), n)):
        history.add([Trial(number, TrialState.COMPLETE, space.dump(config), (loss(config),), **trial)])
    return history


def shares(found: Importances) -> dict[str, float]:
    return dict(found.shares)


def test_a_linear_function_has_the_shares_of_its_variances() -> None:
    space = Space(lr=Float(1e-4, 1, log=True), x=Float(-1, 1), n=Int(1, 100), idle=Float(0, 1))
    # Each term is uniform over a range: 3, 2 and 1 wide, so the variances are as 9 to 4 to 1.
    history = searched(space, lambda c: 0.75 * np.log10(c["lr"]) + c["x"] + c["n"] / 99)
    found = importances(history)
    assert [name for name, _ in found.shares] == ["lr", "x", "n", "idle"]
    for name, expected in {"lr": 9 / 14, "x": 4 / 14, "n": 1 / 14, "idle": 0.0}.items():
        assert shares(found)[name] == pytest.approx(expected, abs=0.08)
    assert found.together < 0.1
    assert found.r2 > 0.85
    assert (found.trials, found.target, found.method) == (400, "value", "fanova")


def test_what_two_do_only_together_is_said_apart() -> None:
    space = Space(a=Float(-1, 1), b=Float(-1, 1), idle=Float(-1, 1))
    history = searched(space, lambda c: c["a"] * c["b"], n=800)
    found = importances(history)
    assert found.together > 0.6
    total = shares(importances(history, method="permutation"))
    assert min(total["a"], total["b"]) > 0.5  # each contains what it does with the other
    assert total["idle"] < 0.1


@pytest.mark.parametrize("method", ["fanova", "permutation"])
def test_choices_flags_and_levels_count(method: Any) -> None:
    space = Space(
        kind=Categorical("a", "b", "c", "d"),
        flag=Bool(),
        size=Ordinal("s", "m", "l"),
        idle=Categorical("u", "v", "w"),
        one=Constant(1),
    )
    cost = {"a": 0.0, "b": 3.0, "c": 0.0, "d": 0.0}
    history = searched(space, lambda c: cost[c["kind"]] + c["flag"] + 0.5 * ["s", "m", "l"].index(c["size"]))
    found = shares(importances(history, method=method))
    assert list(found) == ["kind", "flag", "size", "idle"]  # a constant has nothing to say
    # Variances 27/16, 1/4 and 1/6.
    assert found["kind"] == pytest.approx(27 / 16 / (27 / 16 + 1 / 4 + 1 / 6), abs=0.1)
    assert found["idle"] < 0.05


def test_what_a_parent_decides_counts_for_the_parent() -> None:
    space = Space(
        k=Int(1, 50, when={"method": "knn"}),  # declared before its parent
        c=Float(0, 1, when={"method": "svm"}),
        method=Categorical("svm", "knn", "net"),
    )
    history = searched(space, lambda c: {"svm": 0.0, "knn": 1.0, "net": 4.0}[c["method"]])
    found = shares(importances(history))
    assert found["method"] > 0.97
    assert found["k"] + found["c"] < 0.01
    inner = searched(space, lambda c: 5 * c.get("c", 0.5))
    assert shares(importances(inner))["c"] > 0.8


def test_the_best_share_can_have_other_reasons_than_the_whole() -> None:
    space = Space(coarse=Float(0, 1), fine=Float(0, 1))
    # A cliff over most of the space hides what matters where the good trials are.
    history = searched(space, lambda c: 10.0 if c["coarse"] > 0.5 else c["fine"], n=600)
    whole, part = importances(history), importances(history, region=0.25)
    assert shares(whole)["coarse"] > 0.9
    assert shares(part)["fine"] > 0.8
    assert part.region == 0.25
    assert 150 <= part.trials < 200  # those within the square that the best 150 span


def test_a_region_has_the_choices_and_conditions_of_its_trials() -> None:
    space = Space(
        method=Categorical("svm", "knn", "net"),
        c=Float(0, 1, when={"method": "svm"}),
        lr=Float(0, 1, when={"method": "net"}),
        deep=Bool(when={"method": "net"}),
        size=Ordinal("s", "m", "l"),
    )
    worse = {"svm": 5.0, "knn": 9.0, "net": 0.0}

    def loss(c: Config) -> float:
        inner = c["c"] if c["method"] == "svm" else c.get("lr", 0.0) + (4.0 if c.get("deep") else 0.0)
        return worse[c["method"]] + inner + (7.0 if c["size"] == "s" else 0.0)

    history = searched(space, loss, n=600)
    found = importances(history, region=0.08)  # nets that are not deep and not small are a ninth
    assert dict(found.shares)["lr"] > 0.9
    assert found.trials < 90
    assert shares(importances(history, region=0.08, method="permutation"))["lr"] > 0.9
    assert shares(importances(history))["method"] > 0.3


@pytest.mark.parametrize("sign", [1, -1])
def test_the_best_are_those_of_the_objectives_direction(sign: int) -> None:
    space = Space(x=Float(0, 1), y=Float(0, 1))
    history = History(space, [Objective("s", "minimize" if sign > 0 else "maximize")])
    for k, c in enumerate(space.sample_many(np.random.default_rng(0), 400)):
        loss = 10.0 if c["x"] > 0.5 else c["y"]
        history.add([Trial(k, TrialState.COMPLETE, c, (sign * loss,))])
    assert shares(importances(history, region=0.25))["y"] > 0.2


def test_durations_and_functions_of_trials() -> None:
    space = Space(x=Float(0, 1), epochs=Int(1, 100))
    history = History(space, [Objective()])
    for k, c in enumerate(space.sample_many(np.random.default_rng(1), 200)):
        history.add(
            [
                Trial(
                    k,
                    TrialState.COMPLETE,
                    c,
                    (c["x"],),
                    duration_s=0.1 * c["epochs"] if k % 10 else None,
                    user_attrs={"size": c["x"] + c["epochs"] / 99},
                )
            ]
        )
    assert shares(importances(history))["x"] > 0.9
    duration = importances(history, "duration")
    assert shares(duration)["epochs"] > 0.9
    assert duration.trials == 180  # where it was measured

    def size(trial: Trial) -> float:
        return float(trial.user_attrs["size"])

    found = importances(history, size)
    assert shares(found)["x"] == pytest.approx(0.5, abs=0.1)
    assert found.target == "size"


def test_with_several_objectives_one_is_named() -> None:
    space = Space(x=Float(0, 1), y=Float(0, 1))
    history = History(space, [Objective("error"), Objective("speed", "maximize")])
    for k, c in enumerate(space.sample_many(np.random.default_rng(1), 100)):
        history.add([Trial(k, TrialState.COMPLETE, c, (c["x"], c["y"]))])
    assert shares(importances(history, "error"))["x"] > 0.9
    assert shares(importances(history, "speed"))["y"] > 0.9
    with pytest.raises(InputError, match="'error', 'speed'"):
        importances(history)


def test_only_complete_trials_count() -> None:
    space = Space(x=Float(0, 1), y=Float(0, 1))
    history = searched(space, lambda c: c["x"], n=50)
    plain = importances(history)
    failed = Trial(100, TrialState.FAILED, {"x": 0.1, "y": 0.9}, failure=Failure(FailureKind.ERROR, "no"))
    pruned = Trial(101, TrialState.PRUNED, {"x": 0.2, "y": 0.9}, (50.0,))
    nan = Trial(102, TrialState.COMPLETE, {"x": 0.3, "y": 0.9}, (float("nan"),))
    history.add([failed, pruned, nan])
    assert importances(history) == plain


def test_trials_of_another_space_do_not_count() -> None:
    space = Space(x=Float(0, 1), y=Float(0, 1))
    history = searched(space, lambda c: c["x"], n=60)
    inside = sum(config["x"] <= 0.5 for config in history.configs)
    narrowed = history.respace(Space(x=Float(0, 0.5), y=Float(0, 1)))
    assert importances(narrowed).trials == inside
    added = history.respace(Space(x=Float(0, 1), y=Float(0, 1), z=Float(0, 1)))
    found = importances(added)
    assert found.trials == 60
    assert shares(found)["z"] == 0.0


def test_the_same_trials_give_the_same_numbers_in_any_order() -> None:
    space = Space(x=Float(0, 1), k=Categorical("a", "b", "c"))
    history = searched(space, lambda c: c["x"] + (c["k"] == "b"), n=60)
    other = History(space, [Objective()])
    other.add(reversed(history.trials))
    for method in ("fanova", "permutation"):
        assert importances(history, method=method) == importances(other, method=method)


def test_a_study_is_taken_as_it_is() -> None:
    study = Study(Space(x=Float(0, 1), y=Float(0, 1)), direction="maximize", seed=0, optimizer="random")
    study.run(lambda trial: trial.params["x"], trials=40, executor="inline")
    assert shares(importances(study))["x"] > 0.9


@pytest.mark.parametrize(
    "values",
    [
        [1.0] * 40,
        [1e300, -1e300] * 20,
        [float("inf")] * 40,
        [float("inf"), 1.0] * 20,
        [0.0] * 40,
        [5e-324] * 40,
    ],
)
@pytest.mark.parametrize("method", ["fanova", "permutation"])
@pytest.mark.parametrize("region", [None, 0.25])
def test_odd_values_give_finite_shares(values: list[float], method: Any, region: float | None) -> None:
    history = History(Space(x=Float(0, 1), y=Float(0, 1)), [Objective()])
    rng = np.random.default_rng(0)
    history.add(
        Trial(k, TrialState.COMPLETE, {"x": float(rng.random()), "y": 0.5}, (value,))
        for k, value in enumerate(values)
    )
    found = importances(history, method=method, region=region)
    assert np.isfinite([*shares(found).values(), found.together, found.r2]).all()
    assert shares(found)["y"] == 0.0


def test_a_space_of_constants_has_no_shares() -> None:
    history = searched(Space(one=Constant(1)), lambda c: 1.0, n=10)
    assert importances(history).shares == ()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "shap"}, "'fanova' or 'permutation', got 'shap'"),
        ({"region": 0.0}, "between 0 and 1, got 0.0"),
        ({"region": 25}, "between 0 and 1, got 25"),
        ({"target": "accuracy"}, "an objective as the target, got 'accuracy'"),
    ],
)
def test_bad_arguments_are_named(options: dict[str, Any], words: str) -> None:
    history = searched(Space(x=Float(0, 1)), lambda c: c["x"], n=20)
    with pytest.raises(InputError, match=words):
        importances(history, **options)


@pytest.mark.parametrize("n", [0, 1, 7])
def test_too_few_trials_are_said(n: int) -> None:
    history = searched(Space(x=Float(0, 1)), lambda c: c["x"], n=n)
    with pytest.raises(InputError, match=f"at least 8 complete trials .* got {n}"):
        importances(history)


def test_too_few_trials_of_a_region_are_said() -> None:
    history = searched(Space(x=Float(0, 1)), lambda c: c["x"], n=20)
    with pytest.raises(InputError, match="around the best 25 %, got 5"):
        importances(history, region=0.25)


@given(space=spaces(), seed=st.integers(0, 99), region=st.sampled_from([None, 0.3]))
@settings(max_examples=30, deadline=None)
def test_any_space_has_shares(space: Space, seed: int, region: float | None) -> None:
    rng = np.random.default_rng(seed)
    history = searched(space, lambda c: float(len(c)) + rng.random(), n=40)
    edge_warnings(history)
    for method in ("fanova", "permutation"):
        found = importances(history, method=method, region=region)  # type: ignore[arg-type]
        names = [name for name, parameter in space.parameters.items() if parameter.size != 1]
        assert sorted(shares(found)) == sorted(names)
        assert all(np.isfinite(share) and share >= 0.0 for share in shares(found).values())
        assert 0.0 <= found.together <= 1.0
