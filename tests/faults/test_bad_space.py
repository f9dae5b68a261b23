"""Spaces and points that make no sense: a named error at once, and nothing written."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from modelwright import Study
from modelwright.errors import ConfigurationError, EmptySpaceError, SpaceError
from modelwright.space import Categorical, Float, Int, Space
from modelwright.storage import open_storage


def forms(count: int) -> list[dict[str, Any]]:
    return [{"name": f"p{i}", "type": "float", "low": 0, "high": 1} for i in range(count)]


MILLION = {"parameters": forms(1_000_000)}
SWITCH = {"name": "a", "type": "categorical", "choices": ["x", "y"]}
CONDITIONS = {"parameters": [SWITCH, {**forms(1)[0], "when": {f"a{i}": "x" for i in range(100_000)}}]}

TOO_LARGE: dict[str, tuple[Callable[[], object], str]] = {
    "parameters": (lambda: Space.from_json(MILLION), "E_SPACE_LIMIT"),
    "choices": (lambda: Categorical(*range(100_000)), "E_SPACE_LIMIT"),
    "conditions": (lambda: Space.from_json(CONDITIONS), "E_SPACE_LIMIT"),
    "choices of a condition": (
        lambda: Space(a=Categorical("x", "y"), b=Float(0, 1, when={"a": [*map(str, range(100_000))]})),
        "E_CONDITION",
    ),
    "constraints": (lambda: Space(a=Float(0, 1), constraints=["a <= 1"] * 100_000), "E_SPACE_LIMIT"),
    "text of a constraint": (
        lambda: Space(a=Float(0, 1), constraints=["+".join("a" * 100_000) + " < 1"]),
        "E_CONSTRAINT",
    ),
    "depth of a constraint": (
        lambda: Space(a=Float(0, 1), constraints=["(" * 4000 + "a" + ")" * 4000 + " < 1"]),
        "E_CONSTRAINT",
    ),
}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_b29_spaces_beyond_all_limits(name: str) -> None:
    build, code = TOO_LARGE[name]
    began = time.process_time()  # what this process worked for, however busy the machine is
    with pytest.raises(SpaceError) as caught:
        build()
    assert time.process_time() - began < 2
    assert caught.value.code == code


def test_b29_a_product_beyond_any_number_is_counted() -> None:
    space = Space(**{f"p{i}": Int(0, 10**9) for i in range(500)})
    assert space.size == (10**9 + 1) ** 500
    assert len(space.sample(np.random.default_rng(0))) == 500


@pytest.mark.parametrize(
    "build",
    [
        lambda: Float(0, 1, step=2),
        lambda: Float(0, 1, step=0),
        lambda: Float(0, 1, step=float("nan")),
        lambda: Float(-1e308, 1e308),
        lambda: Float(0, 1e308, step=1e-300),
        lambda: Int(-(10**30), 10**30),
        lambda: Int(1, 2**62, log=True),
    ],
)
def test_b30_ranges_that_cannot_be(build: Callable[[], object]) -> None:
    with pytest.raises(SpaceError) as caught:
        build()
    assert caught.value.code == "E_RANGE"


@pytest.mark.parametrize("low", [1e-320, 5e-324])
@pytest.mark.parametrize("log", [False, True])
def test_b30_tiny_bounds_do_not_break_sampling(low: float, log: bool) -> None:
    space = Space(a=Float(low, 1, log=log), b=Float(low, 1e-310, log=log))
    for seed in range(200):
        sample = space.sample(np.random.default_rng(seed))
        assert low <= sample["a"] <= 1
        assert low <= sample["b"] <= 1e-310


POINTS: dict[str, tuple[Any, str]] = {
    "outside": ({"x": 2.0, "n": 3, "k": "a"}, "x"),
    "missing": ({"n": 3, "k": "a"}, "x"),
    "extra": ({"x": 0.5, "n": 3, "k": "a", "zz": 1}, "zz"),
    "text for a number": ({"x": "0.5", "n": 3, "k": "a"}, "x"),
    "a flag for a number": ({"x": True, "n": 3, "k": "a"}, "x"),
    "part of a number": ({"x": 0.5, "n": 3.5, "k": "a"}, "n"),
    "no choice": ({"x": 0.5, "n": 3, "k": "c"}, "k"),
    "not a number": ({"x": float("nan"), "n": 3, "k": "a"}, "x"),
    "no mapping": ([0.5, 3, "a"], "mapping"),
    "against a constraint": ({"x": 0.9, "n": 9, "k": "a"}, "x \\* n < 8"),
}


@pytest.mark.parametrize("name", POINTS)
def test_b31_points_that_cannot_be(name: str) -> None:
    point, words = POINTS[name]
    storage = open_storage()
    space = Space(x=Float(0, 1), n=Int(1, 9), k=Categorical("a", "b"), constraints=["x * n < 8"])
    study = Study(space, storage=storage, name="study")
    before = storage.study("study")
    with pytest.raises(ConfigurationError, match=words) as caught:
        study.enqueue(point)
    assert caught.value.code == "E_POINT"
    assert storage.study("study") == before
    assert storage.trials(before.id) == []


@pytest.mark.parametrize(
    "space",
    [
        Space(a=Float(0, 1), b=Float(0, 1), constraints=["a + b > 3"]),
        Space(a=Int(0, 10**6), b=Int(0, 10**6), constraints=["a + b > 10000000"]),
        Space(a=Categorical("x", "y"), b=Int(0, 3), constraints=["a == 'x'", "a == 'y'"]),
    ],
)
def test_b32_constraints_that_leave_nothing(space: Space) -> None:
    began = time.monotonic()
    with pytest.raises(EmptySpaceError, match="constraints") as caught:
        space.sample(np.random.default_rng(0))
    assert time.monotonic() - began < 10
    assert caught.value.code == "E_SPACE_EMPTY"
