"""Find the best arguments of a shell script, and stop what leads nowhere.

The script is 03_shell.sh; a script in any other language does the same.

    python examples/03_shell.py
"""

from __future__ import annotations

from pathlib import Path

from modelwright import Float, Script, Space, Study

SCRIPT = Path(__file__).with_name("03_shell.sh")


def main() -> None:
    """Search, and print what came of it."""
    space = Space(start=Float(0.1, 10, log=True), damping=Float(0.1, 1.5))
    study = Study(space, direction="minimize", scheduler="median", storage="sqlite:///shell.db", seed=1)
    # {damping} is filled in; `start` the script takes from its environment.
    study.run(Script([str(SCRIPT), "{damping}"]), trials=15, parallel=2)

    states = [trial.state.value for trial in study.trials]
    print(f"{states.count('complete')} trials came to their end, {states.count('pruned')} were stopped early")
    best = study.best_trial
    print(f"best: start {best.params['start']:.3f}, damping {best.params['damping']:.3f}: {best.values[0]}")


if __name__ == "__main__":
    main()
