"""How much failures cost: evaluations to the same regret where 30 % of the space fails.

A part of each function's space fails: what lies beyond a plane that passes close by the optimum, and one
value of a choice where there is one. The mark is the median regret after 30, and after 60, trials of an
optimizer without failures; counted is after how many trials the median regret of the same optimizer is as low
where that part fails. Printed is the ratio of both numbers; `inf` where that took more than twice the trials.

    python benchmarks/failing.py --optimizers gp forest tpe --seeds 10
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from numpy.typing import NDArray
from search_quality import PROBLEMS, Problem

from modelwright._base.seeds import generator
from modelwright.optimizers import make_optimizer
from modelwright.records import Failure, FailureKind, History, Objective, Ticket, Trial, TrialState

Config = dict[str, Any]
Floats = NDArray[np.float64]

SHARE = 0.3
MARKS = (30, 60)
PATIENCE = 2  # times the trials of a mark, until it is given up
_NEAREST = 0.03  # of the plane to the optimum, in the unit cube
_HARTMANN = (0.2017, 0.15, 0.4769, 0.2753, 0.3117, 0.6573)

OPTIMA: dict[str, Config] = {
    "branin": {"x": np.pi, "y": 2.275},
    "sphere5": {f"x{i}": 3.1 for i in range(5)},
    "rosenbrock4": {f"x{i}": 1.0 for i in range(4)},
    "ackley6": {f"x{i}": 2.9 for i in range(6)},
    "hartmann6": {f"x{i}": x for i, x in enumerate(_HARTMANN)},
    "mixed": {"kind": "gbdt", "rate": 10**-1.8, "trees": 200, "depth": 6, "subsample": True, "columns": 0.7},
    "conditional": {"method": "net", "lr": 10**-2.5, "layers": 4, "solver": "sgd", "momentum": 0.9},
}
"""Where the functions have their optimum."""

CHOICES: dict[str, tuple[str, str]] = {"mixed": ("kind", "dart"), "conditional": ("method", "knn")}
"""The value of a choice that fails as well."""


class Failing:
    """Which configurations of a function fail.

    Of many planes that cut off the wanted share of the space, it is the one that is closest to the optimum.
    """

    def __init__(self, name: str) -> None:
        self._space = PROBLEMS[name].space
        self._choice = CHOICES.get(name)
        self._best = self._numbers([OPTIMA[name]])[0]
        rng = generator(0, "failing", name)
        drawn = self._space.sample_many(rng, 2000)
        left = [config for config in drawn if not self._by_choice(config)]
        gone = 1 - len(left) / len(drawn)
        share = max(SHARE - gone, 0.1) / (1 - gone)
        apart = self._numbers(left) - self._best
        directions = rng.standard_normal((500, len(self._best)))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        heights = np.quantile(apart @ directions.T, 1 - share, axis=0)
        at = int(np.argmin(np.where(heights >= _NEAREST, heights, np.inf)))
        self._direction, self._height = directions[at], heights[at]

    def __call__(self, config: Config) -> bool:
        """Whether it fails."""
        beyond = (self._numbers([config])[0] - self._best) @ self._direction > self._height
        return self._by_choice(config) or bool(beyond)

    def _by_choice(self, config: Config) -> bool:
        return self._choice is not None and config.get(self._choice[0]) == self._choice[1]

    def _numbers(self, configs: list[Config]) -> Floats:
        return np.nan_to_num(self._space.encode(configs), nan=0.5)


def bests(optimizer: str, problem: Problem, trials: int, seed: int, failing: Failing | None = None) -> Floats:
    """Return the best loss after each trial of one run."""
    objectives = [Objective()]
    asked = make_optimizer(optimizer, problem.space, objectives, seed=seed)
    history = History(problem.space, objectives)
    for number in range(trials):
        answer = asked.ask(history, [Ticket(number, generator(seed, number))])
        assert isinstance(answer, list)
        config = dict(answer[0].params)
        if failing is not None and failing(config):
            failure = Failure(FailureKind.ERROR, "beyond the plane")
            trial = Trial(number, TrialState.FAILED, config, (), failure)
        else:
            trial = Trial(number, TrialState.COMPLETE, config, (problem.loss(config),))
        history.add([trial])
    return np.asarray(
        np.fmin.accumulate(np.where(np.isnan(history.losses[:, 0]), np.inf, history.losses[:, 0]))
    )


def ratios(optimizer: str, name: str, seeds: int) -> list[float]:
    """Return how many times the evaluations each mark takes with failures."""
    trials, problem = range(seeds), PROBLEMS[name]
    without = np.median([bests(optimizer, problem, max(MARKS), seed) for seed in trials], axis=0)
    failing, most = Failing(name), PATIENCE * max(MARKS)
    with_failures = np.median([bests(optimizer, problem, most, seed, failing) for seed in trials], axis=0)
    found = []
    for mark in MARKS:
        reached = np.flatnonzero(with_failures[: PATIENCE * mark] <= without[mark - 1])
        found.append((reached[0] + 1) / mark if len(reached) else np.inf)
    return found


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--optimizers", nargs="+", default=["gp", "forest", "tpe"])
    parser.add_argument("--functions", nargs="+", choices=OPTIMA, default=list(OPTIMA))
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    print(f"evaluations to the same regret, as a multiple (goal: 1.5), {arguments.seeds} seeds")
    print(
        f"{'':14}" + "".join(f"{f'{name} at {mark}':>14}" for name in arguments.optimizers for mark in MARKS)
    )
    table = []
    for function in arguments.functions:
        row = [r for name in arguments.optimizers for r in ratios(name, function, arguments.seeds)]
        table.append(row)
        print(f"{function:14}" + "".join(f"{ratio:14.2f}" for ratio in row), flush=True)
    print(f"{'median':14}" + "".join(f"{ratio:14.2f}" for ratio in np.median(table, axis=0)))


if __name__ == "__main__":
    main()
