"""A space as an evolutionary method sees it: a row of numbers in the unit cube and of choices.

Rows come as `Space.encode` gives them, NaN where a parameter is inactive.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelwright.optimizers.columns import columns_of

if TYPE_CHECKING:
    from numpy.random import Generator

    from modelwright.space import Space

__all__ = ["Genes", "first_valid", "repaired"]

Floats = NDArray[np.float64]

_DRAWS = (1, 15, 100)  # one is mostly enough, and drawing many at once is cheap
_NEAR = 64  # valid draws, of which a repair takes the nearest
_STOPS = 17  # on the way to it


class Genes:
    """Which parameters are numbers and which are choices; such with a single value are neither.

    Parameters
    ----------
    space : Space
        Its d parameters.

    Attributes
    ----------
    numbers, choices : array of int
        Their columns. Numbers are all that has an order.
    stepped : dict of int to Column
        Where the values of a number with steps stand, by its column.
    sizes : array of int
        How many values each of `choices` has.

    Examples
    --------
    >>> from modelwright.space import Categorical, Float, Int, Space
    >>> genes = Genes(Space(x=Float(0, 1), n=Int(1, 2), kind=Categorical("a", "b", "c")))
    >>> genes.numbers.tolist(), genes.choices.tolist(), list(genes.stepped)
    ([0, 1], [2], [1])
    """

    def __init__(self, space: Space) -> None:
        columns = columns_of(space)
        counts = [None if column.positions is None else len(column.positions) for column in columns]
        free = [j for j in range(len(columns)) if counts[j] != 1]
        self.numbers = np.array([j for j in free if columns[j].ordered], dtype=np.intp)
        self.choices = np.array([j for j in free if not columns[j].ordered], dtype=np.intp)
        self.sizes = np.array([counts[j] for j in self.choices], dtype=np.intp)
        self.stepped = {j: columns[j] for j in self.numbers.tolist() if counts[j] is not None}

    def slots(self, X: Floats) -> NDArray[np.intp]:
        """Return the choices of rows by their places, shape (n, number of choices); 0 where inactive."""
        part = np.nan_to_num(X[:, self.choices], nan=0.0)
        return np.asarray(np.minimum(part * self.sizes, self.sizes - 1), dtype=np.intp)

    def at_slots(self, slots: NDArray[np.intp]) -> Floats:
        """Return the positions in the unit interval that belong to places among the choices."""
        return np.asarray((slots + 0.5) / self.sizes)


def first_valid(
    space: Space,
    draw: Callable[[int], Floats],
    rng: Generator,
    is_new: Callable[[dict[str, Any]], bool],
) -> dict[str, Any]:
    """Return the first configuration drawn that meets the constraints and is new.

    Where no draw meets the constraints, the last one is repaired; where none is new, a neighbour is taken,
    and one that is not new if there is no other.

    Parameters
    ----------
    space : Space
        Where configurations come from.
    draw : callable
        From a number n to n rows in the unit cube, shape (n, d). What is NaN and turns out to be active is
        drawn at random.
    rng : Generator
        For all else.
    is_new : callable
        Whether a configuration may be proposed.
    """
    found = None
    for count in _DRAWS:
        X = draw(count)
        X = space.snap(np.where(np.isnan(X), rng.random(X.shape), X))
        for config in space.decode(_whole(X[space.feasible(_whole(X))])):
            if is_new(config):
                return config
            found = config
    if found is None:
        found = space.from_unit(_whole(repaired(space, X[-1], rng)))
    if not is_new(found):
        return next(filter(is_new, space.neighbours(found, rng)), found)
    return found


def repaired(space: Space, row: Floats, rng: Generator) -> Floats:
    """Return a valid row: on the way from `row` to the nearest of some valid draws, as early as one is valid.

    Parameters
    ----------
    row : array, shape (d,)
        NaN where inactive, at values that occur.

    Returns
    -------
    array, shape (d,)
        The same form. Choices are those of the draw.
    """
    near = space.sample_unit(rng, _NEAR)
    gaps = np.where(np.isnan(row) & np.isnan(near), 0.0, np.nan_to_num(np.abs(near - row), nan=1.0))
    end = near[np.argmin((gaps**2).sum(axis=1))]
    numbers = Genes(space).numbers
    start = end.copy()
    start[numbers] = np.where(np.isnan(row[numbers]), end[numbers], row[numbers])
    way = space.snap(_whole(start + np.linspace(0.0, 1.0, _STOPS)[:, None] * (end - start)))
    valid = space.feasible(_whole(way))
    return np.asarray(way[np.argmax(valid)] if valid.any() else end)


def _whole(X: Floats) -> Floats:
    """Return rows without NaN: what is inactive may stand anywhere."""
    return np.where(np.isnan(X), 0.5, X)
