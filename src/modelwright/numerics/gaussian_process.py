"""Gaussian process regression: Matérn 5/2, a lengthscale per parameter, noise, all at their posterior mode.

Symbols and shapes
------------------
======= ============ ==============================================================================
n       int          observations
p       int          features
g       int          groups of features; the features of one group share a lengthscale
m       int          points at which something is wanted
Z       (n, p)       features of the observations
y       (n,)         their values, standardised by the caller
w       int          features that are warped, each with two shapes; often none
theta   (t,)         log shapes (2 w), log lengthscales (g), log signal variance, log noise variance
======= ============ ==============================================================================

The kernel of two points at the scaled distance r is ``signal * (1 + sqrt(5) r + 5/3 r^2) exp(-sqrt(5) r)``;
the mean is zero. Gradients of the likelihood take two matrix products, not one matrix per parameter.

C. E. Rasmussen and C. K. I. Williams, "Gaussian Processes for Machine Learning", MIT Press, 2006, chapters 2
(posterior), 4 (kernel) and 5 (likelihood, leave-one-out).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.numerics.warping import Warping

__all__ = ["GaussianProcess", "LogNormals", "log_posterior", "posterior_mode"]

Floats = NDArray[np.float64]
Groups = NDArray[np.intp]

_NONE: Groups = np.empty(0, dtype=np.intp)
_SQRT_5 = np.sqrt(5.0)
_JITTERS = (0.0, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2)  # of the signal variance, until the matrix is definite


@dataclass(frozen=True, eq=False)
class LogNormals:
    """What is believed of theta before any observation: independent normal distributions, within bounds.

    Attributes
    ----------
    mean, sd : array, shape (t,)
        Of each entry of theta.
    low, high : array, shape (t,)
        Bounds of the search.
    """

    mean: Floats
    sd: Floats
    low: Floats
    high: Floats


def posterior_mode(
    Z: Floats,
    y: Floats,
    groups: Groups,
    priors: LogNormals,
    starts: Sequence[Floats],
    iterations: int,
    warped: Groups = _NONE,
) -> Floats:
    """Return the theta of the highest posterior density that a search from each of `starts` finds.

    Parameters
    ----------
    Z : array, shape (n, p)
        Features.
    y : array, shape (n,)
        Values.
    groups : array of int, shape (p,)
        The group of each feature, 0 to g - 1.
    priors : LogNormals
        The prior density and the bounds.
    starts : sequence of array, shape (t,)
        At least one.
    iterations : int
        Of L-BFGS, for each start.
    warped : array of int, shape (w,), optional
        The features that are warped.

    Returns
    -------
    theta : array, shape (t,)

    Examples
    --------
    >>> Z = np.linspace(0, 1, 20)[:, None]
    >>> wide = LogNormals(np.zeros(3), np.full(3, 2.0), np.full(3, -10.0), np.full(3, 5.0))
    >>> theta = posterior_mode(Z, np.sin(6 * Z[:, 0]), np.array([0]), wide, [np.zeros(3)], 50)
    >>> bool(theta[2] < -5)  # there is no noise
    True
    """
    from scipy.optimize import fmin_l_bfgs_b

    def down(theta: Floats) -> tuple[float, Floats]:
        value, gradient = log_posterior(theta, Z, y, groups, priors, warped)
        return -value, -gradient

    bounds = list(zip(priors.low, priors.high, strict=True))
    found = [
        fmin_l_bfgs_b(down, np.clip(start, priors.low, priors.high), bounds=bounds, maxiter=iterations)
        for start in starts
    ]
    theta, *_ = min(found, key=lambda result: float(result[1]))
    return np.asarray(theta, dtype=float)


def log_posterior(
    theta: Floats, Z: Floats, y: Floats, groups: Groups, priors: LogNormals, warped: Groups = _NONE
) -> tuple[float, Floats]:
    """Return the log density of theta given the observations, less a constant, and its gradient."""
    n, w = len(y), len(warped)
    signal, noise = np.exp(theta[-2:])
    warping, scales = Warping(warped, theta[: 2 * w]), np.exp(theta[2 * w : -2])[groups]
    A = warping(Z) / scales
    root = _SQRT_5 * np.sqrt(_square_distances(A, A))
    decay = signal * np.exp(-root)
    K = decay * (1 + root + root * root / 3)
    lower = _cholesky(K + noise * np.eye(n), signal)
    alpha = _solve(lower, y)
    G = np.outer(alpha, alpha) - _inverse(lower)
    M = G * decay * (1 + root)
    rows, M_A = M.sum(1), M @ A
    by_feature = (5 / 3) * (rows @ (A * A) - (A * M_A).sum(0))
    gradient = np.empty_like(theta)
    gradient[2 * w : -2] = np.bincount(groups, by_feature, len(theta) - 2 - 2 * w)
    if w:
        _, by_log_a, by_log_b = warping.slopes(Z)
        by_bent = (5 / 3) * (M_A - rows[:, None] * A)[:, warped] / scales[warped]
        gradient[: 2 * w] = np.concatenate([(by_bent * by_log_a).sum(0), (by_bent * by_log_b).sum(0)])
    gradient[-2] = 0.5 * np.sum(G * K)
    gradient[-1] = 0.5 * noise * np.trace(G)
    off = (theta - priors.mean) / priors.sd
    value = -0.5 * y @ alpha - np.log(np.diag(lower)).sum() - 0.5 * off @ off
    return float(value), gradient - off / priors.sd


class GaussianProcess:
    """The posterior of a Gaussian process with a given theta.

    Parameters
    ----------
    Z : array, shape (n, p)
        Features of the observations.
    y : array, shape (n,)
        Their values, about standardised: the prior mean is 0.
    groups : array of int, shape (p,)
        The group of each feature.
    theta : array, shape (t,)
        See the module.
    warped : array of int, shape (w,), optional
        The features that are warped.

    Examples
    --------
    >>> Z = np.array([[0.0], [0.5], [1.0]])
    >>> process = GaussianProcess(Z, np.array([1.0, 0.0, 1.0]), np.array([0]), np.log([0.5, 1.0, 1e-6]))
    >>> mean, variance = process.predict(np.array([[0.5], [0.75]]))
    >>> bool(variance[0] < 1e-5 < variance[1]), bool(0.0 < mean[1] < 1.0)
    (True, True)
    """

    def __init__(self, Z: Floats, y: Floats, groups: Groups, theta: Floats, warped: Groups = _NONE) -> None:
        self.Z, self.y, self.groups, self.theta, self.warped = Z, y, groups, theta, warped
        shapes = 2 * len(warped)
        self._warping = Warping(warped, theta[:shapes])
        self._scales = np.exp(theta[shapes:-2])[groups]
        self._signal, self._noise = np.exp(theta[-2:])
        self._A = self._scaled(Z)
        self._lower = _cholesky(self._covariance(self._A) + self._noise * np.eye(len(y)), self._signal)
        self._alpha = _solve(self._lower, y)
        self._inverse = _inverse(self._lower)

    def _scaled(self, Z: Floats) -> Floats:
        return self._warping(Z) / self._scales

    def _covariance(self, A: Floats) -> Floats:
        """Return the kernel between scaled points and the observations, shape (m, n)."""
        root = _SQRT_5 * np.sqrt(_square_distances(A, self._A))
        return np.asarray(self._signal * np.exp(-root) * (1 + root + root * root / 3))

    def predict(self, Z: Floats) -> tuple[Floats, Floats]:
        """Return mean and variance, without noise, at the rows of `Z`; shapes (m,) and (m,)."""
        K = self._covariance(self._scaled(Z))
        variance = self._signal - np.einsum("ij,ij->i", K @ self._inverse, K)
        return K @ self._alpha, np.maximum(variance, 1e-12 * self._signal)

    def predict_with_gradients(self, z: Floats) -> tuple[float, float, Floats, Floats]:
        """Return mean and variance at one point, shape (p,), and the gradients of both, shapes (p,)."""
        difference = self._scaled(z[None]) - self._A
        root = _SQRT_5 * np.sqrt(np.einsum("ij,ij->i", difference, difference))
        decay = self._signal * np.exp(-root)
        k = decay * (1 + root + root * root / 3)
        half = self._inverse @ k
        slope = (-5 / 3) * decay * (1 + root)  # of the kernel by half the square of the distance
        toward = difference / self._scales
        if len(self.warped):
            toward[:, self.warped] *= self._warping.slopes(z[None])[0]
        variance = max(self._signal - k @ half, 1e-12 * self._signal)
        return (
            float(k @ self._alpha),
            float(variance),
            (slope * self._alpha) @ toward,
            -2 * (slope * half) @ toward,
        )

    def leave_one_out(self) -> tuple[Floats, Floats]:
        """Return mean and variance, with noise, of each observation given all the others; shapes (n,)."""
        variance = 1 / np.diag(self._inverse)
        return self.y - self._alpha * variance, variance

    def believing(self, Z: Floats) -> GaussianProcess:
        """Return the posterior if at each row of `Z` its mean had been observed, shape (m, p).

        D. Ginsbourger, R. Le Riche and L. Carraro, "Kriging is well-suited to parallelize optimization",
        2010.
        """
        if not len(Z):
            return self
        mean, _ = self.predict(Z)
        y = np.concatenate([self.y, mean])
        return GaussianProcess(np.vstack([self.Z, Z]), y, self.groups, self.theta, self.warped)

    def draw(self, Z: Floats, rng: np.random.Generator, count: int) -> Floats:
        """Return functions drawn from the posterior at the rows of `Z`, shape (count, m)."""
        A = self._scaled(Z)
        K = self._covariance(A)
        root = _SQRT_5 * np.sqrt(_square_distances(A, A))
        prior = self._signal * np.exp(-root) * (1 + root + root * root / 3)
        lower = _cholesky(prior - K @ self._inverse @ K.T, self._signal)
        return np.asarray(K @ self._alpha + rng.standard_normal((count, len(Z))) @ lower.T)


def _square_distances(A: Floats, B: Floats) -> Floats:
    squares = (A * A).sum(1)[:, None] + (B * B).sum(1) - 2 * (A @ B.T)
    if A is B:
        np.fill_diagonal(squares, 0.0)
    return np.asarray(np.maximum(squares, 0.0))


def _cholesky(K: Floats, signal: float) -> Floats:
    """Return the lower factor, of K with a little on the diagonal where rounding made it indefinite."""
    from scipy.linalg.lapack import dpotrf

    for jitter in _JITTERS:
        lower, info = dpotrf(K + jitter * signal * np.eye(len(K)) if jitter else K, lower=1, clean=1)
        if info == 0:
            return np.asarray(lower)
    raise FloatingPointError("a covariance matrix is not finite")


def _solve(lower: Floats, y: Floats) -> Any:
    from scipy.linalg.lapack import dpotrs

    return dpotrs(lower, y, lower=1)[0]


def _inverse(lower: Floats) -> Floats:
    from scipy.linalg.lapack import dpotri

    inverse, _ = dpotri(lower, lower=1)
    return np.asarray(np.tril(inverse) + np.tril(inverse, -1).T)
