"""Evaluation: scores, out-of-fold predictions and files, checked against what they are made from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from modelwright.automl.data import TableStore
from modelwright.automl.evaluation import TrialFunction, evaluate, fold_plan
from modelwright.automl.methods import load_methods
from modelwright.automl.metrics import all_metrics, metric
from modelwright.automl.models import load_model
from modelwright.automl.partitions import partitions
from modelwright.study import TrialPruned

TABLES = {"binary": load_breast_cancer, "multiclass": load_wine, "regression": load_diabetes}
N_TEST = 20


def table(folder: Path, task: str, *, weight: bool = False, **meta: Any) -> TableStore:
    """Write a small part of a well-known table."""
    X, y = TABLES[task](return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(y))[:140]
    X, y = X[rows], y[rows]
    n_classes = 0 if task == "regression" else len(np.unique(y))
    settings = {
        "task": task,
        "n_classes": n_classes,
        "feature_kinds": ["number"] * X.shape[1],
        "metric": all_metrics(task)[0].name,
        "seed": 5,
        "strategy": "cv",
        "folds": 3,
        **meta,
    }
    weights = np.linspace(0.5, 2, len(y) - N_TEST) if weight else None
    return TableStore.write(
        folder / "data",
        X[:-N_TEST],
        y[:-N_TEST],
        weight=weights,
        X_test=X[-N_TEST:],
        y_test=y[-N_TEST:],
        meta=settings,
    )


def argument(folder: Path, code: str, task: str, **more: Any) -> dict[str, Any]:
    part = partitions(load_methods([code], task))[-1]
    params = part.configuration(part.tunables.default())
    params |= {name: 15 for name in ("rf:n_estimators", "lgbm:num_rounds") if name in params}
    return {"data": str(folder / "data"), "params": params, "seed": 11, **more}


@pytest.mark.parametrize("task", TABLES)
@pytest.mark.parametrize("code", ["lgbm", "rf", "logreg", "knn", "dt"])
def test_everything_that_is_left_agrees(tmp_path: Path, task: str, code: str) -> None:
    store = table(tmp_path, task)
    measure, folder = metric(store.meta["metric"], task), tmp_path / "trial"
    reports: list[tuple[float, float]] = []
    found = evaluate(argument(tmp_path, code, task), folder, lambda *report: reports.append(report))

    oof = np.load(folder / "oof.npy")
    assert oof.dtype == np.float32
    scores = []
    models = [load_model(folder / "models" / f"fold-{fold}") for fold in range(3)]
    for model, (_, valid) in zip(models, fold_plan(store), strict=True):
        predicted = model.predict(store.X[valid])
        np.testing.assert_array_equal(predicted.astype(np.float32), oof[valid])
        scores.append(measure.score(store.y[valid], predicted))
    assert found.value == pytest.approx(np.mean(scores), rel=1e-12)
    assert found.metrics["cv_mean"] == found.value
    assert found.metrics["cv_std"] == pytest.approx(np.std(scores))
    assert found.metrics["folds"] == pytest.approx(scores)
    assert reports == [(pytest.approx(np.mean(scores[: k + 1])), k) for k in range(3)]

    test = np.mean([model.predict(store.X_test) for model in models], axis=0)
    np.testing.assert_allclose(np.load(folder / "test.npy"), test.astype(np.float32))
    assert found.metrics["test_score"] == pytest.approx(measure.score(store.y_test, test))


@pytest.mark.parametrize("task", TABLES)
def test_all_metrics_are_written_for_each_fold_and_the_test(tmp_path: Path, task: str) -> None:
    table(tmp_path, task)
    found = evaluate(argument(tmp_path, "dt", task), tmp_path / "trial")
    form = json.loads((tmp_path / "trial" / "metrics.json").read_text())
    names = {item.name for item in all_metrics(task)}
    assert [set(fold) for fold in form["cv"]] == [names] * 3
    assert set(form["test"]) == names
    assert form["cv_mean"] == found.value
    assert len(form["importance"]) == len(TABLES[task]()["feature_names"])


def test_every_file_is_named(tmp_path: Path) -> None:
    table(tmp_path, "binary")
    folder = tmp_path / "trials" / "3-1"
    found = evaluate(argument(tmp_path, "logreg", "binary"), folder, base=tmp_path)
    assert set(found.files) == {path for path in folder.rglob("*") if path.is_file()}
    assert found.metrics["model_location"] == "trials/3-1/models"
    assert found.metrics["metrics_location"] == "trials/3-1/metrics.json"
    sizes = [path.stat().st_size for path in found.files if path.is_relative_to(folder / "models")]
    assert found.metrics["size_bytes"] == sum(sizes) > 0


def test_the_same_seed_gives_the_same_and_the_results_are_json(tmp_path: Path) -> None:
    table(tmp_path, "binary")
    once, again = (evaluate(argument(tmp_path, "rf", "binary"), tmp_path / name) for name in "ab")
    assert once.value == again.value
    assert (tmp_path / "a" / "oof.npy").read_bytes() == (tmp_path / "b" / "oof.npy").read_bytes()
    json.dumps(once.metrics, allow_nan=False)


def test_rows_in_no_fold_are_nan_and_a_holdout_has_one_model(tmp_path: Path) -> None:
    store = table(tmp_path, "multiclass", strategy="holdout", fraction=0.25)
    evaluate(argument(tmp_path, "dt", "multiclass"), tmp_path / "trial")
    [(train, valid)] = fold_plan(store)
    oof = np.load(tmp_path / "trial" / "oof.npy")
    assert np.isnan(oof[train]).all()
    assert np.isfinite(oof[valid]).all()
    assert [path.name for path in (tmp_path / "trial" / "models").iterdir()] == ["fold-0"]


def test_repeats_are_averaged(tmp_path: Path) -> None:
    store = table(tmp_path, "regression", repeats=2, folds=2)
    evaluate(argument(tmp_path, "dt", "regression"), tmp_path / "trial")
    models = [load_model(tmp_path / "trial" / "models" / f"fold-{fold}") for fold in range(4)]
    total = np.zeros(len(store.y))
    for model, (_, valid) in zip(models, fold_plan(store), strict=True):
        total[valid] += model.predict(store.X[valid])
    np.testing.assert_allclose(np.load(tmp_path / "trial" / "oof.npy"), total / 2, rtol=1e-6)


def test_rows_given_for_validation_are_used_for_nothing_else(tmp_path: Path) -> None:
    store = table(tmp_path, "binary", strategy="given", n_train=90)
    [(train, valid)] = fold_plan(store)
    assert (train.tolist(), valid.tolist()) == (list(range(90)), list(range(90, 120)))
    evaluate(argument(tmp_path, "dt", "binary"), tmp_path / "trial")
    assert np.isfinite(np.load(tmp_path / "trial" / "oof.npy")).all(axis=1).sum() == 30


def test_weights_reach_model_and_score(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "p").mkdir()
    table(tmp_path / "w", "regression", weight=True)
    table(tmp_path / "p", "regression")
    weighted = evaluate(argument(tmp_path / "w", "dt", "regression"), tmp_path / "w" / "trial")
    plain = evaluate(argument(tmp_path / "p", "dt", "regression"), tmp_path / "p" / "trial")
    assert weighted.value != plain.value


def test_a_trial_that_should_stop_ends_between_folds(tmp_path: Path) -> None:
    table(tmp_path, "binary")
    reports: list[float] = []
    with pytest.raises(TrialPruned):
        evaluate(
            argument(tmp_path, "dt", "binary"),
            tmp_path / "trial",
            lambda value, fold: reports.append(fold),
            lambda: len(reports) == 2,
        )
    assert reports == [0, 1]


def test_a_soft_limit_ends_a_trial_or_keeps_what_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = table(tmp_path, "binary")
    now = [0.0]
    monkeypatch.setattr("modelwright.automl.evaluation.time.monotonic", lambda: now[0])

    def passes(value: float, fold: float) -> None:
        now[0] += 6.0

    with pytest.raises(TimeoutError, match="after 2 folds"):
        evaluate(argument(tmp_path, "dt", "binary", soft_limit_s=10), tmp_path / "a", passes)
    now[0] = 0.0
    found = evaluate(
        argument(tmp_path, "dt", "binary", soft_limit_s=10, partial=True), tmp_path / "b", passes
    )
    assert found.metrics["folds_done"] == [2, 3]
    missing = np.isnan(np.load(tmp_path / "b" / "oof.npy")).any(axis=1)
    assert set(np.flatnonzero(missing)) == set(fold_plan(store)[2][1])


def test_warnings_are_kept_as_words(tmp_path: Path) -> None:
    table(tmp_path, "regression")
    given = own_method(tmp_path, "import warnings; warnings.warn('slow to converge')", "X[:, 0]")
    assert evaluate(given, tmp_path / "trial").metrics["warnings"] == ["UserWarning: slow to converge"]


def test_predictions_that_are_not_finite_give_no_value(tmp_path: Path) -> None:
    table(tmp_path, "regression")
    found = evaluate(own_method(tmp_path, "pass", "X[:, 0] * np.inf"), tmp_path / "trial")
    assert np.isnan(found.value)
    assert found.metrics["cv_mean"] is None


def test_a_method_that_always_raises_says_so(tmp_path: Path) -> None:
    table(tmp_path, "regression")
    with pytest.raises(RuntimeError, match="never"):
        evaluate(own_method(tmp_path, "raise RuntimeError('never')", "X[:, 0]"), tmp_path / "trial")


def own_method(folder: Path, fit: str, predict: str) -> dict[str, Any]:
    """Write a learner of the user's, and return the argument that names it."""
    code = f"""
import numpy as np
class Mine:
    def fit(self, X, y):
        {fit}
        return self
    def predict(self, X):
        return {predict}
"""
    (folder / "mine.py").write_text(code, encoding="utf-8")
    form = {"name": "mine", "class": "mine.py:Mine", "task": ["regression"], "hyperparameters": {}}
    (folder / "mine.json").write_text(json.dumps(form), encoding="utf-8")
    methods = [str(folder / "mine.json")]
    return {"data": str(folder / "data"), "params": {"method": "mine"}, "methods": methods, "seed": 1}


class FakeTrial:
    """What the study gives an objective, as far as `TrialFunction` needs it."""

    number, attempt, seed = 4, 1, 9

    def __init__(self, params: dict[str, Any], folder: Path) -> None:
        self.params, self.folder = params, folder
        self.reports: list[tuple[float, float]] = []
        self.logged: dict[Path, str] = {}

    def report(self, value: float, step: float) -> None:
        self.reports.append((value, step))

    def should_stop(self) -> bool:
        return False

    def log_artifact(self, path: Path, *, format: str) -> None:
        self.logged[path] = format


def test_the_objective_of_a_search_logs_its_files(tmp_path: Path) -> None:
    table(tmp_path, "binary")
    folder = tmp_path / "elsewhere" / "trials" / "4-1"
    trial = FakeTrial(argument(tmp_path, "lgbm", "binary")["params"], folder)
    result = TrialFunction(str(tmp_path / "data"))(trial)  # type: ignore[arg-type]
    assert result.values == pytest.approx(trial.reports[-1][0])
    assert result.metrics["model_location"] == "trials/4-1/models"
    assert set(trial.logged) == {path for path in folder.rglob("*") if path.is_file()}
    assert {path.suffix: format for path, format in trial.logged.items() if format} == {".txt": "lightgbm"}
