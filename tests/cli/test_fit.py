"""`modelwright fit` as a user lives with it: killed, interrupted, joined, resumed, out of time."""

from __future__ import annotations

import json
import re
import shutil
import signal
import sqlite3
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes

from modelwright import Study
from modelwright.records import StudyState


@pytest.fixture
def cancer(tmp_path: Path) -> pd.DataFrame:
    """Write ``cancer.csv``: two classes, 300 rows, 6 numbers."""
    frame = load_breast_cancer(as_frame=True).frame
    frame = frame.iloc[:300, [0, 1, 2, 3, 4, 5, 30]]
    frame.to_csv(tmp_path / "cancer.csv", index=False)
    return frame


def fit(*options: str) -> list[str]:
    methods = () if "--methods" in options else ("--methods", "dt,knn,lgbm")
    return ["fit", "cancer.csv", "--target", "target", "--out", "runs/x", *methods, *options]


def rows(run: Path, query: str) -> list[tuple[Any, ...]]:
    """Ask the ledger of a run; nothing while there is none."""
    try:
        connection = sqlite3.connect(f"file:{run / 'ledger.db'}?mode=ro", uri=True)
        found = connection.execute(query).fetchall()
    except sqlite3.OperationalError:
        return []
    connection.close()
    return found


_FINISHED = "state IN ('complete', 'failed', 'pruned')"


def ended(run: Path) -> dict[int, list[tuple[Any, ...]]]:
    """Return all that the ledger knows of each trial that is over, and of its attempts."""
    numbers = [number for (number,) in rows(run, f"SELECT number FROM trials WHERE {_FINISHED}")]
    return {
        number: [
            *rows(run, f"SELECT * FROM trials WHERE number = {number}"),
            *rows(run, f"SELECT * FROM attempts WHERE number = {number}"),
        ]
        for number in numbers
    }


def states(run: Path) -> dict[str, int]:
    return dict(rows(run, "SELECT state, count(*) FROM trials GROUP BY state"))


# killed and resumed ---------------------------------------------------------------------------------------


def test_a_killed_run_goes_on_where_it_was(
    tmp_path: Path, cancer: pd.DataFrame, start: Callable, until: Callable, script: Callable
) -> None:
    run, line = tmp_path / "runs/x", fit("--trials", "20", "--jobs", "2")
    known: dict[int, list[tuple[Any, ...]]] = {}
    in_flight: set[int] = set()
    for least in (0, 5, 12):
        process = start(*line)
        until(lambda least=least: states(run).get("running") and states(run).get("complete", 0) >= least)
        if least == 12:  # by now there is something that can be used
            until(lambda: (run / "bundle").exists())
        process.kill()
        process.communicate()
        before, known = known, ended(run)
        assert {number: known[number] for number in before} == before
        in_flight |= {number for (number,) in rows(run, "SELECT number FROM trials WHERE state = 'running'")}
        if (run / "bundle").exists():
            done = script("predict", "runs/x", "cancer.csv")
            assert done.code == 0, done.err
    done = script(*line)
    assert done.code == 0, done.err
    assert "going on" in done.err
    assert (run / "bundle").exists()
    after = ended(run)
    assert sorted(after) == list(range(20))
    assert {number: after[number] for number in known} == known
    attempts = dict(rows(run, "SELECT number, attempts FROM trials"))
    assert {number for number, count in attempts.items() if count > 1} <= in_flight
    assert rows(run, "SELECT state FROM studies") == [("complete",)]


def test_two_commands_share_one_budget(
    tmp_path: Path, cancer: pd.DataFrame, start: Callable, until: Callable
) -> None:
    run, line = tmp_path / "runs/x", fit("--trials", "12", "--jobs", "1", "--methods", "dt,knn")
    first = start(*line)
    until(lambda: rows(run, "SELECT 1 FROM studies"))
    second = start(*line)
    for process in (first, second):
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert "ensemble" in out
    assert states(run) == {"complete": 12}
    assert set(dict(rows(run, "SELECT number, attempts FROM trials")).values()) == {1}
    # A build that is no better than the published one leaves no row, so its members are all there is to see.
    (last,) = rows(run, "SELECT members FROM ensembles ORDER BY iteration DESC LIMIT 1")
    assert {number for number, _ in json.loads(last[0])} <= set(range(12))
    listed, _ = start("leaderboard", run, "--json").communicate(timeout=120)
    assert {row["trial"] for row in json.loads(listed)["rows"]} == {None, *range(12)}  # models of both


def test_ctrl_c_leaves_nothing_running(
    tmp_path: Path, cancer: pd.DataFrame, start: Callable, until: Callable
) -> None:
    run = tmp_path / "runs/x"
    process = start(*fit("--trials", "500"))
    until(lambda: states(run).get("complete", 0) >= 2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on" in err
    assert "Traceback" not in err
    assert out == ""
    left = states(run)
    assert not {"running", "failed"} & set(left)
    assert left["complete"] >= 2


# time -----------------------------------------------------------------------------------------------------

OWN = """
    import time
    import numpy as np

    class Hang:
        def fit(self, X, y):
            while True:
                time.sleep(1)

        def predict(self, X):
            return X[:, 0]

    class Eat:
        def fit(self, X, y):
            self.kept = []
            while True:
                self.kept.append(np.ones(2_000_000))

        def predict(self, X):
            return X[:, 0]
"""
FORM = {"task": ["binary"], "hyperparameters": {}, "root_hyperparameters": [], "conditions": {}}


def own_methods(folder: Path) -> str:
    (folder / "own.py").write_text(textwrap.dedent(OWN))
    for name in ("Hang", "Eat"):
        form = {"name": name.lower(), "class": f"own.py:{name}", **FORM}
        (folder / f"{name}.json").write_text(json.dumps(form))
    return "Hang.json,Eat.json"


@pytest.mark.slow
def test_time_is_kept_whatever_the_models_do(tmp_path: Path, cancer: pd.DataFrame, script: Callable) -> None:
    methods = own_methods(tmp_path) + ",dt"
    began = time.monotonic()
    # Two slots for the two of them, and one more, so that a slow machine shows a model too.
    done = script(*fit("--time", "20", "--memory", "300", "--jobs", "3", "--methods", methods))
    took = time.monotonic() - began
    assert done.code == 0, done.err
    assert took < 2 * 20  # generous, for machines under load; the benchmarks measure it
    run = tmp_path / "runs/x"
    assert (run / "bundle/manifest.json").exists()
    kinds = dict(rows(run, "SELECT json_extract(params, '$.method'), failure_kind FROM trials"
                           " WHERE state = 'failed'"))  # fmt: skip
    assert kinds == {"hang": "timeout", "eat": "memory"}
    assert "running" not in states(run)
    done = script(*fit("--time", "20", "--memory", "300", "--jobs", "3", "--methods", methods))
    assert done.code == 0
    assert "complete: 20 s of 20 s are used. --time 40 adds 20 s." in done.err


def test_time_adds_up_over_sessions_even_when_killed(
    tmp_path: Path, cancer: pd.DataFrame, start: Callable, until: Callable, script: Callable
) -> None:
    run = tmp_path / "runs/x"

    def used() -> float:
        found = rows(run, "SELECT json_extract(user_attrs, '$.time_used_s') FROM studies")
        return float(found[0][0] or 0.0) if found else 0.0

    process = start(*fit("--time", "600", "--methods", "dt,knn"))
    until(lambda: used() > 0 and (run / "bundle").exists())
    process.kill()
    process.communicate()
    done = script("predict", "runs/x", "cancer.csv")
    assert done.code == 0, done.err
    before = used()
    done = script(*fit("--time", f"{before:.3f}", "--methods", "dt,knn"))
    assert done.code == 0, done.err
    assert f"complete: {before:.0f} s of {before:.0f} s are used" in done.err


# what comes out -------------------------------------------------------------------------------------------


def test_regression_without_a_holdout(tmp_path: Path, command: Callable) -> None:
    load_diabetes(as_frame=True).frame.to_csv(tmp_path / "d.csv", index=False)
    done = command(
        *["fit", "d.csv", "--target", "target", "--trials", "3", "--methods", "dt,ridge"],
        *["--holdout", "0", "--folds", "2", "--quiet", "--seed", "3"],
    )
    assert done.code == 0, done.err
    assert done.err == ""
    assert done.out.startswith("best single model: ")
    assert "test" not in done.out
    board = json.loads(command("leaderboard", "runs/d", "--json").out)
    assert board["metric"] == "rmse"
    assert board["direction"] == "minimize"
    assert board["test_score"] is None
    scores = [row["score"] for row in board["rows"]]
    assert scores == sorted(scores)
    assert 40 < scores[0] < 70  # the target's own deviation is 77
    assert command("predict", "runs/d", "d.csv", "-o", "p.csv").code == 0
    predicted = pd.read_csv(tmp_path / "p.csv")
    assert list(predicted) == ["target"]
    assert len(predicted) == 442


def test_a_test_table_gives_the_test_score(tmp_path: Path, cancer: pd.DataFrame, command: Callable) -> None:
    cancer.iloc[:200].to_csv(tmp_path / "cancer.csv", index=False)
    cancer.iloc[200:].to_csv(tmp_path / "test.csv", index=False)
    done = command(*fit("--trials", "2", "--methods", "dt,knn", "--test", "test.csv", "--json"))
    assert done.code == 0, done.err
    assert done.err == ""
    board = json.loads(done.out)
    assert board["reason"] == "spent"
    assert board["counts"] == {"complete": 2}
    assert board["dummy_test_score"] == 0.5
    from sklearn.metrics import roc_auc_score

    command("predict", "runs/x", "test.csv")
    predicted = pd.read_csv(tmp_path / "predictions.csv")
    score = roc_auc_score(cancer["target"].iloc[200:], predicted["probability_1"])
    assert board["test_score"] == pytest.approx(score, abs=1e-6)


def test_piped_output_is_for_programs(command: Callable, finished: Path) -> None:
    run = str(finished / "runs/t")
    lines = command("leaderboard", run).out.splitlines()
    assert len({line.count("\t") for line in lines}) == 1
    assert lines[0].split("\t")[:3] == ["rank", "model", "score"]
    assert len(lines) == 1 + 5
    assert len(command("leaderboard", run, "--top", "2").out.splitlines()) == 1 + 2
    shown = command("studies", "show", "t", "--storage", f"sqlite:///{run}/ledger.db", "--json")
    assert json.loads(shown.out)["counts"] == {"complete": 4}
    listed = command("studies", "list", "--storage", f"sqlite:///{run}/ledger.db", "--json")
    assert [study["name"] for study in json.loads(listed.out)] == ["t"]


def test_the_report_is_one_offline_file(tmp_path: Path, command: Callable, finished: Path) -> None:
    done = command("report", str(finished / "runs/t"), "-o", "r.html")
    assert done.code == 0, done.err
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "dt-0" in text
    assert "<script src=" not in text
    assert "<link" not in text
    assert (finished / "runs/t/report.html").exists()


def test_the_report_says_how_the_run_was_made(tmp_path: Path, command: Callable, finished: Path) -> None:
    command("report", str(finished / "runs/t"), "-o", "r.html")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    settings = dict(re.findall("<tr><td>([^<]*)</td><td>([^<]*)</td></tr>", text))
    shown = {name: settings[name] for name in ("budget", "folds", "jobs", "methods", "metric", "task")}
    assert int(shown.pop("jobs")) >= 1
    assert shown == {
        "budget": "4 trials",
        "folds": "8",
        "methods": "dt, knn",
        "metric": "roc_auc",
        "task": "binary",
    }
    assert settings["memory of a trial"].endswith(" MB")


def test_trials_that_a_complete_run_leaves_are_not_waiting(
    tmp_path: Path, command: Callable, finished: Path
) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True, symlinks=True)
    url = f"sqlite:///{tmp_path}/runs/t/ledger.db"
    study = Study.load("t", storage=url)
    study.storage.enqueue(study.record.id, dict(study.trials[0].record.params or {}), {})
    ledger = ["--storage", url]
    assert "trials: 4 complete, 1 waiting" in command("studies", "show", "t", *ledger).out
    study.storage.set_state(study.record.id, StudyState.COMPLETE)
    study.close()
    shown = command("studies", "show", "t", *ledger).out
    assert "trials: 4 complete, 1 not run" in shown
    assert "4\tnot run\t" in shown
    assert "waiting" not in shown
    listed = json.loads(command("studies", "list", *ledger, "--json").out)
    assert listed[0]["trials"] == 4
    board = json.loads(command("leaderboard", "runs/t", "--json").out)
    assert board["counts"] == {"complete": 4, "not run": 1}
    command("report", "runs/t", "-o", "r.html")
    assert "Trials: 4 complete, 1 not run." in (tmp_path / "r.html").read_text(encoding="utf-8")
