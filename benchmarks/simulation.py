"""Scheduling at scale: the engine, the runner and the ledger themselves, on a simulated clock.

    python benchmarks/simulation.py [--trials 200000] [--slots 10,100,1000,10000]
    python benchmarks/simulation.py --sizes 10,100,1000,10000 [--trials-per-slot 4] [--mean-s 60,600,3600]
                                    [--storages "memory=3142,sqlite=283"] [--table FILE]

The first form is the test of cost: so many trials of random search over so many slots, with stragglers,
failures and preemptions; it prints the seconds and the memory that this takes, each number of slots in a
process of its own, and the goals at the greatest. The smaller ones take fewer trials, 20,000 at least.

The second form is the study of scale. For each number of workers, mean duration of a trial and storage it
simulates a run whose ledger takes as long for a trial as the storage does (the rates are inputs: measure
them with benchmarks/workers.py), and prints how busy the slots and the ledger are. `--table` writes the
lines as CSV, which scripts/simulation_figure.py draws.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
import resource
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

RATES = "memory=3142,sqlite=283,http=196,postgresql=91.5,mariadb=83.9"
CHANCE = {"failures": {"error": 0.1, "memory": 0.05}, "share": 0.01, "per_hour": 0.02}
_VERBS = ("claim", "propose", "report", "finish", "release", "renew")
_LEAST_TRIALS = 1000
_LEAST_OF_COST = 20_000
_OF_A_TRIAL = ("claim", "propose", "finish")  # what the rate of a storage is measured over


class MeteredStorage:
    """A ledger in memory whose writes take simulated time, one after the other.

    Parameters
    ----------
    clock : SimulatedClock
        The time that passes.
    rate : float
        How many trials per second it takes; each of a trial's three writes takes a third of one's time.
    """

    def __init__(self, clock: Any, rate: float) -> None:
        from modelwright.storage import MemoryStorage

        self._inner = MemoryStorage(clock=clock, now_us=clock.now_us)
        self._clock = clock
        self._call_s = 1.0 / rate / len(_OF_A_TRIAL)
        self.calls = dict.fromkeys(_VERBS, 0)
        self.busy_s = 0.0
        for verb in _VERBS:
            setattr(self, verb, partial(self._metered, verb, getattr(self._inner, verb)))

    def _metered(self, verb: str, method: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        self.calls[verb] += 1
        self.busy_s += self._call_s
        self._clock.advance(self._call_s)
        return method(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@dataclass(frozen=True)
class Line:
    """What one simulated run was like, from the start of the second trial of each worker to the last start.

    By then the slots are filled, and free in no order.

    Attributes
    ----------
    trials_per_s : float
        Simulated throughput.
    idle : float
        Share of the slots' time without a trial.
    ledger : float
        Share of the same time in which the ledger was at work.
    calls_per_s : float
        Writes that it took.
    """

    storage: str
    rate: float
    mean_s: float
    workers: int
    trials: int
    hours: float
    trials_per_s: float
    idle: float
    ledger: float
    calls_per_s: float


def chance(law: str, mean_s: float, seed: int) -> dict[str, Any]:
    """Return what happens to trials, as options of the executor."""
    from modelwright.execution.simulated import Distribution, Preemptions, Stragglers

    return {
        "duration": Distribution(law, mean_s),
        "failures": CHANCE["failures"],
        "stragglers": Stragglers(CHANCE["share"], 5.0),
        "preemptions": Preemptions(CHANCE["per_hour"], 300.0),
        "seed": seed,
    }


def run(storage: Any, clock: Any, slots: int, trials: int, luck: dict[str, Any], callback: Any = None) -> Any:
    """Run a study of random search and return it."""
    from modelwright import Float, Space, Study
    from modelwright.execution.simulated import SimulatedExecutor

    space = Space({f"x{i}": Float(0, 1) for i in range(10)})
    # Renewing 10,000 leases of a minute four times a minute for hours would be most of the work.
    study = Study(space, storage=storage, name="simulated", optimizer="random", seed=1, lease_s=600.0)
    executor = SimulatedExecutor(slots, clock=clock, **luck)
    study.run(
        lambda trial: trial.params["x0"],
        trials=trials,
        executor=executor,
        parallel=slots,
        callbacks=[callback] if callback is not None else (),
    )
    executor.close()
    return study


def cost(trials: int, slots: int) -> str:
    """Run the test of cost in this process and return a line about it."""
    from modelwright.execution.simulated import SimulatedClock
    from modelwright.storage import MemoryStorage
    from modelwright.testing.audit import audit

    clock = SimulatedClock()
    began, cpu_began = time.perf_counter(), time.process_time()
    storage = MemoryStorage(clock=clock, now_us=clock.now_us)
    study = run(storage, clock, slots, trials, chance("lognormal", 600.0, seed=2))
    wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    finished = sum(count for state, count in study.counts.items() if state.finished)
    if finished != trials:
        raise SystemExit(f"{finished} trials are over instead of {trials}")
    audit(study.storage, study.record.id)
    return (
        f"{slots:>7,} {trials:>9,} {clock() / 3600:>8.1f} {wall_s:>9.1f} {cpu_s:>9.1f} "
        f"{trials / wall_s:>9.0f} {memory_mb:>8.0f}"
    )


def costs(trials: int, sizes: Sequence[int]) -> None:
    """Run the test of cost for each number of slots, and print a line for it."""
    print(
        f"{'slots':>7} {'trials':>9} {'run, h':>8} {'seconds':>9} {'of a core':>9} {'trials/s':>9} "
        f"{'peak, MB':>8}"
    )
    fresh = multiprocessing.get_context("spawn")  # the peak of memory is that of one run
    with ProcessPoolExecutor(1, mp_context=fresh, max_tasks_per_child=1) as pool:
        for slots in sizes:
            share = max(trials * slots // max(sizes), min(trials, _LEAST_OF_COST))
            goal = "   goals: under 120 s, 2000 MB" if slots == max(sizes) else ""
            print(pool.submit(cost, share, slots).result() + goal, flush=True)
    print("the audit of each ledger is clean")


def measure(name: str, rate: float, mean_s: float, workers: int, per_slot: int) -> Line:
    """Simulate one run."""
    from modelwright.execution.simulated import SimulatedClock
    from modelwright.study import Callback

    clock = SimulatedClock()
    storage = MeteredStorage(clock, rate)
    trials = max(workers * per_slot, _LEAST_TRIALS)
    first, last = 2 * workers - 1, trials - 1
    looks: dict[int, tuple[float, float, int]] = {}  # by the number of the trial that starts

    class Watch(Callback):
        def on_trial_start(self, run: Any, number: int) -> None:
            if number in (first, last):
                looks.setdefault(number, (clock(), storage.busy_s, sum(storage.calls.values())))

    # Of exponential durations a short run tells as much as a long one: there are no waves to settle.
    study = run(storage, clock, workers, trials, chance("exponential", mean_s, seed=2), Watch())
    (begins_s, busy_before_s, calls_before), (ends_s, busy_s, calls) = looks[first], looks[last]
    window_s = ends_s - begins_s
    zero_us = clock.now_us() - round(clock() * 1e6)
    worked_s = 0.0
    for attempt in storage.attempts(study.record.id):
        # Only its own time: between its end and the moment at which the ledger hears of it the slot is idle.
        from_s = (attempt.started_us - zero_us) / 1e6
        until_s = from_s + (attempt.duration_s or 0.0)
        worked_s += max(0.0, min(until_s, ends_s) - max(from_s, begins_s))
    return Line(
        name,
        rate,
        mean_s,
        workers,
        trials,
        clock() / 3600,
        (last - first) / window_s,  # each of these starts has followed an end
        1 - worked_s / (workers * window_s),
        (busy_s - busy_before_s) / window_s,
        (calls - calls_before) / window_s,
    )


def scale(options: argparse.Namespace) -> list[Line]:
    """Simulate each combination, and print a line for it."""
    rates = {name: float(rate) for name, rate in (item.split("=") for item in options.storages.split(","))}
    print(
        f"{'storage':<12} {'trials/s':>9} {'a trial, s':>11} {'workers':>8} {'run, h':>8} {'done/s':>8} "
        f"{'idle':>7} {'ledger':>7} {'writes/s':>9}"
    )
    lines = []
    for mean_s in map(float, options.mean_s.split(",")):
        for name, rate in rates.items():
            for workers in map(int, options.sizes.split(",")):
                line = measure(name, rate, mean_s, workers, options.trials_per_slot)
                lines.append(line)
                print(
                    f"{name:<12} {rate:>9g} {mean_s:>11g} {workers:>8,} {line.hours:>8.2f} "
                    f"{line.trials_per_s:>8.2f} {line.idle:>7.1%} {line.ledger:>7.1%} "
                    f"{line.calls_per_s:>9.2f}",
                    flush=True,
                )
    return lines


def write_table(path: Path, lines: Sequence[Line]) -> None:
    """Write the lines as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Line)], lineterminator="\n")
        writer.writeheader()
        for line in lines:
            writer.writerow({k: f"{v:.5g}" if isinstance(v, float) else v for k, v in asdict(line).items()})


def main() -> None:
    """Run the test of cost, or the study of scale."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=200_000)
    parser.add_argument("--slots", default="10,100,1000,10000")
    parser.add_argument("--sizes", default="")
    parser.add_argument("--trials-per-slot", type=int, default=4)
    parser.add_argument("--mean-s", default="60,600,3600")
    parser.add_argument("--storages", default=RATES)
    parser.add_argument("--table", type=Path)
    options = parser.parse_args()
    if not options.sizes:
        costs(options.trials, [int(slots) for slots in options.slots.split(",")])
        return
    lines = scale(options)
    if options.table is not None:
        write_table(options.table, lines)


if __name__ == "__main__":
    main()
