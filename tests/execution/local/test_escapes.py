"""Ways in which a task could try to outlive its limit, on purpose or by accident; none of them does."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time

import pytest

from modelwright.execution import EndKind, Limits, Task
from modelwright.testing.executors import drive, run_one

TIGHT = Limits(wall_s=0.5, grace_s=0.2)


def hang_in_native_code(channel, argument):
    """Sleep in C with the interpreter's lock held and every signal blocked that can be."""
    signal.pthread_sigmask(signal.SIG_SETMASK, set(signal.Signals))
    ctypes.PyDLL(None).sleep(60)


def fork_in_a_chain(channel, argument):
    """Be somebody else every moment: each process forks the next one and ends."""
    while True:
        if os.fork():
            os._exit(0)


def fork_in_a_chain_of_sessions(channel, argument):
    while True:
        if os.fork():
            os._exit(0)
        os.setsid()


def fork_all_the_time(channel, argument):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for _ in range(200):
        if os.fork() == 0:
            os.setsid()
            time.sleep(60)
            os._exit(0)
    while True:
        if os.fork() == 0:
            os._exit(0)


def stop_itself(channel, argument):
    os.kill(os.getpid(), signal.SIGSTOP)


def stop_with_children(channel, argument):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    os.kill(child.pid, signal.SIGSTOP)
    os.kill(os.getpid(), signal.SIGSTOP)


def lose_its_parent(channel, argument):
    """Hang in a grandchild that holds the channel's socket open, while the task's process is gone."""
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(60)
    os._exit(0)


@pytest.mark.parametrize(
    "function",
    [hang_in_native_code, fork_all_the_time, stop_itself, stop_with_children],
)
def test_its_time_is_over_when_it_is_over(local, survivors, function):
    begin = time.monotonic()
    end = run_one(local, function, limits=TIGHT)
    assert end.kind is EndKind.TIMEOUT
    assert time.monotonic() - begin < 30  # far more than the limit and its grace, on any machine
    assert len(survivors()) == 2, "launcher and keeper"
    assert run_one(local, lambda channel, argument: "works").result == "works"


@pytest.mark.parametrize("function", [fork_in_a_chain, fork_in_a_chain_of_sessions, lose_its_parent])
def test_who_leaves_its_process_has_ended_and_takes_the_rest_along(local, survivors, function):
    end = run_one(local, function, limits=TIGHT)
    assert (end.kind, end.exit_code) == (EndKind.EXIT, 0)
    assert len(survivors()) == 2, "launcher and keeper"
    assert run_one(local, lambda channel, argument: "works").result == "works"


def test_killing_its_own_group_kills_nobody_else(local):
    end = run_one(local, lambda channel, argument: os.killpg(0, signal.SIGKILL))
    assert (end.kind, end.exit_code) == (EndKind.SIGNAL, -signal.SIGKILL)
    assert run_one(local, lambda channel, argument: "works").result == "works"


def test_a_task_that_is_stopped_from_outside_is_cancelled_all_the_same(local, survivors):
    def wait(channel, argument):
        channel.send("pid", os.getpid())
        time.sleep(60)

    def stop(job, kind, pid):
        os.kill(pid, signal.SIGSTOP)
        job.cancel("enough")

    job = local.submit(Task("0-1", wait, limits=Limits(grace_s=0.2)))
    drive(local, [job], stop)
    assert job.end.kind is EndKind.CANCELLED
    assert len(survivors()) == 2, "launcher and keeper"
