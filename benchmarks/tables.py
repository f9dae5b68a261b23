"""`modelwright fit` beside LightGBM's defaults on real tables, the same splits for both.

    python benchmarks/tables.py TABLES [--time 60] [--splits 3] [--jobs 1] [--side-by-side 2]
                                       [--only NAME,...] [--out results.jsonl]

TABLES is a folder with ``manifest.json``, a list ``datasets`` of ``name, file, target, task, metric``.
Each split sets a quarter of the rows aside for the test, stratified for classes. Ours gets ``--time``
seconds for the whole command; the wall time of the process is recorded beside it. Scores are in the metric's
own direction.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score, root_mean_squared_error
from sklearn.model_selection import train_test_split


def peer_score(train: pd.DataFrame, test: pd.DataFrame, table: dict[str, Any]) -> float:
    """Return the test score of LightGBM as it comes, with categories declared."""
    target = table["target"]
    X_train, X_test = train.drop(columns=target), test.drop(columns=target)
    for name in X_train.columns[[not pd.api.types.is_numeric_dtype(t) for t in X_train.dtypes]]:
        categories = pd.CategoricalDtype(sorted(X_train[name].dropna().astype(str).unique()))
        X_train[name] = X_train[name].astype(str).astype(categories)
        X_test[name] = X_test[name].astype(str).astype(categories)
    X_train.columns = X_test.columns = [f"f{i}" for i in range(X_train.shape[1])]
    options = {"n_jobs": 1, "verbose": -1, "random_state": 0}
    if table["task"] == "regression":
        model = lightgbm.LGBMRegressor(**options).fit(X_train, train[target])
        return float(root_mean_squared_error(test[target], model.predict(X_test)))
    model = lightgbm.LGBMClassifier(**options).fit(X_train, train[target])
    probabilities = model.predict_proba(X_test)
    if table["metric"] == "roc_auc":
        return float(roc_auc_score(test[target] == model.classes_[1], probabilities[:, 1]))
    return float(log_loss(test[target], np.clip(probabilities, 1e-15, 1), labels=list(model.classes_)))


def our_score(
    train: Path, test: Path, table: dict[str, Any], options: argparse.Namespace, seed: int
) -> dict[str, Any]:
    """Run the command and return its test score and wall time."""
    out = train.parent / "run"
    command = [sys.executable, "-m", "modelwright", "fit", str(train), "--target", table["target"]]
    command += ["--metric", table["metric"], "--time", str(options.time), "--test", str(test)]
    command += ["--out", str(out), "--seed", str(seed), "--jobs", str(options.jobs), "--json"]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    wall_s = time.perf_counter() - started
    if done.returncode:
        return {"ours": None, "wall_s": wall_s, "error": done.stderr[-500:]}
    result = json.loads(done.stdout)
    return {"ours": result["test_score"], "wall_s": wall_s, "trials": sum(result["counts"].values())}


def one(folder: Path, table: dict[str, Any], split: int, options: argparse.Namespace) -> dict[str, Any]:
    """Run both on one split of one table."""
    frame = pd.read_csv(folder / table["file"], low_memory=False)
    frame = frame[frame[table["target"]].notna()]
    labels = None if table["task"] == "regression" else frame[table["target"]]
    train, test = train_test_split(frame, test_size=0.25, random_state=split, stratify=labels)
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        train.to_csv(place / "train.csv", index=False)
        test.to_csv(place / "test.csv", index=False)
        ours = our_score(place / "train.csv", place / "test.csv", table, options, split)
    row = {"table": table["name"], "metric": table["metric"], "split": split, **ours}
    return {**row, "lightgbm": peer_score(train, test, table)}


def report(rows: list[dict[str, Any]]) -> None:
    """Print the means over splits, and who is better where."""
    print(f"\n{'table':<24} {'metric':<9} {'ours':>10} {'lightgbm':>10}  better  {'wall s':>7} {'trials':>6}")
    better = 0
    for name in dict.fromkeys(row["table"] for row in rows):
        mine = [row for row in rows if row["table"] == name]
        scores = [row["ours"] for row in mine]
        metric = mine[0]["metric"]
        peer = statistics.mean(row["lightgbm"] for row in mine)
        if any(score is None for score in scores):
            print(f"{name:<24} {metric:<9} {'failed':>10} {peer:>10.5g}")
            continue
        ours = statistics.mean(scores)
        won = ours > peer if metric == "roc_auc" else ours < peer
        better += won
        wall_s = max(row["wall_s"] for row in mine)
        trials = statistics.median(row["trials"] for row in mine)
        beside = f"{ours:>10.5g} {peer:>10.5g}  {'yes' if won else 'no':<6}"
        print(f"{name:<24} {metric:<9} {beside}  {wall_s:>7.1f} {trials:>6.0f}")
    print(f"better on {better} of {len({row['table'] for row in rows})}")


def main() -> None:
    """Run all tables and splits."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tables", type=Path, nargs="?", default=os.environ.get("MODELWRIGHT_BENCH_TABLES"))
    parser.add_argument("--time", type=float, default=60)
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--side-by-side", type=int, default=2)
    parser.add_argument("--only", default="")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.tables is None:
        print("skipped: name a folder of tables, or set MODELWRIGHT_BENCH_TABLES to one")
        return
    options.tables = Path(options.tables)
    tables = json.loads((options.tables / "manifest.json").read_text())["datasets"]
    if options.only:
        tables = [table for table in tables if table["name"] in options.only.split(",")]
    rows = []
    with ThreadPoolExecutor(options.side_by_side) as pool:
        jobs = [
            pool.submit(one, options.tables, table, split, options)
            for table in tables
            for split in range(options.splits)
        ]
        for job in jobs:
            row = job.result()
            rows.append(row)
            print(row, flush=True)
            if options.out:
                with options.out.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    report(rows)


if __name__ == "__main__":
    main()
