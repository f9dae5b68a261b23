"""Compare optimizers on functions with a known optimum: median normalised regret over seeds.

The regret of a run is its best loss less the optimum, divided by what the median of 1,000 random
configurations has: 1 is as good as one random draw, 0 is the optimum. With Optuna installed, its samplers run
beside ours with the same budgets and seeds.

    python benchmarks/search_quality.py --trials 60 --seeds 10
    python benchmarks/search_quality.py --functions branin conditional --optimizers random tpe
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelwright._base.seeds import generator
from modelwright.optimizers import make_optimizer
from modelwright.records import History, Objective, Ticket, Trial, TrialState
from modelwright.space import Bool, Categorical, Float, Int, Space

Config = dict[str, Any]


@dataclass(frozen=True)
class Problem:
    """A function to minimize, its space, and its lowest value."""

    space: Space
    loss: Callable[[Config], float]
    optimum: float = 0.0


def branin(c: Config) -> float:
    x, y = c["x"], c["y"]
    bend = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return bend**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


def sphere(c: Config) -> float:
    return sum((value - 3.1) ** 2 for value in c.values())


def rosenbrock(c: Config) -> float:
    x = list(c.values())
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in itertools.pairwise(x))


def ackley(c: Config) -> float:
    x = np.array(list(c.values())) - 2.9
    spread, waves = math.sqrt(np.mean(x**2)), np.mean(np.cos(2 * np.pi * x))
    return -20 * math.exp(-0.2 * spread) - math.exp(waves) + 20 + math.e


_HARTMANN_A = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
_HARTMANN_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann(c: Config) -> float:
    x = np.array(list(c.values()))
    return -float(np.array([1, 1.2, 3, 3.2]) @ np.exp(-np.sum(_HARTMANN_A * (x - _HARTMANN_P) ** 2, axis=1)))


def mixed(c: Config) -> float:
    """Like tuning a booster: a rate and a size that trade off, a depth, a flag, a choice that shifts all."""
    rate, trees = math.log10(c["rate"]), math.log10(c["trees"])
    shift = {"gbdt": 0.0, "dart": 0.4, "goss": 0.15, "forest": 1.0}[c["kind"]]
    loss = (rate + trees - 0.5) ** 2 + 0.3 * (rate + 1.8) ** 2 + 0.05 * (c["depth"] - 6) ** 2
    return loss + shift + 0.5 * (not c["subsample"]) + 2 * (c["columns"] - 0.7) ** 2


def conditional(c: Config) -> float:
    """A method with parameters of its own; the network is the best and the narrowest."""
    if c["method"] == "svm":
        return 0.5 + 0.1 * (math.log10(c["c"]) - 1) ** 2 + 0.1 * (math.log10(c["gamma"]) + 2) ** 2
    if c["method"] == "knn":
        return 0.8 + 0.002 * (c["k"] - 12) ** 2
    base = 0.3 * (math.log10(c["lr"]) + 2.5) ** 2 + 0.02 * (c["layers"] - 4) ** 2
    return base + (0.1 if c["solver"] == "adam" else 2 * (c["momentum"] - 0.9) ** 2)


PROBLEMS = {
    "branin": Problem(Space(x=Float(-5, 10), y=Float(0, 15)), branin, 0.39788735772973816),
    "sphere5": Problem(Space({f"x{i}": Float(-5, 5) for i in range(5)}), sphere),
    "rosenbrock4": Problem(Space({f"x{i}": Float(-3, 2) for i in range(4)}), rosenbrock),
    "ackley6": Problem(Space({f"x{i}": Float(-8, 8) for i in range(6)}), ackley),
    "hartmann6": Problem(Space({f"x{i}": Float(0, 1) for i in range(6)}), hartmann, -3.3223680114155147),
    "sphere20": Problem(Space({f"x{i:02d}": Float(-5, 5) for i in range(20)}), sphere),
    "mixed": Problem(
        Space(
            kind=Categorical("forest", "dart", "goss", "gbdt"),
            rate=Float(1e-4, 1, log=True),
            trees=Int(10, 3000, log=True),
            depth=Int(1, 15),
            subsample=Bool(),
            columns=Float(0.1, 1, step=0.1),
        ),
        mixed,
        # With rate = 10**r and trees = 10**(0.5 - r), r = -1.8, all terms vanish but for whole trees.
        0.0,
    ),
    "conditional": Problem(
        Space(
            method=Categorical("svm", "knn", "net"),
            c=Float(1e-3, 1e3, log=True, when={"method": "svm"}),
            gamma=Float(1e-5, 10, log=True, when={"method": "svm"}),
            k=Int(1, 50, when={"method": "knn"}),
            lr=Float(1e-5, 1, log=True, when={"method": "net"}),
            layers=Int(1, 10, when={"method": "net"}),
            solver=Categorical("adam", "sgd", when={"method": "net"}),
            momentum=Float(0, 1, when={"solver": "sgd"}),
        ),
        conditional,
    ),
}


def run_ours(name: str, problem: Problem, trials: int, seed: int, options: dict[str, Any]) -> float:
    """Return the best loss of one run of one of our optimizers."""
    space, objectives = problem.space, [Objective()]
    optimizer = make_optimizer(name, space, objectives, seed=seed, **options)
    history = History(space, objectives)
    for number in range(trials):
        answer = optimizer.ask(history, [Ticket(number, generator(seed, number))])
        if not isinstance(answer, list):
            break
        params = dict(answer[0].params)
        history.add([Trial(number, TrialState.COMPLETE, space.dump(params), (problem.loss(params),))])
    return float(history.losses.min())


def run_optuna(problem: Problem, trials: int, seed: int, options: dict[str, Any]) -> float:
    """Return the best loss of one run of Optuna's TPE."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of "group"
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed, **options))
    study.optimize(lambda trial: problem.loss(suggest(trial, problem.space)), n_trials=trials)
    return float(study.best_value)


def suggest(trial: Any, space: Space) -> Config:
    """Return a configuration of `space`, asked from an Optuna trial parameter by parameter."""
    config: Config = {}
    for name, p in space.parameters.items():
        if any(config.get(parent) not in values for parent, values in p.when.items()):
            continue
        if isinstance(p, Float):
            config[name] = trial.suggest_float(name, p.low, p.high, log=p.log, step=p.step)
        elif isinstance(p, Int):
            config[name] = trial.suggest_int(name, p.low, p.high, log=p.log)
        else:
            config[name] = trial.suggest_categorical(name, [p.at(slot) for slot in range(p.size)])
    return config


def contestants(names: list[str]) -> dict[str, Callable[[Problem, int, int], float]]:
    """Return the runs to compare, by their column's title."""
    runs: dict[str, Callable[[Problem, int, int], float]] = {
        name: lambda problem, trials, seed, name=name: run_ours(name, problem, trials, seed, {})
        for name in names
    }
    try:
        import optuna  # noqa: F401
    except ModuleNotFoundError:
        return runs
    runs["optuna default"] = lambda problem, trials, seed: run_optuna(problem, trials, seed, {})
    runs["optuna grouped"] = lambda problem, trials, seed: run_optuna(
        problem, trials, seed, {"multivariate": True, "group": True}
    )
    return runs


def scale(problem: Problem) -> float:
    """Return the regret of the median of 1,000 random configurations."""
    losses = [problem.loss(config) for config in problem.space.sample_many(generator(0, "scale"), 1000)]
    return float(np.median(losses)) - problem.optimum


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--functions", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--optimizers", nargs="+", default=["random", "quasirandom", "tpe"])
    arguments = parser.parse_args()
    runs = contestants(arguments.optimizers)
    print(f"median normalised regret, {arguments.trials} trials, {arguments.seeds} seeds (ms per trial)")
    print(f"{'':14}" + "".join(f"{title:>22}" for title in runs))
    for function in arguments.functions:
        problem = PROBLEMS[function]
        unit = scale(problem)
        cells = []
        for run in runs.values():
            started = time.perf_counter()
            best = [run(problem, arguments.trials, seed) for seed in range(arguments.seeds)]
            per_trial = (time.perf_counter() - started) / arguments.trials / arguments.seeds
            cells.append(f"{(np.median(best) - problem.optimum) / unit:.4f} ({1e3 * per_trial:.1f})")
        print(f"{function:14}" + "".join(f"{cell:>22}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
