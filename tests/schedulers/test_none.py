from modelwright.records import Component, Objective
from modelwright.schedulers import Decision, New, TrialView
from modelwright.schedulers.none import RunToTheEnd
from modelwright.testing.schedulers import SchedulerContract, history_of_curves


class TestRunToTheEnd(SchedulerContract):
    component = Component("none")


def test_the_worst_goes_on_and_slots_start_new_trials():
    scheduler = RunToTheEnd([Objective("loss"), Objective("size")])
    history = history_of_curves([[0.0]] * 9)
    assert scheduler.decide(TrialView(9, [(1, 1e9)]), history) is Decision.CONTINUE
    assert scheduler.next(history) == New()
