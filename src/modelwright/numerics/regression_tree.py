"""A regression tree that tries every split: small, plain, and the same on every machine.

L. Breiman, J. Friedman, R. Olshen and C. Stone, "Classification and regression trees", 1984.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["RegressionTree", "grow"]

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

_TIE = 1e-9  # of the sum of squares: two splits into the same rows differ by rounding alone


@dataclass(frozen=True, eq=False)
class RegressionTree:
    """Nodes as arrays, the root first.

    Attributes
    ----------
    feature : array of int, shape (nodes,)
        The column that a node asks for, -1 at a leaf.
    threshold : array, shape (nodes,)
        A row with at most this value goes left.
    left, right : array of int, shape (nodes,)
        The children.
    value : array, shape (nodes,)
        The mean of the node's rows.
    """

    feature: Places
    threshold: Floats
    left: Places
    right: Places
    value: Floats

    def predict(self, X: Floats) -> Floats:
        """Return the value of each row's leaf, shape (n,)."""
        node = np.zeros(len(X), dtype=np.intp)
        moving = np.arange(len(X)) if self.feature[0] >= 0 else np.empty(0, dtype=np.intp)
        while len(moving):
            at = node[moving]
            goes_left = X[moving, self.feature[at]] <= self.threshold[at]
            node[moving] = np.where(goes_left, self.left[at], self.right[at])
            moving = moving[self.feature[node[moving]] >= 0]
        return np.asarray(self.value[node])


def grow(X: Floats, y: Floats, *, min_leaf: int = 1) -> RegressionTree:
    """Return the tree that splits as long as the squared error falls.

    Parameters
    ----------
    X : array, shape (n, p)
        Without NaN, n at least 1.
    y : array, shape (n,)
        Finite.
    min_leaf : int, default=1
        No leaf has fewer rows.

    Notes
    -----
    Of splits that are equally good the one on the first column is taken. So a column that is decided by an
    earlier one adds nothing of its own.

    Examples
    --------
    >>> tree = grow(np.array([[0.1], [0.2], [0.9]]), np.array([1.0, 1.0, 5.0]))
    >>> tree.predict(np.array([[0.0], [1.0]])).tolist()
    [1.0, 5.0]
    """
    feature, threshold, left, right, value = [-1], [0.0], [-1], [-1], [float(np.mean(y))]
    todo = [(0, np.arange(len(y)))]
    while todo:
        node, rows = todo.pop()
        found = _best_split(X[rows], y[rows], min_leaf)
        if found is None:
            continue
        feature[node], threshold[node] = found
        goes_left = X[rows, found[0]] <= found[1]
        left[node], right[node] = len(value), len(value) + 1
        for part in (rows[goes_left], rows[~goes_left]):
            todo.append((len(value), part))
            feature.append(-1)
            threshold.append(0.0)
            left.append(-1)
            right.append(-1)
            value.append(float(np.mean(y[part])))
    places = [np.array(numbers, dtype=np.intp) for numbers in (feature, left, right)]
    return RegressionTree(places[0], np.array(threshold), places[1], places[2], np.array(value))


def _best_split(X: Floats, y: Floats, min_leaf: int) -> tuple[int, float] | None:
    """Return the column and threshold by which the squared error falls most, None where it does not."""
    n = len(y)
    y = y - y.mean()
    squares = float(y @ y)
    if n < 2 * min_leaf or squares <= 0.0:
        return None
    order = np.argsort(X, axis=0, kind="stable")
    sorted_X = np.take_along_axis(X, order, axis=0)
    below = np.cumsum(y[order], axis=0)[:-1]  # the sum of the other side is its opposite
    counts = np.arange(1, n)[:, None]
    gain = below**2 * (1 / counts + 1 / (n - counts))
    between = (sorted_X[1:] + sorted_X[:-1]) / 2
    allowed = (sorted_X[:-1] <= between) & (between < sorted_X[1:])
    allowed &= (counts >= min_leaf) & (n - counts >= min_leaf)
    gain = np.where(allowed, gain, -np.inf)
    best = gain.max(axis=0)
    if not best.max() > _TIE * squares:
        return None
    j = int(np.argmax(best >= best.max() - _TIE * squares))
    return j, float(between[np.argmax(gain[:, j]), j])
