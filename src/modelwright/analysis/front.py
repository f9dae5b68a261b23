"""The Pareto front of a search, and the volume that it dominates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelwright.analysis.best import pareto_trials
from modelwright.analysis.searched import Searched, complete_trials
from modelwright.errors import InputError
from modelwright.numerics.hypervolume import hypervolume

__all__ = ["Front", "default_reference", "pareto_front"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Front:
    """The trials that no other beats in every objective.

    Attributes
    ----------
    numbers : tuple of int
        The trials, in ascending order.
    values : tuple of tuple of float
        Their values, in the objectives' own directions.
    reference : tuple of float
        The point up to which the volume counts.
    hypervolume : float
        What the front dominates below the reference.
    """

    numbers: tuple[int, ...]
    values: tuple[tuple[float, ...], ...]
    reference: tuple[float, ...]
    hypervolume: float


def pareto_front(searched: Searched, reference: Sequence[float] | None = None) -> Front:
    """Return the Pareto front of a study or history.

    Parameters
    ----------
    searched : Study or History
        Its complete trials count.
    reference : sequence of float, optional
        A value per objective that is worse than all that matter. By default a tenth of the range beyond the
        worst value of each objective; give one to compare searches with each other.

    Raises
    ------
    InputError
        The reference has not one finite value per objective.

    Examples
    --------
    >>> from modelwright.records import History, Objective, Trial, TrialState
    >>> from modelwright.space import Float, Space
    >>> objectives = [Objective("error"), Objective("accuracy", "maximize")]
    >>> history = History(Space(x=Float(0, 1)), objectives)
    >>> values = [(0.0, 1.0), (1.0, 2.0), (2.0, 0.5)]
    >>> history.add(Trial(k, TrialState.COMPLETE, {"x": k / 2}, v) for k, v in enumerate(values))
    >>> front = pareto_front(history, reference=[2.0, 0.0])
    >>> front.numbers, front.hypervolume
    ((0, 1), 3.0)
    """
    objectives = tuple(searched.objectives)
    signs = np.array([objective.sign for objective in objectives])
    trials = complete_trials(searched)
    losses = np.array([trial.values for trial in trials], dtype=float).reshape(-1, len(objectives)) * signs
    limit = default_reference(losses) if reference is None else _limit(reference, signs)
    front = pareto_trials(trials, objectives)
    return Front(
        numbers=tuple(trial.number for trial in front),
        values=tuple(tuple(trial.values) for trial in front),
        reference=tuple((limit * signs).tolist()),
        hypervolume=hypervolume(np.array([t.values for t in front]).reshape(-1, len(signs)) * signs, limit),
    )


def _limit(reference: Sequence[float], signs: Floats) -> Floats:
    """Return a reference that was given in the objectives' own directions as losses."""
    limit = np.asarray(reference, dtype=float)
    if limit.shape != signs.shape or not np.isfinite(limit).all():
        raise InputError(
            f"expected a reference of {len(signs)} finite values, one per objective, got {reference!r}."
        )
    return np.asarray(limit * signs)


def default_reference(losses: Floats) -> Floats:
    """Return a tenth of the range beyond the worst finite loss of each objective, shape (m,)."""
    finite = losses[np.isfinite(losses).all(axis=1)]
    if not len(finite):
        return np.zeros(losses.shape[1])
    worst, span = finite.max(axis=0), np.ptp(finite, axis=0)
    return np.asarray(worst + 0.1 * np.where(span > 0, span, 1.0))
