"""How good an ensemble would be with each candidate added, for all candidates at once.

Symbols: m candidates, n rows, k classes; S the sum of the predictions of the members so far, i their number
with the new one. The loss wanted is that of (S + P_j) / i for each j.

==============  =====================================================  =======================
metric          trick                                                  cost of one step
==============  =====================================================  =======================
rmse, mse       ||S + R_j||^2 = S.S + 2 S.R_j + R_j.R_j, R = P - y     one product, O(m n)
log_loss        only the true class's probability counts               O(m n) logarithms
roc_auc         label in the lowest bit of the score, then one sort    O(m n log n), small
any other       the metric itself                                      m calls of it
==============  =====================================================  =======================
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from modelwright.automl.metrics import Metric

__all__ = ["Candidates", "make_candidates"]

Floats = NDArray[np.float64]


class Candidates(Protocol):
    """The candidates, and the sum of those that were taken."""

    def losses(self, i: int) -> Floats:
        """Return the loss with each candidate as the i-th member, shape (m,); NaN where not defined."""

    def add(self, j: int) -> None:
        """Take candidate `j`."""


def make_candidates(metric: Metric, P: Floats, y: NDArray[np.generic], weight: Floats | None) -> Candidates:
    """Return the fastest way to `metric`.

    Parameters
    ----------
    metric : Metric
        What is optimized.
    P : ndarray of shape (m, n, k) or (m, n)
        Finite predictions.
    y : ndarray of shape (n,)
        Codes of classes, or values.
    weight : ndarray of shape (n,), optional
        Of the rows.
    """
    if metric.name in ("rmse", "mse"):
        return _SquaredErrors(P, np.asarray(y, dtype=float), weight, root=metric.name == "rmse")
    if metric.name == "log_loss":
        return _LogLosses(P, np.asarray(y, dtype=np.intp), weight)
    if metric.name == "roc_auc" and weight is None:
        return _Aucs(P, np.asarray(y))
    return _AnyMetric(metric, P, y, weight)


class _AnyMetric:
    def __init__(self, metric: Metric, P: Floats, y: NDArray[np.generic], weight: Floats | None) -> None:
        self._metric, self._P, self._y, self._weight = metric, P, y, weight
        self._sum = np.zeros(P.shape[1:])

    def losses(self, i: int) -> Floats:
        mixed = np.empty_like(self._sum)
        result = np.empty(len(self._P))
        for j, p in enumerate(self._P):
            np.add(self._sum, p, out=mixed)
            mixed /= i
            result[j] = self._metric.loss(self._y, mixed, self._weight)
        return result

    def add(self, j: int) -> None:
        self._sum += self._P[j]


class _SquaredErrors:
    def __init__(self, P: Floats, y: Floats, weight: Floats | None, *, root: bool) -> None:
        share = np.full(len(y), 1 / len(y)) if weight is None else weight / weight.sum()
        self._R = (P - y) * np.sqrt(share)
        self._squares = np.einsum("mn,mn->m", self._R, self._R)
        self._sum = np.zeros(len(y))
        self._root = root

    def losses(self, i: int) -> Floats:
        total = self._sum @ self._sum + 2 * (self._R @ self._sum) + self._squares
        mse: Floats = np.maximum(total, 0.0) / i**2
        return np.sqrt(mse) if self._root else mse

    def add(self, j: int) -> None:
        self._sum += self._R[j]


class _LogLosses:
    def __init__(self, P: Floats, y: NDArray[np.intp], weight: Floats | None) -> None:
        self._T = np.take_along_axis(P, y[None, :, None], axis=2)[:, :, 0]
        self._share = np.full(len(y), 1 / len(y)) if weight is None else weight / weight.sum()
        self._sum = np.zeros(len(y))

    def losses(self, i: int) -> Floats:
        mixed = self._T + self._sum
        mixed /= i
        np.maximum(mixed, np.finfo(np.float64).eps, out=mixed)
        np.log(mixed, out=mixed)
        return np.asarray(-(mixed @ self._share))

    def add(self, j: int) -> None:
        self._sum += self._T[j]


class _Aucs:
    def __init__(self, P: Floats, y: NDArray[np.generic]) -> None:
        self._P = np.ascontiguousarray(P[:, :, 1])
        self._positive = np.asarray(y == 1).astype(np.int32)
        self._n_positive = int(self._positive.sum())
        self._sum = np.zeros(len(y))

    def losses(self, i: int) -> Floats:
        return np.array([-self._auc((self._sum + p) / i) for p in self._P])

    def add(self, j: int) -> None:
        self._sum += self._P[j]

    def _auc(self, score: Floats) -> float:
        """Return the AUC with scores rounded to single precision.

        Non-negative floats are in order as their bits are, read as integers. With the label in the lowest
        bit, one plain sort, which is several times as fast as sorting positions, orders both together.
        """
        below = self._n_positive * (len(score) - self._n_positive)
        if not below:
            return float("nan")
        packed = np.maximum(score, 0.0).astype(np.float32).view(np.int32) & np.int32(-2) | self._positive
        packed.sort()
        ends = np.append(np.flatnonzero(np.diff(packed >> 1)), len(packed) - 1)
        true = np.cumsum(packed & 1, dtype=np.float64)[ends]
        false = ends + 1 - true
        # Each positive beats the negatives below it, and half of those at its own score.
        beaten = np.concatenate(([0.0], false[:-1])) + false
        return float(np.diff(true, prepend=0.0) @ beaten / (2 * below))
