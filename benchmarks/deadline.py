"""Whether `modelwright fit --time T` keeps its promise while models misbehave.

    python benchmarks/deadline.py [--time 60] [--repeats 3]

Fits scikit-learn's breast cancer table with decent methods, one that hangs for ever and one that allocates
until it is stopped. Prints for each repeat: wall time of the whole process against the limit (1.05 times the
time), when the first usable bundle was there (by a third of the time), and whether a bundle predicts after a
kill -9 at a random later moment.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sklearn.datasets import load_breast_cancer

LEARNERS = """
import time

class Hangs:
    def __init__(self, depth=1): self.depth = depth
    def fit(self, X, y):
        while True:
            try: time.sleep(1)
            except BaseException: pass
    def predict(self, X): ...
    def predict_proba(self, X): ...

class Grows(Hangs):
    def fit(self, X, y):
        kept = []
        while True: kept.append(bytearray(b"x" * 50_000_000)); time.sleep(0.02)
"""


def write_inputs(folder: Path) -> list[str]:
    """Write the table, the misbehaving methods, and return the values of ``--methods``."""
    data = load_breast_cancer(as_frame=True)
    table = data.data.assign(tumour=data.target.map({0: "malignant", 1: "benign"}))
    table.to_csv(folder / "table.csv", index=False)
    table.drop(columns="tumour").head(20).to_csv(folder / "new.csv", index=False)
    (folder / "learners.py").write_text(LEARNERS)
    names = ["lgbm", "et", "rf", "logreg", "knn", "dt"]
    for name in ("Hangs", "Grows"):
        method = {
            "name": name.lower(),
            "class": f"learners.py:{name}",
            "task": ["binary"],
            "hyperparameters": {"depth": {"type": "int", "range": [1, 9]}},
            "root_hyperparameters": ["depth"],
        }
        path = folder / f"{name.lower()}.json"
        path.write_text(json.dumps(method))
        names.append(str(path))
    return names


def command(folder: Path, *words: str) -> list[str]:
    """Return a command line of ours."""
    return [sys.executable, "-m", "modelwright", *words]


def predicts(folder: Path, run: str) -> bool:
    """Return whether the run's bundle predicts."""
    words = ["predict", run, "new.csv", "-o", "out.csv"]
    return subprocess.run(command(folder, *words), cwd=folder, capture_output=True).returncode == 0


def fit(folder: Path, methods: list[str], seconds: float, run: str) -> subprocess.Popen[bytes]:
    """Start a fit."""
    words = ["fit", "table.csv", "--target", "tumour", "--time", str(seconds), "--out", run]
    words += ["--methods", ",".join(methods), "--memory", "1GB", "--quiet"]
    return subprocess.Popen(command(folder, *words), cwd=folder, stdout=subprocess.DEVNULL)


def main() -> None:
    """Run the repeats."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--time", type=float, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    print("wall s   limit s   first bundle s   by s   predicts after the end / after kill -9 at s")
    for repeat in range(options.repeats):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            methods = write_inputs(folder)
            started, first = time.perf_counter(), float("nan")
            process = fit(folder, methods, options.time, "run")
            while process.poll() is None:
                if first != first and (folder / "run" / "bundle" / "manifest.json").exists():
                    first = time.perf_counter() - started
                time.sleep(0.05)
            wall = time.perf_counter() - started
            whole = process.returncode == 0 and predicts(folder, "run")
            killed = fit(folder, methods, options.time, "killed")
            at = options.time / 3 + random.Random(repeat).random() * options.time / 2
            time.sleep(at)
            killed.send_signal(signal.SIGKILL)
            killed.wait()
            after = predicts(folder, "killed")
        times = f"{wall:6.1f}   {1.05 * options.time:7.1f}   {first:14.1f}   {options.time / 3:4.0f}"
        print(f"{times}   {whole} / {after} at {at:.0f}", flush=True)


if __name__ == "__main__":
    main()
