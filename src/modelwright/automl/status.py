"""How a fit stands, for whoever shows it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from modelwright.automl.ledger_feed import FinishedTrials
from modelwright.automl.settings import FitSettings
from modelwright.records import Trial, TrialState
from modelwright.study import Callback, Runner

__all__ = ["FitStatus", "StatusCallback"]

_LOOK_S = 0.25


@dataclass(frozen=True, slots=True)
class FitStatus:
    """One moment of a fit.

    Attributes
    ----------
    metric : str
        What is optimized.
    share : float
        How much of the budget is used, 0 to 1: of the time or of the trials, whichever is further.
    elapsed_s, eta_s : float
        Seconds since the command began, and until it ends; the latter None without a guess.
    counts : mapping of str to int
        Trials by state.
    best_score : float, optional
        Of the best single model.
    best_model : str
        Its method and number; empty without one.
    ensemble_score : float, optional
        Of the saved ensemble.
    """

    metric: str
    share: float
    elapsed_s: float
    eta_s: float | None
    counts: Mapping[str, int]
    best_score: float | None
    best_model: str
    ensemble_score: float | None


class HasScore(Protocol):
    """Knows the score of the saved ensemble."""

    @property
    def score(self) -> float | None:
        """None before the first."""


class StatusCallback(Callback):
    """Turns a run's events into `FitStatus`.

    Parameters
    ----------
    metric : str
        What is optimized.
    settings : FitSettings
        The budget.
    used_before_s, started_s : float
        Seconds that earlier sessions used, and when this one began on the monotonic clock.
    tell : callable
        Called with each status.
    ensemble : HasScore
        Who builds ensembles.
    """

    def __init__(
        self,
        metric: str,
        settings: FitSettings,
        used_before_s: float,
        started_s: float,
        tell: Callable[[FitStatus], None],
        ensemble: HasScore,
    ) -> None:
        self._metric = metric
        self._settings = settings
        self._used_before_s = used_before_s
        self._started_s = started_s
        self._tell = tell
        self._ensemble = ensemble
        self._next_s = 0.0
        self._counts: dict[str, int] = {}
        self._best: Trial | None = None

    def on_start(self, run: Runner) -> None:
        """Take over what earlier sessions left."""
        self._finished = FinishedTrials(run.study.storage, run.study.record.id)
        self._sign = run.study.objectives[0].sign

    def on_tick(self, run: Runner) -> None:
        """Tell how things stand, a few times a second."""
        now = time.monotonic()
        if now >= self._next_s:
            self._next_s = now + _LOOK_S
            self.on_end(run, "")

    def on_end(self, run: Runner, reason: str) -> None:
        """Tell it once more."""
        for trial in self._finished.take():
            self._count(trial)
        self._tell(self._status(run))

    def _count(self, trial: Trial) -> None:
        """Count a trial, and keep it if it is the best."""
        self._counts[trial.state.value] = self._counts.get(trial.state.value, 0) + 1
        if trial.state is TrialState.COMPLETE and (
            self._best is None or trial.values[0] * self._sign < self._best.values[0] * self._sign
        ):
            self._best = trial

    def _status(self, run: Runner) -> FitStatus:
        elapsed_s = time.monotonic() - self._started_s
        used_s = self._used_before_s + elapsed_s
        finished = sum(self._counts.values())
        by_time = used_s / self._settings.time_s if self._settings.time_s else 0.0
        by_trials = finished / self._settings.trials if self._settings.trials else 0.0
        guesses = []
        if self._settings.time_s:
            guesses.append(max(0.0, self._settings.time_s - used_s))
        if self._settings.trials and finished:
            guesses.append(elapsed_s / finished * (self._settings.trials - finished))
        best = self._best
        return FitStatus(
            metric=self._metric,
            share=min(1.0, max(by_time, by_trials)),
            elapsed_s=elapsed_s,
            eta_s=min(guesses) if guesses else None,
            counts={**self._counts, "running": run.in_flight},
            best_score=best.values[0] if best else None,
            best_model=f"{(best.params or {}).get('method', 'model')}-{best.number}" if best else "",
            ensemble_score=self._ensemble.score,
        )
