"""Find the best arguments of a Python function.

Run it twice: the second time the 40 trials are there already, and it only shows them.

    python examples/01_function.py
"""

from __future__ import annotations

import math

from modelwright import Categorical, Float, Int, Space, Study


def cost(trial):
    """Return a bumpy valley's height; the lowest point is near x = 2, n = 3, with the plain kind."""
    x, n = trial.params["x"], trial.params["n"]
    rough = 0.3 * (1 - math.cos(5 * (x - 2))) if trial.params["kind"] == "plain" else 1.0
    return (x - 2) ** 2 / 4 + abs(n - 3) / 2 + rough


def main() -> None:
    """Search, and print the best trials."""
    space = Space(x=Float(-5, 5), n=Int(1, 9), kind=Categorical("plain", "fancy"))
    study = Study(
        space,
        direction="minimize",
        optimizer="tpe",
        name="valley",
        storage="sqlite:///example.db",
        seed=1,
        load_if_exists=True,
    )
    study.run(cost, trials=40, parallel=2)

    print(f"{len(study.trials)} trials; the best is number {study.best_trial.number}:")
    for name, value in study.best_trial.params.items():
        print(f"  {name:<5} {value}")
    print(f"  value {study.best_value:.4f}")


if __name__ == "__main__":
    main()
