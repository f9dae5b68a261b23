"""Gaussian processes: against scikit-learn's, finite differences and the definition of leaving one out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from modelwright.numerics.gaussian_process import GaussianProcess, LogNormals, log_posterior, posterior_mode
from modelwright.numerics.warping import Warping

GROUPS = np.array([0, 1, 1, 2])
FLAT = LogNormals(np.zeros(5), np.full(5, 1e6), np.full(5, -20.0), np.full(5, 20.0))
NARROW = LogNormals(np.zeros(5), np.full(5, 0.5), np.full(5, -5.0), np.full(5, 5.0))
THETA = np.log([0.4, 0.9, 1.7, 1.3, 0.05])
WARPED, SHAPES = np.array([0, 3]), np.log([0.5, 1.8, 1.4, 0.7])


@pytest.fixture
def observed() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    Z = rng.random((25, 4))
    return Z, np.sin(5 * Z[:, 0]) + Z[:, 1] * Z[:, 2] + 0.1 * rng.standard_normal(25)


def reference(Z: np.ndarray, y: np.ndarray) -> object:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    scales = np.exp(THETA[:-2])[GROUPS]
    kernel = ConstantKernel(np.exp(THETA[-2])) * Matern(scales, nu=2.5) + WhiteKernel(np.exp(THETA[-1]))
    return GaussianProcessRegressor(kernel, alpha=0.0, optimizer=None).fit(Z, y)


def test_the_posterior_is_that_of_a_reference(observed: tuple[np.ndarray, np.ndarray]) -> None:
    Z, y = observed
    points = np.random.default_rng(4).random((7, 4))
    mean, variance = GaussianProcess(Z, y, GROUPS, THETA).predict(points)
    expected, sd = reference(Z, y).predict(points, return_std=True)  # type: ignore[attr-defined]
    np.testing.assert_allclose(mean, expected, rtol=1e-8)
    np.testing.assert_allclose(variance, sd**2 - np.exp(THETA[-1]), rtol=1e-6)  # ours is without the noise


def test_the_likelihood_is_that_of_a_reference(observed: tuple[np.ndarray, np.ndarray]) -> None:
    value, _ = log_posterior(THETA, *observed, GROUPS, FLAT)
    expected = reference(*observed).log_marginal_likelihood()  # type: ignore[attr-defined]
    constant = -0.5 * len(observed[1]) * np.log(2 * np.pi)
    assert value + constant == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("priors", [FLAT, NARROW])
def test_the_gradient_of_the_density(observed: tuple[np.ndarray, np.ndarray], priors: LogNormals) -> None:
    _, gradient = log_posterior(THETA, *observed, GROUPS, priors)
    slopes = approx_fprime(THETA, lambda theta: log_posterior(theta, *observed, GROUPS, priors)[0], 1e-6)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-3, atol=1e-3)


def test_the_gradients_of_mean_and_variance(observed: tuple[np.ndarray, np.ndarray]) -> None:
    process = GaussianProcess(*observed, GROUPS, THETA)
    z = np.array([0.31, 0.77, 0.42, 0.9])
    mean, variance, by_mean, by_variance = process.predict_with_gradients(z)
    both = process.predict(z[None])
    assert (mean, variance) == pytest.approx((both[0][0], both[1][0]))
    np.testing.assert_allclose(
        by_mean, approx_fprime(z, lambda x: process.predict(x[None])[0][0], 1e-7), atol=1e-5
    )
    np.testing.assert_allclose(
        by_variance, approx_fprime(z, lambda x: process.predict(x[None])[1][0], 1e-7), atol=1e-5
    )


def test_leaving_one_out_is_what_is_predicted_without_it(observed: tuple[np.ndarray, np.ndarray]) -> None:
    Z, y = observed
    mean, variance = GaussianProcess(Z, y, GROUPS, THETA).leave_one_out()
    for i in (0, 11, 24):
        kept = np.arange(len(y)) != i
        alone = GaussianProcess(Z[kept], y[kept], GROUPS, THETA).predict(Z[i : i + 1])
        assert mean[i] == pytest.approx(alone[0][0])
        assert variance[i] == pytest.approx(alone[1][0] + np.exp(THETA[-1]))


def test_believing_keeps_the_mean_and_takes_variance_away(observed: tuple[np.ndarray, np.ndarray]) -> None:
    process = GaussianProcess(*observed, GROUPS, THETA)
    points, others = np.random.default_rng(5).random((2, 3, 4))
    after = process.believing(points)
    np.testing.assert_allclose(after.predict(others)[0], process.predict(others)[0], atol=1e-8)
    assert (after.predict(points)[1] < process.predict(points)[1]).all()
    assert process.believing(points[:0]) is process


def test_drawn_functions_have_the_posterior_s_moments(observed: tuple[np.ndarray, np.ndarray]) -> None:
    process = GaussianProcess(*observed, GROUPS, THETA)
    points = np.random.default_rng(6).random((3, 4))
    drawn = process.draw(points, np.random.default_rng(7), 20_000)
    mean, variance = process.predict(points)
    np.testing.assert_allclose(drawn.mean(0), mean, atol=0.03)
    np.testing.assert_allclose(drawn.var(0), variance, rtol=0.06)


def test_the_mode_is_one(observed: tuple[np.ndarray, np.ndarray]) -> None:
    theta = posterior_mode(*observed, GROUPS, NARROW, [THETA, NARROW.mean], 100)
    _, gradient = log_posterior(theta, *observed, GROUPS, NARROW)
    assert np.abs(gradient).max() < 1e-2
    assert theta[0] < theta[1]  # the first parameter moves the values fastest


@pytest.mark.parametrize("values", [np.zeros(6), np.full(6, 3.0), np.array([0, 0, 0, 0, 0, 1e6])])
def test_equal_points_and_odd_values_are_survived(values: np.ndarray) -> None:
    Z = np.repeat(np.array([[0.2, 0.4, 0.6, 0.8]]), 6, axis=0)
    theta = np.log([1.0, 1.0, 1.0, 1.0, 1e-6])
    mean, variance = GaussianProcess(Z, values, GROUPS, theta).predict(Z + 0.01)
    assert np.isfinite(mean).all()
    assert (variance > 0).all()


def test_a_warped_process_is_the_plain_one_of_bent_features(observed: tuple[np.ndarray, np.ndarray]) -> None:
    Z, y = observed
    bend = Warping(WARPED, SHAPES)
    points = np.random.default_rng(8).random((6, 4))
    plain, theta = GaussianProcess(bend(Z), y, GROUPS, THETA), np.concatenate([SHAPES, THETA])
    warped = GaussianProcess(Z, y, GROUPS, theta, WARPED)
    np.testing.assert_allclose(warped.predict(points), plain.predict(bend(points)), rtol=1e-12)
    believed = warped.believing(points[:2]).predict(points)
    np.testing.assert_allclose(believed, plain.believing(bend(points[:2])).predict(bend(points)), rtol=1e-10)
    priors = LogNormals(np.zeros(9), np.full(9, 1e6), np.full(9, -20.0), np.full(9, 20.0))
    value, _ = log_posterior(theta, Z, y, GROUPS, priors, WARPED)
    assert value == pytest.approx(log_posterior(THETA, bend(Z), y, GROUPS, FLAT)[0], abs=1e-9)


def test_the_gradients_of_a_warped_process(observed: tuple[np.ndarray, np.ndarray]) -> None:
    Z, y = observed
    theta = np.concatenate([SHAPES, THETA])
    priors = LogNormals(np.zeros(9), np.full(9, 0.75), np.full(9, -5.0), np.full(9, 5.0))
    _, gradient = log_posterior(theta, Z, y, GROUPS, priors, WARPED)
    slopes = approx_fprime(theta, lambda at: log_posterior(at, Z, y, GROUPS, priors, WARPED)[0], 1e-6)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-3, atol=1e-3)
    process = GaussianProcess(Z, y, GROUPS, theta, WARPED)
    z = np.array([0.31, 0.77, 0.42, 0.9])
    _, _, by_mean, by_variance = process.predict_with_gradients(z)
    for found, which in ((by_mean, 0), (by_variance, 1)):
        along = approx_fprime(z, lambda x, at=which: process.predict(x[None])[at][0], 1e-7)
        np.testing.assert_allclose(found, along, atol=1e-5)


def test_the_mode_bends_what_is_not_stationary() -> None:
    Z = np.linspace(0, 1, 40)[:, None]
    y = np.sin(12 * Z[:, 0] ** 3)  # flat at the lower end, fast at the upper one
    priors = LogNormals(np.zeros(5), np.full(5, 1.0), np.full(5, -3.0), np.full(5, 3.0))
    theta = posterior_mode(Z, y, np.array([0]), priors, [np.zeros(5)], 100, np.array([0]))
    assert theta[0] > 0.5  # a > 1 draws the lower end together
