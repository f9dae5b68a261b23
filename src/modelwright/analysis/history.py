"""How the scores of a study went on with time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from modelwright.records import Objective, Trial, TrialState

__all__ = ["ScoreHistory", "method_of", "score_history"]


@dataclass(frozen=True, slots=True)
class ScoreHistory:
    """Scores in the order in which trials ended.

    Attributes
    ----------
    numbers : tuple of int
        The trials.
    groups : tuple of str
        What each belongs to, such as its method.
    elapsed_s : tuple of float
        Seconds from the start of the first trial to the end of each.
    scores : tuple of float
        The objective's values, in its own direction.
    best : tuple of float
        The best score up to each.
    ensemble_elapsed_s, ensemble_scores : tuple of float
        The same of the ensembles that were built on the way.
    """

    numbers: tuple[int, ...]
    groups: tuple[str, ...]
    elapsed_s: tuple[float, ...]
    scores: tuple[float, ...]
    best: tuple[float, ...]
    ensemble_elapsed_s: tuple[float, ...] = ()
    ensemble_scores: tuple[float, ...] = ()


def method_of(trial: Trial) -> str:
    """Return the method that a trial's configuration names, "" where it names none."""
    return str((trial.params or {}).get("method", ""))


def score_history(
    trials: Iterable[Trial],
    objective: Objective,
    *,
    ensembles: Sequence[tuple[int, float]] = (),
    group: Callable[[Trial], str] = method_of,
) -> ScoreHistory:
    """Return the scores of the complete trials in the order in which they ended.

    Parameters
    ----------
    trials : iterable of Trial
        In any order and state; those that did not complete, or have no times, are left out.
    objective : Objective
        The first of the study's.
    ensembles : sequence of (int, float)
        When each ensemble was built, in microseconds since 1970, and its score.
    group : callable, default=method_of
        What a trial belongs to.

    Examples
    --------
    >>> done = [
    ...     Trial(0, TrialState.COMPLETE, {"method": "dt"}, (0.7,), started_us=0, ended_us=2_000_000),
    ...     Trial(1, TrialState.COMPLETE, {"method": "rf"}, (0.6,), started_us=0, ended_us=3_000_000),
    ... ]
    >>> found = score_history(done, Objective("accuracy", "maximize"), ensembles=[(4_000_000, 0.8)])
    >>> found.groups, found.elapsed_s, found.best, found.ensemble_elapsed_s
    (('dt', 'rf'), (2.0, 3.0), (0.7, 0.7), (4.0,))
    """
    timed = [trial for trial in trials if trial.started_us is not None and trial.ended_us is not None]
    start_us = min((trial.started_us or 0 for trial in timed), default=0)
    complete = sorted(
        (trial for trial in timed if trial.state is TrialState.COMPLETE),
        key=lambda trial: (trial.ended_us or 0, trial.number),
    )
    scores = [trial.values[0] for trial in complete]
    built = sorted(ensembles)
    return ScoreHistory(
        numbers=tuple(trial.number for trial in complete),
        groups=tuple(group(trial) for trial in complete),
        elapsed_s=tuple(((trial.ended_us or 0) - start_us) / 1e6 for trial in complete),
        scores=tuple(scores),
        best=tuple(_best_so_far(scores, objective.sign)),
        ensemble_elapsed_s=tuple((moment_us - start_us) / 1e6 for moment_us, _ in built),
        ensemble_scores=tuple(score for _, score in built),
    )


def _best_so_far(scores: Sequence[float], sign: float) -> list[float]:
    result: list[float] = []
    for score in scores:
        result.append(min(score, result[-1] if result else score, key=lambda value: sign * value))
    return result
