"""Boxes that fill what would improve on a front."""

from __future__ import annotations

import numpy as np
import pytest

from modelwright.numerics.hypervolume import hypervolume
from modelwright.numerics.partition import improving_boxes


@pytest.mark.parametrize("m", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("ties", [False, True])
def test_the_boxes_hold_what_a_point_adds_to_the_hypervolume(m: int, ties: bool) -> None:
    rng = np.random.default_rng(m)
    reference = np.full(m, 5.5)
    for _ in range(5):
        drawn = rng.integers(0, 7, (20, m)).astype(float) if ties else 6 * rng.random((20, m))
        front, points = drawn[:12], drawn[12:]
        low, high = improving_boxes(front, reference)
        before = hypervolume(front, reference)
        for point in points:
            inside = np.maximum(high - np.maximum(low, point), 0.0).prod(axis=1).sum()
            gained = hypervolume(np.vstack([front, point]), reference) - before
            assert inside == pytest.approx(gained, abs=1e-9)


def test_without_a_point_below_the_reference_there_is_one_box() -> None:
    for front in (np.empty((0, 3)), np.array([[1.0, 1.0, 2.0]])):
        low, high = improving_boxes(front, np.array([2.0, 2.0, 2.0]))
        assert low.tolist() == [[-np.inf] * 3]
        assert high.tolist() == [[2.0] * 3]


@pytest.mark.parametrize(("m", "most"), [(2, 51), (3, 101)])
def test_the_number_of_boxes(m: int, most: int) -> None:
    drawn = np.abs(np.random.default_rng(0).standard_normal((50, m)))
    front = 1 - drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    low, _ = improving_boxes(front, np.full(m, 1.1))
    assert len(low) == most
