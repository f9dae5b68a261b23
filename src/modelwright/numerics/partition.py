"""The losses that would improve on a front, cut into boxes that do not overlap.

Symbols and shapes
------------------
======= ============ ==============================================================================
n       int          points of the front
m       int          losses
k       int          boxes: n + 1 for two losses, at most 2 n + 1 for three, about n^(m / 2) above
======= ============ ==============================================================================

What lies below the reference and is dominated by no point is the union of all that lies below *local upper
bounds*. Each of these has, for each loss, the point that bounds it there; that tells where its box has to end
for all boxes to be disjoint. A point replaces the bounds it lies below by one for each loss.

K. Klamroth, R. Lacour and D. Vanderpooten, "On the representation of the search region in multi-objective
optimization", EJOR 245(3), 2015 (bounds); R. Lacour, K. Klamroth and C. M. Fonseca, "A box decomposition
algorithm to compute the hypervolume indicator", Computers & Operations Research 79, 2017 (boxes).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["improving_boxes"]

Floats = NDArray[np.float64]


def improving_boxes(front: Floats, reference: Floats) -> tuple[Floats, Floats]:
    """Return corners of disjoint boxes that fill what is below the reference and not dominated.

    Parameters
    ----------
    front : array, shape (n, m)
        Finite. Points that are not below the reference everywhere, or that others dominate, change nothing.
    reference : array, shape (m,)
        A point that is worse than all that matter.

    Returns
    -------
    low, high : array, shape (k, m)
        Corners; those of `low` may be at minus infinity.

    Examples
    --------
    >>> low, high = improving_boxes(np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([2.0, 2.0]))
    >>> low.tolist()
    [[-inf, 1.0], [-inf, 0.0], [-inf, -inf]]
    >>> high.tolist()
    [[0.0, 2.0], [1.0, 1.0], [2.0, 0.0]]
    """
    m = len(reference)
    bounds = np.array(reference, dtype=float)[None]
    # Row j of what defines a bound is the point that bounds loss j; at first one far away in all others.
    defining = np.where(np.eye(m, dtype=bool), bounds[0], -np.inf)[None]
    for point in np.unique(front, axis=0):
        bounds, defining = _with_point(bounds, defining, point)
    return _low_corners(defining), bounds


def _with_point(bounds: Floats, defining: Floats, point: Floats) -> tuple[Floats, Floats]:
    """Return the bounds, shape (k, m), and what defines them, shape (k, m, m), after one more point."""
    hit = (point < bounds).all(axis=1)
    if not hit.any():
        return bounds, defining
    old, old_defining = bounds[hit], defining[hit]
    kept, kept_defining = [bounds[~hit]], [defining[~hit]]
    for j in range(bounds.shape[1]):
        others = np.delete(old_defining[:, :, j], j, axis=1).max(axis=1, initial=-np.inf)
        needed = point[j] >= others  # where it is not, another bound is at least as high everywhere
        bound, points = old[needed], old_defining[needed]
        bound[:, j] = point[j]
        points[:, j] = point
        kept.append(bound)
        kept_defining.append(points)
    return np.concatenate(kept), np.concatenate(kept_defining)


def _low_corners(defining: Floats) -> Floats:
    """Return where each box ends: in loss j at the highest of the points that bound the losses before it."""
    low = np.full(defining.shape[:2], -np.inf)
    for j in range(1, defining.shape[1]):
        low[:, j] = defining[:, :j, j].max(axis=1)
    return low
