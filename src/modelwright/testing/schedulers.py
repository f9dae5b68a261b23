# ruff: noqa: D102  (the names of the tests say what holds)
"""The conformance suite of schedulers: subclass `SchedulerContract`, name a component, run pytest.

::

    class TestMine(SchedulerContract):
        component = Component("path/to/mine.py:Mine", {"option": 3})
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import pytest

from modelwright.records import (
    Component,
    Failure,
    FailureKind,
    History,
    Objective,
    Report,
    Trial,
    TrialState,
    Wait,
)
from modelwright.schedulers import Decision, New, Promote, Scheduler, TrialView, make_scheduler
from modelwright.space import Float, Space

__all__ = ["SchedulerContract", "extend_history", "history_of_curves"]

_SPACE = Space(x=Float(0, 1))


def history_of_curves(
    curves: Iterable[Iterable[float]],
    *,
    direction: Literal["minimize", "maximize"] = "minimize",
    state: TrialState = TrialState.COMPLETE,
) -> History:
    """Return a history of finished trials 0, 1, ... that reported `curves` at the steps 1, 2, ..."""
    history = History(_SPACE, [Objective("loss", direction)])
    for number, curve in enumerate(curves):
        extend_history(history, number, curve, state=state)
    return history


def extend_history(
    history: History, number: int, curve: Iterable[float], *, state: TrialState = TrialState.COMPLETE
) -> None:
    """Add one finished trial that reported `curve` at the steps 1, 2, ..."""
    values = list(curve)
    history.add_reports((number, Report(step, {"loss": value})) for step, value in enumerate(values, start=1))
    failed = state is TrialState.FAILED
    failure = Failure(FailureKind.ERROR, "made up") if failed else None
    history.add([Trial(number, state, {"x": 0.5}, () if failed else (values[-1],), failure)])


class SchedulerContract:
    """What holds for every scheduler.

    Attributes
    ----------
    component : Component
        The scheduler's name and options; or override `build`.
    """

    component: Component

    def build(self, direction: Literal["minimize", "maximize"] = "minimize") -> Scheduler:
        """Return a new scheduler."""
        return make_scheduler(self.component, [Objective("loss", direction)])

    def test_without_a_history_trials_go_on(self) -> None:
        view = TrialView(0, [(step, 1e9) for step in range(20)])
        assert self.build().decide(view, history_of_curves([])) is Decision.CONTINUE

    def test_without_reports_a_trial_goes_on(self) -> None:
        history = history_of_curves([[0.0] * 20] * 20)
        assert self.build().decide(TrialView(20, []), history) is Decision.CONTINUE

    @pytest.mark.parametrize("state", [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED])
    def test_the_best_trial_is_never_stopped(self, state: TrialState) -> None:
        history = history_of_curves(
            ([1.0 + k - 0.01 * step for step in range(20)] for k in range(15)), state=state
        )
        scheduler = self.build()
        best = [(step, 0.5 - 0.01 * step) for step in range(1, 20)]
        for upto in range(1, len(best) + 1):
            assert scheduler.decide(TrialView(15, best[:upto]), history) is Decision.CONTINUE

    def test_losses_decide_whatever_the_direction(self) -> None:
        curves = [[1.0 + k + 0.1 * step for step in range(10)] for k in range(15)]
        up = history_of_curves(([-value for value in curve] for curve in curves), direction="maximize")
        down = history_of_curves(curves)
        for loss in (0.0, 5.0, 100.0):
            view = TrialView(15, [(step, loss) for step in range(1, 8)])
            assert self.build("maximize").decide(view, up) is self.build().decide(view, down)

    def test_equal_histories_give_equal_decisions(self) -> None:
        """One scheduler that saw the history grow agrees with a new one at every length."""
        grown, scheduler = history_of_curves([]), self.build()
        curves = [[abs((7 * k) % 11 - step) * 0.1 for step in range(6)] for k in range(25)]
        for number, curve in enumerate(curves):
            for upto in range(1, 7):
                view = TrialView(99, [(step, curve[step - 1] + 0.05) for step in range(1, upto + 1)])
                fresh = history_of_curves(curves[:number])
                assert scheduler.decide(view, grown) is self.build().decide(view, fresh)
            extend_history(grown, number, curve)

    def test_values_that_are_no_numbers_are_survived(self) -> None:
        nan, inf = float("nan"), float("inf")
        history = history_of_curves([[nan, 1.0, inf], [inf, nan, 1.0], [nan, nan, nan]] * 5)
        for reports in ([(1, nan)], [(1, inf)], [(1, nan), (2, 1.0)]):
            assert self.build().decide(TrialView(15, reports), history) in tuple(Decision)

    def test_a_free_slot_gets_an_answer(self) -> None:
        for history in (history_of_curves([]), history_of_curves([[1.0]] * 5)):
            assert isinstance(self.build().next(history), New | Promote | Wait)
