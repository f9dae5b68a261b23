"""How far predicted values lie from the true ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Residuals", "residuals"]


@dataclass(frozen=True, slots=True)
class Residuals:
    """True values, predictions and their differences.

    Attributes
    ----------
    true, predicted : tuple of float
        The points to draw, ordered by prediction; a sample where there are many.
    n : int
        Number of all predictions.
    bias : float
        Mean of true minus predicted, over all.
    spread : float
        Standard deviation of true minus predicted, over all.
    median_error : float
        Median of the absolute differences, over all.
    """

    true: tuple[float, ...]
    predicted: tuple[float, ...]
    n: int
    bias: float
    spread: float
    median_error: float

    @property
    def differences(self) -> tuple[float, ...]:
        """True minus predicted, of the points to draw."""
        return tuple(true - predicted for true, predicted in zip(self.true, self.predicted, strict=True))


def residuals(true: NDArray[Any], predicted: NDArray[Any], *, most: int = 2000) -> Residuals:
    """Compare predicted values with true ones.

    Parameters
    ----------
    true, predicted : ndarray of shape (n,)
        Finite values, at least one.
    most : int, default=2000
        Up to so many points are kept for drawing: those at equal steps in the order of prediction, the
        smallest and the largest among them, so the same table gives the same picture.

    Examples
    --------
    >>> found = residuals(np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 2.0]))
    >>> found.predicted, found.differences
    ((1.0, 2.0, 3.0), (0.0, 2.0, -1.0))
    >>> found.median_error
    1.0
    """
    true, predicted = np.asarray(true, dtype=float), np.asarray(predicted, dtype=float)
    difference = true - predicted
    order = np.argsort(predicted, kind="stable")
    if len(order) > most:
        order = order[np.linspace(0, len(order) - 1, most).round().astype(int)]
    return Residuals(
        true=tuple(true[order].tolist()),
        predicted=tuple(predicted[order].tolist()),
        n=len(true),
        bias=float(difference.mean()),
        spread=float(difference.std()),
        median_error=float(np.median(np.abs(difference))),
    )
