"""Means from boxes are compared with averages over lattices on which the trees are exact."""

import itertools

import numpy as np
import pytest

from modelwright.numerics.fanova import Axis, Regimes, explained
from modelwright.numerics.regression_tree import RegressionTree, grow

OFF = np.array([[-1.0]])
# Two numbers, of which the second can be off, and three choices as indicators.
AXES = [
    Axis([0]),
    Axis([1], OFF, np.array([[0.0, 1.0], [1.0, 0.0]])),
    Axis(
        [2, 3, 4],
        np.eye(3),
        np.array([[0, 0, 0, 0], [0, 0.5, 0.3, 0.2], [0, 1, 0, 0], [0, 0, 0.6, 0.4]]),
    ),
]
# The first choice switches the second number off.
REGIMES = Regimes(np.array([0.5, 0.5]), np.array([[1, 0, 2], [1, 1, 3]]))


def drawn_tree(seed: int) -> RegressionTree:
    rng = np.random.default_rng(seed)
    X = np.column_stack(
        [
            np.round(rng.random(80), 1),
            np.where(rng.random(80) < 0.25, -1.0, np.round(rng.random(80), 1)),
            np.eye(3)[rng.integers(3, size=80)],
        ]
    )
    return grow(X, rng.random(80) + X[:, 0] * X[:, 1], min_leaf=3)


def by_definition(tree: RegressionTree, regimes: Regimes) -> tuple[list[float], float]:
    """Means given each value of each axis, over a lattice; thresholds are multiples of 0.05, or below 0."""
    fine = ((np.arange(20) + 0.5) / 20)[:, None]
    cells = [fine, np.vstack([fine, OFF]), np.eye(3)]
    even = np.full(20, 1 / 20)
    rows, masses, on = [], [], []
    for weight, laws in zip(regimes.weights, regimes.laws, strict=True):
        number = np.append(even, 0.0) if laws[1] else np.append(0 * even, 1.0)
        by_axis = [even, number, AXES[2].laws[laws[2], 1:]]
        for places in itertools.product(*map(range, (20, 21, 3))):
            rows.append(places)
            masses.append(weight * np.prod([m[at] for m, at in zip(by_axis, places, strict=True)]))
            on.append(laws > 0)
    places, mass = np.array(rows), np.array(masses)
    Z = np.hstack([cell[at] for cell, at in zip(cells, places.T, strict=True)])
    told = tree.predict(Z)
    told = told - mass @ told
    alone = []
    for j in range(3):
        active = np.array(on)[:, j]
        groups = [(places[:, j] == at) & active for at in range(len(cells[j]))]
        means = [(mass[g].sum(), mass[g] @ told[g]) for g in groups if mass[g].sum() > 0]
        weights, sums = map(np.array, zip(*means, strict=True))
        alone.append(weights @ (sums / weights - sums.sum() / weights.sum()) ** 2)
    return alone, float(mass @ told**2)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("regimes", [None, REGIMES])
def test_means_are_exact(seed: int, regimes: Regimes | None) -> None:
    tree = drawn_tree(seed)
    alone, total = explained([tree], AXES, regimes)
    expected, expected_total = by_definition(tree, regimes or Regimes(np.ones(1), np.ones((1, 3), int)))
    assert alone == pytest.approx(expected, rel=1e-9)
    assert total == pytest.approx(expected_total, rel=1e-9)
    assert alone.sum() <= total


def test_the_step_from_off_to_on_is_the_parents_doing() -> None:
    X = np.array([[0.5, -1.0, 1, 0, 0], [0.5, 0.2, 0, 1, 0], [0.5, 0.8, 0, 1, 0]])
    alone, total = explained([grow(X, np.array([0.0, 4.0, 4.0]))], AXES[::-1], _turned())
    assert alone == pytest.approx([4.0, 0.0, 0.0])
    alone, total = explained([grow(X, np.array([3.0, 2.0, 4.0]))], AXES[::-1], _turned())
    assert alone == pytest.approx([0.0, 0.5, 0.0])
    assert total == pytest.approx(0.5)


def _turned() -> Regimes:
    return Regimes(REGIMES.weights, REGIMES.laws[:, ::-1])


def test_trees_are_averaged() -> None:
    trees = [drawn_tree(seed) for seed in range(3)]
    singles = [explained([tree], AXES) for tree in trees]
    alone, total = explained(trees, AXES)
    assert alone == pytest.approx(np.mean([single for single, _ in singles], axis=0))
    assert total == pytest.approx(np.mean([whole for _, whole in singles]))


def test_a_leaf_alone_explains_nothing() -> None:
    alone, total = explained([grow(np.zeros((3, 5)), np.ones(3))], AXES)
    assert alone.tolist() == [0.0, 0.0, 0.0]
    assert total == 0.0


def test_any_object_with_the_arrays_is_a_tree() -> None:
    class Arrays:
        feature = np.array([0, -1, -1])
        threshold = np.array([0.25, 0.0, 0.0])
        left, right = np.array([1, -1, -1]), np.array([2, -1, -1])
        value = np.array([np.nan, 0.0, 4.0])  # of inner nodes nothing is asked

    alone, total = explained([Arrays()], AXES)
    assert alone == pytest.approx([3.0, 0.0, 0.0])  # 16 * 1/4 * 3/4
    assert total == pytest.approx(3.0)
