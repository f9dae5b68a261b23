"""How a search came on: the best so far by trial and by time, and for how long it has stood still."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelwright.analysis.front import default_reference
from modelwright.analysis.searched import Searched, complete_trials
from modelwright.numerics.hypervolume import hypervolume
from modelwright.numerics.pareto import nondominated
from modelwright.records import Trial

__all__ = ["Convergence", "convergence"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Convergence:
    """The best so far after each complete trial, in the order in which they ended.

    Attributes
    ----------
    numbers : tuple of int
        The trials.
    elapsed_s : tuple of float
        Seconds from the start of the first trial to the end of each; NaN where times are not known.
    best : tuple of float
        The best value so far; with several objectives the hypervolume so far, which only grows.
    stalled_trials : int
        How many trials have ended since the last gain worth its name.
    stalled_s : float
        How long before the end of the last trial that was; NaN where times are not known.
    """

    numbers: tuple[int, ...]
    elapsed_s: tuple[float, ...]
    best: tuple[float, ...]
    stalled_trials: int
    stalled_s: float


def convergence(searched: Searched, *, tolerance: float = 0.01) -> Convergence:
    """Return how a study or history came on.

    Parameters
    ----------
    searched : Study or History
        Its complete trials count.
    tolerance : float, default=0.01
        A gain counts for the end of a standstill if, with the gains since the last that counted, it is more
        than this share of the way from the middling trial to the best; with several objectives, of the
        hypervolume.

    Examples
    --------
    >>> from modelwright.records import History, Objective, TrialState
    >>> from modelwright.space import Float, Space
    >>> history = History(Space(x=Float(0, 9)), [Objective()])
    >>> losses = [5.0, 3.0, 4.0, 1.0, 2.0, 0.9999]
    >>> history.add(Trial(k, TrialState.COMPLETE, {"x": v}, (v,)) for k, v in enumerate(losses))
    >>> found = convergence(history)
    >>> found.best, found.stalled_trials
    ((5.0, 3.0, 3.0, 1.0, 1.0, 0.9999), 2)
    """
    trials = sorted(complete_trials(searched), key=_ended)
    if not trials:
        return Convergence((), (), (), 0, float("nan"))
    signs = np.array([objective.sign for objective in searched.objectives])
    losses = np.array([trial.values for trial in trials], dtype=float) * signs
    if losses.shape[1] == 1:
        path = np.minimum.accumulate(losses[:, 0])
        finite = losses[np.isfinite(losses)]
        way = float(np.median(finite) - finite.min()) if len(finite) else 0.0
        best = path * signs[0]
    else:
        best = _volumes(losses)
        path, way = -best, float(best[-1])
    since = _last_gain(path, tolerance * way if way > 0 else 0.0)
    elapsed = _elapsed_s(trials)
    return Convergence(
        numbers=tuple(trial.number for trial in trials),
        elapsed_s=tuple(elapsed),
        best=tuple(best.tolist()),
        stalled_trials=len(trials) - 1 - since,
        stalled_s=elapsed[-1] - elapsed[since],
    )


def _ended(trial: Trial) -> tuple[float, int]:
    return (float("inf") if trial.ended_us is None else trial.ended_us, trial.number)


def _elapsed_s(trials: Sequence[Trial]) -> list[float]:
    start_us = min((t.started_us for t in trials if t.started_us is not None), default=None)
    return [
        float("nan") if start_us is None or t.ended_us is None else (t.ended_us - start_us) / 1e6
        for t in trials
    ]


def _last_gain(path: Floats, least: float) -> int:
    """Return where a falling path last came below its level by more than `least`."""
    at, level = 0, path[0]
    for k in np.flatnonzero(path[1:] < path[:-1]) + 1:
        if level - path[k] > least:  # so is any step from infinity
            at, level = int(k), path[k]
    return at


def _volumes(losses: Floats) -> Floats:
    """Return the hypervolume of the rows up to each, shape (n,); computed where the front changes."""
    reference = default_reference(losses)
    volumes = np.zeros(len(losses))
    front = np.empty((0, losses.shape[1]))
    for k, row in enumerate(losses):
        volumes[k] = volumes[k - 1] if k else 0.0
        if np.any(np.all(front <= row, axis=1)):
            continue
        front = np.vstack([front, row])
        front = front[nondominated(front)]
        volumes[k] = max(volumes[k], hypervolume(front, reference))
    return volumes
