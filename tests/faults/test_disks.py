"""Disks that are full, or do not take what they were given, under a ledger and under what trials print."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faulty_disk import FaultyDisk, MissingCompilerError

from modelwright.records import TrialState
from modelwright.storage import Storage, open_storage
from modelwright.testing.audit import audit

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="puts a library in front of the system's")

TRIALS = 30
DASK = pytest.param("dask", marks=pytest.mark.slow)

SCRIPT = """
import sys, time
from modelwright import Float, Space, Study

def objective(trial):
    print("said by trial", trial.number)
    time.sleep(0.05)
    return trial.params["x"]

def told(study, trial):
    if trial.state.value == "complete":
        with open("told.txt", "a") as file:
            file.write(f"{trial.number}\\n")

place = {"executor": sys.argv[1], "parallel": 1 if sys.argv[1] == "inline" else 2}
if sys.argv[2:]:
    place["address"] = sys.argv[2]
study = Study(Space(x=Float(0, 1)), storage="hub.db", name="s", seed=1, load_if_exists=True)
study.run(objective, trials=30, callbacks=[told], **place)
"""


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FaultyDisk:
    """A disk that may fail under all processes that are started from now on."""
    (tmp_path / "disk").mkdir()
    try:
        faulty = FaultyDisk(tmp_path / "disk")
    except MissingCompilerError as error:
        pytest.skip(str(error))
    for name, value in faulty.environment.items():
        monkeypatch.setenv(name, value)
    return faulty


@pytest.fixture
def start(
    disk: FaultyDisk, tmp_path: Path, start_python: Callable[..., Any], request: pytest.FixtureRequest
) -> Callable[[str], Any]:
    """Return a function that starts the study's script on an executor."""
    (tmp_path / "script.py").write_text(SCRIPT)

    def begin(executor: str) -> Any:
        if executor == "dask":
            return start_python("script.py", executor, request.getfixturevalue("own_dask_cluster").address)
        return start_python("script.py", executor)

    return begin


def told(folder: Path) -> list[int]:
    path = folder / "told.txt"
    return [int(line) for line in path.read_text().splitlines()] if path.exists() else []


def complete(storage: Storage) -> set[int]:
    trials = storage.trials(storage.study("s").id)
    return {trial.number for trial in trials if trial.state is TrialState.COMPLETE}


def check(folder: Path) -> Storage:
    storage = open_storage(folder / "hub.db")
    audit(storage, storage.study("s").id)
    assert set(told(folder)) <= complete(storage), "what was told as done is in the ledger"
    return storage


@pytest.mark.parametrize("executor", ["inline", "local", DASK])
def test_f32_a_ledger_without_room_waits_for_some(
    disk: FaultyDisk,
    start: Callable[[str], Any],
    tmp_path: Path,
    until: Callable[[Callable[[], object]], None],
    executor: str,
) -> None:
    run = start(executor)
    until(lambda: len(told(tmp_path)) >= 3 or run.poll() is not None)
    disk.fill("hub.db")
    time.sleep(3.0)
    assert run.poll() is None, "it waits"
    before = told(tmp_path)
    assert len(before) < TRIALS
    disk.heal()
    _, errors = run.communicate(timeout=200)
    assert run.returncode == 0, errors
    assert "hub.db is full; waiting up to 600 s for room" in errors
    assert "has room again after" in errors
    storage = check(tmp_path)
    assert complete(storage) == set(range(TRIALS))
    assert {trial.attempts for trial in storage.trials(storage.study("s").id)} == {1}
    storage.close()


@pytest.mark.parametrize("executor", ["inline", "local", DASK])
def test_f33_a_ledger_whose_disk_does_not_take_what_it_is_given(
    disk: FaultyDisk,
    start: Callable[[str], Any],
    tmp_path: Path,
    until: Callable[[Callable[[], object]], None],
    executor: str,
) -> None:
    run = start(executor)
    until(lambda: len(told(tmp_path)) >= 3 or run.poll() is not None)
    disk.refuse("hub.db")
    _, errors = run.communicate(timeout=200)
    assert run.returncode != 0
    assert "StorageUnavailableError" in errors
    assert "could not be read or written" in errors
    disk.heal()
    check(tmp_path).close()
    run = start(executor)
    _, errors = run.communicate(timeout=200)
    assert run.returncode == 0, errors
    storage = check(tmp_path)
    assert complete(storage) == set(range(TRIALS))
    storage.close()


@pytest.mark.parametrize("executor", ["local", DASK])
def test_f32_no_room_for_what_trials_print(
    disk: FaultyDisk, start: Callable[[str], Any], tmp_path: Path, executor: str
) -> None:
    disk.fill("stdout.txt")
    run = start(executor)
    _, errors = run.communicate(timeout=200)
    assert run.returncode == 1
    assert "all 10 trials have failed" in errors
    assert "No space left on device" in errors
    disk.heal()
    run = start(executor)
    _, errors = run.communicate(timeout=200)
    assert run.returncode == 0, errors
    storage = check(tmp_path)
    failed = set(range(TRIALS)) - complete(storage)
    assert failed == set(range(len(failed)))
    assert 10 <= len(failed) <= 12, "those that were out when the run ended are among them"
    storage.close()
