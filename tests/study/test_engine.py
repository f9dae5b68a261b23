"""The engine alone: events in, instructions out, no clock and no process."""

from __future__ import annotations

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


def test_a_paused_study_takes_no_more_trials() -> None:
    engine = e.Engine(slots=2)
    running(engine, 0)
    engine.handle(e.StudyMoved(StudyState.PAUSED))
    assert engine.handle(e.Tick(0.1)) == []
    assert engine.handle(e.TaskEnded(0, cancelled=False)) == [
        e.FinishTrial(0),
        e.EndRun("paused", complete=False),
    ]


def test_a_claim_that_comes_after_the_end_was_decided_is_given_back() -> None:
    engine = e.Engine(slots=1)
    engine.handle(e.Tick(0.0))
    engine.handle(e.StopRequested("enough"))
    assert engine.handle(e.Claimed(claim(0))) == [e.ReleaseTrial(0, "enough")]
    assert engine.handle(e.Tick(0.1)) == [e.EndRun("enough", complete=False)]
