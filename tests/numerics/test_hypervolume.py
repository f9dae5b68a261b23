import itertools

import numpy as np
import pytest

from modelwright.numerics.hypervolume import hypervolume


def by_inclusion_and_exclusion(losses: np.ndarray, reference: np.ndarray) -> float:
    """The union of boxes from its definition: all intersections, with their signs."""
    total = 0.0
    for size in range(1, len(losses) + 1):
        for subset in itertools.combinations(losses, size):
            corner = np.max(subset, axis=0)
            total -= (-1) ** size * float(np.prod(np.maximum(reference - corner, 0.0)))
    return total


@pytest.mark.parametrize("m", [1, 2, 3, 4, 5, 6])
def test_it_agrees_with_inclusion_and_exclusion(m: int) -> None:
    rng = np.random.default_rng(m)
    for round_ in range(25):
        losses = rng.random((int(rng.integers(1, 9)), m))
        if round_ % 2:
            losses = np.round(losses * 4) / 4  # ties, equal rows, rows on the reference
        reference = np.full(m, 0.9)
        expected = by_inclusion_and_exclusion(losses, reference)
        assert hypervolume(losses, reference) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("m", [2, 3, 5])
def test_it_agrees_with_draws_on_larger_fronts(m: int) -> None:
    rng = np.random.default_rng(m)
    directions = np.abs(rng.standard_normal((40, m)))
    losses = 1 - directions / np.linalg.norm(directions, axis=1, keepdims=True)  # all on the front
    draws = rng.random((20_000, m))
    inside = np.mean([(losses <= row).all(axis=1).any() for row in draws])
    # A share of 20,000 draws has a standard deviation of at most 0.0036; four of them.
    assert hypervolume(losses, np.ones(m)) == pytest.approx(inside, abs=0.015)


@pytest.mark.parametrize("m", [2, 3, 4])
def test_points_without_worth_change_nothing(m: int) -> None:
    rng = np.random.default_rng(0)
    losses, reference = rng.random((6, m)), np.full(m, 1.0)
    idle = np.vstack(
        [losses, losses + 0.01, np.full((1, m), 2.0), np.full((1, m), np.nan), losses * 0 + np.inf]
    )
    assert hypervolume(idle, reference) == pytest.approx(hypervolume(losses, reference))


def test_nothing_has_no_volume() -> None:
    assert hypervolume(np.empty((0, 3)), np.ones(3)) == 0.0
    assert hypervolume(np.array([[1.0, 0.0]]), np.ones(2)) == 0.0  # on the border


def test_arguments_are_left_as_they_were() -> None:
    losses = np.array([[0.5, 0.1], [0.1, 0.5]])
    hypervolume(losses, np.ones(2))
    assert losses.tolist() == [[0.5, 0.1], [0.1, 0.5]]
