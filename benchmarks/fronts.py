"""Compare optimizers on problems of two objectives whose front is known: the volume that is still missing.

The volume that a run dominates below the reference is compared with what the true front dominates: 0 is the
whole front, 1 is nothing of it. Medians over seeds, which are the same for all. With Optuna installed (and
torch, for its Gaussian process), its samplers run beside ours.

    python benchmarks/fronts.py --after 50 100 --seeds 5
    python benchmarks/fronts.py --problems zdt1 booster --contestants gp nsga2 "optuna tpe"
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from search_quality import suggest

from modelwright._base.seeds import generator
from modelwright.numerics.hypervolume import hypervolume
from modelwright.optimizers import make_optimizer
from modelwright.records import History, Objective, Ticket, Trial, TrialState
from modelwright.space import Bool, Categorical, Float, Int, Space

Config = dict[str, Any]
Floats = NDArray[np.float64]
Losses = tuple[float, float]

OBJECTIVES = (Objective("first"), Objective("second"))


@dataclass(frozen=True)
class Problem:
    """Two functions to minimize, their space, points of their front, and up to where volume counts."""

    space: Space
    losses: Callable[[Config], Losses]
    front: Floats
    reference: tuple[float, float]

    @cached_property
    def volume(self) -> float:
        """What the front dominates."""
        return hypervolume(self.front, np.array(self.reference))


def zdt(c: Config, second: Callable[[float, float], float]) -> Losses:
    """E. Zitzler, K. Deb and L. Thiele, "Comparison of multiobjective evolutionary algorithms", 2000."""
    x = list(c.values())
    g = 1 + 9 * sum(x[1:]) / (len(x) - 1)
    return x[0], g * second(x[0], g)


def zdt1(x: float, g: float) -> float:
    return 1 - float(np.sqrt(x / g))


def zdt2(x: float, g: float) -> float:
    return 1 - (x / g) ** 2


def zdt3(x: float, g: float) -> float:
    return 1 - float(np.sqrt(x / g)) - x / g * float(np.sin(10 * np.pi * x))


_SHIFT = {"dart": 0.06, "goss": 0.03, "gbdt": 0.0}
_COST = {"dart": 1.5, "goss": 0.4, "gbdt": 1.0}


def booster(c: Config) -> Losses:
    """Like tuning a booster: its error, and the logarithm of what a prediction costs."""
    trees = np.log10(c["trees"])
    error = 0.1 + _SHIFT[c["kind"]] + 0.15 * (np.log10(c["rate"]) + trees - 0.5) ** 2
    error += 0.4 * np.exp(-trees) + 0.3 * np.exp(-c["depth"] / 3) + 0.05 * (not c["subsample"])
    return float(error), float(trees + np.log10(c["depth"] * _COST[c["kind"]]))


def booster_front() -> Floats:
    """Return the losses of all sizes, each with its best rate."""
    found = []
    for trees in np.unique(np.geomspace(10, 3000, 600).round()):
        rate = float(np.clip(10**0.5 / trees, 1e-4, 1))
        for kind in _SHIFT:
            for depth in range(1, 13):
                config = {"trees": trees, "rate": rate, "kind": kind, "depth": depth, "subsample": True}
                found.append(booster(config))
    return np.array(found)


def zdt_problem(second: Callable[[float, float], float], d: int) -> Problem:
    front = np.array([(x, second(x, 1.0)) for x in np.linspace(0, 1, 5001)])
    space = Space({f"x{i}": Float(0, 1) for i in range(d)})
    return Problem(space, lambda c: zdt(c, second), front, (1.1, 3.0))


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "zdt1": lambda: zdt_problem(zdt1, 6),
    "zdt2": lambda: zdt_problem(zdt2, 6),
    "zdt3": lambda: zdt_problem(zdt3, 5),
    "booster": lambda: Problem(
        Space(
            kind=Categorical("dart", "goss", "gbdt"),
            rate=Float(1e-4, 1, log=True),
            trees=Int(10, 3000, log=True),
            depth=Int(1, 12),
            subsample=Bool(),
        ),
        booster,
        booster_front(),
        (1.0, 4.5),
    ),
}


def run_ours(name: str, problem: Problem, trials: int, seed: int) -> Floats:
    """Return the losses of one run of one of our optimizers."""
    space = problem.space
    optimizer = make_optimizer(name, space, OBJECTIVES, seed=seed)
    history = History(space, OBJECTIVES)
    for number in range(trials):
        answer = optimizer.ask(history, [Ticket(number, generator(seed, number))])
        if not isinstance(answer, list):
            break
        params = dict(answer[0].params)
        history.add([Trial(number, TrialState.COMPLETE, space.dump(params), problem.losses(params))])
    return np.array(history.losses)


def run_optuna(name: str, problem: Problem, trials: int, seed: int) -> Floats:
    """Return the losses of one run of one of Optuna's samplers."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    kinds = {"gp": "GPSampler", "nsga2": "NSGAIISampler", "tpe": "TPESampler"}
    sampler = getattr(optuna.samplers, kinds[name])(seed=seed)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler)
    study.optimize(lambda trial: problem.losses(suggest(trial, problem.space)), n_trials=trials)
    return np.array([trial.values for trial in study.trials])


def runner(title: str) -> Callable[[Problem, int, int], Floats]:
    peer, _, name = title.rpartition(" ")
    run = run_optuna if peer else run_ours
    return lambda problem, trials, seed: run(name, problem, trials, seed)


def contestants() -> list[str]:
    """Return the titles of all that can run here."""
    ours = ["gp", "nsga2", "tpe", "random"]
    try:
        import optuna  # noqa: F401
    except ModuleNotFoundError:
        return ours
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError:
        return [*ours, "optuna nsga2", "optuna tpe"]
    return [*ours, "optuna gp", "optuna nsga2", "optuna tpe"]


def missing(problem: Problem, losses: Floats) -> float:
    """Return the share of the true front's volume that is not dominated."""
    return 1 - hypervolume(losses, np.array(problem.reference)) / problem.volume


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--after", type=int, nargs="+", default=[50, 100], help="trials")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--contestants", nargs="+", default=contestants())
    arguments = parser.parse_args()
    trials = max(arguments.after)
    columns = "".join(f"{f'after {n}':>10}" for n in arguments.after)
    print(f"median share of the volume that is missing, {arguments.seeds} seeds")
    print(f"{'':24}{columns}  ms per trial")
    for name in arguments.problems:
        problem = PROBLEMS[name]()
        for title in arguments.contestants:
            started = time.perf_counter()
            runs = [runner(title)(problem, trials, seed) for seed in range(arguments.seeds)]
            per_trial = 1e3 * (time.perf_counter() - started) / trials / arguments.seeds
            medians = [np.median([missing(problem, losses[:n]) for losses in runs]) for n in arguments.after]
            cells = "".join(f"{median:10.4f}" for median in medians)
            print(f"{name:10}{title:14}{cells}{per_trial:14.0f}", flush=True)


if __name__ == "__main__":
    main()
