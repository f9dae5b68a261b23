"""Ensemble selection: take, again and again, the model that makes the mixture best.

R. Caruana, A. Niculescu-Mizil, G. Crew and A. Ksikes, "Ensemble selection from libraries of models",
ICML 2004.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from modelwright.automl.ensemble.candidates import make_candidates
from modelwright.automl.metrics import Metric
from modelwright.errors import InputError

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["EnsembleSelection"]

Floats = NDArray[np.float64]

_SAME = 1e-12  # relative: losses that differ by rounding alone are ties


class EnsembleSelection:
    """Greedy forward selection with replacement.

    Parameters
    ----------
    metric : Metric
        What is optimized.
    size : int, default=25
        Steps. A model may be taken several times, which gives it weight.
    best_prefix : bool, default=True
        Keep the members up to the step with the lowest loss, instead of all of them.
    warm_start : int, default=0
        Begin with so many of the best single models.

    Attributes
    ----------
    chosen : list of int
        The members in the order in which they were taken.
    losses : list of float
        Loss of the mixture after each of all steps.
    weights : ndarray of shape (m,)
        Share of each candidate: how often it was taken, divided by the number of members.

    Notes
    -----
    Of candidates that are equally good, those that are members already come first, then chance decides. A
    candidate whose loss is not defined is never taken.

    Examples
    --------
    >>> from modelwright.automl.metrics import metric
    >>> y = np.array([1.0, 2.0, 3.0])
    >>> low, high, wild = y - 1, y + 1, -y
    >>> selection = EnsembleSelection(metric=metric("rmse", "regression"), size=10)
    >>> selection.fit([low, high, wild], y, np.random.default_rng(0)).weights.tolist()
    [0.5, 0.5, 0.0]
    >>> selection.predict([low, high, wild]).tolist()
    [1.0, 2.0, 3.0]
    """

    def __init__(
        self, *, metric: Metric, size: int = 25, best_prefix: bool = True, warm_start: int = 0
    ) -> None:
        if size < 1 or warm_start < 0:
            raise InputError(
                f"expected an ensemble size of at least 1 and a warm start of at least 0, got {size!r} and "
                f"{warm_start!r}."
            )
        self.metric = metric
        self.size = size
        self.best_prefix = best_prefix
        self.warm_start = warm_start

    def fit(
        self,
        predictions: Sequence[NDArray[Any]] | NDArray[Any],
        y: NDArray[Any],
        rng: Generator,
        *,
        weight: Floats | None = None,
    ) -> Self:
        """Choose members.

        Parameters
        ----------
        predictions : array-like of shape (m, n, k) or (m, n)
            Probabilities or values of m candidates for the same n rows; all finite.
        y : ndarray of shape (n,)
            Codes of classes, or values.
        rng : numpy.random.Generator
            Decides between equals.
        weight : ndarray of shape (n,), optional
            Of the rows.

        Raises
        ------
        InputError
            There is no candidate, a prediction is not finite, or no candidate has a defined loss.
        """
        P = np.asarray(predictions, dtype=float)
        if P.ndim < 2 or not P.size or P.shape[1] != len(y) or not np.isfinite(P).all():
            raise InputError(
                f"expected finite predictions of one model or more for {len(y)} rows, got shape {P.shape}."
            )
        self._candidates = make_candidates(self.metric, P, y, weight)
        self.chosen: list[int] = []
        self.losses: list[float] = []
        single = self._candidates.losses(1)
        if not np.isfinite(single).any():
            raise InputError(f"the metric {self.metric.name!r} is not defined for any of the models.")
        for j in np.argsort(single, kind="stable")[: self.warm_start].tolist():
            if np.isfinite(single[j]):
                losses = self._candidates.losses(len(self.chosen) + 1)
                self._take(j, float(losses[j]))
        # A single candidate can only be taken again.
        steps = 1 if len(P) == 1 else self.size
        while len(self.chosen) < steps:
            losses = self._candidates.losses(len(self.chosen) + 1)
            j = self._choose(losses, rng)
            self._take(j, float(losses[j]))
        if self.best_prefix:
            self.chosen = self.chosen[: self._best_length()]
        self.weights: Floats = np.bincount(self.chosen, minlength=len(P)) / len(self.chosen)
        return self

    def _take(self, j: int, loss: float) -> None:
        self._candidates.add(j)
        self.chosen.append(j)
        self.losses.append(loss)

    def _choose(self, losses: Floats, rng: Generator) -> int:
        lowest = float(np.nanmin(losses))
        equals = np.flatnonzero(losses <= lowest + _SAME * abs(lowest))
        members = [j for j in equals.tolist() if j in self.chosen]
        tied = members or equals.tolist()
        return int(tied[int(rng.integers(len(tied)))])

    def _best_length(self) -> int:
        """Return how many steps lead to the lowest loss; no fewer than the warm start."""
        start = max(1, min(self.warm_start, len(self.losses)))
        lowest = min(self.losses[start - 1 :])
        at = next(
            at for at in range(start - 1, len(self.losses)) if self.losses[at] <= lowest + _SAME * abs(lowest)
        )
        return at + 1

    def predict(self, predictions: Sequence[NDArray[Any]] | NDArray[Any]) -> Floats:
        """Mix predictions, given for all candidates or for the members (weight above 0) alone.

        Raises
        ------
        InputError
            There are as many as neither.
        """
        weights = self.weights
        if len(predictions) != len(weights):
            weights = weights[weights > 0]
        if len(predictions) != len(weights):
            raise InputError(
                f"expected predictions of all {len(self.weights)} candidates or of {len(weights)} members, "
                f"got {len(predictions)}."
            )
        mixed = sum(
            share * np.asarray(p, dtype=float)
            for share, p in zip(weights, predictions, strict=True)
            if share > 0
        )
        return np.asarray(mixed)
