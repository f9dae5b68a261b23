"""Parzen estimators over the unit cube: mixtures with one product kernel per observation, and a wide prior.

Symbols and shapes
------------------
=========== ============ ==========================================================================
n           int          observations; the prior is kernel number n, so there are n + 1
d           int          columns
c           int          points at which a density is wanted, or that are drawn
X           (n, d)       observations in [0, 1]; NaN where a column does not apply
mu, sigma   (d, n + 1)   centre and width of each kernel's truncated normal
w           (n + 1,)     weights, summing to 1
=========== ============ ==========================================================================

A column is real (truncated normals), has ordered levels (the same normals, integrated over each level's
cell), or unordered choices (mass on the observed one, a little on the others). Where a column does not
apply to an observation, its kernel is the prior's; where it does not apply to a point, it is left out of
that point's density. So only observations that have a column speak about it.

J. Bergstra, R. Bardenet, Y. Bengio and B. Kégl, "Algorithms for hyper-parameter optimization", NIPS 2011;
S. Falkner, A. Klein and F. Hutter, "BOHB", ICML 2018 (several columns in one kernel); S. Watanabe,
"Tree-structured Parzen estimator: understanding its algorithm components", 2023 (widths);
D. W. Scott, "Multivariate density estimation", 1992.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["Column", "Parzen", "joint_widths", "neighbour_widths"]

Floats = NDArray[np.float64]

_LOG_SQRT_2PI = 0.5 * np.log(2 * np.pi)
_TINY = 1e-300
_PRIOR_CENTRE, _PRIOR_WIDTH = 0.5, 1.0
_UNIFORM_VARIANCE = 1 / 12


@dataclass(frozen=True, eq=False)
class Column:
    """What the values of one column can be.

    Attributes
    ----------
    positions : array, shape (k,), optional
        The only values that occur, ascending; None for a real column.
    ordered : bool
        Whether neighbouring positions are alike (levels) or not (choices).
    """

    positions: Floats | None = None
    ordered: bool = True

    @cached_property
    def edges(self) -> Floats:
        """Borders of the levels' cells, shape (k + 1,): midway between positions, 0 and 1 outside."""
        assert self.positions is not None
        return np.concatenate([[0.0], (self.positions[1:] + self.positions[:-1]) / 2, [1.0]])

    def index(self, values: Floats) -> NDArray[np.intp]:
        """Return which position each value is at; NaN gives the last, to be masked by the caller."""
        return np.minimum(np.searchsorted(self.edges[1:-1], values, side="right"), len(self.edges) - 2)


def joint_widths(X: Floats, *, scale: float = 0.5, least: float = 0.02) -> Floats:
    """Return one width per column, for product kernels: ``scale * sd * n ** (-1 / (d + 4))``, shape (d, n).

    The rate is Scott's. The standard deviation sd takes in one uniform draw besides the n observations, so
    few of them are not yet believed to be all there is. A `scale` below Scott's 1 suits a search: the good
    observations are a cloud with several centres, and kernels as wide as the cloud would blur them.
    """
    n, d = X.shape
    active = np.count_nonzero(~np.isnan(X), axis=0)
    centre = np.nansum(X, axis=0) / np.maximum(active, 1)
    variance = (np.nansum((X - centre) ** 2, axis=0) + _UNIFORM_VARIANCE) / (active + 1)
    widths = scale * np.sqrt(variance) * np.maximum(active, 1) ** (-1.0 / (d + 4))
    return np.repeat(np.maximum(widths, least)[:, None], n, axis=1)


def neighbour_widths(X: Floats, *, least: float = 100.0) -> Floats:
    """Return, per column and observation, the distance to the farther neighbour, shape (d, n).

    Neighbours are the other observations, the prior's centre and the borders. No width falls below
    ``1 / min(least, n + 1)`` ("magic clipping"), which keeps kernels of few observations from being spikes.
    """
    n, d = X.shape
    widths = np.ones((d, n))
    for j in range(d):
        rows = np.flatnonzero(~np.isnan(X[:, j]))
        points = np.concatenate([X[rows, j], [_PRIOR_CENTRE]])
        order = np.argsort(points, kind="stable")
        gaps = np.diff(points[order], prepend=0.0, append=1.0)
        farther = np.empty(len(points))
        farther[order] = np.maximum(gaps[:-1], gaps[1:])
        widths[j, rows] = np.clip(farther[:-1], 1.0 / min(least, len(rows) + 1.0), 1.0)
    return widths


class Parzen:
    """A mixture of product kernels, one per observation, and a prior.

    Parameters
    ----------
    columns : sequence of Column, length d
        What each column holds.
    X : array, shape (n, d)
        Observations; NaN where a column does not apply.
    widths : array, shape (d, n)
        Standard deviations of the kernels before truncation.
    weights : array, shape (n + 1,)
        Of the observations and, last, the prior; scaled to sum to 1.
    joint : bool, default=True
        One mixture of products. False: a product of one mixture per column, as if columns were independent.

    Examples
    --------
    >>> X = np.array([[0.2], [0.3]])
    >>> parzen = Parzen([Column()], X, joint_widths(X), np.ones(3))
    >>> bool(parzen.log_density(np.array([[0.25]])) > parzen.log_density(np.array([[0.9]])))
    True
    """

    def __init__(
        self, columns: Sequence[Column], X: Floats, widths: Floats, weights: Floats, *, joint: bool = True
    ) -> None:
        prior = np.full((X.shape[1], 1), _PRIOR_CENTRE)
        missing = np.isnan(X.T)
        self._columns = columns
        self._applies = ~np.hstack([missing, np.zeros_like(prior, dtype=bool)])
        self._mu = np.hstack([np.where(missing, _PRIOR_CENTRE, X.T), prior])
        self._sigma = np.hstack([np.where(missing, _PRIOR_WIDTH, widths), prior * 0 + _PRIOR_WIDTH])
        self._weights = weights / weights.sum()
        self._joint = joint
        self._tables = {j: self._choice_table(j) for j, column in enumerate(columns) if not column.ordered}

    def _choice_table(self, j: int) -> Floats:
        """Return P(choice | kernel), shape (n + 1, k): 1 for the observed, and 1 / kernels for each."""
        column = self._columns[j]
        assert column.positions is not None
        n_applies = np.count_nonzero(self._applies[j])
        table = np.full((self._mu.shape[1], len(column.positions)), 1.0 / n_applies)
        seen = np.flatnonzero(self._applies[j, :-1])
        table[seen, column.index(self._mu[j, seen])] += 1.0
        return np.asarray(table / table.sum(axis=1, keepdims=True))

    # density -----------------------------------------------------------------------------------------

    def log_density(self, Y: Floats) -> Floats:
        """Return the log density at each row of `Y`, shape (c,); columns that are NaN there are left out."""
        total = np.zeros((len(Y), len(self._weights)))
        log_w = np.log(np.maximum(self._weights, _TINY))
        if self._joint:
            for j in range(Y.shape[1]):
                total += self._log_kernels(j, Y[:, j])
            return _log_sum_exp(total + log_w)
        density = np.zeros(len(Y))
        for j in range(Y.shape[1]):
            own = np.where(self._applies[j], self._weights, 0.0)
            log_own = np.log(np.maximum(own / own.sum(), _TINY))
            density += np.where(np.isnan(Y[:, j]), 0.0, _log_sum_exp(self._log_kernels(j, Y[:, j]) + log_own))
        return density

    def _log_kernels(self, j: int, y: Floats) -> Floats:
        """Return the log of column j's factor of each kernel at each point, shape (c, n + 1)."""
        column = self._columns[j]
        if j in self._tables:
            factor = np.log(self._tables[j]).T[column.index(y)]
        elif column.positions is not None:
            factor = self._log_levels(j, column.index(y))
        else:
            z = (y[:, None] - self._mu[j]) / self._sigma[j]
            scale = self._sigma[j] * _mass(self._mu[j], self._sigma[j], 0.0, 1.0)
            factor = -0.5 * z**2 - np.log(scale) - _LOG_SQRT_2PI
        factor[np.isnan(y)] = 0.0
        return np.asarray(factor)

    def _log_levels(self, j: int, at: NDArray[np.intp]) -> Floats:
        """Return the log of the mass of each kernel of column j on each level `at`, shape (c, n + 1).

        Observations share few levels, so most kernels are alike: each different pair is computed once.
        """
        alike, which = np.unique(self._mu[j] + 1j * self._sigma[j], return_inverse=True)
        levels, rows = np.unique(at, return_inverse=True)
        mu, sigma, edges = alike.real, alike.imag, self._columns[j].edges
        mass = _mass(mu, sigma, edges[levels][:, None], edges[levels + 1][:, None])
        log_mass = np.log(np.maximum(mass / _mass(mu, sigma, 0.0, 1.0), _TINY))
        return np.asarray(log_mass.take(which, axis=1).take(rows, axis=0))

    # drawing -----------------------------------------------------------------------------------------

    def sample(self, rng: Generator, c: int) -> Floats:
        """Draw `c` points with a value in every column, shape (c, d)."""
        d = len(self._columns)
        draws = np.empty((c, d))
        kernels = _pick(self._weights, rng.random(c))
        for j in range(d):
            if not self._joint:
                kernels = _pick(np.where(self._applies[j], self._weights, 0.0), rng.random(c))
            draws[:, j] = self._sample_column(j, kernels, rng.random(c))
        return draws

    def _sample_column(self, j: int, kernels: NDArray[np.intp], u: Floats) -> Floats:
        column = self._columns[j]
        if j in self._tables:
            assert column.positions is not None
            cumulated = np.cumsum(self._tables[j][kernels], axis=1)
            chosen = np.minimum((u[:, None] > cumulated).sum(axis=1), len(column.positions) - 1)
            return np.asarray(column.positions[chosen])
        from scipy.special import ndtr, ndtri

        mu, sigma = self._mu[j, kernels], self._sigma[j, kernels]
        low, high = ndtr(-mu / sigma), ndtr((1.0 - mu) / sigma)
        draws = np.clip(mu + sigma * ndtri(low + u * (high - low)), 0.0, 1.0)
        return draws if column.positions is None else np.asarray(column.positions[column.index(draws)])


def _mass(mu: Floats, sigma: Floats, low: Floats | float, high: Floats | float) -> Floats:
    """Return how much of each normal lies between `low` and `high`."""
    from scipy.special import ndtr

    return np.asarray(ndtr((high - mu) / sigma) - ndtr((low - mu) / sigma))


def _pick(weights: Floats, u: Floats) -> NDArray[np.intp]:
    """Return the index that each uniform number falls on, in proportion to the weights."""
    cumulated = np.cumsum(weights)
    at = np.searchsorted(cumulated, u * cumulated[-1], side="right")
    return np.asarray(np.minimum(at, len(weights) - 1))


def _log_sum_exp(terms: Floats) -> Floats:
    """Return log(sum(exp)) of each row, safe from overflow."""
    peak = terms.max(axis=1, keepdims=True)
    return np.asarray(peak[:, 0] + np.log(np.exp(terms - peak).sum(axis=1)))
