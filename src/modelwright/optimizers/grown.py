"""A random forest over a history that grows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from modelwright._base.seeds import generator
from modelwright.numerics.forest import Forest, Growth, grow
from modelwright.records import History

__all__ = ["Grown"]

Floats = NDArray[np.float64]

_FITS = 50  # splits are found anew each time that the history has grown by one part in so many
_MOST_ROWS = 1000  # that splits are found from


class Grown:
    """The forest of one history.

    Splits are found from the first rows, as many as the last of the fixed lengths, so that they do not depend
    on when the forest is asked for. Its leaves hold all rows. Of many rows the splits are found from the best
    half and a random half, because that is where they have to be fine, and everywhere else.

    Parameters
    ----------
    seed : int
        Of the generators that trees are drawn from.
    name : str
        Tells them from those of another forest.
    choices : sequence of int
        As in `grow`.
    growth : Growth
        How trees grow.
    drawn : array, shape (m, d)
        Points spread evenly over the space, by which leaves that cover much and hold little are told.
    """

    def __init__(self, seed: int, name: str, choices: Sequence[int], growth: Growth, drawn: Floats) -> None:
        self._seed, self._name, self._choices, self._growth = seed, name, choices, growth
        self._drawn = drawn
        self._history: History | None = None
        self._length = 0
        self._forest: Forest | None = None
        self._leaves = np.empty((0, 0), dtype=np.intp)

    def holding(self, history: History, X: Floats, y: Floats, scaled: Callable[[Floats], Floats]) -> Forest:
        """Return the forest with all rows in its leaves.

        Parameters
        ----------
        history : History
            Where the rows come from; another one makes a new forest.
        X : array, shape (n, d)
            Configurations; the rows of an earlier call come first.
        y : array, shape (n,)
            Values.
        scaled : callable
            From the first values, as many as wanted, to what the forest is to model.
        """
        n = len(y)
        length = n // max(1, n // _FITS) * max(1, n // _FITS)
        if self._forest is None or history is not self._history or length != self._length:
            self._forest = self._grow(X[:length], scaled(y[:length]))
            self._history, self._length = history, length
            self._leaves = np.empty((0, self._forest.trees), dtype=np.intp)
        if len(self._leaves) > n:
            self._leaves = self._leaves[:n]
        new = X[len(self._leaves) :]
        if len(new):
            self._leaves = np.vstack([self._leaves, self._forest.leaves(new)])
        return self._forest.holding(self._leaves, scaled(y))

    def _grow(self, X: Floats, y: Floats) -> Forest:
        rng = generator(self._seed, "forest", self._name, len(y))
        if len(y) > _MOST_ROWS:
            order = np.argsort(y, kind="stable")
            best, others = order[: _MOST_ROWS // 2], order[_MOST_ROWS // 2 :]
            rows = np.concatenate([best, rng.permutation(others)[: _MOST_ROWS // 2]])
            X, y = X[rows], y[rows]
        return grow(X, y, rng, choices=self._choices, growth=self._growth).covering(self._drawn)
