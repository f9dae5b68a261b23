"""Draws by Hamiltonian dynamics: against moments that are known, and a posterior on a grid."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import truncnorm

from modelwright.numerics.gaussian_process import LogNormals, log_posterior
from modelwright.numerics.hamiltonian import hamiltonian_draws

FAR = np.full(2, 50.0)


def test_a_correlated_normal_distribution() -> None:
    covariance = np.array([[1.0, 1.2], [1.2, 4.0]])
    precision, mean = np.linalg.inv(covariance), np.array([3.0, -1.0])

    def log_density(x: np.ndarray) -> tuple[float, np.ndarray]:
        off = x - mean
        return -0.5 * float(off @ precision @ off), -precision @ off

    drawn = hamiltonian_draws(
        log_density, mean, scale=np.array([1.0, 2.0]), low=-FAR, high=FAR,
        rng=np.random.default_rng(1), count=4000, burn_in=100,
    )  # fmt: skip
    np.testing.assert_allclose(drawn.mean(0), mean, atol=0.15)
    np.testing.assert_allclose(np.cov(drawn.T), covariance, rtol=0.15)


def test_walls_cut_a_distribution_and_do_not_distort_it() -> None:
    drawn = hamiltonian_draws(
        lambda x: (-0.5 * float(x @ x), -x), np.zeros(1), scale=np.ones(1), low=np.array([-0.3]),
        high=np.array([1.0]), rng=np.random.default_rng(2), count=8000, burn_in=100,
    )[:, 0]  # fmt: skip
    expected = truncnorm(-0.3, 1.0)
    assert drawn.min() >= -0.3
    assert drawn.max() <= 1.0
    assert drawn.mean() == pytest.approx(expected.mean(), abs=0.02)
    assert drawn.std() == pytest.approx(expected.std(), abs=0.02)


def test_draws_of_hyperparameters_are_those_of_their_posterior_on_a_grid() -> None:
    rng = np.random.default_rng(3)
    Z = rng.random((12, 1))
    y = np.sin(5 * Z[:, 0]) + 0.1 * rng.standard_normal(12)
    groups, noise = np.array([0]), np.log(0.02)
    priors = LogNormals(np.zeros(3), np.array([0.7, 1.0, 1.5]), np.full(3, -5.0), np.full(3, 5.0))

    def log_density(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = log_posterior(np.append(x, noise), Z, y, groups, priors)
        return value, gradient[:2]

    drawn = hamiltonian_draws(
        log_density, np.zeros(2), scale=priors.sd[:2], low=priors.low[:2], high=priors.high[:2],
        rng=np.random.default_rng(4), count=1500, burn_in=50,
    )  # fmt: skip
    axis_0, axis_1 = np.linspace(-3, 3, 61), np.linspace(-3, 4, 61)
    points = np.array([[a, b] for a in axis_0 for b in axis_1])
    logs = np.array([log_density(point)[0] for point in points])
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    mean = weights @ points
    sd = np.sqrt(weights @ (points - mean) ** 2)
    np.testing.assert_allclose(drawn.mean(0), mean, atol=0.15 * sd.max())
    np.testing.assert_allclose(drawn.std(0), sd, rtol=0.12)


def test_what_is_nowhere_finite_stays_where_it_began() -> None:
    drawn = hamiltonian_draws(
        lambda x: (0.0 if (x == 0).all() else np.nan, np.ones(2)), np.zeros(2), scale=np.ones(2),
        low=-FAR, high=FAR, rng=np.random.default_rng(5), count=3, burn_in=2,
    )  # fmt: skip
    assert (drawn == 0).all()
