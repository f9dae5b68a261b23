"""The time of a run over its sessions."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from modelwright import Float, Space, Study
from modelwright.automl.budget import TimeBudget
from modelwright.automl.fit import _tell_budget
from modelwright.automl.settings import FitSettings
from modelwright.records import StudyState
from modelwright.storage import Claim, NoClaim


@pytest.fixture
def study() -> Study:
    return Study(Space(x=Float(0, 1)))


def ago(seconds: float) -> float:
    return time.monotonic() - seconds


RUN = cast(Any, SimpleNamespace())


def test_sessions_add_up(study: Study) -> None:
    TimeBudget(study, 60, ago(20)).save()
    second = TimeBudget(study, 60, ago(5))
    assert second.used_before_s == pytest.approx(20, abs=1)
    assert second.used_s == pytest.approx(25, abs=1)
    assert second.until_s == pytest.approx(time.monotonic() + 35, abs=1)
    second.save()
    assert study.user_attrs["time_used_s"] == pytest.approx(25, abs=1)


def test_a_longer_session_elsewhere_is_not_written_over(study: Study) -> None:
    study.set_user_attr("time_used_s", 50.0)
    budget = TimeBudget(study, 60, ago(1))
    study.set_user_attr("time_used_s", 58.0)
    budget.save()
    assert study.user_attrs["time_used_s"] == 58.0


def test_what_is_kept_back_for_the_end_is_part_of_the_time(study: Study) -> None:
    budget = TimeBudget(study, 60, ago(2))
    assert budget.search_s is not None
    assert budget.build_until_s is not None
    assert 45 < budget.search_s < 56
    assert time.monotonic() + budget.search_s < budget.build_until_s < time.monotonic() + 58
    budget.on_end(RUN, "time is up")
    budget.save()
    assert TimeBudget(study, 60, ago(0)).is_spent
    assert not TimeBudget(study, 120, ago(0)).is_spent


def test_a_long_budget_is_not_kept_back_in_proportion(study: Study) -> None:
    budget = TimeBudget(study, 36_000, ago(2))
    assert budget.search_s is not None
    assert 36_000 - budget.search_s < 30


def test_a_slow_machine_keeps_more_back(study: Study) -> None:
    fast, slow = TimeBudget(study, 60, ago(1)), TimeBudget(study, 60, ago(4))
    assert fast.until_s is not None
    assert slow.until_s is not None
    assert fast.build_until_s is not None
    assert slow.build_until_s is not None
    assert slow.until_s - slow.build_until_s > fast.until_s - fast.build_until_s + 1


def test_other_ends_leave_the_rest_for_the_next_session(study: Study) -> None:
    budget = TimeBudget(study, 60, ago(10))
    budget.on_end(RUN, "spent")
    budget.save()
    assert not TimeBudget(study, 60, ago(0)).is_spent


def test_without_a_limit_the_time_is_still_counted(study: Study) -> None:
    budget = TimeBudget(study, None, ago(7))
    assert (budget.until_s, budget.build_until_s, budget.search_s, budget.trial_s) == (None,) * 4
    assert not budget.is_spent
    budget.save()
    assert study.user_attrs["time_used_s"] == pytest.approx(7, abs=1)


def test_ticks_write_now_and_then(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    monkeypatch.setattr("modelwright.automl.budget.time.monotonic", lambda: now)
    budget = TimeBudget(study, 600, now - 1)
    revisions = []
    for _ in range(110):  # 22 seconds
        now += 0.2
        budget.on_tick(RUN)
        _ = study.user_attrs
        revisions.append(study.record.revision)
    assert revisions[-1] - revisions[0] == 2  # each 10 s of 600
    assert study.user_attrs["time_used_s"] == pytest.approx(21, abs=0.5)


def test_a_deadline_that_an_earlier_session_left_in_the_ledger_does_not_end_the_next(study: Study) -> None:
    storage, id_ = study.storage, study.record.id
    storage.set_state(id_, StudyState.RUNNING)
    storage.set_state(id_, StudyState.PENDING)
    storage.set_budget(id_, time_s=0.0, deadline_us=1)
    assert isinstance(storage.claim(id_, "me", "c", 60.0), NoClaim)
    assert study.state is StudyState.PENDING
    budget = TimeBudget(study, 60, ago(20))
    _tell_budget(study, FitSettings("y", time_s=60), budget)
    assert isinstance(storage.claim(id_, "me", "d", 60.0), Claim)
    told = study.budget
    assert told.deadline_us == pytest.approx((time.time() + 40) * 1e6, abs=2e6)
    assert told.time_s == 60.0
    _tell_budget(study, FitSettings("y", trials=5), TimeBudget(study, None, ago(0)))
    told = study.budget
    assert (told.trials, told.time_s, told.deadline_us) == (5, None, None)
