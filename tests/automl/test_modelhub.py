"""Every field of ATM's ModelHub after a real fit, read under its old name."""

from __future__ import annotations

import json
import socket
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.datasets import load_iris

from modelwright.automl.fit import fit_table
from modelwright.automl.settings import FitSettings

DATASETS = (
    *("dataset_id", "name", "description", "train_path", "test_path", "class_column"),
    *("n_examples", "k_classes", "d_features", "majority", "size_kb"),
)
DATARUNS = (
    *("datarun_id", "dataset_id", "description", "selector", "k_window", "tuner", "r_minimum", "gridding"),
    *("priority", "budget_type", "budget", "deadline", "metric", "score_target"),
    *("start_time", "end_time", "status"),
)
HYPERPARTITIONS = (
    *("hyperpartition_id", "datarun_id", "method", "categoricals", "tunables", "constants", "status"),
)
CLASSIFIERS = (
    *("classifier_id", "datarun_id", "hyperpartition_id", "host", "model_location", "metrics_location"),
    *("cv_judgment_metric", "cv_judgment_metric_stdev", "test_judgment_metric", "hyperparameters_values"),
    *("start_time", "end_time", "status", "error_message"),
)

BROKEN = """
class Broken:
    def __init__(self, c):
        self.c = c

    def fit(self, X, y):
        raise ValueError("this one never works")

    def predict(self, X):
        return X[:, 0]
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished run with a test table, and a method that always fails."""
    folder = tmp_path_factory.mktemp("modelhub")
    frame = load_iris(as_frame=True).frame
    frame.iloc[::2].to_csv(folder / "iris.csv", index=False)
    frame.iloc[1::2].to_csv(folder / "iris_test.csv", index=False)
    (folder / "broken.py").write_text(BROKEN)
    form = {
        "name": "broken",
        "class": "broken.py:Broken",
        "task": ["multiclass"],
        "hyperparameters": {"c": {"type": "float", "range": [0.0, 1.0]}},
        "root_hyperparameters": ["c"],
        "conditions": {},
    }
    (folder / "broken.json").write_text(json.dumps(form))
    settings = FitSettings(
        target="target",
        trials=12,
        time_s=600.0,
        folds=2,
        methods=("dt", str(folder / "broken.json")),
        selector="uniform",
        tuner="random",
        jobs=2,
    )
    result = fit_table(
        folder / "iris.csv", settings, test=folder / "iris_test.csv", out=folder / "runs" / "iris"
    )
    return result.folder.path


def read(run: Path, view: str, names: Sequence[str], where: str = "1") -> list[dict[str, Any]]:
    with sqlite3.connect(run / "ledger.db") as connection:
        rows = connection.execute(f"SELECT {', '.join(names)} FROM {view} WHERE {where}").fetchall()
    connection.close()
    return [dict(zip(names, row, strict=True)) for row in rows]


def test_datasets(run: Path) -> None:
    [row] = read(run, "modelhub_datasets", DATASETS)
    assert None not in row.values()
    assert "" not in row.values()
    assert row["name"] == "iris"
    assert row["class_column"] == "target"
    assert (row["n_examples"], row["k_classes"], row["d_features"]) == (75, 3, 4)
    assert row["majority"] == pytest.approx(0.5)
    assert Path(row["train_path"]).name == "iris.csv"
    assert Path(row["test_path"]).name == "iris_test.csv"


def test_dataruns(run: Path) -> None:
    [row] = read(run, "dataruns", DATARUNS)
    assert None not in row.values()
    assert (row["selector"], row["tuner"], row["k_window"], row["r_minimum"]) == ("uniform", "random", 3, 2)
    assert (row["budget_type"], row["budget"]) == ("classifier", 12)
    assert (row["metric"], row["score_target"]) == ("log_loss", "cv")
    assert row["status"] == "complete"
    started, ended = pd.Timestamp(row["start_time"]), pd.Timestamp(row["end_time"])
    assert started < ended < pd.Timestamp(row["deadline"])
    assert pd.Timestamp(row["deadline"]) - started < pd.Timedelta("600s")


def test_a_datarun_by_walltime(tmp_path: Path) -> None:
    load_iris(as_frame=True).frame.to_csv(tmp_path / "iris.csv", index=False)
    settings = FitSettings(target="target", time_s=8.0, folds=1, methods=("knn",), jobs=1)
    result = fit_table(tmp_path / "iris.csv", settings, out=tmp_path / "run")
    [row] = read(result.folder.path, "dataruns", DATARUNS)
    assert None not in row.values()
    assert (row["budget_type"], row["budget"], row["status"]) == ("walltime", 8.0, "complete")


def test_hyperpartitions(run: Path) -> None:
    rows = read(run, "hyperpartitions", HYPERPARTITIONS)
    assert [row["method"] for row in rows] == ["dt", "dt", "broken"]
    for row in rows:
        assert None not in row.values()
    assert [json.loads(row["categoricals"]) for row in rows[:2]] == [
        {"criterion": "entropy"},
        {"criterion": "gini"},
    ]
    assert "max_depth" in json.loads(rows[0]["tunables"])


def test_a_partition_that_keeps_failing_is_given_up(run: Path) -> None:
    [broken] = read(run, "hyperpartitions", HYPERPARTITIONS, "method = 'broken'")
    failed = read(run, "classifiers", ["hyperpartition_id"], "status = 'errored'")
    assert broken["status"] == "errored"
    assert {row["hyperpartition_id"] for row in failed} == {broken["hyperpartition_id"]}
    assert 3 < len(failed) <= 5  # given up after more than three; one more may have been under way
    rest = read(run, "hyperpartitions", ["status"], "method = 'dt'")
    assert [row["status"] for row in rest] == ["incomplete", "incomplete"]


def test_classifiers(run: Path) -> None:
    rows = read(run, "classifiers", CLASSIFIERS)
    assert len(rows) == 12
    for row in rows:
        assert json.loads(row["hyperparameters_values"])["method"] in ("dt", "broken")
        assert row["host"].startswith(socket.gethostname())
        assert pd.Timestamp(row["start_time"]) <= pd.Timestamp(row["end_time"])
        if row["status"] == "errored":
            assert "this one never works" in row["error_message"]
            assert "Traceback" in row["error_message"]
            continue
        assert row["status"] == "complete"
        assert [name for name, value in row.items() if value is None] == ["error_message"]
        scores = json.loads((run / row["metrics_location"]).read_text())
        assert [fold["log_loss"] for fold in scores["cv"]] == pytest.approx(scores["folds"])
        assert scores["test"]["log_loss"] == pytest.approx(row["test_judgment_metric"])
        assert (run / row["model_location"]).is_dir()
