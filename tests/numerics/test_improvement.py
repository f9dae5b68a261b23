"""Expected improvement: against samples, quadrature in many digits, and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import approx_fprime

from modelwright.numerics.improvement import log_expected_improvement, log_improvement


def exact(u: float) -> float:
    """Return the logarithm by quadrature: ``phi(u) * integral of t exp(ut - t^2 / 2)`` for u below 0."""
    if u >= 0:
        return float(np.log(u + np.exp(exact(-u)))) if u else float(-0.5 * np.log(2 * np.pi))
    whole, _ = quad(lambda s: s * np.exp(-s - 0.5 * (s / u) ** 2), 0, np.inf, epsabs=0, epsrel=1e-13)
    return float(np.log(whole) - 2 * np.log(-u) - u * u / 2 - 0.5 * np.log(2 * np.pi))


@pytest.mark.parametrize("u", [-3000.0, -60.0, -40.001, -39.999, -10.0, -1.0, 0.0, 1e-3, 0.5, 3.0, 30.0])
def test_the_logarithm_to_many_digits(u: float) -> None:
    value, _ = log_improvement(np.array([u]))
    assert value[0] == pytest.approx(exact(u), rel=1e-10)


@pytest.mark.parametrize("u", [-200.0, -40.001, -39.999, -5.0, -0.3, 0.2, 4.0])
def test_its_slope(u: float) -> None:
    _, slope = log_improvement(np.array([u]))
    step = 1e-3 / max(1.0, abs(u))  # the third derivative is small everywhere
    above, below = (log_improvement(np.array([u + sign * step]))[0] for sign in (1, -1))
    assert slope[0] == pytest.approx((above[0] - below[0]) / (2 * step), rel=1e-5)


def test_it_is_what_samples_improve_by() -> None:
    mean, variance, best = np.array([0.3, -1.0]), np.array([0.5, 2.0]), 0.1
    samples = mean + np.sqrt(variance) * np.random.default_rng(0).standard_normal((400_000, 2))
    value, _, _ = log_expected_improvement(mean, variance, best)
    np.testing.assert_allclose(np.exp(value), np.maximum(best - samples, 0).mean(0), rtol=0.01)


def test_its_derivatives() -> None:
    point = np.array([0.3, 0.5])
    _, by_mean, by_variance = log_expected_improvement(point[:1], point[1:], -0.4)
    slopes = approx_fprime(point, lambda p: log_expected_improvement(p[:1], p[1:], -0.4)[0][0], 1e-7)
    np.testing.assert_allclose([by_mean[0], by_variance[0]], slopes, rtol=1e-4)
