"""What prior beliefs bring where they are right, and cost where they are wrong.

Each number gets a prior near its best value, off by a tenth of its range or so, and each choice a weight of 5
for the best value: `right`. Or near the end that is farthest from the best value, and 5 for a value that is
not the best: `wrong`. Printed is the mean over functions and seeds of the regret, where 1 is the mean regret
of random search after as many trials.

    python benchmarks/beliefs.py --optimizers gp forest tpe --seeds 5
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from failing import OPTIMA, bests
from search_quality import PROBLEMS, Problem

from modelwright._base.seeds import generator
from modelwright.space import Parameter, Space

AT = (10, 25, 50)
_OFF = 0.1  # of the range: how far a right prior is from the best value, one standard deviation


def believing(name: str, kind: str, seed: int) -> Problem:
    """Return a function whose space has priors of a kind."""
    problem = PROBLEMS[name]
    rng = generator(seed, "beliefs", name)
    forms = problem.space.to_json()["parameters"] if kind != "none" else []
    for form in forms:
        form["prior"] = _prior(problem.space[form["name"]], OPTIMA[name].get(form["name"]), kind, rng)
    space = Space.from_json({"parameters": forms}) if forms else problem.space
    return Problem(space, problem.loss, problem.optimum)


def _prior(parameter: Parameter, best: Any, kind: str, rng: np.random.Generator) -> Any:
    at = 0.5 if best is None else parameter.encode(best)
    if parameter.type in ("float", "int"):
        right = float(np.clip(at + _OFF * rng.standard_normal(), 0, 1))
        wrong = 0.0 if at > 0.5 else 1.0
        return {"near": parameter.decode(right if kind == "right" else wrong)}
    assert parameter.size is not None
    slot = parameter.slot(at) + (kind == "wrong")
    return [5.0 if other == slot % parameter.size else 1.0 for other in range(parameter.size)]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--optimizers", nargs="+", default=["gp", "forest", "tpe"])
    parser.add_argument("--functions", nargs="+", choices=OPTIMA, default=list(OPTIMA))
    parser.add_argument("--priors", nargs="+", default=["none", "right", "wrong"])
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    print(f"mean regret, 1 is random search, {arguments.seeds} seeds")
    print(f"{'':24}" + "".join(f"{f'n = {n}':>10}" for n in AT))
    units = {name: _regrets("random", name, "none", range(20)).mean(axis=0) for name in arguments.functions}
    for optimizer in arguments.optimizers:
        for kind in arguments.priors:
            rows = []
            for name in arguments.functions:
                rows.append(
                    _regrets(optimizer, name, kind, range(arguments.seeds)).mean(axis=0) / units[name]
                )
                print(f"  {name:22}" + "".join(f"{value:10.3f}" for value in rows[-1]), flush=True)
            line = "".join(f"{value:10.3f}" for value in np.mean(rows, axis=0))
            print(f"{optimizer + ', ' + kind:24}{line}", flush=True)


def _regrets(optimizer: str, name: str, kind: str, seeds: range) -> Any:
    """Return the regret of each seed after each number of trials, shape (seeds, len(AT))."""
    found = []
    for seed in seeds:
        problem = believing(name, kind, seed)
        found.append(bests(optimizer, problem, max(AT), seed)[np.array(AT) - 1] - problem.optimum)
    return np.array(found)


if __name__ == "__main__":
    main()
