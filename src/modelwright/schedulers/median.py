"""The median rule: stop a trial that is worse at its best than the middle of the others on average.

D. Golovin, B. Solnik, S. Moitra, G. Kochanski, J. Karro and D. Sculley, "Google Vizier: a service for
black-box optimization", KDD 2017, section 3.2.2. A trial stops at step s if its best value up to s is
strictly worse than the median, over all complete trials, of the running averages of their reports up to s.
Only the order of trials among one another counts, so the rule needs no model of a learning curve.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from itertools import accumulate
from math import isnan

from modelwright.errors import AbilityError, InputError
from modelwright.records import History, Objective, TrialState
from modelwright.schedulers.base import Decision, New, TrialView

__all__ = ["MedianRule"]


class MedianRule:
    """Stops trials whose best loss is worse than the median of the running averages of complete ones.

    Parameters
    ----------
    objectives : sequence of Objective
        Exactly one: its reports are compared.
    min_trials : int, default=5
        Nothing is stopped before so many complete trials have reported up to the same step.
    warmup_steps : float, default=0
        Reports with a lower step stop nothing.
    interval : int, default=1
        After the warm-up, every so many reports of a trial are looked at: 1 is each, 3 the first, fourth ...

    Examples
    --------
    >>> from modelwright.records import History, Objective, Report, Trial, TrialState
    >>> from modelwright.schedulers import TrialView
    >>> from modelwright.space import Float, Space
    >>> space, objectives = Space(x=Float(0, 1)), [Objective("loss")]
    >>> history = History(space, objectives)
    >>> for k in range(5):
    ...     history.add_reports([(k, Report(1, {"loss": 0.1 * k}))])
    ...     history.add([Trial(k, TrialState.COMPLETE, {"x": 0.5}, (0.0,))])
    >>> rule = MedianRule(objectives)
    >>> rule.decide(TrialView(5, [(1, 0.3)]), history).value
    'stop'
    >>> rule.decide(TrialView(5, [(1, 0.2)]), history).value
    'continue'
    """

    def __init__(
        self,
        objectives: Sequence[Objective],
        *,
        min_trials: int = 5,
        warmup_steps: float = 0,
        interval: int = 1,
    ) -> None:
        if len(objectives) != 1:
            raise AbilityError(
                f"the median rule compares trials by one objective, this study has {len(objectives)}.",
                hint="Use the scheduler 'none', or one objective.",
            )
        for name, value in (("min_trials", min_trials), ("interval", interval)):
            if value < 1:
                raise InputError(f"expected {name} of the median rule to be at least 1, got {value!r}.")
        self._min_trials = min_trials
        self._warmup_steps = warmup_steps
        self._interval = interval
        self._averages = _RunningAverages()

    def __repr__(self) -> str:
        return (
            f"MedianRule(min_trials={self._min_trials}, warmup_steps={self._warmup_steps:g}, "
            f"interval={self._interval})"
        )

    def decide(self, trial: TrialView, history: History) -> Decision:
        """Return STOP if the trial is worse than the median at its latest step, else CONTINUE."""
        if not self._looks_at(trial):
            return Decision.CONTINUE
        averages = self._averages.at(trial.reports[-1][0], history)
        best = min((loss for _, loss in trial.reports if not isnan(loss)), default=None)
        if best is None or len(averages) < self._min_trials:
            return Decision.CONTINUE
        return Decision.STOP if best > _median(averages) else Decision.CONTINUE

    def next(self, history: History) -> New:
        """Return that a free slot starts a new trial."""
        return New()

    def _looks_at(self, trial: TrialView) -> bool:
        warm = sum(step >= self._warmup_steps for step, _ in trial.reports)
        return warm > 0 and trial.reports[-1][0] >= self._warmup_steps and (warm - 1) % self._interval == 0


class _RunningAverages:
    """Sorted running averages of complete trials by step.

    A finished trial's reports do not change any more, so each is read once. A decision at a step that was
    asked for before costs O(log n) per trial that is complete since; a new step costs O(n log n) once.
    """

    _STEPS_KEPT = 512

    def __init__(self) -> None:
        self._history: History | None = None
        self._rows = 0
        self._curves: list[tuple[list[float], list[float]]] = []
        self._by_step: dict[float, tuple[int, list[float]]] = {}

    def at(self, step: float, history: History) -> list[float]:
        """Return, ascending, the average of each complete trial's losses up to `step`."""
        self._catch_up(history)
        seen, averages = self._by_step.pop(step, (0, []))
        for steps, running in self._curves[seen:]:
            upto = bisect_right(steps, step)
            if upto:
                insort(averages, running[upto - 1])
        self._by_step[step] = (len(self._curves), averages)
        if len(self._by_step) > self._STEPS_KEPT:
            del self._by_step[next(iter(self._by_step))]  # the step not asked for the longest
        return averages

    def _catch_up(self, history: History) -> None:
        if history is not self._history or len(history) < self._rows:
            self._history, self._rows, self._curves, self._by_step = history, 0, [], {}
        for trial in history.trials[self._rows :]:
            if trial.state is TrialState.COMPLETE:
                curve = [(step, loss) for step, loss in history.reports(trial.number) if not isnan(loss)]
                totals = accumulate(loss for _, loss in curve)
                running = [total / count for count, total in enumerate(totals, start=1)]
                self._curves.append(([step for step, _ in curve], running))
        self._rows = len(history)


def _median(ascending: Sequence[float]) -> float:
    middle = len(ascending) // 2
    if len(ascending) % 2:
        return ascending[middle]
    return (ascending[middle - 1] + ascending[middle]) / 2
