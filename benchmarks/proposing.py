"""What a proposal costs each optimizer, beside Optuna's samplers in the same run.

    python benchmarks/proposing.py [--optimizers gp tpe ...] [--repeats 9] [--peer-gp 100 500]

Three tables, each with its goals. The first: ask + tell on ten floats after 100 to 10,000 trials, ms, with
our cost by the peer's where it has such an optimizer. The second: the first ask of an optimizer that is built
anew for a study of 10,000 trials with 100 parameters, and its second ask, s; for spaces of floats, of
parameters of all kinds, and with conditions. The third: what importing an optimizer takes beyond numpy and
scipy.optimize, each time in a fresh process, s.

Times are medians, of the processor and on one thread: so what else the machine does counts little.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from modelwright._base.seeds import generator
from modelwright.errors import AbilityError
from modelwright.optimizers import OPTIMIZERS, make_optimizer
from modelwright.records import History, Objective, Ticket, Trial, TrialState
from modelwright.space import Categorical, Float, Int, Parameter, Space

LENGTHS = (100, 200, 500, 1000, 10_000)
GOALS_MS = {
    "gp": {100: 30, 200: 60, 500: 250},
    "forest": {200: 60},
    "tpe": {1000: 2, 10_000: 6},
    "random": dict.fromkeys(LENGTHS, 0.1),
    "auto": dict.fromkeys(LENGTHS, 200),
}
OPTIONS: dict[str, dict[str, Any]] = {"grid": {"resolution": 3}}
MANY, LONG = 100, 10_000
ONE = (Objective(),)
TELL_AGAIN = 30  # repeats of an ask that takes less than a millisecond or so

IMPORT = """
import sys, time
import numpy, scipy.optimize
begun = time.process_time()
from modelwright.optimizers import OPTIMIZERS
OPTIMIZERS.get(sys.argv[1])
print(time.process_time() - begun)
"""


def floats(d: int) -> Space:
    return Space({f"x{i:03d}": Float(0, 1) for i in range(d)})


def mixed(d: int) -> Space:
    kinds: list[Callable[[], Parameter]] = [
        lambda: Float(1e-5, 1, log=True),
        lambda: Int(1, 64),
        lambda: Categorical("a", "b", "c", "d"),
        lambda: Float(0, 1, step=0.05),
    ]
    return Space({f"p{i:03d}": kinds[i % 4]() for i in range(d)})


def conditional(d: int) -> Space:
    methods = "abcd"
    parameters: dict[str, Parameter] = {"method": Categorical(*methods)}
    for i in range(d - 1):
        when = {"method": methods[i % 4]}
        parameters[f"p{i:03d}"] = Float(0, 1, when=when) if i % 3 else Int(1, 50, when=when)
    return Space(parameters)


SPACES = {"floats": floats, "mixed": mixed, "conditional": conditional}


def loss(space: Space, configs: list[dict[str, Any]]) -> list[float]:
    """Return a smooth loss of each configuration."""
    X = np.nan_to_num(space.encode(configs), nan=0.5)
    return [float(value) for value in ((X - 0.3) ** 2).sum(axis=1)]


def trials(space: Space, count: int) -> list[Trial]:
    """Return so many random trials."""
    configs = space.sample_many(generator(0, "trials"), count)
    return [
        Trial(number, TrialState.COMPLETE, space.dump(config), (value,))
        for number, (config, value) in enumerate(zip(configs, loss(space, configs), strict=True))
    ]


class Asked:
    """An optimizer built anew for a study that has some trials."""

    def __init__(self, name: str, space: Space, past: list[Trial]) -> None:
        self.history = History(space, ONE)
        self.history.add(past)
        options = OPTIONS.get(name, {})
        self.optimizer = make_optimizer(name, space, ONE, deterministic=True, **options)

    def once(self) -> float:
        """Return the seconds of one ask + tell."""
        number, space = len(self.history), self.history.space
        ticket = Ticket(number, generator(0, number))
        begun = time.process_time()
        answer = self.optimizer.ask(self.history, [ticket])
        asked_s = time.process_time() - begun
        assert isinstance(answer, list), answer
        params = dict(answer[0].params)
        trial = Trial(number, TrialState.COMPLETE, space.dump(params), (loss(space, [params])[0],))
        begun = time.process_time()
        self.history.add([trial])
        return asked_s + time.process_time() - begun


def growing_costs(name: str, repeats: int) -> dict[int, float]:
    """Return the milliseconds of ask + tell by the length of the history, ten floats."""
    found = {}
    for length in LENGTHS:
        asked = Asked(name, floats(10), trials(floats(10), length))
        warm = asked.once(), asked.once()
        times = [asked.once() for _ in range(repeats if warm[1] > 2e-3 else TELL_AGAIN * repeats)]
        found[length] = 1e3 * statistics.median(times)
    return found


def peer_costs(sampler: str, lengths: list[int], repeats: int) -> dict[int, float]:
    """Return the same of a sampler of Optuna."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    space, ranges = floats(10), {f"x{i:03d}": optuna.distributions.FloatDistribution(0, 1) for i in range(10)}
    found = {}
    for length in lengths:
        study = optuna.create_study(sampler=getattr(optuna.samplers, sampler)(seed=0))
        for trial in trials(space, length):
            made = optuna.trial.create_trial(
                params=dict(trial.params), distributions=ranges, value=trial.values[0]
            )
            study.add_trial(made)
        times = []
        for _ in range(2 + repeats):
            begun = time.process_time()
            asked = study.ask()
            params = {name: asked.suggest_float(name, 0, 1) for name in space.names}
            study.tell(asked, loss(space, [params])[0])
            times.append(time.process_time() - begun)
        found[length] = 1e3 * statistics.median(times[2:])
    return found


def cell(value: float, goal: float | None, digits: int = 2) -> str:
    """Return a figure with its goal, and a sign where it misses."""
    if goal is None:
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} ({'<=' if value <= goal else 'misses'} {goal:g})"


def print_growing(names: list[str], repeats: int, peers: dict[str, dict[int, float]]) -> None:
    """Print the first table."""
    print(
        f"\n{'ask + tell, 10 floats, ms':28}" + "".join(f"{f'{length:,} trials':>30}" for length in LENGTHS)
    )
    for peer, costs in peers.items():
        print(
            f"{'optuna ' + peer:28}"
            + "".join(f"{f'{costs[n]:.2f}' if n in costs else '':>30}" for n in LENGTHS)
        )
    for name in names:
        costs, theirs = growing_costs(name, repeats), peers.get(name, {})
        cells = []
        for length in LENGTHS:
            text = cell(costs[length], GOALS_MS.get(name, {}).get(length), 3 if costs[length] < 1 else 1)
            cells.append(text + (f" = {costs[length] / theirs[length]:.2f}x" if length in theirs else ""))
        print(f"{name:28}" + "".join(f"{text:>30}" for text in cells), flush=True)


def print_first(names: list[str]) -> None:
    """Print the second table."""
    title = f"first, second ask, s ({MANY} x {LONG:,})"
    print(f"\n{title:40}" + "".join(f"{kind:>24}" for kind in SPACES) + "   goal: 2")
    known = {kind: (make(MANY), trials(make(MANY), LONG)) for kind, make in SPACES.items()}
    for name in names:
        cells = []
        for space, past in known.values():
            begun = time.process_time()
            asked = Asked(name, space, [])
            asked.history.add(past)
            begun = time.process_time() - begun
            first, second = asked.once() + begun, asked.once()
            cells.append(f"{first:.2f}, {second:.3f}" + (" misses" if first > 2 else ""))
        print(f"{name:40}" + "".join(f"{text:>24}" for text in cells), flush=True)


def print_imports(names: list[str], repeats: int) -> None:
    """Print the third table."""
    print(f"\n{'import beyond scipy.optimize, s':40}   goal: 0.1")
    for name in names:
        times = [
            float(
                subprocess.run([sys.executable, "-c", IMPORT, name], capture_output=True, check=True).stdout
            )
            for _ in range(repeats)
        ]
        print(
            f"{name:40}{statistics.median(times):8.3f}"
            + (" misses" if statistics.median(times) > 0.1 else "")
        )


def proposing(names: list[str]) -> list[str]:
    """Return those of `names` that propose something for a study on their own."""
    found = []
    for name in names:
        try:
            optimizer = make_optimizer(name, floats(2), ONE, **OPTIONS.get(name, {}))
        except AbilityError:
            continue
        if optimizer.abilities.proposes:
            found.append(name)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--optimizers", nargs="+", default=list(OPTIMIZERS.synonyms()))
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument(
        "--peer-gp", type=int, nargs="*", default=[100], help="lengths at which Optuna's GP runs"
    )
    options = parser.parse_args()
    peers: dict[str, dict[int, float]] = {}
    try:
        import optuna  # noqa: F401
    except ModuleNotFoundError:
        print("Optuna is not installed: no peers.")
    else:
        with threadpool_limits(1):
            peers["tpe"] = peer_costs("TPESampler", [100, 1000, 10_000], options.repeats)
            peers["gp"] = peer_costs("GPSampler", options.peer_gp, min(3, options.repeats))
    names = proposing(options.optimizers)
    with threadpool_limits(1):
        print_growing(names, options.repeats, peers)
        print_first(names)
    print_imports(options.optimizers, max(9, options.repeats))


if __name__ == "__main__":
    main()
