"""Workers that die, or freeze, at each point of a trial's life: nothing is lost, nothing counts twice."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelwright.records import FailureKind, TrialState
from modelwright.storage import Claim

databases = pytest.mark.parametrize("address", ["sqlite", "postgresql", "mysql"], indirect=True)
# On servers only where there is time.
patient = pytest.mark.parametrize(
    "address",
    ["sqlite", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("postgresql", "mysql"))],
    indirect=True,
)
LEASE_S = 1.0
LEASE = ("--lease", LEASE_S)


def finish_all(ledger: Any, until: Any) -> list[Any]:
    """Do what is left of a study as one more worker would, and return the claims."""
    claims = []

    def over() -> bool:
        name = f"last-{len(claims)}-{time.monotonic_ns()}"
        answer = ledger.storage.claim(ledger.id, "last", name, 60)
        if isinstance(answer, Claim):
            claims.append(answer)
            ledger.tell(answer)
        return not isinstance(answer, Claim) and answer.reason == "spent"

    until(over, LEASE_S + 15)
    return claims


def states(ledger: Any) -> list[tuple[int, TrialState, int, int]]:
    return [(t.number, t.state, t.fence, t.attempts) for t in ledger.storage.trials(ledger.id)]


@databases
def test_f01_killed_after_claim(ledger: Any, until: Any) -> None:
    ledger.create(trials=2, lease_s=LEASE_S)
    drone = ledger.drone("victim", *LEASE, "--fault", "claim:committed:die")
    assert drone.end() == -signal.SIGKILL
    assert drone.all("claim") == []  # it never learned what it got
    assert states(ledger) == [(0, TrialState.RUNNING, 1, 1)]
    claims = finish_all(ledger, until)
    assert [(claim.number, claim.fence) for claim in claims] in ([(0, 2), (1, 1)], [(1, 1), (0, 2)])
    assert states(ledger) == [(0, TrialState.COMPLETE, 2, 2), (1, TrialState.COMPLETE, 1, 1)]
    assert [a.outcome for a in ledger.storage.attempts(ledger.id, 0)] == ["lost", "complete"]
    ledger.audit()


@databases
def test_f02_killed_before_the_claims_commit(ledger: Any, until: Any) -> None:
    ledger.create(trials=1)
    before = ledger.storage.study("study")
    drone = ledger.drone("victim", "--fault", "claim:commit:die")
    assert drone.end() == -signal.SIGKILL
    assert ledger.storage.study("study") == before
    assert ledger.storage.trials(ledger.id) == []
    assert [(claim.number, claim.fence) for claim in finish_all(ledger, until)] == [(0, 1)]
    ledger.audit()


@patient
def test_f03_killed_after_propose(ledger: Any, until: Any) -> None:
    ledger.create(trials=1, lease_s=LEASE_S)
    drone = ledger.drone("victim", *LEASE, "--fault", "propose:answer:die")
    assert drone.end() == -signal.SIGKILL
    proposed = ledger.storage.trial(ledger.id, 0).params
    (claim,) = finish_all(ledger, until)
    assert (claim.number, claim.attempts, claim.params) == (0, 2, proposed)
    assert ledger.storage.trial(ledger.id, 0).params == proposed
    ledger.audit()


RUN = """
import json, os, signal
from modelwright import Study

def f(trial):
    with open("seen.jsonl", "a") as file:
        print(json.dumps([trial.number, trial.attempt, trial.params, trial.seed]), file=file)
    if (trial.number, trial.attempt) == (2, 1):
        os.kill(os.getpid(), signal.SIGKILL)
    return trial.params["x"]

study = Study.load("study", storage="ledger.db")
study.run(f, trials=4, executor="inline")
study.close()
"""


def test_f03_the_next_attempt_has_the_seed_of_the_killed_one(
    ledger: Any, start_python: Any, tmp_path: Path
) -> None:
    ledger.create(trials=4, seed=7)
    codes = [start_python("-c", RUN).wait(120) for _ in range(2)]
    assert codes == [-signal.SIGKILL, 0]
    seen = [json.loads(line) for line in (tmp_path / "seen.jsonl").read_text().splitlines()]
    assert [(number, attempt) for number, attempt, *_ in seen] == [(0, 1), (1, 1), (2, 1), (2, 2), (3, 1)]
    assert seen[3][2:] == seen[2][2:]  # the configuration and the seed
    assert len({seed for *_, seed in seen}) == 4
    ledger.audit()


def run_and_kill(ledger: Any, seed: int, *, workers: int, kills: int, trials: int) -> None:
    """Kill workers at random moments, start others in their place, and check the whole."""
    print(f"seed {seed}")
    rng = random.Random(seed)
    ledger.create(trials=trials, lease_s=LEASE_S, max_attempts=kills + 1)
    line = (*LEASE, "--work", 0.01)
    drones = ledger.drones(workers, *line)
    dead = []
    for i in range(kills):
        time.sleep(rng.uniform(0.02, 0.2))
        victim = drones.pop(rng.randrange(workers))
        os.kill(victim.pid, signal.SIGKILL)
        dead.append(victim)
        drones.append(ledger.drone(f"again{i}", *line))
    assert [drone.end() for drone in drones] == [0] * workers, [drone.error for drone in drones]
    told = ledger.results([*drones, *dead])
    found = ledger.storage.trials(ledger.id)
    assert [trial.number for trial in found] == list(range(trials))
    assert {trial.state for trial in found} == {TrialState.COMPLETE}
    assert len(told) == len(set(told))
    assert sum(trial.attempts - 1 for trial in found) <= kills
    ledger.audit()


def test_f04_killed_at_random(ledger: Any) -> None:
    run_and_kill(ledger, 4, workers=4, kills=8, trials=150)


@pytest.mark.slow
@databases
@pytest.mark.parametrize("seed", [1, 2])
def test_f04_killed_at_random_25_times(ledger: Any, seed: int) -> None:
    run_and_kill(ledger, seed, workers=6, kills=25, trials=600)


@databases
def test_f05_killed_after_the_results_commit(ledger: Any, until: Any) -> None:
    ledger.create(trials=2, lease_s=LEASE_S)
    drone = ledger.drone("victim", *LEASE, "--fault", "finish:committed:die")
    assert drone.end() == -signal.SIGKILL
    assert drone.all("finish") == []
    assert states(ledger) == [(0, TrialState.COMPLETE, 1, 1)]
    assert [claim.number for claim in finish_all(ledger, until)] == [1]
    kinds = [event.kind for event in ledger.storage.events(ledger.id)]
    assert kinds.count("finish") == 2
    ledger.audit()


@databases
def test_f08_frozen_past_its_lease(ledger: Any, until: Any) -> None:
    ledger.create(trials=1, lease_s=LEASE_S)
    drone = ledger.drone("frozen", *LEASE, "--fault", "propose:answer:freeze")
    drone.wait_for("claim")
    until(lambda: _is_stopped(drone.pid))
    taken = ledger.take(LEASE_S + 15)
    assert (taken.number, taken.fence) == (0, 2)
    stale = replace(taken, fence=1, claim_id="of the frozen one")
    assert ledger.storage.renew([stale], LEASE_S).lost == {0}
    ledger.storage.set_budget(ledger.id, 3)
    os.kill(drone.pid, signal.SIGCONT)
    drone.wait_for("finish")
    assert ledger.tell(taken) == "accepted"
    assert drone.end() == 0, drone.error
    answers = [(said["number"], said["answer"]) for said in drone.all("finish")]
    assert answers == [(0, "stale"), (1, "accepted"), (2, "accepted")]
    late = [event for event in ledger.storage.events(ledger.id) if event.kind == "stale"]
    assert [(event.number, event.fence, event.payload["values"]) for event in late] == [(0, 1, [0.5])]
    ledger.audit()


def _is_stopped(pid: int) -> bool:
    import psutil

    return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)


@patient
def test_f45_a_trial_that_kills_each_worker(ledger: Any, until: Any) -> None:
    ledger.create(trials=4, lease_s=0.3, max_attempts=3)
    for i in range(3):
        drone = ledger.drone(f"victim{i}", "--lease", 0.3, "--poison", 1)
        assert drone.end() == -signal.SIGKILL, drone.said
        time.sleep(0.3)
    last = ledger.drone("last", "--poison", 1)
    assert last.end() == 0, last.error
    poison = ledger.storage.trial(ledger.id, 1)
    assert poison.state is TrialState.FAILED
    assert poison.failure.kind is FailureKind.LOST
    assert poison.failure.code == "E_LOST"
    assert "attempt 3, the last" in poison.failure.message
    assert [attempt.outcome for attempt in ledger.storage.attempts(ledger.id, 1)] == ["lost"] * 3
    others = [state for number, state, *_ in states(ledger) if number != 1]
    assert others == [TrialState.COMPLETE] * 3
    ledger.audit()


OBJECTIVE = """
import os, signal
import psutil

def f(trial):
    if trial.number == 1:
        for process in psutil.Process().parents():
            if "worker" in process.cmdline():
                os.kill(process.pid, signal.SIGKILL)
    return trial.params["x"]
"""


@pytest.mark.slow
def test_f45_an_objective_that_kills_its_worker(ledger: Any, start_python: Any, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OBJECTIVE)
    ledger.create(trials=4, lease_s=2, max_attempts=2, objective_ref="own.py:f")
    line = ("-m", "modelwright", "worker", "--storage", ledger.url)
    codes = []
    while 0 not in codes:
        worker = start_python(*line)
        out, err = worker.communicate(timeout=120)
        codes.append(worker.returncode)
        assert len(codes) <= 3, out + err
    assert codes == [-signal.SIGKILL, -signal.SIGKILL, 0]
    trials = ledger.storage.trials(ledger.id)
    assert [trial.state for trial in trials if trial.number != 1] == [TrialState.COMPLETE] * 3
    assert trials[1].failure.kind is FailureKind.LOST
    assert trials[1].attempts == 2
    assert ledger.storage.study("study").state.value == "complete"
    ledger.audit()
