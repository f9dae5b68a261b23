"""What the engine itself costs, beside Optuna in the same run.

    python benchmarks/overhead.py [--repeats 5] [--trials 1000] [--long 10000]

Prints one line per figure: ours, the peer's, their ratio, and the goal. Medians over the repeats; each repeat
is a fresh process. The objective does nothing; the space has ten floats; proposals are random.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

# Installed packages come with byte code; a checkout has it after the first import, unless that is forbidden.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

IMPORT = "import time; t = time.perf_counter(); import {0}; print(time.perf_counter() - t)"

FIRST = {
    "ours": """
import time; t = time.perf_counter()
from modelwright import Float, Space, Study
study = Study(Space({f"x{i}": Float(0, 1) for i in range(10)}), seed=1, optimizer="random")
study.ask()
print(time.perf_counter() - t)
study.close()
""",
    "optuna": """
import time; t = time.perf_counter()
import optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.create_study(sampler=optuna.samplers.RandomSampler(1))
trial = study.ask()
for i in range(10): trial.suggest_float(f"x{i}", 0, 1)
print(time.perf_counter() - t)
""",
}

RATE = {
    "ours": """
import json, sys, time
from modelwright import Float, Space, Study
from modelwright.storage import open_storage
url, n, durability = sys.argv[1], int(sys.argv[2]), sys.argv[3]
options = {"durability": durability} if url.startswith("sqlite") else {}
study = Study(Space({f"x{i}": Float(0, 1) for i in range(10)}), seed=1, optimizer="random",
              storage=open_storage(url, **options))
study.run(lambda trial: 0.0, trials=1, executor="inline")
marks = []
def f(trial):
    marks.append(time.perf_counter())
    return 0.0
study.run(f, trials=n + 1, executor="inline")
edge = min(1000, n // 2)
print(json.dumps([(n - 1) / (marks[-1] - marks[0]), (edge - 1) / (marks[edge - 1] - marks[0]),
                  (edge - 1) / (marks[-1] - marks[-edge])]))
""",
    "optuna": """
import json, sys, time, optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
url, n = sys.argv[1], int(sys.argv[2])
url = None if url == "memory://" else url
study = optuna.create_study(sampler=optuna.samplers.RandomSampler(1), storage=url)
def f(trial):
    for i in range(10): trial.suggest_float(f"x{i}", 0, 1)
    return 0.0
study.optimize(f, n_trials=1)
t = time.perf_counter()
study.optimize(f, n_trials=n)
print(json.dumps([n / (time.perf_counter() - t), 0, 0]))
""",
}


def run(code: str, *arguments: str) -> str:
    """Run Python code in a fresh process and return what it printed last."""
    command = [sys.executable, "-W", "ignore", "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=ENVIRONMENT)
    return done.stdout.strip().splitlines()[-1]


def median_s(repeats: int, *codes: str, argument: str = "") -> list[float]:
    """Return the median of the seconds that each of `codes` prints; in turns, but for round one."""
    rounds = [[float(run(code, argument)) for code in codes] for _ in range(repeats + 1)]
    return [statistics.median(column) for column in zip(*rounds[1:], strict=True)]


def rates(repeats: int, who: str, kind: str, n: int, durability: str = "power") -> list[float]:
    """Return the median rates (all, first part, last part) of no-op trials."""
    results = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            url = "memory://" if kind == "memory" else f"sqlite:///{folder}/x.db"
            results.append(json.loads(run(RATE[who], url, str(n), durability)))
    return [statistics.median(column) for column in zip(*results, strict=True)]


def line(name: str, ours: float, peer: float, ratio: float, goal: str) -> None:
    """Print one figure."""
    print(f"{name:<52} {ours:>10.4g} {peer:>10.4g} {ratio:>8.3f}   {goal}", flush=True)


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--peer-sqlite-trials", type=int, default=150)
    parser.add_argument("--long", type=int, default=10_000)
    options = parser.parse_args()
    k = options.repeats
    print(f"{'figure':<52} {'ours':>10} {'optuna':>10} {'ratio':>8}   goal")

    ours, peer = median_s(k, IMPORT.format("modelwright"), IMPORT.format("optuna"))
    line("import, s", ours, peer, ours / peer, "ratio at most 0.5")
    ours, peer = median_s(k, FIRST["ours"], FIRST["optuna"])
    line("import + Study + first random proposal, s", ours, peer, ours / peer, "ratio at most 1")
    command = str(Path(sys.executable).with_name("modelwright"))
    code = (
        "import subprocess, sys, time; t = time.perf_counter();"
        "subprocess.run([sys.argv[1], '--help'], capture_output=True, check=True);"
        "print(time.perf_counter() - t)"
    )
    (ours,) = median_s(k, code, argument=command)
    line("modelwright --help, s", ours, float("nan"), float("nan"), "under 0.4")

    n = options.trials
    ours, peer = rates(k, "ours", "memory", n)[0], rates(k, "optuna", "memory", n)[0]
    line("no-op trials per s, memory", ours, peer, ours / peer, "ratio at least 1")
    peer = rates(k, "optuna", "sqlite", options.peer_sqlite_trials)[0]
    for durability in ("power", "process"):
        ours = rates(k, "ours", "sqlite", n, durability)[0]
        line(
            f"no-op trials per s, SQLite, durability={durability}",
            ours,
            peer,
            ours / peer,
            "ratio at least 5",
        )
    for kind in ("memory", "sqlite"):
        _, first, last = rates(1, "ours", kind, options.long)
        line(
            f"last part of {options.long} against the first, {kind}",
            last,
            first,
            last / first,
            "at least 0.8",
        )


if __name__ == "__main__":
    main()
