"""A trial that lets nobody else in its process have a turn keeps its lease; a frozen process does not."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelwright import Float, Space, Study
from modelwright.records import TrialState
from modelwright.storage import open_storage
from modelwright.storage.base import Claim
from modelwright.study.stand_in import StandIn

LEASE_S = 4.0

SCRIPT = """
    import ctypes, sys
    from pathlib import Path
    from modelwright import Study

    seconds, folder = float(sys.argv[2]), sys.argv[3]

    def hold_the_lock(trial):
        Path(folder, "started").touch()
        ctypes.PyDLL(None).usleep(int(seconds * 1e6))  # in C, with the interpreter's lock
        return 0.5

    Study.load("s", storage="sqlite:///hub.db").run(
        hold_the_lock, trials=1, executor=sys.argv[1], address=sys.argv[4] if sys.argv[4:] else None
    )
"""


@pytest.fixture
def ledger(tmp_path: Path) -> Any:
    study = Study(Space(x=Float(0, 1)), storage=tmp_path / "hub.db", name="s", seed=1, lease_s=LEASE_S)
    yield study
    study.close()


def started(folder: Path, seconds: float, executor: str, *address: str) -> subprocess.Popen[bytes]:
    """Start a run whose trial holds the lock for a while; return when it does."""
    (folder / "script.py").write_text(textwrap.dedent(SCRIPT))
    words = [sys.executable, "script.py", executor, str(seconds), str(folder), *address]
    process = subprocess.Popen(words, cwd=folder)
    until = time.monotonic() + 60
    while not (folder / "started").exists():
        assert time.monotonic() < until
        time.sleep(0.02)
    return process


@pytest.mark.parametrize(
    "executor",
    ["inline", "thread", *(pytest.param(name, marks=pytest.mark.slow) for name in ("local", "dask"))],
)
def test_f10_a_trial_that_holds_the_interpreters_lock_keeps_its_lease(
    ledger: Study, tmp_path: Path, executor: str, request: pytest.FixtureRequest
) -> None:
    address = (request.getfixturevalue("dask_cluster").address,) if executor == "dask" else ()
    process = started(tmp_path, 3 * LEASE_S, executor, *address)
    answers = []
    while process.poll() is None:
        answers.append(ledger.storage.claim(ledger.record.id, "other", f"{len(answers)}", LEASE_S))
        time.sleep(0.1)
    assert process.returncode == 0
    assert not [answer for answer in answers if isinstance(answer, Claim)], "somebody else got the trial"
    [trial] = ledger.trials
    assert (trial.state, trial.record.fence) == (TrialState.COMPLETE, 1)


def test_a_frozen_process_loses_its_trial(
    ledger: Study, tmp_path: Path, until: Callable[[Any], None]
) -> None:
    process = started(tmp_path, 600, "inline")
    process.send_signal(signal.SIGSTOP)
    until(lambda: isinstance(ledger.storage.claim(ledger.record.id, "me", "c", 600.0), Claim))
    process.kill()
    process.wait()


def test_a_killed_process_leaves_no_stand_in(tmp_path: Path, until: Callable[[Any], None]) -> None:
    script = (
        "import os, signal\n"
        "from modelwright.storage.base import Claim\n"
        "from modelwright.study.stand_in import StandIn\n"
        f"stand_in = StandIn('sqlite:///{tmp_path}/hub.db', 60.0)\n"
        "stand_in.tell([Claim(1, 0, 1, 'c', 1)])\n"
        "print(stand_in._process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    until(lambda: not Path(f"/proc/{done.stdout.strip()}").exists())


def test_nothing_is_started_without_a_trial_and_nothing_stays(tmp_path: Path) -> None:
    storage = open_storage(tmp_path / "hub.db")
    stand_in = StandIn(storage.url, 60.0)
    assert stand_in._process is None
    stand_in.tell([Claim(1, 0, 1, "c", 1)])
    process = stand_in._process
    assert process is not None
    assert process.poll() is None
    stand_in.close()
    assert process.poll() is not None
    stand_in.close()
    storage.close()
