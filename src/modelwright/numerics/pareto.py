"""Ranking points by several losses at once.

K. Deb, A. Pratap, S. Agarwal and T. Meyarivan, "A fast and elitist multiobjective genetic algorithm:
NSGA-II", IEEE Transactions on Evolutionary Computation 6(2), 2002: fronts and crowding distances.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["best_first", "crowding", "nondominated"]

Floats = NDArray[np.float64]

_FEW = 64


def nondominated(losses: Floats) -> NDArray[np.bool_]:
    """Return which rows no other row is better than: at most as high everywhere and lower somewhere.

    Parameters
    ----------
    losses : array, shape (n, m)
        Without NaN.

    Returns
    -------
    array of bool, shape (n,)
        Equal rows stand or fall together.

    Notes
    -----
    In lexicographic order a row can only be dominated by one before it, and then also by a nondominated one
    before it: each row is compared with the front so far, O(n * front). A few rows are compared all at once.

    Examples
    --------
    >>> nondominated(np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])).tolist()
    [True, True, False]
    """
    n, m = losses.shape
    if n <= _FEW:
        below = (losses[:, None] <= losses).all(axis=2) & (losses[:, None] < losses).any(axis=2)
        return np.asarray(~below.any(axis=0))
    result = np.zeros(n, dtype=bool)
    front = np.empty((n, m))
    size = 0
    for row in np.lexsort(losses.T[::-1]):
        point, members = losses[row], front[:size]
        if not np.any(np.all(members <= point, axis=1) & np.any(members < point, axis=1)):
            result[row] = True
            front[size] = point
            size += 1
    return result


def crowding(losses: Floats) -> Floats:
    """Return how far each row's neighbours on either side are apart, summed over losses, shape (n,).

    Each loss is scaled to its range; the two ends of each loss get infinity.
    """
    n, m = losses.shape
    distance = np.zeros(n)
    for j in range(m):
        order = np.argsort(losses[:, j], kind="stable")
        values = losses[order, j]
        if np.isfinite(values[[0, -1]]).all() and values[-1] > values[0]:
            distance[order[1:-1]] += (values[2:] - values[:-2]) / (values[-1] - values[0])
        distance[order[[0, -1]]] = np.inf
    return distance


def best_first(losses: Floats, at_least: int) -> NDArray[np.intp]:
    """Return the rows of the first fronts, front by front and the least crowded first.

    Parameters
    ----------
    losses : array, shape (n, m)
        Without NaN.
    at_least : int
        Stop after the front with which so many rows are reached.

    Returns
    -------
    array of int
        Row numbers; all of them where ``n <= at_least``.

    Examples
    --------
    >>> best_first(np.array([[2.0, 2.0], [0.0, 1.0], [1.0, 0.0]]), 3).tolist()
    [1, 2, 0]
    """
    left = np.arange(len(losses))
    ranked: list[NDArray[np.intp]] = []
    while len(left) and sum(map(len, ranked)) < at_least:
        on_front = nondominated(losses[left])
        front = left[on_front]
        ranked.append(front[np.argsort(-crowding(losses[front]), kind="stable")])
        left = left[~on_front]
    return np.concatenate([*ranked, np.empty(0, dtype=np.intp)]).astype(np.intp)
