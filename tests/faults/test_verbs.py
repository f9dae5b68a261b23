"""Verbs of control at any moment of a run: no state is ever wrong, and no worker dies."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from person import Person

from modelwright.errors import StudyNotFoundError, StudyStateError
from modelwright.records import StudyState, TrialState

databases = pytest.mark.parametrize("address", ["sqlite", "postgresql", "mysql"], indirect=True)
# On servers only where there is time.
patient = pytest.mark.parametrize(
    "address",
    ["sqlite", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("postgresql", "mysql"))],
    indirect=True,
)

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED)
ALLOWED = {
    "pending": {"pending", "running", "paused", "complete", "failed"},
    "running": {"running", "pending", "paused", "complete", "failed"},
    "paused": {"paused", "pending", "complete", "failed"},
    "complete": {"complete", "pending"},
    "failed": {"failed", "pending"},
}


def press_buttons(ledger: Any, until: Any, *, seed: int, verbs: int, drones: int) -> None:
    print(f"seed {seed}")
    rng = random.Random(seed)
    ledger.create(trials=200, lease_s=5)
    ledger.storage.set_state(ledger.id, StudyState.RUNNING)
    workers = ledger.drones(drones, "--work", 0.005, "--lease", 5, "--stay")
    person = Person(ledger.storage, ledger.id, rng)
    for _ in range(verbs):
        person.act()
        time.sleep(rng.uniform(0, 0.03))
    ledger.storage.set_budget(ledger.id, 500, parallel=None)
    person.resume()
    until(lambda: sum(ledger.storage.counts(ledger.id).get(state, 0) for state in FINISHED) >= 500)
    ledger.storage.set_state(ledger.id, StudyState.COMPLETE)
    assert [worker.end() for worker in workers] == [0] * drones, [worker.error for worker in workers]
    check_history(ledger)
    ledger.audit()


def check_history(ledger: Any) -> None:
    assert check_moves(ledger) == "complete"
    trials = ledger.storage.trials(ledger.id)
    assert all(trial.state.finished for trial in trials)
    kinds = {trial.failure.kind.value for trial in trials if trial.failure is not None}
    assert kinds <= {"killed"}
    assert sum(trial.state is TrialState.COMPLETE for trial in trials) > 200


def check_moves(ledger: Any) -> str:
    """Follow the events: each state by an allowed move, nothing given out while the study was paused."""
    state, since, late = "pending", 0, []
    while events := ledger.storage.events(ledger.id, since):
        for event in events:
            if event.kind == "state":
                assert event.payload["state"] in ALLOWED[state], (event, state)
                state = event.payload["state"]
            if event.kind == "claim" and state not in ("pending", "running"):
                late.append(event)
        since = events[-1].revision
    assert late == []
    return state


def test_f43_any_verb_at_any_moment(ledger: Any, until: Any) -> None:
    press_buttons(ledger, until, seed=43, verbs=100, drones=4)


@pytest.mark.slow
@databases
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_f43_any_verb_at_any_moment_8_workers(ledger: Any, until: Any, seed: int) -> None:
    press_buttons(ledger, until, seed=seed, verbs=200, drones=8)


OBJECTIVE = """
import time

def f(trial):
    time.sleep(0.05)
    return trial.params["x"]
"""


@pytest.mark.slow
def test_f43_any_verb_at_any_moment_leaves_no_process(
    ledger: Any, until: Any, start_python: Any, tmp_path: Path
) -> None:
    """The same with worker commands, whose trials are processes of their own."""
    (tmp_path / "own.py").write_text(OBJECTIVE)
    ledger.create(trials=50, objective_ref="own.py:f")
    line = ("-m", "modelwright", "worker", "--storage", ledger.url, "--slots", 4, "--wait", "--poll", "0.2s")
    workers = [start_python(*line) for _ in range(2)]
    until(lambda: ledger.storage.study("study").issued >= 8)
    rng = random.Random(5)
    person = Person(ledger.storage, ledger.id, rng)
    for _ in range(100):
        person.act()
        time.sleep(rng.uniform(0, 0.2))
    ledger.storage.set_budget(ledger.id, ledger.storage.study("study").issued + 20, parallel=None)
    person.resume()
    until(lambda: ledger.storage.study("study").state is StudyState.COMPLETE)
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    told = [worker.communicate(timeout=60)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], told
    check_moves(ledger)
    assert all(trial.state.finished for trial in ledger.storage.trials(ledger.id))
    assert [process.pid for process in psutil.process_iter() if works_in(process, tmp_path)] == []
    ledger.audit()


def works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.cwd() == str(folder)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


@patient
def test_f44_a_study_that_is_deleted_while_it_runs(ledger: Any) -> None:
    ledger.create(trials=10_000)
    workers = ledger.drones(2, "--work", 0.01)
    for worker in workers:
        worker.wait_for("finish")
    with pytest.raises(StudyStateError) as caught:
        ledger.storage.delete_study("study")
    assert "force" in str(caught.value)
    for worker in workers:
        worker.wait_for("finish", len(worker.all("finish")) + 2)
    ledger.storage.delete_study("study", force=True)
    assert [worker.end() for worker in workers] == [0, 0], [worker.error for worker in workers]
    for worker in workers:
        assert worker.all("deleted"), worker.said[-3:]
    assert ledger.storage.studies() == []
    with pytest.raises(StudyNotFoundError):
        ledger.storage.study("study")
    again = ledger.storage.create_study(ledger.study.spec)  # nothing of the old one is left
    assert ledger.storage.trials(again.id) == []
    assert ledger.storage.events(again.id)[-1].revision == again.revision


@patient
def test_g2_enqueued_trials_are_claimed_once(ledger: Any) -> None:
    claim_once(ledger, trials=150, drones=4)


@pytest.mark.slow
@databases
def test_g2_1000_enqueued_trials_are_claimed_once(ledger: Any) -> None:
    claim_once(ledger, trials=1000, drones=8)


def claim_once(ledger: Any, *, trials: int, drones: int) -> None:
    ledger.create(trials=0)
    for i in range(trials):
        ledger.storage.enqueue(ledger.id, {"x": i / trials}, {})
    # Errors that ask to try again make the same claim come twice.
    workers = ledger.drones(drones, "--fault", "claim:commit:deadlock@5/20")
    assert [worker.end() for worker in workers] == [0] * drones, [worker.error for worker in workers]
    claims = [said for worker in workers for said in worker.all("claim")]
    assert sorted(said["number"] for said in claims) == list(range(trials))
    assert {said["fence"] for said in claims} == {1}
    assert all(said["params"] == {"x": said["number"] / trials} for said in claims)
    assert ledger.results(workers) == list(range(trials))
    ledger.audit()
