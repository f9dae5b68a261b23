"""The time of a run: one budget over all its sessions, and what is kept back of it for the end."""

from __future__ import annotations

import time

from modelwright.study import Callback, Runner, Study

__all__ = ["TimeBudget"]

_ATTR = "time_used_s"
_SAVE_S = 2.0  # at most so much is forgotten by a kill, or a sixtieth of the budget if that is more
_TOO_LITTLE_S = 1.0  # no model is fitted in less


class TimeBudget(Callback):
    """Keeps account of the time of a run in its ledger, so that a killed run goes on with what is left.

    Parameters
    ----------
    study : Study
        Keeps ``time_used_s`` among its attributes.
    budget_s : float, optional
        For all sessions together; None is no limit.
    started_s : float
        When this session began, on the monotonic clock.

    Attributes
    ----------
    used_before_s : float
        What earlier sessions took.
    """

    def __init__(self, study: Study, budget_s: float | None, started_s: float) -> None:
        self.budget_s = budget_s
        self.started_s = started_s
        self.used_before_s = float(study.user_attrs.get(_ATTR, 0.0))
        self._study = study
        # Plotting libraries, checks of files and the interpreter's own end take about as long as the
        # beginning did; both grow alike on a slow machine.
        beginning_s = time.monotonic() - started_s
        self._ending_s = min(0.5 + 1.2 * beginning_s, 2.0 + 0.05 * (budget_s or 0.0))
        self._saved_s = time.monotonic()
        self._spent = False

    @property
    def used_s(self) -> float:
        """Seconds of all sessions so far."""
        return self.used_before_s + time.monotonic() - self.started_s

    @property
    def is_spent(self) -> bool:
        """Whether earlier sessions left too little for another model."""
        if self.budget_s is None:
            return False
        return self.used_before_s > self.budget_s - min(_TOO_LITTLE_S, 0.1 * self.budget_s)

    @property
    def until_s(self) -> float | None:
        """When everything has to be over, on the monotonic clock."""
        return None if self.budget_s is None else self.started_s + self.budget_s - self.used_before_s

    @property
    def build_until_s(self) -> float | None:
        """When the last ensemble has to be saved: what follows is the report and the way out."""
        return None if self.until_s is None else self.until_s - self._ending_s

    @property
    def search_s(self) -> float | None:
        """How long models may be searched for from now on: until the last ensemble has to be begun."""
        if self.build_until_s is None or self.until_s is None:
            return None
        building_s = 0.5 + min(0.05 * (self.until_s - self.started_s), 10.0)
        return max(0.1, self.build_until_s - building_s - time.monotonic())

    @property
    def trial_s(self) -> float | None:
        """Limit of one trial: one that hangs must not eat the run, a slow good one must have its chance."""
        return None if self.budget_s is None else max(2.0, self.budget_s / 5)

    def on_tick(self, run: Runner) -> None:
        """Write down what is used, now and then."""
        now = time.monotonic()
        if now - self._saved_s >= max(_SAVE_S, (self.budget_s or 0.0) / 60):
            self._saved_s = now
            self.save()

    def on_end(self, run: Runner, reason: str) -> None:
        """A search that its time has ended is not resumed for the seconds that were kept back."""
        self._spent = self._spent or reason == "time is up"

    def save(self) -> None:
        """Write to the ledger how much is used; another process may have written more."""
        used_s = max(self.used_s, self.budget_s or 0.0) if self._spent else self.used_s
        known_s = float(self._study.user_attrs.get(_ATTR, 0.0))
        if used_s > known_s:
            self._study.set_user_attr(_ATTR, round(used_s, 3))
