"""Where an acquisition is highest."""

from __future__ import annotations

import numpy as np
import pytest

from modelwright.optimizers.features import Features
from modelwright.optimizers.searching import Search, around
from modelwright.space import Categorical, Float, Int, Space

SPACE = Space(
    {
        "x": Float(0, 1),
        "n": Int(1, 50),
        "kind": Categorical("a", "b", "c"),
        "y": Float(0, 1, when={"kind": "b"}),
    },
    constraints=["x <= 0.7"],
)
TARGET = SPACE.encode([{"x": 0.61803, "n": 37, "kind": "b", "y": 0.123456}])
EMPTY = np.empty((0, 4))


class Hill:
    """Highest at the target."""

    def __init__(self, features: Features) -> None:
        self._top = features(TARGET)[0]

    def __call__(self, Z: np.ndarray) -> np.ndarray:
        return np.asarray(-((Z - self._top) ** 2).sum(axis=1))

    def with_gradient(self, z: np.ndarray) -> tuple[float, np.ndarray]:
        return float(self(z[None])[0]), -2 * (z - self._top)


@pytest.mark.parametrize(
    "known", [EMPTY, SPACE.encode([{"x": 0.2, "n": 3, "kind": "a"}])], ids=["none", "one"]
)
def test_the_top_of_a_hill_is_found_in_all_kinds_of_parameters(known: np.ndarray) -> None:
    features = Features(SPACE)
    row = Search(SPACE, features).best(Hill(features), known, np.random.default_rng(0))
    assert row is not None
    np.testing.assert_allclose(row, TARGET[0], atol=1e-5)


def test_a_climb_stops_where_constraints_do() -> None:
    features = Features(SPACE)
    hill = Hill(features)
    hill._top[0] = 0.9
    row = Search(SPACE, features).best(hill, EMPTY, np.random.default_rng(0))
    assert row is not None
    assert SPACE.feasible(row[None]).all()
    assert row[0] > 0.65


def test_what_is_used_is_passed_over() -> None:
    features = Features(SPACE)
    search, rng = Search(SPACE, features), np.random.default_rng(0)
    best = search.best(Hill(features), EMPTY, np.random.default_rng(0))
    assert best is not None
    other = search.best(Hill(features), EMPTY, rng, lambda row: not np.array_equal(row, best, equal_nan=True))
    assert other is not None
    assert not np.array_equal(other, best, equal_nan=True)
    assert search.best(Hill(features), EMPTY, rng, lambda row: False) is None


def test_rows_around_others_are_valid_and_near() -> None:
    rng = np.random.default_rng(0)
    known = SPACE.sample_unit(rng, 5)
    X = around(SPACE, known, rng, 400)
    assert 200 < len(X) <= 400
    assert SPACE.feasible(X).all()
    np.testing.assert_array_equal(X, SPACE.encode(SPACE.decode(np.where(np.isnan(X), 0.5, X))))
    steps = np.abs(X[:, None, 0] - known[None, :, 0]).min(axis=1)
    assert np.median(steps) < 0.1
