"""Models: every partition's default fits, predicts, and is the same after a trip through its files."""

from __future__ import annotations

import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import LinearSVC

from modelwright.automl.bundle.trusted import check_contents
from modelwright.automl.methods import find_class, load_methods
from modelwright.automl.models import FitContext, Model, Part, load_model, make_model
from modelwright.automl.models.estimator import EstimatorModel
from modelwright.automl.models.lightgbm import LightGBM
from modelwright.automl.models.preparation import Preparation
from modelwright.automl.partitions import MethodPartition, partitions
from modelwright.errors import BundleError, InputError

KINDS = ["number", "category", "number", "number"]
N_CLASSES = {"binary": 2, "multiclass": 3, "regression": 0}


def rows_of(task: str, n: int = 90, seed: int = 0) -> Part:
    """Return rows with gaps, a category and some rule to learn."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.normal(size=n), rng.integers(0, 4, n), rng.normal(size=n), rng.random(n)])
    rule = X[:, 0] + (X[:, 1] == 2) + 0.1 * rng.normal(size=n)
    y = rule if task == "regression" else np.digitize(rule, [0.2] if task == "binary" else [-0.2, 0.8])
    X[::7, 1] = np.nan
    X[::9, 2] = np.nan
    return Part(X, y)


def context(task: str, **changes: Any) -> FitContext:
    return FitContext(
        **{"feature_kinds": KINDS, "task": task, "n_classes": N_CLASSES[task], "seed": 3, **changes}
    )


def smaller(config: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration with fewer trees, for time's sake."""
    few = {"rf:n_estimators": 15, "et:n_estimators": 15, "lgbm:num_rounds": 30}
    return {**config, **{name: value for name, value in few.items() if name in config}}


def model_of(part: MethodPartition, **numbers: Any) -> Model:
    own = {name: value for name, value in numbers.items() if name in part.tunables}
    config = part.configuration({**part.tunables.default(), **own})
    arguments, preparation = part.method.arguments(smaller(config))
    return make_model(find_class(part.method.class_path), arguments, preparation)


def saved(model: Model, folder: Path) -> Path:
    folder.mkdir(parents=True)
    model.save(folder)
    return folder


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("code", ["lgbm", "et", "rf", "logreg", "knn", "dt"])
def test_every_partition_fits_and_survives_its_files(code: str, task: str, tmp_path: Path) -> None:
    train, new = rows_of(task), rows_of(task, 25, seed=1)
    new.X[0, 1], new.X[1] = 99.0, np.nan  # a level that training has not seen, and a row of gaps
    for part in partitions(load_methods([code], task)):
        model = model_of(part).fit(train, context(task), new)
        predicted = model.predict(new.X)
        if task == "regression":
            assert predicted.shape == (25,)
        else:
            assert predicted.shape == (25, N_CLASSES[task])
            np.testing.assert_allclose(predicted.sum(axis=1), 1)
        assert np.isfinite(predicted).all(), part.label
        folder = saved(model, tmp_path / str(part.index))
        for file in folder.iterdir():
            check_contents(file)
        loaded = load_model(folder)
        assert loaded.kind == model.kind
        np.testing.assert_array_equal(loaded.predict(new.X), predicted, err_msg=part.label)
        importance = loaded.feature_importance()
        assert (importance is None) == (code == "knn")
        if importance is not None:
            assert importance.shape == (4,)
            assert (importance >= 0).all()


@pytest.mark.parametrize("task", ["binary", "regression"])
@pytest.mark.parametrize("code", ["lgbm", "et", "rf", "logreg", "dt"])
def test_models_learn_the_rule_and_repeat_themselves(code: str, task: str) -> None:
    train, new = rows_of(task, 300), rows_of(task, 200, seed=1)
    [part, *_] = partitions(load_methods([code], task))
    once, again = (model_of(part).fit(train, context(task)).predict(new.X) for _ in range(2))
    np.testing.assert_array_equal(once, again)
    if task == "regression":
        assert np.mean((once - new.y) ** 2) < 0.5 * np.var(new.y)
    else:
        assert np.mean(once.argmax(axis=1) == new.y) > 0.8
    model = model_of(part).fit(train, context(task))
    importance = model.feature_importance()
    assert importance is not None
    assert importance.argmax() == 0, "most of the rule is in the first column"


@pytest.mark.parametrize("code", ["lgbm", "et", "rf", "logreg", "knn", "dt"])
def test_a_class_that_is_absent_in_a_fold_gets_a_column(code: str, tmp_path: Path) -> None:
    full = rows_of("multiclass")
    without = full.y != 1
    train = Part(full.X[without], full.y[without])
    for part in partitions(load_methods([code], "multiclass"))[:6]:
        model = model_of(part).fit(train, context("multiclass"), full)
        predicted = model.predict(full.X)
        assert predicted.shape == (len(full.y), 3)
        assert (predicted[:, 1] == 0).all()
        np.testing.assert_allclose(predicted.sum(axis=1), 1)
        folder = saved(model, tmp_path / str(part.index))
        np.testing.assert_array_equal(load_model(folder).predict(full.X), predicted)


@pytest.mark.parametrize("code", ["lgbm", "et", "rf", "logreg", "dt"])
def test_weights_count(code: str) -> None:
    train, new = rows_of("binary", 200), rows_of("binary", 200, seed=1)
    [part, *_] = partitions(load_methods([code], "binary"))
    heavier = Part(train.X, train.y, np.where(train.y == 1, 50.0, 1.0))
    plain, heavy = (
        model_of(part, min_samples_leaf=10).fit(rows, context("binary")).predict(new.X)[:, 1].mean()
        for rows in (train, heavier)
    )
    assert heavy > plain


# single models ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("forest", [ExtraTreesClassifier, RandomForestClassifier, RandomForestRegressor])
def test_a_forest_predicts_as_the_library_does(forest: Any) -> None:
    task = "regression" if forest is RandomForestRegressor else "multiclass"
    train = rows_of(task)
    train = Part(np.nan_to_num(train.X), train.y)
    model = make_model(forest, {"n_estimators": 12}, {})
    assert isinstance(model, EstimatorModel)
    model.smoothing = lambda arguments: 0.0  # type: ignore[method-assign]
    ours = model.fit(train, context(task, feature_kinds=["number"] * 4))
    theirs = forest(n_estimators=12, random_state=3).fit(train.X, train.y)
    expected = theirs.predict(train.X) if task == "regression" else theirs.predict_proba(train.X)
    np.testing.assert_allclose(ours.predict(train.X), expected, rtol=1e-12)
    np.testing.assert_allclose(ours.feature_importance(), theirs.feature_importances_, rtol=1e-12)


def test_a_forest_that_grows_by_steps_is_the_same_forest() -> None:
    train = rows_of("binary")
    far = time.monotonic() + 1e6
    once, stepwise, stopped = (
        make_model(RandomForestClassifier, {"n_estimators": 45}, {}).fit(
            train, context("binary", deadline=when)
        )
        for when in (None, far, 0.0)
    )
    np.testing.assert_array_equal(once.predict(train.X), stepwise.predict(train.X))
    assert len(stopped._estimator.trees) == 20  # type: ignore[attr-defined]


@pytest.mark.parametrize("penalty", ["l1", "l2"])
@pytest.mark.parametrize("dual", [False, True])
def test_logistic_regression_predicts_as_the_library_does(penalty: str, dual: bool) -> None:
    train = rows_of("binary")
    train = Part(train.X[:, [0, 3]], train.y)
    dual = dual and penalty == "l2"
    model = make_model(LogisticRegression, {"penalty": penalty, "dual": dual, "C": 0.5}, {})
    ours = model.fit(train, context("binary", feature_kinds=["number"] * 2))
    solver = "lbfgs" if penalty == "l2" and not dual else "liblinear"
    theirs = LogisticRegression(
        C=0.5, l1_ratio=float(penalty == "l1"), dual=dual, solver=solver, max_iter=500, random_state=3
    ).fit(train.X, train.y)
    np.testing.assert_allclose(ours.predict(train.X), theirs.predict_proba(train.X), rtol=1e-9)


def test_neighbours_ask_for_no_more_rows_than_there_are() -> None:
    train = rows_of("binary", 12)
    [part, *_] = partitions(load_methods(["knn"], "binary"))
    numbers = {**part.tunables.default(), "n_neighbors": 20}
    arguments, preparation = part.method.arguments(part.configuration(numbers))
    model = make_model(find_class(part.method.class_path), arguments, preparation)
    assert np.isfinite(model.fit(train, context("binary")).predict(train.X)).all()


def test_boosting_stops_where_the_validation_part_gets_no_better(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = Part(rng.normal(size=(200, 2)), rng.integers(0, 2, 200))
    kinds = {"feature_kinds": ["number"] * 2}
    model = LightGBM({"num_rounds": 500}, {}).fit(
        noise, context("binary", **kinds), Part(noise.X, 1 - noise.y)
    )
    saved(model, tmp_path / "m")
    assert json.loads((tmp_path / "m" / "model.json").read_text())["rounds"] < 20
    late = LightGBM({"num_rounds": 500}, {}).fit(noise, context("binary", **kinds, deadline=0.0))
    saved(late, tmp_path / "late")
    assert json.loads((tmp_path / "late" / "model.json").read_text())["rounds"] == 1


def test_boosting_takes_any_seed_and_only_unknown_classes_for_validation() -> None:
    train = rows_of("multiclass")
    known = train.y != 2
    valid = Part(train.X[~known], train.y[~known])
    fold = Part(train.X[known], train.y[known])
    model = LightGBM({"num_rounds": 9}, {}).fit(fold, context("multiclass", seed=2**32 - 1), valid)
    assert model.predict(train.X).shape == (90, 3)


@pytest.mark.parametrize("learner", [GaussianNB, LinearSVC])
def test_any_estimator_of_the_library_is_a_model(learner: Any, tmp_path: Path) -> None:
    train = rows_of("multiclass")
    model = make_model(learner, {}, {"_impute": "median", "_onehot": True, "_scale_minmax": True})
    predicted = model.fit(train, context("multiclass")).predict(train.X)
    np.testing.assert_allclose(predicted.sum(axis=1), 1)
    assert np.mean(predicted.argmax(axis=1) == train.y) > 0.5
    loaded = load_model(saved(model, tmp_path / "m"))
    np.testing.assert_array_equal(loaded.predict(train.X), predicted)


class LabelsOnly:
    """An estimator of the user's with the least there is."""

    def fit(self, X: Any, y: Any) -> LabelsOnly:
        self.common = np.bincount(y).argmax()
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.common)


def test_a_learner_with_labels_only_is_sure_of_them(tmp_path: Path) -> None:
    train = rows_of("binary")
    model = make_model(LabelsOnly, {}, {}).fit(train, context("binary"))
    assert set(model.predict(train.X).ravel()) == {0.0, 1.0}


# files -----------------------------------------------------------------------------------------------


def test_a_file_with_other_types_is_not_loaded(tmp_path: Path) -> None:
    from sklearn.tree import DecisionTreeClassifier
    from skops import io

    train = rows_of("binary")
    folder = saved(make_model(DecisionTreeClassifier, {}, {}).fit(train, context("binary")), tmp_path / "m")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        io.dump(LabelsOnly().fit(None, np.array([0])), folder / "estimator.skops")
    with pytest.raises(BundleError) as caught:
        load_model(folder)
    assert caught.value.code == "E_UNTRUSTED_TYPE"


@pytest.mark.parametrize("content", [None, "{", '{"kind": "os.system"}', '{"kind": ["x"]}', "[]"])
def test_a_folder_without_a_model_is_refused(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "model.json").write_text(content, encoding="utf-8")
    with pytest.raises(BundleError) as caught:
        load_model(tmp_path)
    assert caught.value.code == "E_MODEL_FORMAT"


# preparation -----------------------------------------------------------------------------------------


def test_preparation_learns_from_its_fold_only() -> None:
    train = np.array([[1.0, 0.0], [3.0, 1.0], [np.nan, np.nan]])
    plain = Preparation(impute="mean").fit(train, ["number", "category"])
    assert plain.transform(np.array([[np.nan, np.nan], [9.0, 5.0]])).tolist() == [[2.0, -1.0], [9.0, 5.0]]
    native = Preparation().fit(train, ["number", "category"])
    np.testing.assert_array_equal(native.transform(train), train)
    scaled = Preparation(impute="median", scale=True).fit(train, ["number", "category"])
    np.testing.assert_allclose(scaled.transform(train).mean(axis=0), 0, atol=1e-15)
    np.testing.assert_allclose(scaled.transform(train).std(axis=0), 1)
    squeezed = Preparation(impute="median", scale_minmax=True).fit(train, ["number", "category"])
    assert squeezed.transform(train)[:, 0].tolist() == [0.0, 1.0, 0.5]


def test_preparation_leaves_its_input_alone_and_keeps_odd_columns_finite() -> None:
    train = np.array([[np.nan, 5.0], [np.nan, 5.0]])
    before = train.copy()
    prepared = Preparation(impute="median", scale=True).fit(train, ["number", "number"])
    assert prepared.transform(train).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    np.testing.assert_array_equal(train, before)


def test_only_frequent_levels_get_columns() -> None:
    codes = np.concatenate([np.arange(100.0), np.repeat(np.arange(32.0) + 50, 3)])[:, None]
    prepared = Preparation(onehot=True).fit(codes, ["category"])
    spread = prepared.transform(codes)
    assert spread.shape[1] == 32
    assert prepared.origin == [0] * 32
    assert spread[codes[:, 0] == 60].any()
    assert not spread[codes[:, 0] == 3].any()


def test_an_unknown_way_to_impute_is_refused() -> None:
    with pytest.raises(InputError, match="_impute"):
        Preparation.of({"_impute": "magic"})
