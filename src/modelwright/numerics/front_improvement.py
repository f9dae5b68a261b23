"""How much a point is expected to improve on a front of several losses, in logarithms, with derivatives.

Symbols and shapes
------------------
============== ========= =========================================================================
r              int       points at which something is wanted
m              int       losses, independent of each other given the model
k              int       boxes of what would be an improvement
mean, variance (r, m)    of the normal distributions of the losses
============== ========= =========================================================================

A point y gains of a box with the corners l < h the product over losses of ``max(h - y, 0) - max(l - y, 0)``.
Losses are independent, so the expectation of that product is the product of differences of two expected
improvements, and the boxes add up: exact for any number of losses. All is kept in logarithms, so that points
which are far from any improvement still know the way.

K. Yang, M. Emmerich, A. Deutz and T. Bäck, "Efficient computation of expected hypervolume improvement using
box decomposition algorithms", Journal of Global Optimization 75, 2019; S. Ament, S. Daulton, D. Eriksson, M.
Balandat and E. Bakshy, "Unexpected improvements to expected improvement for Bayesian optimization", NeurIPS
2023 (logarithms).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelwright.numerics.improvement import log_expected_improvement
from modelwright.numerics.partition import improving_boxes

__all__ = ["HypervolumeImprovement"]

Floats = NDArray[np.float64]

_SMALLEST_GAP = 1e-200  # of logarithms that are equal to the last bit


class HypervolumeImprovement:
    """The log of the expected growth of the hypervolume that a front dominates.

    Parameters
    ----------
    front : array, shape (n, m)
        Losses that were found.
    reference : array, shape (m,)
        Up to where volume counts.

    Examples
    --------
    >>> growth = HypervolumeImprovement(np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([2.0, 2.0]))
    >>> sure = np.full((1, 2), 1e-12)
    >>> round(float(np.exp(growth(np.array([[0.5, 0.5]]), sure)[0])), 4)  # the square up to (1, 1)
    0.25
    """

    def __init__(self, front: Floats, reference: Floats) -> None:
        low, high = improving_boxes(front, reference)
        # Boxes share their corners, so each loss has few different ones; the first stands for -infinity.
        self._edges: list[Floats] = []
        self._low = np.empty(low.shape, dtype=np.intp)
        self._high = np.empty(high.shape, dtype=np.intp)
        for j in range(low.shape[1]):
            edges = np.unique(np.concatenate([[-np.inf], low[:, j], high[:, j]]))
            self._edges.append(edges[1:])
            self._low[:, j] = np.searchsorted(edges, low[:, j])
            self._high[:, j] = np.searchsorted(edges, high[:, j])

    def __call__(self, mean: Floats, variance: Floats) -> Floats:
        """Return the values, shape (r,)."""
        parts = np.zeros((len(mean), len(self._high)))
        for j in range(mean.shape[1]):
            value, _, _ = self._below_edges(j, mean[:, j], variance[:, j])
            parts = parts + _log_difference(value[:, self._high[:, j]], value[:, self._low[:, j]])[0]
        return _log_sum(parts)[0]

    def with_gradient(self, mean: Floats, variance: Floats) -> tuple[float, Floats, Floats]:
        """Return the value for one point, shapes (m,), and its derivatives by mean and variance, (m,)."""
        parts, by_mean, by_variance = [], [], []
        for j in range(len(mean)):
            value, slope, slope_v = self._below_edges(j, mean[j : j + 1], variance[j : j + 1])
            high, low = self._high[:, j], self._low[:, j]
            part, weight_high, weight_low = _log_difference(value[:, high], value[:, low])
            parts.append(part)
            by_mean.append(weight_high * slope[:, high] - weight_low * slope[:, low])
            by_variance.append(weight_high * slope_v[:, high] - weight_low * slope_v[:, low])
        total, share = _log_sum(np.sum(parts, axis=0))
        slopes = [[float(np.sum(share * part)) for part in each] for each in (by_mean, by_variance)]
        return float(total[0]), np.array(slopes[0]), np.array(slopes[1])

    def _below_edges(self, j: int, mean: Floats, variance: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the log of the expected improvement of loss `j` below each edge, and its derivatives.

        Shapes (r, 1 + edges); the first column, for minus infinity, is the log of 0.
        """
        r, edges = len(mean), self._edges[j]
        found = log_expected_improvement(
            np.repeat(mean, len(edges)), np.repeat(variance, len(edges)), np.tile(edges, r)
        )
        return tuple(  # type: ignore[return-value]
            np.concatenate([np.full((r, 1), first), values.reshape(r, -1)], axis=1)
            for first, values in zip((-np.inf, 0.0, 0.0), found, strict=True)
        )


def _log_difference(high: Floats, low: Floats) -> tuple[Floats, Floats, Floats]:
    """Return ``log(exp(high) - exp(low))``, and its derivatives by the two, the second one's sign turned."""
    gap = np.maximum(high - low, _SMALLEST_GAP)
    left = -np.expm1(-gap)
    return high + np.log(left), 1 / left, np.exp(-gap) / left


def _log_sum(parts: Floats) -> tuple[Floats, Floats]:
    """Return the log of the sum of exponentials over the last axis, and each one's share of it."""
    largest = parts.max(axis=-1, keepdims=True)
    shares = np.exp(parts - largest)
    total = shares.sum(axis=-1, keepdims=True)
    return (largest + np.log(total))[..., 0], shares / total
