"""Workers whose server restarts, dies, comes late or stays away: none ends, and no attempt is spent."""

from __future__ import annotations

import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelwright.records import TrialState

pytestmark = pytest.mark.slow

OBJECTIVES = """
import time
from pathlib import Path

def nap(trial):
    time.sleep(0.2)
    return trial.params["x"]

def hang(trial):
    Path(f"{trial.number}.started").touch()
    while not Path("go").exists():
        time.sleep(0.05)
    return trial.params["x"]
"""


@pytest.fixture
def start(
    outpost: Any, start_python: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """Return a function that starts a worker of the outpost and returns its process."""
    (tmp_path / "own.py").write_text(OBJECTIVES)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return lambda *options: start_python("-m", "modelwright", "worker", "--storage", outpost.url, *options)


def check(outpost: Any, trials: int) -> None:
    """Check that all is done, and that no attempt was spent on an outage."""
    found = outpost.storage.trials(outpost.id)
    assert [trial.number for trial in found] == list(range(trials))
    assert {(trial.state, trial.attempts) for trial in found} == {(TrialState.COMPLETE, 1)}
    assert outpost.storage.study("study").state == "complete"
    outpost.audit()


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("how", "away_s"), [("stop", 3), ("kill", 3), ("kill", 90)])
def test_f22_f23_a_server_that_goes_away_ends_no_worker(
    outpost: Any, start: Any, until: Any, how: str, away_s: float
) -> None:
    outpost.create(trials=200, objective_ref="own.py:nap")  # its leases are of 60 s: less than 90 s
    workers = [start("--quiet") for _ in range(8)]
    until(lambda: outpost.storage.counts(outpost.id).get(TrialState.COMPLETE, 0) >= 40)
    getattr(outpost.server, how)()
    time.sleep(away_s)
    assert [worker.poll() for worker in workers] == [None] * 8
    outpost.server.start()
    told = [worker.communicate(timeout=300) for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 8, told
    check(outpost, 200)


def test_f24_workers_wait_for_a_server_that_comes_later(outpost: Any, start: Any) -> None:
    outpost.create(trials=5, objective_ref="own.py:nap")
    outpost.server.stop()
    worker = start()
    assert "waiting for the ledger" in worker.stderr.readline()
    outpost.server.start()
    _, told = worker.communicate(timeout=120)
    assert worker.returncode == 0, told
    assert told.count("the ledger is there") == 1
    check(outpost, 5)


def test_f25_a_result_outlasts_a_server_that_stays_away(
    outpost: Any, start: Any, until: Any, tmp_path: Path
) -> None:
    outpost.create(trials=3, objective_ref="own.py:hang")
    worker = start("--patience", "3s")
    until((tmp_path / "0.started").exists)
    outpost.server.kill()
    (tmp_path / "go").touch()
    _, told = worker.communicate(timeout=120)
    assert worker.returncode == 75, told
    (kept,) = (tmp_path / "state").rglob("results-*.json")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    outpost.server.start()
    later = start("--resume-spool")
    out, told = later.communicate(timeout=120)
    assert later.returncode == 0, told
    assert "trial 0 accepted" in out
    assert not kept.exists()
    check(outpost, 3)


def test_f47_a_signal_to_all_workers_spends_no_attempt(
    outpost: Any, start: Any, until: Any, tmp_path: Path
) -> None:
    outpost.create(trials=6, objective_ref="own.py:hang")
    workers = [start("--grace", "5s") for _ in range(3)]
    until(lambda: len(list(tmp_path.glob("*.started"))) == 3)
    before = {trial.number: trial.params for trial in outpost.storage.trials(outpost.id)}
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    told = [worker.communicate(timeout=60) for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 3, told
    found = outpost.storage.trials(outpost.id)
    assert {(trial.state, trial.attempts) for trial in found} == {(TrialState.WAITING, 0)}
    outpost.audit()
    (tmp_path / "go").touch()
    last = start()
    _, told = last.communicate(timeout=120)
    assert last.returncode == 0, told
    check(outpost, 6)
    after = {trial.number: trial.params for trial in outpost.storage.trials(outpost.id)}
    assert {number: after[number] for number in before} == before
