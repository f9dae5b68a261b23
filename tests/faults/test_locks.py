"""Locks that somebody holds for long: others wait, or are told so, and nobody dies."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from modelwright.errors import StorageUnavailableError
from modelwright.storage import open_storage


def wait_until_stopped(until: Any, pid: int) -> None:
    until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)


def test_f09_frozen_within_a_transaction(ledger: Any, until: Any) -> None:
    ledger.create(trials=5)
    frozen = ledger.drone("frozen", "--fault", "claim:commit:freeze")
    wait_until_stopped(until, frozen.pid)
    assert ledger.storage.study("study").issued == 0  # reading goes on
    hasty = open_storage(ledger.url, timeout_s=0.2)
    with closing(hasty), pytest.raises(StorageUnavailableError, match="locked by another") as caught:
        hasty.claim(ledger.id, "hasty", "c", 60)
    assert caught.value.code == "E_DB_LOCKED"
    patient = ledger.drone("patient")
    time.sleep(0.3)
    assert patient.all("claim") == []
    os.kill(frozen.pid, signal.SIGCONT)
    assert [frozen.end(), patient.end()] == [0, 0]
    assert ledger.results([frozen, patient]) == list(range(5))
    ledger.audit()


@pytest.mark.slow
@pytest.mark.parametrize("address", ["postgresql", "mysql"], indirect=True)
def test_f09_the_server_throws_out_who_froze_in_a_transaction(ledger: Any, until: Any) -> None:
    ledger.create(trials=5)
    frozen = ledger.drone("frozen", "--fault", "claim:commit:freeze")
    wait_until_stopped(until, frozen.pid)
    began = time.monotonic()
    claim = ledger.take()
    waited_s = time.monotonic() - began
    assert waited_s < 30 + 15, f"others waited {waited_s:.1f} s"
    assert claim.number == 0  # the frozen claim was undone
    os.kill(frozen.pid, signal.SIGCONT)
    assert ledger.tell(claim) == "accepted"
    assert frozen.end() == 0, frozen.error
    assert ledger.results([frozen]) == [1, 2, 3, 4]
    ledger.audit()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold SQLite's write lock, as any other program may."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def test_f31_locked_for_a_while(ledger: Any, tmp_path: Path) -> None:
    ledger.create(trials=40)
    drones = ledger.drones(3, "--work", 0.01)
    drones[0].wait_for("finish")
    with locked(tmp_path / "ledger.db"):
        before = ledger.results(drones)
        time.sleep(1.5)
        assert len(ledger.results(drones)) <= len(before) + len(drones)  # answers that were on their way
    assert [drone.end() for drone in drones] == [0, 0, 0]
    assert [said for drone in drones for said in drone.all("unavailable")] == []
    assert ledger.results(drones) == list(range(40))
    ledger.audit()


def test_f31_locked_for_longer_than_the_patience(ledger: Any, tmp_path: Path) -> None:
    ledger.create(trials=40, lease_s=2)
    drones = ledger.drones(3, "--work", 0.01, "--patience", 0.2, "--lease", 2)
    drones[0].wait_for("finish")
    with locked(tmp_path / "ledger.db"):
        for drone in drones:
            drone.wait_for("unavailable", 2)
    assert [drone.end() for drone in drones] == [0, 0, 0], [drone.error for drone in drones]
    codes = {said["code"] for drone in drones for said in drone.all("unavailable")}
    assert codes == {"E_DB_LOCKED"}
    assert {trial.state.value for trial in ledger.storage.trials(ledger.id)} == {"complete"}
    assert ledger.storage.study("study").issued == 40
    ledger.audit()


@pytest.mark.slow
def test_f31_a_worker_waits_for_as_long_as_its_patience(
    ledger: Any, start_python: Any, tmp_path: Path, until: Any
) -> None:
    (tmp_path / "own.py").write_text("import time\ndef f(trial):\n    time.sleep(0.1)\n    return 0.5\n")
    ledger.create(trials=40, objective_ref="own.py:f")
    worker = start_python("-m", "modelwright", "worker", "--storage", ledger.url, "--patience", "10m")
    until(lambda: ledger.storage.study("study").issued > 2)
    with locked(tmp_path / "ledger.db"):
        time.sleep(60)
        assert worker.poll() is None
    out, err = worker.communicate(timeout=120)
    assert worker.returncode == 0, out + err
    ledger.audit()
