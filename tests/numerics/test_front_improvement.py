"""Expected improvement on a front of several losses."""

from __future__ import annotations

import numpy as np
import pytest

from modelwright.numerics.front_improvement import HypervolumeImprovement
from modelwright.numerics.hypervolume import hypervolume
from modelwright.numerics.improvement import log_expected_improvement

REFERENCE = 1.5


def a_front(m: int, n: int = 8, seed: int = 0) -> np.ndarray:
    drawn = np.abs(np.random.default_rng(seed).standard_normal((n, m)))
    return 1 - drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def hypervolume_improvement(m: int) -> HypervolumeImprovement:
    return HypervolumeImprovement(a_front(m), np.full(m, REFERENCE))


@pytest.mark.parametrize("m", [2, 3, 4])
def test_hypervolume_agrees_with_monte_carlo(m: int) -> None:
    rng = np.random.default_rng(2)
    front, reference = a_front(m), np.full(m, REFERENCE)
    before = hypervolume(front, reference)
    for centre in (0.2, 0.6, 1.0):
        mean, variance = np.full(m, centre) + 0.1 * np.arange(m), np.linspace(0.05, 0.3, m)
        drawn = mean + np.sqrt(variance) * rng.standard_normal((2000, m))
        gains = np.array([hypervolume(np.vstack([front, point]), reference) - before for point in drawn])
        expected = np.exp(hypervolume_improvement(m)(mean[None], variance[None])[0])
        assert expected == pytest.approx(gains.mean(), abs=4 * gains.std() / np.sqrt(len(gains)))


@pytest.mark.parametrize("m", [2, 3, 5])
@pytest.mark.parametrize("centre", [-2.0, 0.3, 1.0, 6.0])
@pytest.mark.parametrize("size", [1e-3, 0.2])
def test_derivatives_agree_with_finite_differences(m: int, centre: float, size: float) -> None:
    acquisition = hypervolume_improvement(m)
    rng = np.random.default_rng(4)
    mean, variance = centre + 0.2 * rng.standard_normal(m), size * (0.5 + rng.random(m))
    value, by_mean, by_variance = acquisition.with_gradient(mean, variance)
    assert value == pytest.approx(acquisition(mean[None], variance[None])[0], rel=1e-12)
    for j in range(m):
        for by, start, other in ((by_mean, mean, variance), (by_variance, variance, mean)):
            step = 1e-6 * np.eye(m)[j] * (1 if start is mean else size)
            ahead, back = (
                acquisition(*(x[None] for x in ((moved, other) if start is mean else (other, moved))))[0]
                for moved in (start + step, start - step)
            )
            slope = (ahead - back) / (2 * step[j])
            assert by[j] == pytest.approx(slope, rel=1e-3, abs=1e-5 * max(1.0, abs(value)))


def test_one_loss_is_expected_improvement() -> None:
    mean, variance = np.linspace(-3, 3, 9), np.linspace(0.1, 2, 9)
    expected, _, _ = log_expected_improvement(mean, variance, 0.4)
    growth = HypervolumeImprovement(np.array([[0.4], [1.0]]), np.array([2.0]))
    np.testing.assert_allclose(growth(mean[:, None], variance[:, None]), expected, rtol=1e-12)


def test_far_from_all_improvement_the_way_is_known() -> None:
    value, by_mean, _ = hypervolume_improvement(2).with_gradient(np.full(2, 50.0), np.full(2, 1e-4))
    assert np.isfinite(value)
    assert value < -1e5
    assert (by_mean < 0).all()
    assert np.isfinite(by_mean).all()
