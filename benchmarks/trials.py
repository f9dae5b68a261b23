"""What it costs to run a trial in a process of its own, beside a bare loop in the same run.

    python benchmarks/trials.py [--repeats 5] [--minutes 1]

Prints one line per figure with its goal. Rates are counted from the begin of the first trial to the end of
the last; with two slots. The bare loop is two processes that do the same work, and nobody watches them.
"""

from __future__ import annotations

import argparse
import inspect
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from modelwright import Float, Space, Study
from modelwright.execution import Limits, LocalExecutor, Task
from modelwright.testing.executors import drive

SLOTS = 2


def work(count: int) -> float:
    """Compute something, `count` steps long."""
    total = 0.0
    for number in range(count):
        total += (number % 7) * 0.5
    return total


BARE = f"""
import sys, time
{inspect.getsource(work)}
count, times = int(sys.argv[1]), int(sys.argv[2])
work(count)
print("ready", flush=True)
sys.stdin.readline()
begin = time.monotonic()
for _ in range(times):
    work(count)
print(begin, time.monotonic())
"""


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=1.0, help="of the search for leaks; the goal is 10")
    options = parser.parse_args()
    print(f"{'figure':<68} {'value':>9}   goal")
    one_s = seconds_of_a_million()
    for name, wanted_s, trials, reuse, storage, goal in (
        ("0.5 s of work, fresh processes", 0.5, 16, 1, None, "at least 0.95"),
        ("20 ms of work, reuse=50, in memory", 0.02, 200, 50, None, "at least 0.85"),
        ("20 ms of work, reuse=50, in SQLite", 0.02, 200, 50, "sqlite", ""),
        ("20 ms of work, fresh processes, in memory", 0.02, 200, 1, None, ""),
    ):
        count = int(1e6 * wanted_s / one_s)
        shares = [
            study_rate(count, trials, reuse, storage) / bare_rate(count, trials // SLOTS)
            for _ in range(options.repeats)
        ]
        line(f"share of a bare loop's rate: {name}", statistics.median(shares), goal)
    ready_ms, modules = ready(20 * options.repeats)
    line(f"ms until a fresh process is ready ({modules} loaded), median", ready_ms, "under 25")
    line("% of a core for watching one slot with all limits", supervision_percent(), "under 1")
    look_for_leaks(options.minutes)


def line(name: str, value: float, goal: str) -> None:
    """Print one figure."""
    print(f"{name:<68} {value:>9.4g}   {goal}", flush=True)


# rates ------------------------------------------------------------------------------------------------


def seconds_of_a_million() -> float:
    """Return how long a million steps of the work take here."""
    begin = time.perf_counter()
    work(3_000_000)
    return (time.perf_counter() - begin) / 3


def bare_rate(count: int, times: int) -> float:
    """Return how often a second two processes do the work, side by side."""
    loops = [
        subprocess.Popen(
            [sys.executable, "-c", BARE, str(count), str(times)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(SLOTS)
    ]
    for loop in loops:
        assert loop.stdout is not None
        loop.stdout.readline()
    told = []
    for loop in loops:
        assert loop.stdin is not None
        loop.stdin.write("\n")
        loop.stdin.flush()
    for loop in loops:
        told.append([float(word) for word in loop.communicate()[0].split()])
    return SLOTS * times / (max(end for _, end in told) - min(begin for begin, _ in told))


def study_rate(count: int, trials: int, reuse: int, storage: str | None) -> float:
    """Return how many trials a second a study runs."""

    def objective(trial: Any) -> float:
        begin = time.monotonic()
        work(count)
        trial.user_attrs["times"] = [begin, time.monotonic()]
        return 0.0

    with tempfile.TemporaryDirectory() as folder:
        url = None if storage is None else f"sqlite:///{folder}/hub.db"
        study = Study(Space(x=Float(0, 1)), storage=url, seed=1, optimizer="random")
        study.run(objective, trials=trials, parallel=SLOTS, reuse=reuse)
        times = [trial.user_attrs["times"] for trial in study.trials]
        study.close()
    return trials / (max(end for _, end in times) - min(begin for begin, _ in times))


# one process ------------------------------------------------------------------------------------------


def now(channel: Any, argument: Any) -> float:
    """Say when it was called."""
    return time.monotonic()


def ready(tasks: int) -> tuple[float, str]:
    """Return the median time in ms from giving a task to its call, and which modules were loaded."""
    preload = ["sklearn.ensemble", "sklearn.linear_model", "sklearn.pipeline", "lightgbm"]
    executor = LocalExecutor(1, preload=preload)
    drive(executor, [executor.submit(Task("warm", now))])
    taken = []
    for number in range(tasks):
        begin = time.monotonic()
        job = executor.submit(Task(f"{number}-1", now))
        drive(executor, [job])
        assert job.end is not None
        taken.append(1000 * (job.end.result - begin))
    loaded = Task("loaded", lambda channel, names: [name for name in names if name in sys.modules], preload)
    job = executor.submit(loaded)
    drive(executor, [job])
    executor.close()
    assert job.end is not None
    return statistics.median(taken), ", ".join(dict.fromkeys(name.split(".")[0] for name in job.end.result))


def wait(channel: Any, seconds: float) -> None:
    """Do nothing for a while."""
    time.sleep(seconds)


def supervision_percent(seconds: float = 10.0) -> float:
    """Return what share of a core the processes around two quiet trials use, for each of them."""
    limits = Limits(wall_s=600, memory_mb=4000, cpu_s=600, output_mb=100, disk_mb=1000)
    with tempfile.TemporaryDirectory() as folder:
        executor = LocalExecutor(SLOTS)
        drive(executor, [executor.submit(Task("warm", wait, 0.0))])
        jobs = [
            executor.submit(Task(f"{number}-1", wait, seconds, Path(folder) / str(number), limits))
            for number in range(SLOTS)
        ]
        while not all(job.slot is not None for job in jobs):
            executor.events(0.1, print)
        time.sleep(0.5)
        launcher = psutil.Process().children()
        watching = [psutil.Process(), *launcher, *launcher[0].children()]
        before, begin = [cpu_s(process) for process in watching], time.monotonic()
        while time.monotonic() < begin + 0.8 * seconds:
            executor.events(0.2, print)  # as a run of a study waits
        used = sum(cpu_s(process) for process in watching) - sum(before)
        passed = time.monotonic() - begin
        executor.close()
    return 100 * used / passed / SLOTS


def cpu_s(process: psutil.Process) -> float:
    """Return the computing time of a process without its children."""
    times = process.cpu_times()
    return float(times.user + times.system)


# leaks ------------------------------------------------------------------------------------------------


def look_for_leaks(minutes: float) -> None:
    """Run 8 trials a second, and compare what this process holds after a tenth of them and at the end."""
    rate = 8
    trials = int(60 * minutes * rate)
    me = psutil.Process()
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / "temporary"
        temporary.mkdir()
        before_temp, tempfile.tempdir = tempfile.tempdir, str(temporary)
        study = Study(Space(x=Float(0, 1)), storage=Path(folder) / "hub.db", seed=1, optimizer="random")
        held_mb: list[float] = []

        def look(study: Study, trial: Any) -> None:
            held_mb.append(me.memory_info().rss / 1e6)

        def objective(trial: Any) -> float:
            with tempfile.NamedTemporaryFile(delete=False) as file:
                file.write(b"x" * 10_000)
            time.sleep(max(0.0, SLOTS / rate - 0.01))
            return float(trial.params["x"])

        fds = me.num_fds()
        study.run(objective, trials=trials, parallel=SLOTS, callbacks=[look])
        left = [path.name for path in temporary.iterdir()]
        tempfile.tempdir = before_temp
        seconds = sum(trial.record.duration_s or 0.0 for trial in study.trials) / SLOTS
        line(f"trials a second in the search for leaks ({trials} trials)", trials / seconds, "about 8")
        line("descriptors more than before", me.num_fds() - fds, "0")
        line("processes left", len(me.children(recursive=True)), "0")
        line("temporary files left", len(left), "0")
        growth = held_mb[-1] / held_mb[len(held_mb) // 10] - 1
        line("growth of the main process's memory, %", 100 * growth, "under 5")
        study.close()


if __name__ == "__main__":
    main()
