"""A fit from Python: weights, sessions, settings, and what the listener hears."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer

from modelwright import Study
from modelwright.automl.fit import FitResult, fit_table
from modelwright.automl.prepare import Tables
from modelwright.automl.settings import DEFAULT_TIME_S, FitSettings
from modelwright.automl.status import FitStatus
from modelwright.errors import InputError, UnknownNameError


class Ear:
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.states: list[FitStatus] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def update(self, status: FitStatus) -> None:
        self.states.append(status)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    table = load_breast_cancer(as_frame=True).frame
    return table.iloc[:200, [0, 1, 2, 3, 30]]


def settings(**changes: object) -> FitSettings:
    given = {"target": "target", "trials": 3, "methods": ("dt", "knn"), "folds": 2, "jobs": 1, **changes}
    return FitSettings(**given)  # type: ignore[arg-type]


def study_of(result: FitResult) -> Study:
    return Study.load(result.folder.path.name, storage=result.folder.ledger_url)


def test_a_run_that_is_done_says_so_and_more_can_be_added(tmp_path: Path, frame: pd.DataFrame) -> None:
    ear = Ear()
    first = fit_table(frame, settings(), out=tmp_path / "run", progress=ear)
    assert first.reason == "spent"
    assert ear.states[-1].share == 1.0
    assert ear.states[-1].counts == {"complete": 3, "running": 0}
    best = ear.states[-1].ensemble_score
    bundle = first.folder.bundle.resolve()

    ear = Ear()
    again = fit_table(frame, settings(), out=tmp_path / "run", progress=ear)
    assert again.reason == "complete"
    assert [note for note in ear.notes if "--trials 6 adds 3 more" in note]
    assert first.folder.bundle.resolve() == bundle

    ear = Ear()
    more = fit_table(frame, settings(trials=5), out=tmp_path / "run", progress=ear)
    assert more.reason == "spent"
    assert [note for note in ear.notes if "going on" in note]
    study = study_of(more)
    assert [trial.number for trial in study.trials] == [0, 1, 2, 3, 4]
    assert study.user_attrs["time_used_s"] > 0
    assert best is not None
    assert ear.states[-1].ensemble_score is not None
    assert ear.states[-1].ensemble_score >= best  # a new ensemble replaces only a worse one
    study.close()


def test_the_last_ensemble_knows_every_model(tmp_path: Path, frame: pd.DataFrame) -> None:
    # As after a kill between the last trial and its ensemble: all trials are there, it is not complete.
    result = fit_table(frame, settings(), out=tmp_path / "run")
    study = study_of(result)
    assert study.user_attrs["ensemble_built_from"] == 3
    study.storage.set_state(study.record.id, type(study.state).PENDING)
    (tmp_path / "run" / "bundle").unlink()
    assert fit_table(frame, settings(), out=tmp_path / "run").reason == "spent"
    assert (tmp_path / "run" / "bundle" / "manifest.json").exists()
    study.close()


OWN = """
import time
import numpy as np

class Hang:
    def fit(self, X, y):
        time.sleep(1e6)

    def predict(self, X):
        return X[:, 0]

class Eat(Hang):
    def fit(self, X, y):
        kept = []
        while True:
            kept.append(np.ones(2_000_000))

class Exit(Hang):
    def fit(self, X, y):
        import os
        os._exit(3)
"""


def test_models_that_hang_eat_or_leave_are_failed_trials(tmp_path: Path, frame: pd.DataFrame) -> None:
    (tmp_path / "own.py").write_text(OWN)
    names = ("Hang", "Eat", "Exit")
    for name in names:
        form = {"name": name, "class": f"own.py:{name}", "task": ["binary"], "hyperparameters": {}}
        form |= {"root_hyperparameters": [], "conditions": {}}
        (tmp_path / f"{name}.json").write_text(json.dumps(form))
    chosen = settings(
        trials=4,
        methods=("dt", *(str(tmp_path / f"{name}.json") for name in names)),
        jobs=2,
        memory_mb=300.0,
        trial_timeout_s=5.0,
    )
    result = fit_table(frame, chosen, out=tmp_path / "run")
    study = study_of(result)
    ends = {
        str(trial.params["method"]): trial.failure.kind.value if trial.failure else trial.state.value
        for trial in study.trials
    }
    assert ends == {"dt": "complete", "Hang": "timeout", "Eat": "memory", "Exit": "error"}
    assert (result.folder.bundle / "manifest.json").exists()
    study.close()


def test_weights_reach_the_models_and_the_scores(tmp_path: Path, frame: pd.DataFrame) -> None:
    # Rows of weight 0 are labelled at random: with weights they must not matter.
    rng = np.random.default_rng(0)
    noise = rng.random(len(frame)) < 0.4
    wrong = frame.assign(target=np.where(noise, rng.integers(0, 2, len(frame)), frame["target"]))
    weight = np.where(noise, 0.0, 1.0)
    chosen = settings(trials=1, methods=("dt",), holdout=0.0)
    scores = [
        study_of(fit_table(None, chosen, out=tmp_path / name, tables=Tables(wrong, weight=given))).best_value
        for name, given in (("without", None), ("with", weight))
    ]
    assert scores[1] > scores[0] + 0.1
    store = np.load(tmp_path / "with" / "data" / "weight.npy")
    assert store.tolist() == weight.tolist()


@pytest.mark.parametrize("weight", [np.ones(3), np.full(200, -1.0), np.zeros(200), np.full(200, np.nan)])
def test_weights_that_make_no_sense(tmp_path: Path, frame: pd.DataFrame, weight: np.ndarray) -> None:
    with pytest.raises(InputError, match="weight"):
        fit_table(None, settings(), out=tmp_path / "run", tables=Tables(frame, weight=weight))
    assert not (tmp_path / "run").exists()


def test_a_ledger_elsewhere_is_remembered(
    tmp_path: Path, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelwright.automl.leaderboard import read_leaderboard

    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    chosen = settings(trials=1, methods=("knn",))
    fit_table(frame, chosen, out=tmp_path / "one" / "run", storage="sqlite:///hub.db")
    fit_table(frame, chosen, out=tmp_path / "two" / "run", storage="sqlite:///hub.db")
    monkeypatch.chdir(tmp_path / "other")
    boards = [read_leaderboard(tmp_path / name / "run") for name in ("one", "two")]
    assert boards[0].study != boards[1].study  # folders of one name share a hub, not a study
    assert [len(board.rows) for board in boards] == [2, 2]


def test_the_default_budget() -> None:
    assert FitSettings(target="y").with_budget().time_s == DEFAULT_TIME_S
    assert FitSettings(target="y", trials=3).with_budget().time_s is None
    assert FitSettings(target="y", time_s=5).with_budget().time_s == 5


def test_unknown_methods_are_refused_before_the_table_is_read() -> None:
    with pytest.raises(UnknownNameError, match="magic"):
        fit_table("no-such-file.csv", settings(methods=("magic",)))
