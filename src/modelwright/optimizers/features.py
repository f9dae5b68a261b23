"""A space as the features of a kernel: how alike two configurations are.

A number is its position in the unit interval, so a logarithmic one is compared by ratios. A choice is one
column per value, scaled so that two different values are at the distance 1 as the two ends of a number are.
A parameter that is inactive has the neutral value: the middle of a number, no choice at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modelwright._base.seeds import generator

if TYPE_CHECKING:
    from modelwright.space import Space

__all__ = ["Features"]

Floats = NDArray[np.float64]

_MOST_COLUMNS = 32  # of one choice; with more values each has a code, nearly as far from every other
_NEUTRAL = 0.5


class Features:
    """The features of a space's configurations.

    Parameters
    ----------
    space : Space
        Its d parameters.

    Attributes
    ----------
    groups : array of int, shape (p,)
        The parameter that each feature belongs to.
    numeric : array of int, shape (w,)
        The features that are numbers or ordered levels.
    real : array of int
        The parameters that are numbers without steps.
    places : array of int
        Their features, in the same order.

    Examples
    --------
    >>> from modelwright.space import Categorical, Float, Space
    >>> features = Features(Space(x=Float(0, 1), kind=Categorical("a", "b", "c")))
    >>> features(np.array([[0.3, 0.5]])).round(3).tolist()  # b
    [[0.3, 0.0, 0.707, 0.0]]
    """

    def __init__(self, space: Space) -> None:
        from modelwright.space import Float, Int, Ordinal

        self._codes: list[Floats | None] = []
        groups: list[int] = []
        numeric: list[int] = []
        real: list[tuple[int, int]] = []
        for j, parameter in enumerate(space.parameters.values()):
            ordered = isinstance(parameter, Float | Int | Ordinal)
            if ordered or (parameter.size or 0) <= 2:
                self._codes.append(None)
                if isinstance(parameter, Float) and parameter.size is None:
                    real.append((j, len(groups)))
                if ordered:
                    numeric.append(len(groups))
                groups.append(j)
            else:
                assert parameter.size is not None
                codes = _codes(parameter.size)
                self._codes.append(codes)
                groups += [j] * codes.shape[1]
        self.groups = np.array(groups, dtype=np.intp)
        self.numeric = np.array(numeric, dtype=np.intp)
        self.real, self.places = np.array(real, dtype=np.intp).reshape(-1, 2).T

    def __call__(self, X: Floats) -> Floats:
        """Return the features of rows in the unit cube, shape (n, d), as a matrix of shape (n, p)."""
        Z = np.empty((len(X), len(self.groups)))
        at = 0
        for j, codes in enumerate(self._codes):
            column = X[:, j]
            missing = np.isnan(column)
            if codes is None:
                Z[:, at] = np.where(missing, _NEUTRAL, column)
                at += 1
                continue
            size, width = codes.shape
            slots = np.minimum(np.where(missing, 0.0, column) * size, size - 1).astype(np.intp)
            Z[:, at : at + width] = np.where(missing[:, None], 0.0, codes[slots])
            at += width
        return Z


def _codes(size: int) -> Floats:
    """Return one row per value, any two of them at the distance 1 or nearly so."""
    if size <= _MOST_COLUMNS:
        return np.asarray(np.eye(size) / np.sqrt(2), dtype=float)
    signs = generator(0, "codes", size).integers(0, 2, (size, _MOST_COLUMNS)) * 2 - 1
    return np.asarray(signs / np.sqrt(2 * _MOST_COLUMNS), dtype=float)
