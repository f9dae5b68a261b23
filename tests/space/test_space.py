"""The space as a whole: names, conditions, checking, counting, the unit cube and limits."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from modelwright.errors import ConfigurationError, SpaceError
from modelwright.space import Bool, Categorical, Constant, Float, Int, Ordinal, Space


@pytest.fixture
def tree() -> Space:
    return Space(
        momentum=Float(0, 1, when={"optimizer": "sgd", "layers": [2, 3]}),  # before its parents
        optimizer=Categorical("adam", "sgd"),
        layers=Int(1, 3),
        nesterov=Bool(when={"optimizer": "sgd"}),
        decay=Categorical("none", "step", when={"nesterov": True}),
        every=Int(1, 5, when={"decay": "step"}),
    )


# names -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["lr", "knn:n_neighbors", "batch size", "_scale", "x.y/z", "größe", "0", "a[1]", "n" * 128]
)
def test_names_that_are_allowed(name: str) -> None:
    space = Space({name: Int(0, 3)}, constraints=[f"`{name}` > 1"])
    assert space.sample(np.random.default_rng(0))[name] in (2, 3)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "n" * 129,
        "n" * 10_000,
        "a\nb",
        "a\x00",
        "__class__",
        "../x",
        "a/../b",
        "<b>",
        "x\u202ey",
        " a",
        "a ",
        "a`b",
        "a'b",
        3,
    ],
)
def test_names_that_are_not(name: Any) -> None:
    with pytest.raises(SpaceError) as caught:
        Space({name: Int(0, 3)})
    assert caught.value.code == "E_NAME"
    assert len(str(caught.value)) < 400


def test_names_given_twice_and_what_is_no_parameter() -> None:
    with pytest.raises(SpaceError, match="'a' is given twice"):
        Space({"a": Int(0, 1)}, a=Int(0, 1))
    with pytest.raises(SpaceError, match=r"'a': expected Float.*got \[1, 2\].*Categorical"):
        Space(a=[1, 2])  # type: ignore[arg-type]
    with pytest.raises(SpaceError, match="mapping of names"):
        Space([Int(0, 1)])  # type: ignore[arg-type]


# conditions ------------------------------------------------------------------------------------------


def test_conditions_decide_what_is_active(tree: Space) -> None:
    assert tree.active({"optimizer": "adam", "layers": 3}) == ["optimizer", "layers"]
    assert tree.active({"optimizer": "sgd", "layers": 1, "nesterov": True, "decay": "step"}) == [
        "optimizer", "layers", "nesterov", "decay", "every",
    ]  # fmt: skip
    assert tree.conditional
    for config in tree.sample_many(np.random.default_rng(0), 200):
        assert ("momentum" in config) == (config["optimizer"] == "sgd" and config["layers"] > 1)
        assert ("every" in config) == (config.get("decay") == "step")
        assert list(config) == [name for name in tree.names if name in config]


def test_single_and_batched_decoding_agree(tree: Space) -> None:
    X = np.random.default_rng(0).random((200, len(tree)))
    assert [tree.from_unit(row) for row in X] == tree.decode(X)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"a": Bool(when={"b": True})}, "'a' <- 'b' names an unknown parameter"),
        ({"a": Bool(when={"lary": True}), "layer": Bool()}, "Did you mean 'layer'"),
        ({"a": Bool(when={"a": True})}, "circle: 'a' <- 'a'"),
        (
            {"a": Bool(when={"b": True}), "b": Bool(when={"c": True}), "c": Bool(when={"a": True})},
            "'a' <- 'b' <- 'c' <- 'a'",
        ),
        (
            {"a": Bool(when={"b": "z"}), "b": Categorical("x", "y")},
            "never be met: expected one of 'x', 'y', got 'z'",
        ),
        ({"a": Bool(when={"b": 9}), "b": Int(1, 3)}, "never be met"),
        ({"a": Bool(when={"b": 0.5}), "b": Float(0, 1)}, "depends on a Float"),
    ],
)
def test_senseless_conditions_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError, match=message) as caught:
        Space(parameters)
    assert caught.value.code == "E_CONDITION"


def test_conditions_that_name_nothing_are_refused() -> None:
    with pytest.raises(SpaceError, match="names no value"):
        Float(0, 1, when={"a": []})
    with pytest.raises(SpaceError, match="when="):
        Float(0, 1, when="a")  # type: ignore[arg-type]


def test_conditions_on_objects_go_by_label() -> None:
    space = Space(
        net=Categorical(dict, (64, 32)), a=Bool(when={"net": [(64, 32)]}), b=Bool(when={"net": dict})
    )
    assert space["a"].when == {"net": ("(64, 32)",)}
    assert space.active({"net": dict}) == ["net", "b"]
    assert space.size == 4
    assert Space.from_json(space.to_json()).size == 4


def test_deep_chains_of_conditions() -> None:
    chain: dict[str, Any] = {"p0": Bool()}
    chain |= {f"p{i}": Bool(when={f"p{i - 1}": True}) for i in range(1, 1000)}
    space = Space(dict(reversed(chain.items())))
    assert len(space.check(space.sample(np.random.default_rng(0)))) >= 1
    assert space.size is None  # too deep to be counted
    assert Space(dict(list(chain.items())[:60])).size == 61


# checking --------------------------------------------------------------------------------------------


def test_check_gives_the_normal_form(tree: Space) -> None:
    given = {"every": np.int64(3), "decay": "step", "nesterov": np.True_, "layers": 1.0, "optimizer": "sgd"}
    checked = tree.check(given)
    assert list(checked.items()) == [
        ("optimizer", "sgd"), ("layers", 1), ("nesterov", True), ("decay", "step"), ("every", 3),
    ]  # fmt: skip
    assert [type(value) for value in checked.values()] == [str, int, bool, str, int]
    assert Space(c=Categorical(dict, list)).check({"c": "list"}) == {"c": list}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer": 1}, "no parameter 'layer'.*'layers'"),
        ({"layers": None}, "'layers': expected a whole number, got None"),
        ({"layers": 2.5}, "'layers'"),
        ({"layers": 7}, "'layers': expected a number from 1 to 3, got 7"),
        ({"optimizer": "sdg"}, "'optimizer': expected one of 'adam', 'sgd', got 'sdg'"),
        ({"nesterov": True}, "'nesterov' is inactive here: it needs 'optimizer' to be 'sgd'.*Leave it out"),
        ({"optimizer": "sgd"}, "'momentum' is missing"),
    ],
)
def test_check_names_what_is_wrong(tree: Space, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        tree.check({"optimizer": "adam", "layers": 2, **changes})


def test_check_refuses_what_violates_constraints_or_is_no_mapping() -> None:
    space = Space(a=Int(0, 9), b=Int(0, 9), constraints=["a < b", "a > 1"])
    with pytest.raises(ConfigurationError, match="violates 'a < b' and 'a > 1'"):
        space.check({"a": 1, "b": 0})
    with pytest.raises(ConfigurationError, match="expected a mapping"):
        space.check([1, 2])  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="no parameter 'c'"):
        space["c"]


# the unit cube ---------------------------------------------------------------------------------------


def test_encoding_marks_what_is_absent() -> None:
    space = Space(k=Categorical("a", "b", "c"), x=Float(0, 10, when={"k": "a"}))
    assert np.array_equal(
        space.encode([{"k": "b"}, {"k": "a", "x": 2.5}]), [[0.5, np.nan], [1 / 6, 0.25]], equal_nan=True
    )
    assert space.encode([]).shape == (0, 2)
    assert space.decode(np.array([[0.5, 0.7], [0.0, 0.25]])) == [{"k": "b"}, {"k": "a", "x": 2.5}]
    with pytest.raises(ConfigurationError, match="'k': expected one of"):
        space.encode([{"k": "z"}])


def test_decoding_refuses_other_shapes_and_gaps() -> None:
    space = Space(k=Categorical("a", "b"), x=Float(0, 1, when={"k": "a"}))
    with pytest.raises(ConfigurationError, match="2 columns"):
        space.decode(np.zeros((3, 5)))
    with pytest.raises(ConfigurationError, match="'x', got NaN"):
        space.decode(np.array([[0.9, np.nan], [0.1, np.nan]]))
    with pytest.raises(ConfigurationError, match="'k', got NaN"):
        space.from_unit([np.nan, 0.5])
    with pytest.raises(ConfigurationError):
        space.from_unit([0.5])


def test_the_space_of_nothing() -> None:
    assert Space().sample(np.random.default_rng(0)) == {}
    assert Space().size == 1
    assert list(Space().enumerate()) == [{}]
    assert Space().sample_many(np.random.default_rng(0), 3) == [{}, {}, {}]
    assert Space().default() == {}


# counting --------------------------------------------------------------------------------------------


def test_sizes(tree: Space) -> None:
    assert tree.size is None
    assert Space(a=Int(1, 3), b=Categorical("x", "y"), c=Ordinal(1, 2, 4), d=Constant(1)).size == 18
    finite = tree.with_parameter(
        "momentum", Float(0, 1, step=0.5, when={"optimizer": "sgd", "layers": [2, 3]})
    )
    # adam: 3 layers. sgd: momentum (1 + 3 + 3) times nesterov (no: 1, yes: decay none 1 or step 5).
    assert finite.size == 3 + 7 * (1 + 1 + 5)
    assert Space({f"p{i}": Int(0, 2**40) for i in range(1000)}).size == (2**40 + 1) ** 1000


def test_a_wide_tree_is_counted_without_listing_it() -> None:
    wide: dict[str, Any] = {"root": Bool()}
    for i in range(300):
        wide[f"b{i}"] = Bool(when={"root": True})
        wide[f"c{i}"] = Int(1, 10, when={f"b{i}": True})
    assert Space(wide).size == 1 + 11**300


def test_sizes_with_constraints_are_counted_up_to_a_limit() -> None:
    assert Space(a=Int(1, 100), b=Int(1, 100), constraints=["a < b"]).size == 4950
    assert Space(a=Int(1, 1000), b=Int(1, 1000), constraints=["a < b"]).size is None


def test_enumeration_has_a_fixed_order() -> None:
    space = Space(k=Categorical("x", "y"), n=Int(1, 3, when={"k": "y"}), b=Bool(), constraints=["n != 2"])
    assert [tuple(config.values()) for config in space.enumerate()] == [
        ("x", False), ("x", True), ("y", 1, False), ("y", 1, True), ("y", 3, False), ("y", 3, True),
    ]  # fmt: skip
    with pytest.raises(SpaceError, match="'x' is a continuous Float"):
        Space(x=Float(0, 1)).enumerate()


# as a value ------------------------------------------------------------------------------------------


def test_spaces_are_values(tree: Space) -> None:
    assert tree == copy.deepcopy(tree)
    assert len({tree, copy.copy(tree)}) == 1
    assert tree != tree.with_parameter("new", Bool())
    assert Space(a=Int(0, 1), b=Int(0, 1)) != Space(b=Int(0, 1), a=Int(0, 1))
    assert Space(a=Int(0, 3), constraints=["a > 1"]) != Space(a=Int(0, 3))
    with pytest.raises(AttributeError, match="cannot be changed"):
        tree.names = ()
    with pytest.raises(TypeError):
        tree.parameters["x"] = Bool()  # type: ignore[index]
    assert "layers" in tree
    assert "x" not in tree
    assert list(tree) == list(tree.names)
    assert len(tree) == 6
    assert (
        repr(Space(a=Int(0, 3), constraints=["a > 1"]))
        == "Space(a=Int(low=0, high=3), constraints=['a > 1'])"
    )


def test_conditions_given_in_another_order_are_the_same() -> None:
    one, other = (
        Space(k=Categorical("x", "y", "z"), a=Bool(when={"k": values})) for values in (["y", "x"], {"x", "y"})
    )
    assert one == other
    assert hash(one) == hash(other)


def test_subspaces(tree: Space) -> None:
    part = tree.with_parameter("extra", Int(0, 9)).subspace(["momentum", "layers", "extra"])
    assert part.names == ("momentum", "layers", "extra")
    assert part["momentum"].when == {"layers": (2, 3)}
    bound = Space(a=Int(0, 9), b=Int(0, 9), c=Int(0, 9), constraints=["a < b", "b < c"])
    assert bound.subspace(["b", "c"]).constraints == ("b < c",)
    with pytest.raises(ConfigurationError, match="no parameter 'q'"):
        tree.subspace(["q"])


def test_defaults_and_the_nearest_allowed_one(tree: Space) -> None:
    assert tree.default() == {"optimizer": "adam", "layers": 2}
    space = Space(a=Float(0, 10, default=9.0), b=Float(0, 10, default=8.0), constraints=["a < b"])
    near = space.default()
    assert near == space.default()
    assert space.check(near) == near
    assert abs(near["a"] - 9) + abs(near["b"] - 8) < 4  # of a distance of up to 17


def test_neighbours_step_by_the_kind() -> None:
    rng = np.random.default_rng(0)
    space = Space(
        k=Categorical("a", "b", "c"), o=Ordinal(1, 2, 3, 4), n=Int(1, 5), c=Constant(1), x=Float(0, 1)
    )
    config = {"k": "a", "o": 2, "n": 5, "c": 1, "x": 0.5}
    found = space.neighbours(config, rng)
    changed = {(name, other[name]) for other in found for name in config if other[name] != config[name]}
    assert {pair for pair in changed if pair[0] != "x"} == {
        ("k", "b"),
        ("k", "c"),
        ("o", 1),
        ("o", 3),
        ("n", 4),
    }
    assert len([pair for pair in changed if pair[0] == "x"]) == 4
    assert len(space.neighbours(config, rng, n=3)) == 3
    assert Space(c=Constant(1)).neighbours({"c": 1}, rng) == []


def test_keys_tell_configurations_apart() -> None:
    space = Space(c=Categorical(1, 1.0, True, None), x=Float(0, 1))
    keys = {
        space.key({"c": c, "x": x}) for c in (1, 1.0, True, None) for x in (0.1, np.nextafter(0.1, 1).item())
    }
    assert len(keys) == 8
    assert space.key({"x": 0.1, "c": 1}) == space.key({"c": 1, "x": 0.1})


# limits ----------------------------------------------------------------------------------------------


def test_limits() -> None:
    many = dict.fromkeys(map(str, range(1001)), Bool())
    with pytest.raises(SpaceError, match="at most 1,000 parameters, got 1,001"):
        Space(many)
    with pytest.raises(SpaceError, match="at most 1,000 parameters"):
        Space.from_json({"parameters": {name: {"type": "nonsense"} for name in many}})
    with pytest.raises(SpaceError, match="at most 1,000 constraints"):
        Space(a=Bool(), constraints=["a"] * 1001)
    parents = {f"q{i}": Bool() for i in range(500)}
    children = {f"c{i}": Bool(when=dict.fromkeys(parents, True)) for i in range(21)}
    with pytest.raises(SpaceError, match="at most 10,000 conditions"):
        Space({**parents, **children})


def tangle(parents: int, degree: int) -> Space:
    above: dict[str, Any] = {f"q{i}": Int(1, 3) for i in range(parents)}
    below = {
        f"c{i}": Bool(when={f"q{(i * 7 + k * k) % parents}": [1, 3] for k in range(degree)})
        for i in range(parents)
    }
    return Space({**above, **below})


def test_tangled_conditions_are_counted_exactly_or_given_up_on() -> None:
    small = tangle(5, 2)
    assert small.size == sum(1 for _ in small.enumerate())
    assert tangle(200, 6).size is None
