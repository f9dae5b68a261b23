"""The estimators: scikit-learn's conventions on small tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dask_programs import DaskPrograms
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score

from modelwright.automl import TabularClassifier, TabularRegressor
from modelwright.errors import BundleError, InputError


def quick(kind: type = TabularClassifier, **options: Any) -> Any:
    return kind(**{"time": None, "trials": 2, "methods": ["dt"], "jobs": 1, **options})


def iris() -> tuple[pd.DataFrame, pd.Series]:
    X, y = load_iris(return_X_y=True, as_frame=True)
    return X, y.map({0: "setosa", 1: "versicolor", 2: "virginica"}).rename("species")


def test_a_classifier_predicts_labels_and_probabilities_in_their_order() -> None:
    X, y = iris()
    model = quick().fit(X, y)
    assert model.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert model.score(X, y) > 0.9
    probabilities = model.predict_proba(X)
    assert probabilities.shape == (150, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (model.classes_[probabilities.argmax(axis=1)] == model.predict(X)).all()
    assert model.feature_names_in_.tolist() == X.columns.tolist()
    assert model.n_features_in_ == 4


def test_the_leaderboard_and_the_importances_can_be_read() -> None:
    X, y = iris()
    model = quick().fit(X, y)
    board = model.leaderboard()
    assert board["rank"].tolist() == list(range(1, len(board) + 1))
    assert "ensemble" in board["model"].tolist()
    importance = model.feature_importance()
    assert set(importance["column"]) == set(X.columns)
    assert importance["importance"].sum() == pytest.approx(1)


def test_a_regressor_takes_plain_arrays() -> None:
    X, y = load_diabetes(return_X_y=True)
    model = quick(TabularRegressor).fit(X, y)
    assert model.predict(X[:5]).shape == (5,)
    assert model.score(X, y) > 0.2
    assert not hasattr(model, "predict_proba")


def test_a_saved_model_predicts_the_same(tmp_path: Path) -> None:
    X, y = iris()
    model = quick().fit(X, y)
    for name in ("model", "model.zip"):
        model.save(tmp_path / name)
        again = TabularClassifier.load(tmp_path / name)
        assert (again.predict_proba(X) == model.predict_proba(X)).all()
        assert again.classes_.tolist() == model.classes_.tolist()
    with pytest.raises(BundleError):
        model.save(tmp_path / "model")
    with pytest.raises(InputError, match="TabularRegressor"):
        TabularRegressor.load(tmp_path / "model")


def test_validation_rows_take_the_place_of_folds() -> None:
    X, y = iris()
    rows = np.arange(150) % 3 == 0
    model = quick().fit(X[~rows], y[~rows], X[rows], y[rows])
    assert model.score(X[rows], y[rows]) > 0.8
    with pytest.raises(InputError, match="y_val"):
        quick().fit(X, y, X)


def test_weights_count() -> None:
    # Two contradictory halves: the weights say which of them is believed.
    X = pd.DataFrame({"a": [0.0, 1.0] * 60, "b": np.linspace(0, 1, 120)})
    y = np.where(np.arange(120) < 60, X["a"] == 1, X["a"] == 0).astype(int)
    weight = np.where(np.arange(120) < 60, 1.0, 0.0)
    model = quick(metric="accuracy", folds=2, methods=["lgbm"], trials=1).fit(
        X.drop(columns="b"), y, sample_weight=weight
    )
    assert (model.predict(X[["a"]]) == X["a"]).all()
    with pytest.raises(InputError, match="weight"):
        quick().fit(X, y, sample_weight=weight[:5])


def test_it_fits_scikit_learns_tools() -> None:
    X, y = iris()
    model = quick(trials=1)
    assert clone(model).get_params() == model.get_params()
    assert cross_val_score(model, X, y, cv=2).mean() > 0.8
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_categories_dates_and_gaps_come_as_they_are() -> None:
    rng = np.random.default_rng(0)
    n = 120
    X = pd.DataFrame(
        {
            "colour": pd.Categorical(rng.choice(["red", "green"], n)),
            "when": pd.date_range("2024-01-01", periods=n),
            "size": np.where(rng.random(n) < 0.2, np.nan, rng.random(n)),
            "flag": rng.random(n) < 0.5,
        }
    )
    y = (X["colour"] == "red").map({True: 1, False: 0})
    model = quick(methods=["dt", "logreg"], trials=3).fit(X, y)
    assert model.score(X, y) == 1.0
    fresh = X.head(3).assign(colour=["violet", "red", None], size=np.nan)
    assert model.predict(fresh).shape == (3,)


def test_targets_of_the_wrong_length_are_refused() -> None:
    X, y = iris()
    with pytest.raises(InputError, match="150"):
        quick().fit(X, y[:10])


def test_the_run_can_be_kept(tmp_path: Path) -> None:
    X, y = iris()
    first = quick(out=tmp_path / "run").fit(X, y)
    again = quick(out=tmp_path / "run").fit(X, y)  # complete: nothing is searched again
    assert (again.predict(X) == first.predict(X)).all()
    assert (tmp_path / "run" / "ledger.db").exists()


@pytest.mark.slow
def test_a_cluster_does_the_work(dask_cluster: DaskPrograms) -> None:
    X, y = iris()
    model = quick(executor="dask", address=dask_cluster.address).fit(X, y)
    assert model.score(X, y) > 0.9
    with pytest.raises(InputError, match="no Dask scheduler"):
        quick(executor="dask", address="tcp://127.0.0.1:9").fit(X, y)
