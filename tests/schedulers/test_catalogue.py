import pytest

from modelwright.errors import InputError, UnknownNameError
from modelwright.records import Component, Objective
from modelwright.schedulers import make_scheduler
from modelwright.schedulers.none import RunToTheEnd

ONE = [Objective("loss")]


def test_no_name_is_no_scheduling():
    assert isinstance(make_scheduler(None, ONE), RunToTheEnd)


def test_options_of_the_call_come_before_those_of_the_component():
    rule = make_scheduler(Component("median", {"min_trials": 3, "interval": 2}), ONE, min_trials=4)
    assert repr(rule) == "MedianRule(min_trials=4, warmup_steps=0, interval=2)"


def test_unknown_names_and_options_are_told_the_nearest():
    with pytest.raises(UnknownNameError, match="'median'"):
        make_scheduler("medain", ONE)
    with pytest.raises(InputError, match="'warmup_steps'"):
        make_scheduler("median", ONE, warmup_step=3)
    with pytest.raises(InputError, match="takes none"):
        make_scheduler("none", ONE, patience=3)
