"""Workers in the background, seen, stopped and started again from the command line."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from modelwright import Float, Space, Study
from modelwright.records import TrialState
from modelwright.storage import open_storage
from modelwright.storage.base import WorkerInfo
from modelwright.study.worker import this_worker
from modelwright.worker import status

OBJECTIVE = """
import time
from pathlib import Path

def hang(trial):
    Path(f"{trial.number}.started").touch()
    while not Path("go").exists():
        time.sleep(0.05)
    return trial.params["x"]
"""

URL = "sqlite:///hub.db"


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Create a study whose trials last until the test says ``go``."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("sys.argv", ["modelwright"])
    (tmp_path / "objective.py").write_text(OBJECTIVE)
    monkeypatch.chdir(tmp_path)
    made = Study(
        Space(x=Float(0, 1)), name="s", storage=URL, seed=1, optimizer="random", objective="objective.py:hang"
    )
    made.set_budget(20)
    made.close()
    return "s"


def states() -> list[TrialState]:
    study = Study.load("s", storage=URL)
    try:
        return [trial.state for trial in study.trials]
    finally:
        study.close()


@pytest.fixture
def background(command: Callable[..., Any], study: str) -> Any:
    """Return a function that starts workers in the background; they are gone when the test ends."""
    before = psutil.Process().children()

    def start(*arguments: str) -> int:
        done = command("worker", "--storage", URL, "--background", *arguments)
        assert done.code == 0, done.err
        return int(done.out.partition("process ")[2].partition(",")[0])

    yield start
    for path in Path("state").rglob("worker-*.json"):
        pid = json.loads(path.read_text())["pid"]
        if psutil.pid_exists(pid):
            psutil.Process(pid).send_signal(signal.SIGKILL)
    # The command ran in this process, so these are its children, and nobody else waits for them.
    for child in set(psutil.Process().children()) - set(before):
        os.waitpid(child.pid, 0)


def running() -> int:
    return states().count(TrialState.RUNNING)


def test_the_life_of_workers_in_the_background(
    command: Callable[..., Any], background: Any, until: Any, tmp_path: Path
) -> None:
    pid = background("--slots", "2", "--pid-file", "workers.pid")
    assert (tmp_path / "workers.pid").read_text() == f"{pid}\n"
    assert os.getpgid(pid) == pid  # a session of its own: the terminal's end is not its end
    again = command("worker", "--storage", URL, "--background", "--pid-file", "workers.pid")
    assert "is running already" in again.out
    until(lambda: running() == 2)

    shown = json.loads(command("workers", "status", "--storage", URL, "--json").out)
    assert [row["state"] for row in shown["workers"]] == ["alive"] * 2
    assert {row["trials"][0]["study"] for row in shown["workers"]} == {"s"}
    [group] = shown["groups"]
    assert (group["alive"], group["slots"], group["pid"]) == (True, 2, pid)
    assert {row["group"] for row in shown["workers"]} == {group["group"]}
    told = command("workers", "status", "--storage", URL).out
    assert "2 workers are alive." in told
    assert f"{group['group']} (2 slots)" in told

    # Started again with the same options; what runs is given back.
    done = command("workers", "restart", "--storage", URL, "--now")
    assert f"{group['group']} started again" in done.out
    until(lambda: running() == 2)
    fresh = json.loads(command("workers", "status", "--storage", URL, "--json").out)
    assert not {row["id"] for row in shown["workers"]} & {row["id"] for row in fresh["workers"]}
    [group] = fresh["groups"]
    assert (tmp_path / "workers.pid").read_text() == f"{group['pid']}\n"

    # They leave after their trials, and not before.
    assert "leaves after their trials" in command("workers", "stop", "--storage", URL).out
    (tmp_path / "go").touch()
    until(lambda: not psutil.pid_exists(group["pid"]) or _is_zombie(group["pid"]))
    assert running() == 0
    assert "no workers are alive." in command("workers", "status", "--storage", URL).out
    assert "no workers are alive" in command("workers", "stop", "--storage", URL).out
    until(lambda: not (tmp_path / "workers.pid").exists())
    assert "no workers run with the file" in command("workers", "stop", "--pid-file", "workers.pid").out


def _is_zombie(pid: int) -> bool:
    """Whether a child of this very process has ended and nobody has looked at it yet."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_stop_now_gives_trials_back(
    command: Callable[..., Any], background: Any, until: Any, tmp_path: Path
) -> None:
    pid = background()
    until(lambda: running() == 1)
    assert "leaves at once" in command("workers", "stop", "--storage", URL, "--now").out
    until(lambda: _is_zombie(pid))
    assert states() == [TrialState.WAITING]
    [log] = (tmp_path / "state").rglob("*.log")
    assert "all slots have left: exit code 0" in log.read_text()
    assert oct(log.parent.stat().st_mode & 0o777) == "0o700"
    [form] = log.parent.glob("*.json")
    assert oct(form.stat().st_mode & 0o777) == "0o600"


def test_a_state_folder_that_others_may_read_is_refused(
    command: Callable[..., Any], study: str, tmp_path: Path
) -> None:
    folder = tmp_path / "state" / "modelwright" / "workers"
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    command("worker", "--storage", URL, "--background").refuses("chmod 700")


def test_workers_of_other_machines(command: Callable[..., Any], study: str) -> None:
    """They are asked by the ledger; whoever is silent, or no worker command, is not counted on."""
    storage = open_storage(URL)
    storage.register_worker(WorkerInfo("far", "elsewhere", 12, "b", 1.0, group="worker-0"))
    storage.register_worker(WorkerInfo("notebook", "elsewhere", 13, "b", 1.0))
    told = command("workers", "stop", "--storage", URL)
    assert told.out == "1 worker leaves after its trial\n"
    asked = {row.id: row.asked for row in storage.workers()}
    assert asked == {"far": "drain", "notebook": ""}
    command("workers", "stop", "--storage", URL, "--now")
    assert {row.id: row.asked for row in storage.workers()} == {"far": "now", "notebook": ""}
    assert "asked to leave (now)" in command("workers", "status", "--storage", URL).out
    storage.retire_worker("far")
    storage.retire_worker("notebook")
    assert command("workers", "status", "--storage", URL).out == "no workers are alive.\n"
    assert "left" in command("workers", "status", "--storage", URL, "--all").out
    storage.close()


def test_workers_that_are_gone(
    command: Callable[..., Any], study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of a process on this machine is seen at once; of other machines only their silence is."""
    with closing(open_storage(URL)) as storage:
        killed = replace(this_worker(storage), id="killed", pid=2**22 + 1, group="worker-0")
        storage.register_worker(killed)
        storage.register_worker(WorkerInfo("far", "elsewhere", 12, "b", 1.0, group="worker-1"))
    monkeypatch.setattr(status, "SILENT_AFTER_S", -1.0)
    told = command("workers", "status", "--storage", URL).out.splitlines()
    assert [line.split("\t")[:5:4] for line in told[1:3]] == [["far", "silent"], ["killed", "dead"]]
    assert told[3] == "no workers are alive."
    assert told[4].startswith("1 worker is silent. Nothing has been heard from there")
    assert told[5] == "1 worker is dead. The process on this machine has ended without a word."
    # Who is silent may still hear of it.
    assert command("workers", "stop", "--storage", URL).out == "no workers are alive\n"
    with closing(open_storage(URL)) as storage:
        assert {row.id: row.asked for row in storage.workers()} == {"far": "drain", "killed": ""}


def test_nothing_to_restart(command: Callable[..., Any], study: str) -> None:
    done = command("workers", "restart", "--storage", URL)
    assert (done.code, done.out) == (0, "no workers were started in the background for this storage\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--slots", "0"], "--slots"),
        (["--total-time", "soon"], "--total-time"),
        (["--choose", "best"], "--choose"),
        (["--objective", "f"], "--objective"),
        (["--studies", "t"], "'t'"),
        (["--slot", "1"], "--slots N"),
    ],
)
def test_bad_input_of_a_worker(
    command: Callable[..., Any], study: str, arguments: list[str], words: str
) -> None:
    command("worker", "--storage", URL, *arguments).refuses(words)


def test_a_password_on_the_command_line_works_with_a_warning(command: Callable[..., Any], study: str) -> None:
    done = command("worker", "--storage", "postgresql://me:secret@127.0.0.1:1/db", "--patience", "1s")
    assert done.code == 75
    assert "warning: the password on the command line" in done.err
    assert "MODELWRIGHT_STORAGE" in done.err
    assert "secret" not in done.out + done.err
