"""Sequences that fill the unit cube evenly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.stats.qmc import Sobol

__all__ = ["SobolPoints"]

_FIRST_BLOCK = 64


class SobolPoints:
    """A scrambled Sobol' sequence, read block by block.

    Parameters
    ----------
    d : int
        Dimensions.
    rng : numpy.random.Generator
        Scrambles it; equal generators, equal sequence.

    Attributes
    ----------
    read : int
        How many points have been given out.

    Examples
    --------
    >>> points = SobolPoints(2, np.random.default_rng(0))
    >>> block = points.next_block()
    >>> block.shape, points.read
    ((64, 2), 64)
    """

    def __init__(self, d: int, rng: Generator) -> None:
        self._sobol: Sobol | None = None
        self._rng = rng
        self._d = d
        self.read = 0

    def next_block(self) -> NDArray[np.float64]:
        """Return the next points, as many as all before together (64 at first), shape (n, d).

        So each block ends at a power of two, where the sequence is balanced best.
        """
        if self._sobol is None:
            from scipy.stats.qmc import (
                Sobol,
            )  # all of scipy.stats comes with it, which takes long

            self._sobol = Sobol(max(self._d, 1), scramble=True, seed=self._rng)
        block = self._sobol.random(self.read or _FIRST_BLOCK)
        self.read += len(block)
        return np.asarray(block[:, : self._d], dtype=float)
