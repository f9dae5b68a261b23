"""Which classes are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Confusion", "confusion"]


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts of true against predicted classes.

    Attributes
    ----------
    classes : tuple of str
        The k labels, as text.
    counts : tuple of tuple of int
        k rows, one per true class; k columns, one per predicted class.
    """

    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    @property
    def total(self) -> int:
        """Number of predictions."""
        return sum(map(sum, self.counts))

    @property
    def correct(self) -> int:
        """Number of predictions that are right."""
        return sum(row[place] for place, row in enumerate(self.counts))

    @property
    def shares(self) -> tuple[tuple[float, ...], ...]:
        """Each row divided by its sum: of a class, the share that was taken for each; 0 for empty rows."""
        return tuple(tuple(count / max(sum(row), 1) for count in row) for row in self.counts)


def confusion(true: NDArray[Any], predicted: NDArray[Any], classes: Sequence[Any]) -> Confusion:
    """Count true against predicted classes.

    Parameters
    ----------
    true, predicted : ndarray of int, shape (n,)
        Places in `classes`.
    classes : sequence of length k
        The labels.

    Examples
    --------
    >>> found = confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), ["no", "yes"])
    >>> found.counts
    ((1, 1), (0, 1))
    >>> found.correct, found.total
    (2, 3)
    """
    k = len(classes)
    pairs = np.asarray(true, dtype=np.int64) * k + np.asarray(predicted, dtype=np.int64)
    counts = np.bincount(pairs, minlength=k * k).reshape(k, k)
    return Confusion(tuple(map(str, classes)), tuple(map(tuple, counts.tolist())))
