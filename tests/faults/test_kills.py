"""A thousand kills of workers, a hundred of the database's server: no acknowledged result is lost."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from modelwright.records import StudyState, TrialState

databases = pytest.mark.parametrize("address", ["sqlite", "postgresql", "mysql"], indirect=True)
KNOWN = ("accepted", "duplicate")  # both say that the ledger has the result


def settle(ledger: Any, drones: Sequence[Any]) -> int:
    """Let the study end, check that what was acknowledged is in the ledger, and return how much it was."""
    ledger.storage.set_budget(ledger.id, ledger.storage.study("study").issued + 10)
    last = ledger.drone("last")
    assert last.end() == 0, last.error
    ledger.storage.set_state(ledger.id, StudyState.COMPLETE)
    for drone in drones:
        drone.end()
    said = [entry for drone in (*drones, last) for entry in drone.all("finish") if entry["answer"] in KNOWN]
    acknowledged = {entry["number"]: entry["fence"] for entry in said}
    assert len(acknowledged) == len(said), "a result of the same trial was acknowledged twice"
    trials = {trial.number: trial for trial in ledger.storage.trials(ledger.id)}
    assert {trial.state for trial in trials.values()} == {TrialState.COMPLETE}
    assert {number: trials[number].fence for number in acknowledged} == acknowledged
    ledger.audit()
    print(f"{len(said)} of {len(trials)} results were acknowledged")
    return len(said)


def kill_workers(ledger: Any, *, seed: int, kills: int, workers: int) -> None:
    print(f"seed {seed}")
    rng = random.Random(seed)
    ledger.create(lease_s=1.0, max_attempts=10**6)
    line = ("--lease", 1.0, "--stay")
    drones = [ledger.drone(f"d{i}", *line) for i in range(workers)]
    dead = []
    for i in range(kills):
        victim = drones.pop(rng.randrange(workers))
        victim.wait_for("claim")  # one that has not begun yet is a poor victim
        time.sleep(rng.uniform(0, 0.05))
        victim.close()
        dead.append(victim)
        drones.append(ledger.drone(f"again{i}", *line))
    assert settle(ledger, [*drones, *dead]) > kills / 2
    assert sum(trial.attempts - 1 for trial in ledger.storage.trials(ledger.id)) <= kills


def test_g1_kills_of_workers(ledger: Any) -> None:
    kill_workers(ledger, seed=1, kills=10, workers=4)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@databases
def test_g1_1000_kills_of_workers(ledger: Any) -> None:
    kill_workers(ledger, seed=2, kills=1000, workers=4)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_g1_100_kills_of_the_server(outpost: Any, until: Callable[..., None]) -> None:
    outpost.create()
    drones = [outpost.drone(f"d{i}", "--stay") for i in range(4)]
    for _ in range(100):
        known = len(outpost.results(drones, *KNOWN))
        until(lambda known=known: len(outpost.results(drones, *KNOWN)) > known + 20)
        outpost.server.kill()
        outpost.server.start()
    assert settle(outpost, drones) > 2000
    # No worker died, and the leases are longer than the outages.
    assert {trial.attempts for trial in outpost.storage.trials(outpost.id)} == {1}
