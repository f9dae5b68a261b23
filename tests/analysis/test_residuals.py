from __future__ import annotations

import numpy as np
import pytest

from modelwright.analysis import residuals


def test_figures_are_of_all_rows_and_points_are_a_sample() -> None:
    rng = np.random.default_rng(0)
    true, predicted = rng.normal(size=5000), rng.normal(size=5000)
    found = residuals(true, predicted, most=100)
    assert found.n == 5000
    assert len(found.true) == len(found.predicted) == 100
    assert found.bias == pytest.approx((true - predicted).mean())
    assert found.spread == pytest.approx((true - predicted).std())
    assert found.median_error == pytest.approx(np.median(np.abs(true - predicted)))
    assert list(found.predicted) == sorted(found.predicted)
    assert (found.predicted[0], found.predicted[-1]) == (predicted.min(), predicted.max())


def test_pairs_stay_together() -> None:
    true = np.array([5.0, 1.0, 3.0])
    found = residuals(true, true + 0.5)
    assert found.true == (1.0, 3.0, 5.0)
    assert found.differences == (-0.5, -0.5, -0.5)


def test_whole_numbers_are_welcome() -> None:
    assert residuals(np.array([2]), np.array([1])).bias == 1.0
