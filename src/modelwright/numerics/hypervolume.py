"""Hypervolume: how much of the space of losses a set of points dominates, up to a reference point.

Two losses are one sweep, three a sweep over a staircase that is kept up, O(n log n) but for the list's own
moves. Above that, points are taken off by their last loss, the worst first: what a point alone dominates is a
prism, whose base is a volume in one dimension less. While's group call this WFG with slicing.

L. While, L. Bradstreet and L. Barone, "A fast way of calculating exact hypervolumes", IEEE Transactions on
Evolutionary Computation 16(1), 2012; C. M. Fonseca, L. Paquete and M. López-Ibáñez, "An improved
dimension-sweep algorithm for the hypervolume indicator", CEC 2006 (three losses).
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

from modelwright.numerics.pareto import nondominated

__all__ = ["hypervolume"]

Floats = NDArray[np.float64]


def hypervolume(losses: Floats, reference: Floats) -> float:
    """Return the volume that `losses` dominate below `reference`.

    Parameters
    ----------
    losses : array, shape (n, m)
        Rows that are not finite, or not below the reference in every loss, dominate nothing of it.
    reference : array, shape (m,)
        A point that is worse than all that matter.

    Notes
    -----
    Exact for any number of losses; above three the time grows quickly with m and with the size of the front.

    Examples
    --------
    >>> hypervolume(np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([2.0, 2.0]))
    3.0
    """
    losses, reference = np.asarray(losses, dtype=float), np.asarray(reference, dtype=float)
    inside = np.isfinite(losses).all(axis=1) & (losses < reference).all(axis=1)
    # From here on a point is the size of its box, so the reference is the origin and more is better.
    return _volume(reference - losses[inside])


def _volume(boxes: Floats) -> float:
    """Return the volume of a union of boxes that all have a corner in the origin, shape (n, m)."""
    if not len(boxes):
        return 0.0
    boxes = np.unique(boxes, axis=0)
    boxes = boxes[nondominated(-boxes)]
    m = boxes.shape[1]
    if m == 1:
        return float(boxes.max())
    if m == 2:
        return _area(boxes)
    return _by_staircase(boxes) if m == 3 else _by_slices(boxes)


def _area(boxes: Floats) -> float:
    """Sum the strips of a front, widest box first; the rows come in ascending order of the width."""
    widths, heights = boxes[::-1].T
    return float(np.sum(widths * np.diff(heights, prepend=0.0)))


def _by_staircase(boxes: Floats) -> float:
    """Sweep down along the third size; the union of what was passed so far is a staircase of known area."""
    widths: list[float] = []  # ascending, negative, so that the widest box comes first
    heights: list[float] = []  # ascending
    area = volume = 0.0
    order = np.argsort(-boxes[:, 2], kind="stable")
    depths = np.append(boxes[order, 2], 0.0)
    for (width, height), thickness in zip(boxes[order, :2].tolist(), -np.diff(depths), strict=True):
        area += _add_step(widths, heights, width, height)
        volume += area * float(thickness)
    return volume


def _add_step(widths: list[float], heights: list[float], width: float, height: float) -> float:
    """Put a box into a staircase and return the area gained."""
    first = bisect_right(widths, -width)
    floor = heights[first - 1] if first else 0.0
    if floor >= height:
        return 0.0
    gained, last, right = 0.0, first, width
    while last < len(widths) and heights[last] <= height:  # steps that the new one covers
        gained += (right + widths[last]) * (height - floor)
        right, floor = -widths[last], heights[last]
        last += 1
    left = -widths[last] if last < len(widths) else 0.0
    gained += (right - left) * (height - floor)
    widths[first:last], heights[first:last] = [-width], [height]
    return gained


def _by_slices(boxes: Floats) -> float:
    """Add up what each box alone holds beyond those that are larger in the last size: prisms."""
    boxes = boxes[np.argsort(boxes[:, -1], kind="stable")]
    bases, sizes = boxes[:, :-1], boxes[:, -1]
    total = 0.0
    for k, base in enumerate(bases):
        shared = _volume(np.minimum(base, bases[k + 1 :]))
        total += float(sizes[k]) * (float(np.prod(base)) - shared)
    return total
