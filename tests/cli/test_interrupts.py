"""Ctrl-C ends every command at once, with the code of an interrupt and without a stack trace."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from modelwright import Float, Space
from modelwright.records import StudySpec, Trial, TrialState
from modelwright.storage import open_storage
from modelwright.storage.base import AdoptedTrial
from modelwright.transfer import StudySnapshot, export_study, write_snapshot

Start = Callable[..., "subprocess.Popen[str]"]

TRIALS = 2000


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ledger with the study ``s``, larger than a pipe holds, and an export of it."""
    monkeypatch.setenv("MODELWRIGHT_STORAGE", "sqlite:///hub.db")
    space = Space(x=Float(0, 1))
    trials = [
        AdoptedTrial(Trial(n, TrialState.COMPLETE, {"x": n / TRIALS}, (0.5,), fence=1), n)
        for n in range(TRIALS)
    ]
    with closing(open_storage(tmp_path / "hub.db")) as storage:
        write_snapshot(storage, StudySnapshot(StudySpec("s", space), [space.to_json()], trials))
        export_study(storage, "s", tmp_path / "s.jsonl")
    return tmp_path / "hub.db"


def interrupted(process: subprocess.Popen[str]) -> str:
    """Send Ctrl-C, and return what the command said."""
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "interrupted; the same command goes on from here." in errors
    return errors


@pytest.mark.parametrize(
    "line",
    [
        ["studies", "export", "s", "-"],
        ["studies", "export", "s", "-", "--format", "jsonl"],
        ["trials", "list", "s", "--json"],
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("hub")
def test_one_whose_output_nobody_takes(start: Start, line: list[str]) -> None:
    process = start(*line)
    assert process.stdout is not None
    assert process.stdout.read(1)  # it writes, and the pipe is full before it ends
    interrupted(process)


@pytest.mark.parametrize(
    "line",
    [
        ["studies", "copy", "s", "--name", "t"],
        ["studies", "merge", "t", "s"],
        ["studies", "import", "s.jsonl", "--name", "t"],
        ["studies", "trim", "s", "--keep-best", "1", "--yes"],
        ["studies", "delete", "s", "--yes"],
        ["trials", "enqueue", "s", "x=0.5"],
    ],
    ids=" ".join,
)
def test_one_that_waits_for_a_ledger(
    start: Start, until: Callable[..., None], hub: Path, line: list[str]
) -> None:
    """Another process holds the lock of the file for as long as it likes."""
    with closing(sqlite3.connect(hub, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        process = start(*line)
        until(lambda: str(hub) in opened_by(process.pid))
        interrupted(process)
    with closing(open_storage(hub)) as storage:
        assert [(record.spec.name, record.issued) for record in storage.studies()] == [("s", TRIALS)]


def opened_by(pid: int) -> list[str]:
    """Return the files that a process has open."""
    found = []
    for link in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            found.append(str(link.readlink()))
        except OSError:  # it is closed by now
            continue
    return found


def test_one_that_is_still_being_loaded(tmp_path: Path) -> None:
    loading = """
import os, signal, sys

class Interrupted:
    def find_spec(self, name, *_):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupted())
from modelwright.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", loading], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_one_that_is_interrupted_in_text_that_is_executed(tmp_path: Path) -> None:
    """As when the command defines a dataclass at that moment: Python would leave by the signal."""
    (tmp_path / "defining.py").write_text(
        """
from modelwright.cli.main import app, main

@app.command()
def defining():
    exec("raise KeyboardInterrupt")

main(["defining"])
"""
    )
    done = subprocess.run(
        [sys.executable, "-m", "defining"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr.strip()) == (130, "interrupted; the same command goes on from here.")


@pytest.mark.usefixtures("hub")
def test_one_that_is_not_to_hear_interrupts(tmp_path: Path) -> None:
    """As with nohup, or in the background of a script."""
    process = subprocess.Popen(
        [sys.executable, "-m", "modelwright", "studies", "export", "s", "-"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    assert process.stdout is not None
    with process.stdout as output:
        first = output.readline()
        process.send_signal(signal.SIGINT)
        assert len([first, *output]) == TRIALS + 1
    assert process.wait(timeout=60) == 0


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize(
    "line", ["studies list", "trials list s", "studies export s -", "trials list s --json"]
)
def test_a_reader_that_has_had_enough(tmp_path: Path, line: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m modelwright {line} | head -1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1
