"""With `reuse`, a process takes several tasks in turn, for as long as nothing speaks against it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

import psutil
import pytest

from modelwright.errors import ExecutionError
from modelwright.execution import EndKind, Limits, LocalExecutor, Task
from modelwright.testing.executors import drive, run_one


@pytest.fixture
def reusing(survivors):
    executor = LocalExecutor(1, reuse=3)
    yield executor
    executor.close()
    assert survivors() == []


def whoami(channel, deed=None):
    """Do something, if asked to, and say which process did it: one function, as a keeper knows it."""
    channel.send("pid", os.getpid())
    if deed is not None:
        deed(channel)
    return os.getpid()


def test_a_process_takes_so_many_tasks_in_turn(reusing):
    pids = [run_one(reusing, whoami).result for _ in range(7)]
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 1]


def test_without_it_each_task_has_a_process_of_its_own(local):
    assert len({run_one(local, whoami).result for _ in range(3)}) == 3


def leave_a_thread(channel):
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()


def leave_a_child(channel):
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


def leave_a_daemon(channel):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(60)
        os._exit(0)
    os.wait()


@pytest.mark.parametrize("deed", [leave_a_thread, leave_a_child, leave_a_daemon])
def test_who_leaves_something_behind_is_not_used_again(reusing, survivors, deed):
    left = run_one(reusing, whoami, deed).result
    assert len(survivors()) == 2, "launcher and keeper"
    assert run_one(reusing, whoami).result != left


def fail(channel):
    raise ValueError


def hang(channel):
    time.sleep(60)


@pytest.mark.parametrize(("deed", "kind"), [(fail, EndKind.ERROR), (hang, EndKind.TIMEOUT)])
def test_who_fails_is_not_used_again(reusing, deed, kind):
    first = run_one(reusing, whoami).result
    pids = []
    job = reusing.submit(Task("1-1", whoami, deed, limits=Limits(wall_s=0.5, grace_s=0.1)))
    drive(reusing, [job], lambda job, name, pid: pids.append(pid))
    assert (job.end.kind, pids) == (kind, [first]), "the limits of the second task are kept"
    assert run_one(reusing, whoami).result != first


def has_ended(pid):
    """Whether a process is over; its parent may not have taken leave of it yet."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_process_that_dies_while_it_waits_costs_no_task(reusing):
    pid = run_one(reusing, whoami).result
    os.kill(pid, signal.SIGKILL)
    while not has_ended(pid):
        time.sleep(0.005)
    end = run_one(reusing, whoami)
    assert end.kind is EndKind.RESULT
    assert end.result != pid


def test_each_task_has_its_own_output_and_temporary_files(reusing, tmp_path):
    def speak(channel, name):
        print(name)
        return [os.getpid(), tempfile.mkdtemp()]

    ends = [run_one(reusing, speak, name, folder=tmp_path / name) for name in ("one", "two")]
    assert ends[0].result[0] == ends[1].result[0]
    assert not any(os.path.exists(end.result[1]) for end in ends)  # noqa: PTH110
    assert [(tmp_path / name / "stdout.txt").read_text() for name in ("one", "two")] == ["one\n", "two\n"]
    assert run_one(reusing, speak, "").result[0] != ends[0].result[0], "without a folder, it goes elsewhere"


def test_messages_for_one_task_do_not_reach_the_next(reusing):
    def listen(channel, argument):
        channel.ask("wait for me", None)
        return [os.getpid(), channel.receive()]

    def answer(job, kind, payload):
        job.send(job.task.id, None)

    jobs = [reusing.submit(Task(f"{number}-1", listen)) for number in range(2)]
    drive(reusing, jobs, answer)
    (one, first), (two, second) = (job.end.result for job in jobs)
    assert one == two
    assert (first, second) == ([["0-1", None]], [["1-1", None]])


def test_computing_time_is_counted_for_each_task_alone(reusing):
    def compute(channel, seconds):
        until = time.process_time() + seconds
        while time.process_time() < until:
            pass
        return os.getpid()

    ends = [run_one(reusing, compute, 0.4, limits=Limits(cpu_s=0.7)) for _ in range(3)]
    assert [end.kind for end in ends] == [EndKind.RESULT] * 3
    assert len({end.result for end in ends}) == 1


def test_a_count_that_is_none_is_refused():
    with pytest.raises(ExecutionError, match="at least 1"):
        LocalExecutor(1, reuse=0)
