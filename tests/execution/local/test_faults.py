"""What tasks do to their processes is their own end, and leaves nothing behind."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time

import pytest

from modelwright.execution import EndKind, Limits, LocalExecutor, Resources, Task
from modelwright.testing.executors import drive, echo, run_one

TIGHT = Limits(wall_s=0.3, grace_s=0.2)


def still_works(executor):
    return run_one(executor, lambda channel, argument: argument, "works").result == "works"


# Leaving -----------------------------------------------------------------------------------------------


def test_memory_error_is_an_error(local):
    end = run_one(local, lambda channel, argument: bytearray(1 << 60))
    assert end.kind is EndKind.ERROR
    assert end.error.types[0] == "builtins.MemoryError"


def test_a_fork_that_comes_back_from_the_function_reports_nothing(local):
    def fork(channel, argument):
        child = os.fork()
        if child == 0:
            return "the child's result"
        os.waitpid(child, 0)
        return "the parent's result"

    assert run_one(local, fork).result == "the parent's result"


def test_the_channel_is_refused_to_forks(local):
    def fork(channel, folder):
        child = os.fork()
        if child == 0:
            channel.send("from the child", None)
        os.waitpid(child, 0)
        return "done"

    heard = []
    job = local.submit(Task("0-1", fork))
    drive(local, [job], lambda job, kind, payload: heard.append(kind))
    assert (job.end.result, heard) == ("done", [])


def test_an_exception_that_cannot_show_itself_is_still_an_error(local):
    class ShyError(Exception):
        def __str__(self):
            raise RuntimeError("no")

    def shy(channel, argument):
        raise ShyError

    end = run_one(local, shy)
    assert end.kind is EndKind.ERROR
    assert end.error.types[0].endswith("ShyError")
    assert end.error.message == "(its text cannot be shown: RuntimeError)"


def test_garbage_on_the_socket_ends_the_task(local):
    def scribble(channel, argument):
        for fd in range(3, 20):
            try:
                os.write(fd, b"\xff" * 64)
            except OSError:
                continue
        time.sleep(60)

    end = run_one(local, scribble)
    assert end.kind is EndKind.SIGNAL
    assert "what is no message" in end.detail
    assert still_works(local)


def test_closing_every_descriptor_does_not_help(local):
    def close_all(channel, argument):
        os.closerange(0, 256)
        time.sleep(60)

    end = run_one(local, close_all, limits=TIGHT)
    assert end.kind is EndKind.TIMEOUT
    assert still_works(local)


# Limits ------------------------------------------------------------------------------------------------


def ignore_sigterm(channel, argument):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    channel.send("ready", None)
    time.sleep(60)


def hold_the_interpreter(channel, argument):
    return len(str(pow(7, 10**8)))  # one bytecode, minutes long, and no signal handler runs meanwhile


def cut_loose(channel, folder):
    """Start a child, a child in a session of its own, and a daemonised grandchild; then hang."""
    sleeper = [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"]
    subprocess.Popen(sleeper)
    subprocess.Popen(sleeper, start_new_session=True)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execv(sys.executable, sleeper)
        os._exit(0)
    channel.send("ready", None)
    time.sleep(60)


@pytest.mark.parametrize("function", [ignore_sigterm, hold_the_interpreter, cut_loose])
def test_the_wall_time_limit_ends_whatever_runs(local, survivors, function):
    end = run_one(local, function, limits=TIGHT)
    assert end.kind is EndKind.TIMEOUT
    assert end.wall_s >= TIGHT.wall_s
    assert len(survivors()) == 2, "launcher and keeper"
    assert still_works(local)


@pytest.mark.parametrize("function", [ignore_sigterm, cut_loose])
def test_cancelling_ends_whatever_runs(local, survivors, function):
    job = local.submit(Task("0-1", function, limits=Limits(grace_s=0.1)))
    drive(local, [job], lambda job, kind, payload: job.cancel("enough"))
    assert (job.end.kind, job.end.detail) == (EndKind.CANCELLED, "enough")
    assert len(survivors()) == 2, "launcher and keeper"


def test_children_that_outlive_a_result_go_with_it(local, survivors):
    def leave_children(channel, argument):
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
        return "done"

    assert run_one(local, leave_children).result == "done"
    assert len(survivors()) == 2, "launcher and keeper"


def test_a_task_may_clean_up_in_its_grace(local, tmp_path):
    def tidy(channel, folder):
        def clean(number, frame):
            (folder / "tidied").touch()
            raise SystemExit

        signal.signal(signal.SIGTERM, clean)
        time.sleep(60)

    end = run_one(local, tidy, tmp_path, limits=Limits(wall_s=0.2, grace_s=30))
    assert end.kind is EndKind.TIMEOUT
    assert (tmp_path / "tidied").exists()


def test_a_cancelled_task_is_told_why(local, tmp_path):
    def listen(channel, folder):
        signal.signal(signal.SIGTERM, lambda number, frame: None)
        channel.send("ready", None)
        while not (messages := channel.receive()):
            time.sleep(0.005)
        (folder / "told").write_text(repr(messages))

    job = local.submit(Task("0-1", listen, tmp_path, limits=Limits(grace_s=30)))
    drive(local, [job], lambda job, kind, payload: job.cancel("the run ends"))
    assert job.end.kind is EndKind.CANCELLED
    assert (tmp_path / "told").read_text() == "[('cancel', 'the run ends')]"


def fill(channel, argument):
    held = bytearray(b"x") * 700_000_000
    time.sleep(60)  # what is gone within a moment may go unseen
    return len(held)


def fill_by_children(channel, argument):
    for _ in range(4):
        if os.fork() == 0:
            held = bytearray(b"x") * 150_000_000
            time.sleep(60)
            os._exit(len(held) % 2)
    time.sleep(60)


@pytest.mark.parametrize("function", [fill, fill_by_children])
def test_the_memory_limit_counts_the_whole_tree(local, function):
    end = run_one(local, function, limits=Limits(memory_mb=400))
    assert end.kind is EndKind.MEMORY
    assert " of 400 MB at " in end.detail
    assert end.peak_memory_mb > 400
    assert still_works(local)


def test_a_slot_brings_its_own_memory_limit(survivors):
    executor = LocalExecutor([Resources(memory_mb=100)])
    end = run_one(executor, fill)
    executor.close()
    assert end.kind is EndKind.MEMORY
    assert " of 100 MB at " in end.detail
    assert survivors() == []


def test_shared_pages_count_once(local):
    def share(channel, argument):
        held = bytearray(b"x") * 150_000_000
        for _ in range(4):
            if os.fork() == 0:
                time.sleep(60)
        time.sleep(0.4)
        return len(held)

    end = run_one(local, share, limits=Limits(memory_mb=400))
    assert end.result == 150_000_000


# Output ------------------------------------------------------------------------------------------------


def test_lines_can_be_read_while_the_task_runs(local, tmp_path):
    def speak(channel, argument):
        print("a line")
        channel.ask("read it now", None)

    read = []
    job = local.submit(Task("0-1", speak, folder=tmp_path))
    drive(local, [job], lambda *_: read.append((tmp_path / "stdout.txt").read_text()))
    assert read == ["a line\n"]


def test_native_output_is_written_out_at_the_end(local, tmp_path):
    run_one(local, lambda channel, argument: ctypes.CDLL(None).puts(b"from C") and None, folder=tmp_path)
    assert (tmp_path / "stdout.txt").read_text() == "from C\n"


def test_a_folder_that_cannot_be_made_is_the_tasks_error(local, tmp_path):
    (tmp_path / "file").touch()
    end = run_one(local, lambda channel, argument: 1, folder=tmp_path / "file" / "0-1")
    assert end.kind is EndKind.ERROR
    assert end.error.types[0] == "builtins.NotADirectoryError"


def test_many_messages_are_not_lost(local):
    def talk(channel, argument):
        for step in range(20_000):
            channel.send("report", step)

    heard = []
    job = local.submit(Task("0-1", talk))
    drive(local, [job], lambda job, kind, payload: heard.append(payload))
    assert heard == list(range(20_000))


def test_a_task_that_talks_to_a_busy_coordinator_waits(local, tmp_path):
    def talk(channel, folder):
        for step in range(40):
            channel.send("block", [step, "x" * 1_000_000])
        (folder / "said").touch()

    heard = []
    job = local.submit(Task("0-1", talk, tmp_path))
    assert local.events(30.0, echo)
    time.sleep(0.3)  # the coordinator is busy elsewhere
    assert not (tmp_path / "said").exists(), "40 MB went somewhere"
    drive(local, [job], lambda job, kind, payload: heard.append(payload[0]))
    assert job.end.kind is EndKind.RESULT
    assert heard == list(range(40))


def test_a_task_may_run_tasks_itself(local, survivors):
    def outer(channel, argument):
        executor = LocalExecutor(2)
        executor.submit(Task("9-1", ignore_sigterm))
        return run_one(executor, lambda channel, n: n + 1, argument).result

    assert run_one(local, outer, 41).result == 42
    assert len(survivors()) == 2, "launcher and keeper: the inner executor was never closed"
