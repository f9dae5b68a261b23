"""Numbers with steps under a normal distribution: what a value says, and how not to freeze on one.

A value that a trial had stands for its cell, all points of the unit interval that decode to it. Taken at the
cell's centre it would say "exactly here", and the distribution would shrink until no other value is drawn.
So a value is learned from as a point of its cell, drawn as the distribution would have drawn it there: where
all trials have the same value, nothing is learned of it. And each value next to the mean's keeps a least
chance, by a wider step in that coordinate alone.

R. Hamano, S. Saito, M. Nomura and S. Shirakawa, "CMA-ES with margin: lower-bounding marginal probability for
mixed-integer black-box optimization", GECCO 2022.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from modelwright.numerics.parzen import Column

__all__ = ["Cells"]

Floats = NDArray[np.float64]

_LEAST_MASS = 1e-9  # of a cell that can still be drawn from


class Cells:
    """The cells of some coordinates.

    Parameters
    ----------
    columns : mapping of int to Column
        By coordinate; those without steps are left out.

    Examples
    --------
    >>> from modelwright.numerics.parzen import Column
    >>> cells = Cells({0: Column(np.array([0.125, 0.375, 0.625, 0.875]))})
    >>> cells.widened(np.array([0.4]), np.array([0.001]), chance=0.1).round(3).tolist()  # 0.25 is next
    [0.117]
    >>> inside = cells.spread_out(np.array([[0.375]] * 3), np.array([0.4]), np.array([0.1]), np.eye(3)[:, :1])
    >>> bool((inside >= 0.25).all() and (inside <= 0.5).all())
    True
    """

    def __init__(self, columns: Mapping[int, Column]) -> None:
        self._at = np.array(list(columns), dtype=np.intp)
        self._borders = [column.edges[1:-1] for column in columns.values()]
        self._edges = [np.concatenate([[-np.inf], borders, [np.inf]]) for borders in self._borders]

    def widened(self, mean: Floats, spread: Floats, chance: float) -> Floats:
        """Return standard deviations under which each value next to the mean's has at least `chance`.

        Parameters
        ----------
        mean, spread : array, shape (d,)
            Of a normal distribution.
        chance : float
            Below 1/2.
        """
        from scipy.special import ndtri

        wide = spread.copy()
        if len(self._at):
            low, high = self._around(mean[None, self._at])
            gaps = np.vstack([mean[self._at] - low, high - mean[self._at]])
            farthest = np.where(np.isfinite(gaps), gaps, -np.inf).max(axis=0)
            wide[self._at] = np.maximum(wide[self._at], farthest / -float(ndtri(chance)))
        return wide

    def spread_out(self, V: Floats, mean: Floats, spread: Floats, u: Floats) -> Floats:
        """Return rows whose values with steps are replaced by points of their cells.

        Parameters
        ----------
        V : array, shape (n, d)
            Positions in the unit interval, NaN where inactive.
        mean, spread : array, shape (d,)
            Of the normal distribution, given the cell.
        u : array, shape (n, d)
            Uniform numbers.
        """
        from scipy.special import ndtr, ndtri

        V = V.copy()
        if not len(self._at):
            return V
        values, centre, width = V[:, self._at], mean[self._at], spread[self._at]
        low, high = self._around(values)
        below, above = ndtr((low - centre) / width), ndtr((high - centre) / width)
        mass = above - below
        drawn = centre + width * ndtri(np.clip(below + u[:, self._at] * mass, 1e-12, 1 - 1e-12))
        inside = np.clip(np.where(mass > _LEAST_MASS, drawn, centre), low, high)
        V[:, self._at] = np.where(np.isnan(values), np.nan, inside)
        return V

    def _around(self, values: Floats) -> tuple[Floats, Floats]:
        """Return the borders of the cells that values lie in; the outermost cells have no outer border."""
        low, high = np.empty(values.shape), np.empty(values.shape)
        for i, (borders, edges) in enumerate(zip(self._borders, self._edges, strict=True)):
            at = np.searchsorted(borders, values[:, i], side="right")
            low[:, i], high[:, i] = edges[at], edges[at + 1]
        return low, high
