"""The contract of models: what a fold is fitted with, and what a bundle loads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["MODEL_FILE", "Array", "FitContext", "Model", "Part", "widen"]

Array = NDArray[Any]

MODEL_FILE = "model.json"
"""In each model's folder: its ``kind``, and what its class needs besides its own files."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Rows of a table.

    Attributes
    ----------
    X : ndarray of shape (n, d)
        The base matrix: numbers, codes of categories, NaN where missing.
    y : ndarray of shape (n,)
        Codes 0..k-1 of classes, or values.
    weight : ndarray of shape (n,), optional
        Of the rows.
    """

    X: Array
    y: Array
    weight: Array | None = None


@dataclass(frozen=True, slots=True)
class FitContext:
    """What is known about the table and the fit besides the rows.

    Attributes
    ----------
    feature_kinds : sequence of str
        ``"number"`` or ``"category"`` for each column.
    task : {"binary", "multiclass", "regression"}
        What is predicted.
    n_classes : int
        Columns of the probabilities, also where a class has no row in a fold; 0 for regression.
    seed : int
        The only source of randomness.
    deadline : float, optional
        Moment on the monotonic clock (`time.monotonic`) at which a model that grows step by step stops with
        what it has.
    """

    feature_kinds: Sequence[str]
    task: str
    n_classes: int = 0
    seed: int = 0
    deadline: float | None = None

    @property
    def classifies(self) -> bool:
        """Whether classes are predicted."""
        return self.task != "regression"


class Model(Protocol):
    """A learner together with the preparation that it needs, so that nothing leaks between folds.

    Implementations are built as ``Class(arguments, preparation)`` from the two halves that
    `Method.arguments` returns, use one thread, and keep to one fold: a fitted model is never fitted again.
    """

    kind: ClassVar[str]

    def fit(self, train: Part, context: FitContext, valid: Part | None = None) -> Self:
        """Learn from `train`; `valid` may decide when to stop."""

    def predict(self, X: Array) -> Array:
        """Return probabilities of shape (n, k), or values of shape (n,), float64."""

    def save(self, folder: Path) -> None:
        """Write the model to an existing empty folder, in its library's own format, never a pickle."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; a loaded model predicts the same to the last bit."""

    def feature_importance(self) -> Array | None:
        """Return one number of 0 or more per column of the base matrix, None where there is none."""


def widen(probabilities: Array, classes: Array, n_classes: int) -> Array:
    """Return probabilities with a column for each class, 0 for those that were not among `classes`.

    Examples
    --------
    >>> widen(np.array([[0.25, 0.75]]), np.array([0, 2]), 3).tolist()
    [[0.25, 0.0, 0.75]]
    """
    if len(classes) == n_classes:
        return np.asarray(probabilities, dtype=float)
    full = np.zeros((len(probabilities), n_classes))
    full[:, classes] = probabilities
    return full
