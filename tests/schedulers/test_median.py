import pytest

from modelwright.errors import AbilityError, InputError
from modelwright.records import Component, Objective, TrialState
from modelwright.schedulers import Decision, TrialView, make_scheduler
from modelwright.schedulers.median import MedianRule
from modelwright.testing.schedulers import SchedulerContract, extend_history, history_of_curves

FLAT = [[float(k)] * 4 for k in range(5)]  # medians of the running averages: 2 at every step


class TestMedianRule(SchedulerContract):
    component = Component("median", {"min_trials": 3})


class TestMedianRuleWithOptions(SchedulerContract):
    component = Component("median", {"min_trials": 1, "warmup_steps": 2, "interval": 2})


def decide(rule, losses, history, start=1):
    return rule.decide(TrialView(99, list(enumerate(losses, start=start))), history)


def median_rule(**options):
    return MedianRule([Objective("loss")], **options)


def test_worse_than_the_median_stops_and_equal_goes_on():
    history = history_of_curves(FLAT)
    assert decide(median_rule(), [2.01], history) is Decision.STOP
    assert decide(median_rule(), [2.0], history) is Decision.CONTINUE


def test_the_best_report_counts_not_the_last():
    assert decide(median_rule(), [1.0, 50.0], history_of_curves(FLAT)) is Decision.CONTINUE


def test_others_are_averaged_up_to_the_same_step_only():
    history = history_of_curves([[4.0, 0.0, -100.0]] * 5)  # running averages: 4, 2, -32
    assert decide(median_rule(), [3.0], history) is Decision.CONTINUE
    assert decide(median_rule(), [3.0, 3.0], history) is Decision.STOP


def test_a_step_between_reports_uses_the_earlier_ones():
    history = history_of_curves([[4.0, 0.0]] * 5)
    assert median_rule().decide(TrialView(99, [(1.5, 3.0)]), history) is Decision.CONTINUE
    assert median_rule().decide(TrialView(99, [(2.5, 3.0)]), history) is Decision.STOP


def test_an_even_number_of_trials_takes_the_middle_of_two():
    history = history_of_curves([[float(k)] for k in range(6)])
    assert decide(median_rule(), [2.5], history) is Decision.CONTINUE
    assert decide(median_rule(), [2.6], history) is Decision.STOP


def test_nothing_stops_before_min_trials_have_come_as_far():
    history = history_of_curves([[0.0]] * 4)
    assert decide(median_rule(), [9.0], history) is Decision.CONTINUE
    extend_history(history, 4, [0.0])
    assert decide(median_rule(), [9.0], history) is Decision.STOP


@pytest.mark.parametrize("state", [TrialState.PRUNED, TrialState.FAILED])
def test_only_complete_trials_are_compared_with(state):
    assert decide(median_rule(), [9.0], history_of_curves([[0.0]] * 9, state=state)) is Decision.CONTINUE


def test_warm_up_and_interval():
    history = history_of_curves([[0.0] * 9] * 5)
    rule = median_rule(warmup_steps=3, interval=2)
    decisions = [decide(rule, [9.0] * upto, history) is Decision.STOP for upto in range(1, 8)]
    assert decisions == [False, False, True, False, True, False, True]


def test_another_history_is_not_mixed_with_the_first():
    rule = median_rule()
    assert decide(rule, [9.0], history_of_curves([[0.0]] * 5)) is Decision.STOP
    assert decide(rule, [9.0], history_of_curves([[10.0]] * 7)) is Decision.CONTINUE


def test_reports_of_a_finished_trial_are_read_once(monkeypatch):
    history, rule = history_of_curves(FLAT), median_rule()
    decide(rule, [2.5], history)
    monkeypatch.setattr(history, "reports", lambda *_: pytest.fail("read again"))
    assert decide(rule, [2.5, 2.5], history) is Decision.STOP


def test_steps_that_are_long_past_are_forgotten_without_harm():
    history, rule = history_of_curves(FLAT), median_rule()
    for step in range(2000):
        assert rule.decide(TrialView(99, [(1 + step, 2.5)]), history) is Decision.STOP
    assert len(rule._averages._by_step) <= 512


def test_several_objectives_are_refused():
    with pytest.raises(AbilityError, match="one objective, this study has 2"):
        make_scheduler("median", [Objective("a"), Objective("b")])


@pytest.mark.parametrize("option", ["min_trials", "interval"])
def test_numbers_below_one_are_refused(option):
    with pytest.raises(InputError, match=option):
        median_rule(**{option: 0})
