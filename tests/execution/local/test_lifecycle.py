"""Keepers, launcher and coordinator may die at any moment; descriptors and processes are given back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import psutil
import pytest

from modelwright.errors import ObjectiveTransportError
from modelwright.execution import Ended, EndKind, Limits, LocalExecutor, Resources, Task
from modelwright.testing.executors import drive, echo, run_one


def hang_with_a_daemon(channel, argument):
    """Hang, together with a daemonised grandchild; tell the pids of the keeper and the launcher first."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            sleeper = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"
            os.execv(sys.executable, [sys.executable, "-c", sleeper])
        os._exit(0)
    keeper = psutil.Process().parent()
    channel.send("pids", {"keeper": keeper.pid, "launcher": keeper.ppid()})
    time.sleep(60)


def kill(which):
    """Return an answer that kills what the message names."""
    return lambda job, kind, pids: os.kill(pids[which], signal.SIGKILL)


def open_descriptors():
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


# Death -------------------------------------------------------------------------------------------------


def test_a_keeper_that_is_killed_loses_its_task_and_is_replaced(local, survivors):
    job = local.submit(Task("0-1", hang_with_a_daemon))
    drive(local, [job], kill("keeper"))
    assert job.end.kind is EndKind.LOST
    assert job.end.detail == "the keeper of slot 0 is gone: it died of SIGKILL"
    assert len(survivors()) == 1, "the launcher alone: trial and grandchild went with the keeper"
    assert run_one(local, lambda channel, argument: "works").result == "works"


def test_a_launcher_that_is_killed_loses_its_tasks_and_is_replaced(local, survivors):
    job = local.submit(Task("0-1", hang_with_a_daemon))
    drive(local, [job], kill("launcher"))
    assert job.end.kind is EndKind.LOST
    assert "launcher" in job.end.detail
    assert survivors() == []
    assert run_one(local, lambda channel, argument: "works").result == "works"


def test_a_launcher_that_dies_while_it_is_idle_is_replaced(local):
    def parents(channel, argument):
        return psutil.Process().parent().ppid()

    launcher = run_one(local, parents).result
    os.kill(launcher, signal.SIGKILL)
    os.waitid(os.P_PID, launcher, os.WEXITED | os.WNOWAIT)
    end = run_one(local, parents)
    assert end.kind is EndKind.RESULT
    assert end.result != launcher


def test_nothing_outlives_a_coordinator_that_is_killed(survivors, no_survivors, tmp_path):
    script = tmp_path / "run.py"
    script.write_text(
        textwrap.dedent("""
        import os, pathlib, signal, subprocess, sys, time
        from modelwright.execution import LocalExecutor, Task

        def hang(channel, argument):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            subprocess.Popen(["sleep", "60"], start_new_session=True)
            channel.send("ready", None)
            time.sleep(60)

        executor = LocalExecutor(2)
        jobs = [executor.submit(Task(f"{n}-1", hang)) for n in range(2)]
        ready = []
        while len(ready) < 2:
            executor.events(1.0, lambda job, kind, payload: ready.append(job))
        print("ready", flush=True)
        while True:
            executor.events(1.0, print)
        """)
    )
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        assert len(survivors()) == 8, "coordinator, launcher, and two each of keeper, trial and sleeper"
        process.kill()
    no_survivors()


def test_a_launcher_that_is_importing_does_not_outlive_its_coordinator(survivors, no_survivors, tmp_path):
    (tmp_path / "slow_to_import.py").write_text(
        "import time\nprint('importing', flush=True)\ntime.sleep(60)\n"
    )
    script = "from modelwright.execution import LocalExecutor\nimport time\n"
    script += "executor = LocalExecutor(1, preload=['slow_to_import'])\ntime.sleep(60)\n"
    (tmp_path / "run.py").write_text(script)
    arguments = [sys.executable, tmp_path / "run.py"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "importing\n"
        process.kill()
        no_survivors()


def test_a_thread_that_made_the_executor_may_end(survivors):
    """The kernel's parent-death signal is sent when the thread ends, not the process."""
    made = []
    thread = threading.Thread(target=lambda: made.append(LocalExecutor(1)))
    thread.start()
    thread.join()
    assert run_one(made[0], lambda channel, argument: "works").result == "works"
    made[0].close()
    assert survivors() == []


def test_ctrl_c_does_not_reach_the_tasks(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(
        textwrap.dedent("""
        import os, signal, time
        from modelwright.execution import LocalExecutor, Task

        def work(channel, argument):
            channel.ask("go on", None)
            return "finished"

        def interrupt(job, kind, payload):
            os.killpg(0, signal.SIGINT)

        signal.signal(signal.SIGINT, lambda number, frame: print("interrupted"))
        executor = LocalExecutor(1)
        job = executor.submit(Task("0-1", work))
        while not job.done:
            executor.events(1.0, interrupt)
        print(job.end.result)
        executor.close()
        """)
    )
    done = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        start_new_session=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "interrupted\nfinished\n"


# Giving back -------------------------------------------------------------------------------------------


def test_nothing_is_left_after_close(survivors):
    before = open_descriptors()
    executor = LocalExecutor(2)
    for number in range(3):
        executor.submit(Task(f"{number}-1", hang_with_a_daemon))
    executor.events(30.0, echo)
    executor.close()
    assert survivors() == []
    assert open_descriptors() == before
    assert psutil.Process().children() == []
    executor.close()


def test_descriptors_stay_the_same_over_many_tasks(local):
    def own_descriptors(channel, argument):
        channel.ask("nothing", None)  # the keeper is back from the fork then
        return [len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in (os.getpid(), os.getppid())]

    own = run_one(local, own_descriptors).result
    before = open_descriptors()
    jobs = [local.submit(Task(f"{number}-1", lambda channel, n: n, number)) for number in range(200)]
    drive(local, jobs)
    assert [job.end.result for job in jobs] == list(range(200))
    assert open_descriptors() == before
    assert run_one(local, own_descriptors).result == own
    assert own[0] == 5, "the standard three, the channel, and the listing itself"


def test_closing_does_not_wait_for_an_import_that_hangs(survivors, tmp_path, monkeypatch):
    (tmp_path / "slow_to_import.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.syspath_prepend(tmp_path)
    executor = LocalExecutor(1, preload=["slow_to_import"])
    begin = time.monotonic()
    executor.close()
    assert time.monotonic() - begin < 30
    assert survivors() == []


# Functions and surroundings ----------------------------------------------------------------------------


def test_functions_that_come_later_are_found_too(local):
    factor = 3
    first = run_one(local, lambda channel, x: factor * x, 2)
    second = run_one(local, lambda channel, x: factor + x, 2)
    assert (first.result, second.result) == (6, 5)


def test_a_function_is_loaded_once(local, tmp_path):
    folder = tmp_path

    class Counted:
        def __setstate__(self, state):
            with (folder / "loads").open("a") as file:
                file.write("x")

        def __getstate__(self):
            return {"held": 1}

        def __call__(self, channel, argument):
            return os.getpid()

    function = Counted()
    jobs = [local.submit(Task(f"{number}-1", function)) for number in range(5)]
    drive(local, jobs)
    assert len({job.end.result for job in jobs}) == 5, "a process for each"
    assert (folder / "loads").read_text() == "x"


def test_a_script_without_a_main_guard_works(tmp_path):
    (tmp_path / "beside.py").write_text("OFFSET = 40\n")
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import beside
        from modelwright.execution import LocalExecutor, Task

        class Helper:
            offset = beside.OFFSET

        def objective(channel, helper):
            return helper.offset + TWO

        TWO = 2
        executor = LocalExecutor(1)
        job = executor.submit(Task("0-1", objective, Helper()))
        while not job.done:
            executor.events(1.0, print)
        print("result", job.end.result)
        executor.close()
        """)
    )
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, cwd="/", check=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("result 42\n", "")


def test_a_module_that_cannot_be_imported_there_is_refused_with_its_reason(local, tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text(
        "import os\n"
        f"if os.getpid() != {os.getpid()}:\n"
        "    raise ImportError('this machine lacks a library')\n"
        "def objective(channel, argument):\n"
        "    return 1\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import only_here

    local.close()
    executor = LocalExecutor(1)
    with pytest.raises(
        ObjectiveTransportError, match=r"'objective'.*ImportError: this machine lacks a library"
    ):
        executor.submit(Task("0-1", only_here.objective))
    assert run_one(executor, lambda channel, argument: "works").result == "works"
    executor.close()


def test_a_launcher_that_dies_of_an_import_is_told_apart(tmp_path, monkeypatch):
    source = (
        f"import os\nif os.getpid() != {os.getpid()}:\n    os._exit(3)\ndef objective(channel, x): pass\n"
    )
    (tmp_path / "deadly.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    import deadly

    executor = LocalExecutor(1)
    with pytest.raises(ObjectiveTransportError, match=r"'objective' has ended \(exit code 3\)"):
        executor.submit(Task("0-1", deadly.objective))
    assert run_one(executor, lambda channel, argument: "works").result == "works"
    executor.close()


def test_the_environment_is_the_users_fitted_to_the_slot_and_without_urls_of_ours(monkeypatch, tmp_path):
    monkeypatch.setenv("MODELWRIGHT_STORAGE", "postgresql://user:secret@host/db")
    monkeypatch.setenv("MODELWRIGHT_TOKEN", "secret")
    monkeypatch.setenv("A_VARIABLE_OF_THE_USER", "kept")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.chdir(tmp_path)

    def look(channel, argument):
        names = ("A_VARIABLE_OF_THE_USER", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "PYTHONPATH")
        everything = Path("/proc/self/environ").read_text() + repr(dict(os.environ))
        return [[os.environ.get(name) for name in names], "secret" in everything, str(Path.cwd())]

    executor = LocalExecutor([Resources(cpus=3, gpus=("1", "2"))])
    result = run_one(executor, look).result
    executor.close()
    assert result == [["kept", "3", "1,2", None], False, str(tmp_path)]


def test_the_arguments_of_the_program_are_the_users(local):
    assert run_one(local, lambda channel, argument: sys.argv).result == sys.argv


def test_thread_pools_of_loaded_libraries_fit_the_slot():
    """They read their variables once, in the launcher, which has to serve slots of several sizes."""
    preload = ["numpy", "threadpoolctl"]
    executor = LocalExecutor([Resources(cpus=2), Resources(cpus=1, role="helper")], preload=preload)

    def pools(channel, argument):
        return [pool["num_threads"] for pool in sys.modules["threadpoolctl"].threadpool_info()]

    two, one = (run_one(executor, pools, role=role).result for role in ("trial", "helper"))
    executor.close()
    assert two
    assert set(two) == {min(2, len(os.sched_getaffinity(0)))}
    assert set(one) == {1}


def test_preloaded_modules_are_there_and_missing_ones_do_no_harm(survivors):
    executor = LocalExecutor(1, preload=["colorsys", "no_such_module_at_all"])
    assert run_one(executor, lambda channel, argument: "colorsys" in sys.modules).result is True
    executor.close()
    assert survivors() == []


def test_the_memory_that_was_used_is_told(local):
    def use(channel, argument):
        held = bytearray(b"x") * 120_000_000
        time.sleep(1.2)
        return len(held)

    end = run_one(local, use, limits=Limits(memory_mb=4000))
    assert 120 < end.peak_memory_mb < 400


def test_events_of_a_batch_are_in_order(local):
    jobs = [local.submit(Task(f"{number}-1", lambda channel, n: n, number)) for number in range(20)]
    ended = [event.job for event in drive(local, jobs) if isinstance(event, Ended)]
    assert ended == jobs
