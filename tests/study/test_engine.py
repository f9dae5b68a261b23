"""The engine alone: events in, instructions out, no clock and no process."""

from __future__ import annotations

import math
import sys
from itertools import pairwise
from typing import Any

import pytest

from modelwright.records import StudyState
from modelwright.storage.base import Claim, NoClaim
from modelwright.study import engine as e


def claim(number: int, *, params: dict[str, object] | None = None) -> Claim:
    return Claim(1, number, 1, f"c{number}", 1, params=params)


def running(engine: e.Engine, *numbers: int) -> None:
    for number in numbers:
        assert engine.handle(e.Tick(0.0)) == [e.ClaimTrial()]
        assert engine.handle(e.Claimed(claim(number))) == [e.ProposeFor(number)]
        assert engine.handle(e.Proposed(number)) == [e.StartTrial(number)]


def test_a_trial_goes_from_claim_to_finish() -> None:
    engine = e.Engine(slots=1)
    running(engine, 0)
    assert engine.handle(e.Tick(1.0)) == []  # the only slot is taken
    assert engine.handle(e.TaskEnded(0, cancelled=False)) == [e.FinishTrial(0)]
    assert engine.handle(e.Tick(2.0)) == [e.ClaimTrial()]
    answer = engine.handle(e.NothingToClaim(NoClaim("spent"), 2.0))
    assert answer == [e.EndRun("spent", complete=True)]


def test_a_trial_with_a_configuration_starts_without_asking_the_optimizer() -> None:
    engine = e.Engine(slots=1)
    engine.handle(e.Tick(0.0))
    assert engine.handle(e.Claimed(claim(3, params={"x": 1}))) == [e.StartTrial(3)]


def test_slots_bound_the_trials_in_flight() -> None:
    engine = e.Engine(slots=2)
    running(engine, 0, 1)
    assert engine.in_flight == 2
    assert engine.handle(e.Tick(0.1)) == []


def test_a_waiting_proposal_is_asked_for_again() -> None:
    engine = e.Engine(slots=2)
    running(engine, 0)
    engine.handle(e.Tick(0.0))
    engine.handle(e.Claimed(claim(1)))
    assert engine.handle(e.ProposalWaits(1)) == []
    assert engine.waiting
    assert engine.handle(e.Tick(0.1)) == [e.ProposeFor(1)]


def test_an_exhausted_space_gives_the_number_back_and_closes() -> None:
    engine = e.Engine(slots=1)
    engine.handle(e.Tick(0.0))
    engine.handle(e.Claimed(claim(96)))
    released = engine.handle(e.SpaceExhausted(96, "all 96 tried"))
    assert released == [e.ReleaseTrial(96, "all 96 tried", close=True)]
    engine.handle(e.Tick(0.1))
    end = engine.handle(e.NothingToClaim(NoClaim("closed"), 0.1))
    assert end == [e.EndRun("closed", complete=True)]


def test_the_ledger_is_asked_again_while_others_hold_the_last_trials() -> None:
    engine = e.Engine(slots=1, poll_s=0.5)
    engine.handle(e.Tick(0.0))
    assert engine.handle(e.NothingToClaim(NoClaim("busy"), 0.0)) == []
    assert engine.handle(e.Tick(0.4)) == []
    assert engine.handle(e.Tick(0.6)) == [e.ClaimTrial()]


def test_the_ledger_is_asked_more_and_more_seldom_the_longer_it_has_nothing_to_give() -> None:
    engine = e.Engine(slots=1, poll_s=0.25, most_patient_s=2.0)

    def pause_s(now_s: float) -> float:
        assert engine.handle(e.Tick(now_s)) == [e.ClaimTrial()]
        engine.handle(e.NothingToClaim(NoClaim("busy"), now_s))
        return engine.due_s - now_s

    moments = {0.0: 0.25, 2.0: 0.25, 4.0: 0.5, 8.0: 1.0, 16.0: 2.0, 1000.0: 2.0}
    assert {now_s: pause_s(now_s) for now_s in moments} == moments
    engine.handle(e.Tick(1002.0))
    engine.handle(e.Claimed(claim(7)))
    engine.handle(e.Proposed(7))
    engine.handle(e.TaskEnded(7, cancelled=False))
    assert pause_s(1010.0) == 0.25  # there was something, so the others' may come soon


def test_the_deadline_ends_running_trials_and_gives_them_back() -> None:
    engine = e.Engine(slots=2, deadline_s=10.0)
    running(engine, 0, 1)
    assert engine.handle(e.Tick(9.9)) == []
    assert engine.handle(e.Tick(10.0)) == [
        e.CancelTrial(0, "time is up"),
        e.CancelTrial(1, "time is up"),
    ]
    assert engine.handle(e.Tick(10.1)) == []  # asked to go once
    # One of them finished in the last moment: its result counts.
    assert engine.handle(e.TaskEnded(0, cancelled=False)) == [e.FinishTrial(0)]
    assert engine.handle(e.TaskEnded(1, cancelled=True)) == [
        e.ReleaseTrial(1, "time is up"),
        e.EndRun("time is up", complete=False),
    ]


def test_a_proposal_that_waits_is_given_back_at_the_deadline() -> None:
    engine = e.Engine(slots=1, deadline_s=1.0)
    engine.handle(e.Tick(0.0))
    engine.handle(e.Claimed(claim(5)))
    engine.handle(e.ProposalWaits(5))
    assert engine.handle(e.Tick(1.0)) == [
        e.ReleaseTrial(5, "time is up"),
        e.EndRun("time is up", complete=False),
    ]


def test_an_interrupt_leaves_a_grace_and_the_second_none() -> None:
    engine = e.Engine(slots=1, grace_s=5.0)
    running(engine, 0)
    assert engine.handle(e.Interrupted(1.0, hard=False)) == []
    assert engine.handle(e.Tick(5.9)) == []
    assert engine.handle(e.Interrupted(5.95, hard=True)) == [e.CancelTrial(0, "interrupted")]
    assert engine.handle(e.TaskEnded(0, cancelled=True)) == [
        e.ReleaseTrial(0, "interrupted"),
        e.EndRun("interrupted", complete=False),
    ]


def test_a_lost_claim_is_dropped_without_a_word_to_the_ledger() -> None:
    engine = e.Engine(slots=1)
    running(engine, 0)
    assert engine.handle(e.ClaimLost(0)) == [e.CancelTrial(0, "another worker has it")]
    # Even a result that came in time is not this worker's to write.
    assert engine.handle(e.TaskEnded(0, cancelled=False)) == [e.DropTrial(0)]
    assert engine.handle(e.Tick(0.2)) == [e.ClaimTrial()]


def test_a_trial_stopped_on_request_is_finished_not_given_back() -> None:
    engine = e.Engine(slots=1)
    running(engine, 0)
    assert engine.handle(e.StopAsked(0)) == [e.CancelTrial(0, "stopped on request")]
    assert engine.handle(e.TaskEnded(0, cancelled=True)) == [e.FinishTrial(0)]


def test_stopping_lets_running_trials_end() -> None:
    engine = e.Engine(slots=2)
    running(engine, 0)
    assert engine.handle(e.StopRequested("enough")) == []
    assert engine.handle(e.Tick(0.1)) == []
    assert engine.handle(e.TaskEnded(0, cancelled=False)) == [
        e.FinishTrial(0),
        e.EndRun("enough", complete=False),
    ]


def test_a_trial_that_went_back_keeps_the_study_open() -> None:
    engine = e.Engine(slots=2, deadline_s=10.0)
    running(engine, 0)
    engine.handle(e.Tick(0.0))
    engine.handle(e.NothingToClaim(NoClaim("spent"), 0.0))
    engine.handle(e.Tick(10.0))
    last = engine.handle(e.TaskEnded(0, cancelled=True))
    assert last == [e.ReleaseTrial(0, "time is up"), e.EndRun("time is up", complete=False)]


@pytest.mark.parametrize(
    ("state", "reason"), [(StudyState.PAUSED, "paused"), (StudyState.COMPLETE, "stopped")]
)
def test_a_paused_or_stopped_study_takes_no_more_trials(state: StudyState, reason: str) -> None:
    engine = e.Engine(slots=2)
    running(engine, 0)
    assert engine.handle(e.StudyMoved(state, abort=False, now_s=0.1)) == []
    assert engine.handle(e.Tick(0.1)) == []
    assert engine.handle(e.TaskEnded(0, cancelled=False)) == [
        e.FinishTrial(0),
        e.EndRun(reason, complete=False),
    ]


@pytest.mark.parametrize(
    ("state", "reason"), [(StudyState.PAUSED, "paused"), (StudyState.COMPLETE, "stopped")]
)
def test_a_study_that_is_broken_off_gives_its_running_trials_back(state: StudyState, reason: str) -> None:
    engine = e.Engine(slots=3)
    running(engine, 0, 1)
    moved = e.StudyMoved(state, abort=True, now_s=0.1)
    assert engine.handle(moved) == [e.CancelTrial(0, reason), e.CancelTrial(1, reason)]
    assert engine.handle(moved) == []  # heard again with the next beat
    assert engine.handle(e.TaskEnded(0, cancelled=True)) == [e.ReleaseTrial(0, reason)]
    assert engine.handle(e.TaskEnded(1, cancelled=False)) == [  # its result came in the last moment
        e.FinishTrial(1),
        e.EndRun(reason, complete=False),
    ]


def test_a_study_that_drains_may_be_broken_off_after_all() -> None:
    engine = e.Engine(slots=1)
    running(engine, 0)
    assert engine.handle(e.StudyMoved(StudyState.PAUSED, abort=False, now_s=0.1)) == []
    answer = engine.handle(e.StudyMoved(StudyState.PAUSED, abort=True, now_s=0.2))
    assert answer == [e.CancelTrial(0, "paused")]


@pytest.mark.parametrize("state", [StudyState.PENDING, StudyState.RUNNING])
def test_a_study_that_goes_on_ends_no_run(state: StudyState) -> None:
    engine = e.Engine(slots=2)
    running(engine, 0)
    assert engine.handle(e.StudyMoved(state, abort=False, now_s=0.1)) == []
    assert engine.handle(e.Tick(0.1)) == [e.ClaimTrial()]


@pytest.mark.parametrize("reason", ["spent", "deadline", "cost", "closed", "complete"])
def test_a_budget_that_is_used_up_ends_the_study(reason: Any) -> None:
    engine = e.Engine(slots=1)
    engine.handle(e.Tick(0.0))
    assert engine.handle(e.NothingToClaim(NoClaim(reason), 0.0)) == [e.EndRun(reason, complete=True)]


def test_a_trial_that_is_tried_again_is_claimed_again() -> None:
    engine = e.Engine(slots=1)
    running(engine, 0)
    assert engine.handle(e.TaskEnded(0, cancelled=False)) == [e.FinishTrial(0)]
    assert engine.handle(e.Tick(0.1)) == [e.ClaimTrial()]
    assert engine.handle(e.Claimed(claim(0, params={"x": 1}))) == [e.StartTrial(0)]


def test_a_claim_that_comes_after_the_end_was_decided_is_given_back() -> None:
    engine = e.Engine(slots=1)
    engine.handle(e.Tick(0.0))
    engine.handle(e.StopRequested("enough"))
    assert engine.handle(e.Claimed(claim(0))) == [e.ReleaseTrial(0, "enough")]
    assert engine.handle(e.Tick(0.1)) == [e.EndRun("enough", complete=False)]


def test_a_signal_that_broke_into_an_objective_gives_its_trial_back() -> None:
    engine = e.Engine(slots=1)
    running(engine, 0)
    assert engine.handle(e.Interrupted(1.0, hard=False)) == []
    assert engine.handle(e.TaskEnded(0, cancelled=True)) == [
        e.ReleaseTrial(0, "interrupted"),
        e.EndRun("interrupted", complete=False),
    ]


def test_a_configuration_that_is_not_ready_waits_like_a_proposal() -> None:
    engine = e.Engine(slots=1)
    engine.handle(e.Tick(0.0))
    assert engine.handle(e.Claimed(claim(0, params={"x": 1}), ready=False)) == [e.ProposeFor(0)]
    assert engine.handle(e.ProposalWaits(0)) == []
    assert engine.handle(e.Tick(0.1)) == [e.ProposeFor(0)]
    assert engine.handle(e.Proposed(0)) == [e.StartTrial(0)]


def test_a_pause_gives_back_what_waits() -> None:
    for paused in (e.StudyMoved(StudyState.PAUSED, False, 0.0), e.NothingToClaim(NoClaim("paused"), 0.0)):
        engine = e.Engine(slots=2)
        engine.handle(e.Tick(0.0))
        engine.handle(e.Claimed(claim(4)))
        engine.handle(e.ProposalWaits(4))
        engine.handle(e.Tick(0.0))  # claims for the second slot
        answers = engine.handle(paused)
        assert answers[0] == e.ReleaseTrial(4, "paused")
        assert engine.in_flight == 0


def waiting(engine: e.Engine, number: int, now_s: float) -> None:
    assert e.ClaimTrial() in engine.handle(e.Tick(now_s))
    assert engine.handle(e.Claimed(claim(number))) == [e.ProposeFor(number)]


def test_when_all_wait_one_more_is_looked_for_less_and_less_often() -> None:
    engine = e.Engine(slots=1, poll_s=0.25, most_patient_s=2.0)
    waiting(engine, 5, 0.0)
    assert engine.handle(e.ProposalWaits(5)) == []
    looked = []
    for k in range(1, 200):
        if e.ClaimTrial() in engine.handle(e.Tick(k * 0.05)):
            looked.append(k * 0.05)
            engine.handle(e.Claimed(claim(6)))
            assert engine.handle(e.ProposalWaits(6)) == [e.ReleaseTrial(6, "there was none to take over")]
    gaps = [round(b - a, 2) for a, b in pairwise(looked)]
    assert gaps == sorted(gaps)
    assert 1.9 <= gaps[-1] <= 2.2
    assert len(looked) >= 5


def test_an_abandoned_trial_is_taken_over_while_all_slots_wait() -> None:
    engine = e.Engine(slots=1, poll_s=0.25)
    waiting(engine, 5, 0.0)
    engine.handle(e.ProposalWaits(5))
    engine.handle(e.Tick(0.0))
    assert engine.handle(e.Tick(0.3))[-1] == e.ClaimTrial()
    assert engine.handle(e.Claimed(claim(2, params={"x": 1}))) == [e.StartTrial(2)]
    for now_s in (0.4, 5.0, 50.0):  # and no other beside it
        assert engine.handle(e.Tick(now_s)) == [e.ProposeFor(5)]
    assert engine.handle(e.TaskEnded(2, cancelled=False)) == [e.FinishTrial(2)]


def test_an_exhausted_space_takes_all_numbers_back_from_the_top() -> None:
    engine = e.Engine(slots=1)
    engine.handle(e.Tick(0.0))
    engine.handle(e.Claimed(claim(2)))
    # Numbers 3 and 4, of a worker that died, stand above: the ledger gives 2 again.
    assert engine.handle(e.SpaceExhausted(2, "all 2 tried")) == [e.ReleaseTrial(2, "all 2 tried", close=True)]
    engine.handle(e.Tick(0.1))
    for number in (2, 3, 4):
        assert engine.handle(e.Claimed(claim(number))) == [e.ProposeFor(number)]
        assert engine.handle(e.SpaceExhausted(number, "all 2 tried")) == [e.ClaimTrial()]
    assert engine.handle(e.NothingToClaim(NoClaim("busy"), 0.1)) == [
        e.ReleaseTrial(number, "all 2 tried") for number in (4, 3, 2)
    ]
    assert engine.handle(e.Tick(0.1)) == [e.ClaimTrial()]  # at once
    end = engine.handle(e.NothingToClaim(NoClaim("closed"), 0.1))
    assert end == [e.EndRun("closed", complete=True)]


def test_what_was_held_is_proposed_when_the_space_has_grown() -> None:
    engine = e.Engine(slots=1)
    engine.handle(e.Tick(0.0))
    engine.handle(e.Claimed(claim(2)))
    engine.handle(e.SpaceExhausted(2, "all 2 tried"))
    engine.handle(e.Tick(0.1))
    engine.handle(e.Claimed(claim(2)))
    engine.handle(e.SpaceExhausted(2, "all 2 tried"))
    engine.handle(e.Claimed(claim(3)))
    assert engine.handle(e.Proposed(3)) == [e.StartTrial(3)]
    assert e.ProposeFor(2) in engine.handle(e.Tick(0.2))


def test_a_trial_that_is_ready_beyond_the_slots_starts_when_one_is_free() -> None:
    engine = e.Engine(slots=1, poll_s=0.25)
    waiting(engine, 5, 0.0)
    engine.handle(e.ProposalWaits(5))
    engine.handle(e.Tick(0.0))
    assert engine.handle(e.Tick(0.3)) == [e.ProposeFor(5), e.ClaimTrial()]
    assert engine.handle(e.Claimed(claim(2, params={"x": 1}))) == [e.StartTrial(2)]
    assert engine.handle(e.Proposed(5)) == []  # the only slot is taken
    assert engine.handle(e.Tick(0.4)) == []
    assert engine.handle(e.TaskEnded(2, cancelled=False)) == [e.FinishTrial(2)]
    assert engine.handle(e.Tick(0.5)) == [e.StartTrial(5)]


def test_a_trial_that_is_ready_goes_back_when_the_run_ends() -> None:
    engine = e.Engine(slots=1, poll_s=0.25)
    waiting(engine, 5, 0.0)
    engine.handle(e.Tick(0.0))
    engine.handle(e.Tick(0.3))
    engine.handle(e.Claimed(claim(2, params={"x": 1})))
    engine.handle(e.Proposed(5))
    assert engine.handle(e.StopRequested("enough")) == [e.ReleaseTrial(5, "enough")]


def test_a_trial_that_runs_here_already_is_not_started_again() -> None:
    engine = e.Engine(slots=2)
    running(engine, 0)
    # The machine slept longer than the lease, and nobody else was there to take the trial over.
    assert engine.handle(e.Tick(100.0)) == [e.ClaimTrial()]
    assert engine.handle(e.Claimed(claim(0, params={"x": 1}))) == []
    assert engine.handle(e.Tick(100.1)) == [e.ClaimTrial()]
    assert engine.handle(e.NothingToClaim(NoClaim("busy"), 100.1)) == []
    assert engine.handle(e.TaskEnded(0, cancelled=False)) == [e.FinishTrial(0)]


def test_a_lost_trial_that_comes_back_while_its_task_ends_goes_back_to_the_ledger() -> None:
    engine = e.Engine(slots=2)
    running(engine, 0)
    assert engine.handle(e.ClaimLost(0)) == [e.CancelTrial(0, "another worker has it")]
    assert engine.handle(e.Tick(0.1)) == [e.ClaimTrial()]
    assert engine.handle(e.Claimed(claim(0, params={"x": 1}))) == []
    assert engine.handle(e.TaskEnded(0, cancelled=True)) == [e.ReleaseTrial(0, "another worker has it")]


def test_a_refusal_because_of_a_pause_ends_the_run_while_numbers_are_held() -> None:
    engine = e.Engine(slots=3)
    engine.handle(e.Tick(0.0))
    engine.handle(e.Claimed(claim(0)))
    assert engine.handle(e.SpaceExhausted(0, "all tried")) == [e.ReleaseTrial(0, "all tried", close=True)]
    engine.handle(e.Tick(0.1))
    engine.handle(e.Claimed(claim(1)))
    assert engine.handle(e.SpaceExhausted(1, "all tried")) == [e.ClaimTrial()]  # one that is held
    answer = engine.handle(e.NothingToClaim(NoClaim("paused"), 0.2))
    assert answer == [e.ReleaseTrial(1, "paused"), e.EndRun("paused", complete=False)]


def test_the_engine_says_when_it_needs_a_tick() -> None:
    engine = e.Engine(slots=2, deadline_s=100.0, grace_s=5.0)
    assert engine.due_s <= 0.0  # there is a free slot
    running(engine, 0)
    engine.handle(e.Tick(1.0))
    engine.handle(e.NothingToClaim(NoClaim("busy"), 1.0))
    assert engine.due_s == 1.0 + engine.poll_s
    engine.handle(e.Tick(1.0 + engine.poll_s))
    engine.handle(e.Claimed(claim(1)))
    engine.handle(e.Proposed(1))
    assert engine.due_s == 100.0  # both slots are taken
    engine.handle(e.Interrupted(10.0, hard=False))
    assert engine.due_s == 15.0
    engine.handle(e.Tick(15.0))
    assert engine.due_s == math.inf  # the tasks were asked to go, and nothing else is left to do


def test_the_engine_says_when_it_looks_for_an_abandoned_trial() -> None:
    engine = e.Engine(slots=1)
    engine.handle(e.Tick(0.0))
    engine.handle(e.Claimed(claim(0)))
    engine.handle(e.ProposalWaits(0))
    engine.handle(e.Tick(1.0))
    due_s = engine.due_s
    assert 1.0 < due_s < math.inf
    assert e.ClaimTrial() in engine.handle(e.Tick(due_s))


@pytest.mark.parametrize("slots", [10, 1000])
def test_a_look_at_the_trials_costs_the_same_at_any_number(slots: int) -> None:
    engine = e.Engine(slots)
    running(engine, *range(slots))
    steps = 0

    def count(frame: Any, event: str, argument: Any) -> Any:
        nonlocal steps
        steps += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        engine.handle(e.TaskEnded(0, cancelled=False))
        engine.handle(e.Tick(1.0))
        engine.handle(e.Claimed(claim(slots)))
        engine.handle(e.Proposed(slots))
        assert engine.due_s == math.inf
    finally:
        sys.settrace(before)
    assert 20 < steps < 150
