"""Clocks that are wrong or jump: only the ledger's own counts, and fences make its jumps harmless."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from modelwright.records import Outcome, Proposal, Provenance, TrialState
from modelwright.storage import Claim, NoClaim, Storage
from modelwright.testing.faults import open_clocked
from modelwright.testing.storage import ManualClock

databases = pytest.mark.parametrize("address", ["sqlite", "postgresql", "mysql"], indirect=True)
# On servers only where there is time.
patient = pytest.mark.parametrize(
    "address",
    ["sqlite", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("postgresql", "mysql"))],
    indirect=True,
)
LEASE_S = 60.0
JUMP_S = 600.0
HOUR_S = 3600.0


@contextmanager
def clocked(ledger: Any) -> Iterator[tuple[Storage, ManualClock]]:
    clock = ManualClock()
    with closing(open_clocked(ledger.url, lambda: clock.us)) as storage:
        yield storage, clock


def take(storage: Storage, ledger: Any, name: str) -> Claim:
    answer = storage.claim(ledger.id, name, f"{name}-{time.monotonic_ns()}", LEASE_S)
    assert isinstance(answer, Claim), answer
    return answer


def tell(storage: Storage, claim: Claim) -> str:
    if claim.params is None:
        storage.propose(claim, Proposal({"x": 0.5}), Provenance(), 0)
    return storage.finish(claim, Outcome(TrialState.COMPLETE, (0.5,)), claim.claim_id).value


@databases
@pytest.mark.parametrize(
    "clock", [(HOUR_S,), (-HOUR_S,), (HOUR_S, "--jumping")], ids=["ahead", "behind", "jumping"]
)
def test_f40_a_worker_whose_clock_is_wrong(ledger: Any, clock: tuple[object, ...]) -> None:
    ledger.create(trials=3)
    began_us = time.time_ns() // 1000
    wrong = ledger.drone("wrong", "--skew", *clock, "--work", 0.4, "--most", 1)
    wrong.wait_for("propose")
    # Its lease neither has run out, nor will it last for an hour: others get other trials.
    assert ledger.take().number == 1
    event = ledger.storage.events(ledger.id)[-1]
    assert abs(event.at_us - began_us) < 600e6
    assert wrong.end() == 0, wrong.error
    assert [said["answer"] for said in wrong.all("finish")] == ["accepted"]
    trial = ledger.storage.trial(ledger.id, 0)
    for moment_us in (trial.queued_us, trial.started_us, trial.ended_us):
        assert abs(moment_us - began_us) < 600e6
    assert 0.3 < trial.duration_s < 60
    (attempt,) = ledger.storage.attempts(ledger.id, 0)
    assert 0 <= attempt.ended_us - attempt.started_us < 600e6
    ledger.audit()


@patient
def test_f40_a_dead_worker_whose_clock_was_ahead(ledger: Any, until: Any) -> None:
    ledger.create(trials=1)
    dead = ledger.drone("dead", "--skew", HOUR_S, "--lease", 0.5, "--fault", "claim:committed:die")
    dead.end()
    claim = ledger.take(within_s=0.5 + 15)
    assert (claim.number, claim.fence) == (0, 2)
    ledger.tell(claim)
    ledger.audit()


@databases
def test_f41_the_ledgers_clock_jumps_ahead(ledger: Any) -> None:
    ledger.create(trials=3)
    with clocked(ledger) as (storage, clock):
        first, second = take(storage, ledger, "a"), take(storage, ledger, "b")
        clock.advance(JUMP_S)
        again = take(storage, ledger, "c")
        assert (again.number, again.fence) == (first.number, 2)
        assert tell(storage, second) == "accepted"  # late, but nobody has replaced it
        assert tell(storage, again) == "accepted"
        outcome = Outcome(TrialState.COMPLETE, (9.0,))
        assert storage.finish(first, outcome, "late").value == "stale"
        assert storage.trial(ledger.id, 0).values == (0.5,)
        assert tell(storage, take(storage, ledger, "d")) == "accepted"
        assert isinstance(storage.claim(ledger.id, "e", "e", LEASE_S), NoClaim)
    assert [trial.state for trial in ledger.storage.trials(ledger.id)] == [TrialState.COMPLETE] * 3
    ledger.audit()


@databases
def test_f41_the_ledgers_clock_jumps_back(ledger: Any) -> None:
    ledger.create(trials=1)
    with clocked(ledger) as (storage, clock):
        lost = take(storage, ledger, "a")
        clock.advance(-JUMP_S)
        clock.advance(JUMP_S + LEASE_S - 1)
        answer = storage.claim(ledger.id, "b", "b1", LEASE_S)
        assert isinstance(answer, NoClaim)
        assert answer.reason == "busy"
        clock.advance(1)  # no trial is stuck for longer than the jump and the lease
        again = take(storage, ledger, "b")
        assert (again.number, again.fence) == (lost.number, 2)
        assert tell(storage, again) == "accepted"
    ledger.audit()


@patient
def test_f46_all_workers_go_and_others_come_days_later(ledger: Any) -> None:
    ledger.create(trials=20, lease_s=LEASE_S)
    gone = [ledger.drone(f"gone{i}", "--fault", f"propose:answer:die@{3 + i}") for i in range(3)]
    for drone in gone:
        drone.end()
    running = [trial for trial in ledger.storage.trials(ledger.id) if trial.state is TrialState.RUNNING]
    assert len(running) == 3
    days_s = 5 * 24 * HOUR_S
    later = ledger.drone("later", "--offset", days_s)
    assert later.end() == 0, later.error
    trials = ledger.storage.trials(ledger.id)
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 20
    assert [trial.attempts for trial in trials if trial.number in {t.number for t in running}] == [2] * 3
    params = {trial.number: trial.params for trial in trials}
    assert all(params[trial.number] == trial.params for trial in running)
    ledger.audit()
