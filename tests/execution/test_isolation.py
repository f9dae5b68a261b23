"""What a task does to its process, and how it is ended: the same on this machine and on a Dask worker.

The rows F11, F12 and F14 to F21 of `docs/reference/survives.md`, on each executor that isolates its tasks.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from modelwright.execution import DaskExecutor, EndKind, Executor, Limits, LocalExecutor, Task
from modelwright.testing.executors import drive, run_one

TIGHT = Limits(wall_s=0.3, grace_s=0.2)


@pytest.fixture(params=["local", "dask"])
def make_place(request: pytest.FixtureRequest) -> Iterator[Callable[..., Executor]]:
    """Return a function that makes an executor with one slot."""
    made: list[Executor] = []

    def make(preload: Sequence[str] = ()) -> Executor:
        if request.param == "local":
            made.append(LocalExecutor(1, preload=preload))
        else:
            address = request.getfixturevalue("dask_cluster").address
            made.append(DaskExecutor(1, preload=preload, address=address))
        return made[-1]

    yield make
    for executor in made:
        executor.close()


@pytest.fixture
def place(make_place: Callable[..., Executor]) -> Executor:
    """An executor with one slot."""
    return make_place()


def still_works(place: Executor) -> bool:
    return bool(run_one(place, lambda channel, argument: argument, "works").result == "works")


def none_is_left(folder: Path) -> bool:
    """Whether none runs of the processes that have left their id in `folder`."""
    left = [int(path.name) for path in folder.glob("[0-9]*")]
    assert left
    return not any(psutil.pid_exists(pid) and psutil.Process(pid).is_running() for pid in left)


# Tasks: the folder that they are given takes the ids of all processes that they start --------------------


def ignore_sigterm(channel: Any, folder: Path) -> Any:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    (folder / str(os.getpid())).touch()
    channel.send("ready", None)
    time.sleep(600)


def hold_the_interpreter(channel: Any, folder: Path) -> Any:
    (folder / str(os.getpid())).touch()
    return len(str(pow(7, 10**8)))  # one bytecode, minutes long, and no signal handler runs meanwhile


def cut_loose(channel: Any, folder: Path) -> Any:
    """Start a child, a child in a session of its own, and a daemonised grandchild; then hang."""
    code = "import os, pathlib, signal, sys, time; signal.signal(15, signal.SIG_IGN); "
    code += "(pathlib.Path(sys.argv[1]) / str(os.getpid())).touch(); time.sleep(600)"
    sleeper = [sys.executable, "-c", code, str(folder)]
    subprocess.Popen(sleeper)
    subprocess.Popen(sleeper, start_new_session=True)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execv(sys.executable, sleeper)
        os._exit(0)
    while len(list(folder.iterdir())) < 3:
        time.sleep(0.01)
    (folder / str(os.getpid())).touch()
    channel.send("ready", None)
    time.sleep(600)


def fill_by_children(channel: Any, argument: Any) -> Any:
    for _ in range(4):
        if os.fork() == 0:
            held = bytearray(b"x") * 150_000_000
            time.sleep(600)
            os._exit(len(held) % 2)
    time.sleep(600)


def flood(channel: Any, argument: Any) -> Any:
    for _ in range(50):
        os.write(1, b"\x00\xff\n" * 350_000)
    print("the end")


def raises(error: type[BaseException]) -> Callable[[Any, Any], Any]:
    def function(channel: Any, argument: Any) -> Any:
        raise error

    return function


# Rows ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [ignore_sigterm, hold_the_interpreter])
def test_f11_a_task_that_hangs_ends_at_its_limit(
    place: Executor, tmp_path: Path, function: Callable[[Any, Any], Any]
) -> None:
    end = run_one(place, function, tmp_path, limits=TIGHT)
    assert end.kind is EndKind.TIMEOUT
    assert end.wall_s >= 0.3
    assert still_works(place)
    assert not list(tmp_path.iterdir()) or none_is_left(tmp_path)


def test_f12_whatever_a_task_has_started_goes_with_it(place: Executor, tmp_path: Path) -> None:
    job = place.submit(Task("0-1", cut_loose, tmp_path, limits=Limits(grace_s=0.1)))
    drive(place, [job], lambda job, kind, payload: job.cancel("enough"))
    assert job.end is not None
    assert (job.end.kind, job.end.detail) == (EndKind.CANCELLED, "enough")
    assert len(list(tmp_path.iterdir())) == 4
    assert none_is_left(tmp_path)
    assert still_works(place)


NO_DEATH_SIGNAL = """
from modelwright.execution.local import system
system.HAS_DEATH_SIGNAL = False
system.die_with_parent = lambda number, parent: None
"""


def hang_and_tell(channel: Any, folder: Path) -> Any:
    (folder / str(os.getpid())).touch()
    keeper = psutil.Process().parent()
    assert keeper is not None
    channel.send("pids", [keeper.ppid(), keeper.pid])
    time.sleep(600)


def test_f14_a_silent_trial_ends_with_its_keeper_where_the_kernel_tells_it_nothing(
    make_place: Callable[..., Executor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on systems without the parent-death signal: the trial's own thread notices."""
    modules, folder = tmp_path / "modules", tmp_path / "pids"
    modules.mkdir()
    folder.mkdir()
    (modules / "no_death_signal.py").write_text(NO_DEATH_SIGNAL)
    monkeypatch.syspath_prepend(modules)
    place = make_place(["no_death_signal"])

    def kill_all_above(job: Any, kind: str, pids: list[int]) -> None:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    job = place.submit(Task("0-1", hang_and_tell, folder))
    drive(place, [job], kill_all_above)
    assert job.end is not None
    assert job.end.kind is EndKind.LOST
    until = time.monotonic() + 60
    while not none_is_left(folder):
        assert time.monotonic() < until, "it has not noticed"
        time.sleep(0.05)


def test_f15_the_memory_limit_counts_the_whole_tree(place: Executor) -> None:
    end = run_one(place, fill_by_children, limits=Limits(memory_mb=400))
    assert end.kind is EndKind.MEMORY
    assert " of 400 MB at " in end.detail
    assert end.peak_memory_mb is not None
    assert end.peak_memory_mb > 400
    assert still_works(place)


def test_f16_sigkill_from_outside_is_not_taken_for_a_limit(place: Executor, tmp_path: Path) -> None:
    def killed(job: Any, kind: str, payload: Any) -> None:
        [pid] = tmp_path.iterdir()
        os.kill(int(pid.name), signal.SIGKILL)

    job = place.submit(Task("0-1", ignore_sigterm, tmp_path, limits=Limits(wall_s=600, memory_mb=4000)))
    drive(place, [job], killed)
    assert job.end is not None
    assert (job.end.kind, job.end.exit_code) == (EndKind.SIGNAL, -signal.SIGKILL)
    assert "SIGKILL" in job.end.detail
    assert still_works(place)


@pytest.mark.parametrize(
    ("moves", "words"),
    [
        ("next(kills), 0", "killed by the kernel, which was out of memory for this group of processes"),
        ("0, next(kills)", "likely killed by the kernel, which was out of memory"),
    ],
    ids=["group", "machine"],
)
def test_f16_the_kernels_out_of_memory_kill_is_told_apart(
    make_place: Callable[..., Executor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    moves: str,
    words: str,
) -> None:
    """The counter of such kills moves in this launcher; a real one would take the machine's memory."""
    module = f"counter_of_{request.node.callspec.id.replace('-', '_')}"
    counter = "import itertools\nfrom modelwright.execution.local import system\nkills = itertools.count()\n"
    counter += f"system.oom_kills = lambda: system.OomKills({moves})\n"
    (tmp_path / f"{module}.py").write_text(counter)
    monkeypatch.syspath_prepend(tmp_path)
    end = run_one(make_place([module]), lambda channel, argument: os.kill(os.getpid(), signal.SIGKILL))
    assert end.kind is EndKind.MEMORY
    assert end.detail.startswith(words)


@pytest.mark.parametrize("code", [0, 7])
def test_f17_leaving_without_a_result_is_no_success(place: Executor, code: int) -> None:
    end = run_one(place, lambda channel, code: os._exit(code), code)
    assert (end.kind, end.exit_code) == (EndKind.EXIT, code)
    assert end.detail == f"its process left with exit code {code} and without a result"
    assert still_works(place)


@pytest.mark.parametrize(
    ("crash", "number"),
    [
        (lambda channel, argument: ctypes.string_at(0), signal.SIGSEGV),
        (lambda channel, argument: os.abort(), signal.SIGABRT),
    ],
    ids=["segfault", "abort"],
)
def test_f17_a_crash_is_named(place: Executor, crash: Any, number: signal.Signals, tmp_path: Path) -> None:
    end = run_one(place, crash, folder=tmp_path / "0-1")
    assert (end.kind, end.exit_code) == (EndKind.SIGNAL, -number)
    assert number.name in end.detail
    assert "Fatal Python error" in (tmp_path / "0-1" / "stderr.txt").read_text()
    assert still_works(place)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError, RecursionError])
def test_f18_what_ends_programs_is_an_error_of_the_task(place: Executor, error: type[BaseException]) -> None:
    end = run_one(place, raises(error))
    assert end.kind is EndKind.ERROR
    assert end.error is not None
    assert end.error.types[0] == f"builtins.{error.__name__}"
    assert still_works(place)


def test_f20_a_flood_of_output_blocks_nobody(place: Executor, tmp_path: Path) -> None:
    end = run_one(place, flood, folder=tmp_path / "0-1")
    assert end.kind is EndKind.RESULT
    text = (tmp_path / "0-1" / "stdout.txt").read_bytes()
    assert len(text) < 10_001_000
    assert b" MB of output were cut out here" in text
    assert text.endswith(b"the end\n")
