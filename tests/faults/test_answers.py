"""Answers that are lost, and errors by which a database asks to try again: the caller notices neither."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from modelwright import Float, Space, Study
from modelwright.records import Outcome, Proposal, Provenance, TrialState
from modelwright.storage import Claim, open_storage
from modelwright.testing.faults import ERRORS, Fault, FaultyStorage

databases = pytest.mark.parametrize("address", ["sqlite", "postgresql", "mysql"], indirect=True)
servers = pytest.mark.parametrize("address", ["postgresql", "mysql"], indirect=True)
OUTCOME = Outcome(TrialState.COMPLETE, (0.25,))


@contextmanager
def faulty(ledger: Any, *faults: Fault) -> Iterator[FaultyStorage]:
    storage = FaultyStorage(open_storage(ledger.url), faults)
    yield storage
    storage.close()


def kinds(ledger: Any) -> list[str]:
    return [event.kind for event in ledger.storage.events(ledger.id)]


@databases
def test_f06_the_answer_to_a_result_is_lost(ledger: Any) -> None:
    ledger.create(trials=1)
    lost = Fault("finish", "committed", "lost")
    with faulty(ledger, lost) as storage:
        claim = storage.claim(ledger.id, "w", "c", 60)
        storage.propose(claim, Proposal({"x": 0.5}), Provenance(), 0)
        assert storage.finish(claim, OUTCOME, "r").value == "accepted"
        assert lost.passed == 2  # the second time it was looked up
        assert storage.finish(claim, OUTCOME, "r").value == "duplicate"  # and a caller may ask again
    assert kinds(ledger).count("finish") == 1
    assert ledger.storage.trial(ledger.id, 0).values == (0.25,)
    ledger.audit()


@databases
def test_f07_the_answer_to_a_claim_is_lost(ledger: Any) -> None:
    ledger.create(trials=3)
    lost = Fault("claim", "committed", "lost")
    with faulty(ledger, lost) as storage:
        claim = storage.claim(ledger.id, "w", "c", 60)
        assert lost.passed == 2
        assert isinstance(claim, Claim)
        assert (claim.number, claim.fence, claim.attempts) == (0, 1, 1)
        assert storage.claim(ledger.id, "w", "c", 60) == claim
    assert ledger.storage.study("study").issued == 1
    assert kinds(ledger).count("claim") == 1
    assert ledger.tell(claim) == "accepted"
    ledger.audit()


REPEATED = ("create_study", "set_state", "set_budget", "enqueue", "propose", "report", "release", "kill")


@servers
def test_f07_the_answer_to_any_call_is_lost(ledger: Any) -> None:
    from modelwright.records import Report, StudySpec, StudyState

    faults = [Fault(name, "committed", "lost") for name in REPEATED]
    with faulty(ledger, *faults) as storage:
        ledger.study = storage.create_study(StudySpec("study", Space(x=Float(0, 1))))
        storage.set_state(ledger.id, StudyState.RUNNING)
        storage.set_budget(ledger.id, 5)
        storage.enqueue(ledger.id, {"x": 0.1}, {}, request_id="r1")
        claim = storage.claim(ledger.id, "w", "c", 60)
        assert storage.report(claim, [Report(1, {"value": 0.5}), Report(2, {"value": 0.25})])
        assert storage.release(claim, "enough") is True
        second = storage.claim(ledger.id, "w", "c2", 60)
        third = storage.claim(ledger.id, "w", "c3", 60)
        assert storage.propose(third, Proposal({"x": 0.5}), Provenance(), 0, unique=True) is None
        assert storage.kill(ledger.id, second.number).number == second.number
    assert [fault.method for fault in faults if fault.passed < 2] == []  # each came by once more
    assert [study.spec.name for study in ledger.storage.studies()] == ["study"]
    assert [trial.number for trial in ledger.storage.trials(ledger.id)] == [0, 1]
    assert len(ledger.storage.reports(ledger.id, 0)) == 2
    ledger.audit()


@pytest.mark.parametrize("error", ["busy", "deadlock"])
def test_f30_errors_that_ask_to_try_again(ledger: Any, error: str) -> None:
    assert error in ERRORS
    ledger.create(trials=24)
    drones = [ledger.drone(f"d{i}", "--fault", f"*:commit:{error}@{i + 2}/5") for i in range(2)]
    assert [drone.end() for drone in drones] == [0, 0], [drone.error for drone in drones]
    assert ledger.results(drones) == list(range(24))
    assert [drone.all("unavailable") + drone.all("refused") for drone in drones] == [[], []]
    ledger.audit()


@databases
@pytest.mark.parametrize(("point", "error"), [("commit", "busy"), ("committed", "lost")])
def test_f30_whole_runs_do_not_notice_either(ledger: Any, point: str, error: str) -> None:
    with faulty(ledger, Fault("*", point, error, 3, 7)) as storage:
        study = Study(Space(x=Float(0, 1)), storage=storage, name="study", seed=1, deterministic=True)
        study.run(lambda trial: trial.params["x"], trials=40, parallel=4, executor="thread")
        assert study.state == "complete"
        assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 40
    ledger.study = ledger.storage.study("study")
    assert [trial.attempts for trial in ledger.storage.trials(ledger.id)] == [1] * 40
    ledger.audit()
