"""A loaded bundle predicts what the run predicted, with each kind of model that there is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import ExtraTreesClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from modelwright.automl.bundle import Bundle, MemberSource, write_bundle
from modelwright.automl.bundle.archive import copy_bundle
from modelwright.automl.bundle.files import sha256_of
from modelwright.automl.data import Encoder, infer_schema
from modelwright.automl.models import FitContext, Model, Part, make_model
from modelwright.automl.models.lightgbm import LightGBM
from modelwright.errors import BundleError

PREPARED = {"_impute": "median", "_scale": True, "_onehot": True}
FOLDS = 2


def options(learner: Any) -> Mapping[str, Any]:
    """Return the preparation that a learner needs for a table with gaps and categories."""
    return {} if learner is LightGBM else PREPARED


def table(task: str) -> pd.DataFrame:
    rng = np.random.default_rng(11)
    size = rng.normal(size=150)
    colour = rng.choice(["red", "green", "blue"], 150)
    value = 2 * size + (colour == "red") + rng.normal(scale=0.2, size=150)
    if task == "regression":
        target: Any = value.round(4)
    else:
        target = np.array(["low", "middle", "high"])[np.digitize(value, [-0.5, 1.0])]
    frame = pd.DataFrame({"size": size, "colour": colour, "noise": rng.random(150), "y": target})
    frame.loc[::17, "size"] = np.nan
    return frame


class Run:
    """Fits two folds of each learner and keeps what the run itself predicts for new rows."""

    def __init__(self, folder: Path, task: str, learners: list[tuple[Any, Mapping[str, Any]]]) -> None:
        self.rows = table(task)
        schema = infer_schema(self.rows, "y")
        encoder = Encoder.fit(schema.check(self.rows, "train"), schema)
        X, y = encoder.transform(self.rows), encoder.encode_target(self.rows["y"])
        context = FitContext(encoder.feature_kinds, schema.task, schema.n_classes, seed=3)
        members, total = [], 0.0
        weights = np.arange(1.0, len(learners) + 1)
        for weight, (learner, arguments) in zip(weights, learners, strict=True):
            folds, mean = [], 0.0
            for number in range(FOLDS):
                part = Part(X[number::FOLDS], y[number::FOLDS])
                model: Model = make_model(learner, arguments, options(learner)).fit(part, context)
                place = folder / "trials" / f"{len(members)}" / f"fold-{number}"
                place.mkdir(parents=True)
                model.save(place)
                folds.append(place)
                mean = mean + model.predict(X) / FOLDS
            members.append(MemberSource(f"trial-{len(members)}", weight, folds))
            total = total + mean * weight / weights.sum()
        self.expected: Any = total
        self.folder = write_bundle(
            folder / "model", schema=schema, encoder=encoder, metric="log_loss", members=members
        )


CLASSIFIERS: list[tuple[Any, Mapping[str, Any]]] = [
    (LogisticRegression, {"C": 0.5}),
    (DecisionTreeClassifier, {"max_depth": 4}),
    (KNeighborsClassifier, {"n_neighbors": 5}),
    (ExtraTreesClassifier, {"n_estimators": 10}),
    (LightGBM, {"num_rounds": 10}),
]
REGRESSORS: list[tuple[Any, Mapping[str, Any]]] = [
    (RandomForestRegressor, {"n_estimators": 10}),
    (Ridge, {}),
    (LightGBM, {"num_rounds": 10}),
]


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(tmp_path_factory.mktemp("classes"), "multiclass", CLASSIFIERS)


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(tmp_path_factory.mktemp("values"), "regression", REGRESSORS)


def test_probabilities_are_those_of_the_run(classes: Run) -> None:
    bundle = Bundle.load(classes.folder)
    np.testing.assert_allclose(bundle.predict_proba(classes.rows), classes.expected, rtol=0, atol=1e-12)
    assert bundle.predict(classes.rows).tolist() == [
        bundle.classes[place] for place in classes.expected.argmax(axis=1)
    ]
    assert (bundle.predict(classes.rows) == classes.rows["y"]).mean() > 0.8


def test_values_are_those_of_the_run(values: Run) -> None:
    bundle = Bundle.load(values.folder)
    np.testing.assert_allclose(bundle.predict(values.rows), values.expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["classes", "values"])
def test_importances_find_the_columns_that_matter(kind: str, request: pytest.FixtureRequest) -> None:
    found = Bundle.load(request.getfixturevalue(kind).folder).feature_importance()
    assert found["column"].tolist()[0] == "size"
    assert set(found["column"]) == {"size", "colour", "noise"}
    assert found["importance"].sum() == pytest.approx(1)


def test_only_the_libraries_of_the_models_are_named(classes: Run) -> None:
    versions = json.loads((classes.folder / "manifest.json").read_bytes())["versions"]
    assert {"lightgbm", "scikit-learn", "skops", "numpy", "pandas"} <= versions.keys()
    assert "torch" not in versions


_AUDIT = """
import sys
found = []
sys.addaudithook(lambda event, args: found.append(args) if event == "pickle.find_class" else None)
import lightgbm, skops.io  # what libraries do while they are imported is theirs: LightGBM imports Dask
import pandas as pd
from modelwright.automl.bundle import Bundle
found.clear()
bundle = Bundle.load(sys.argv[1])
bundle.predict(pd.DataFrame({"size": [1.0], "colour": ["red"], "noise": [0.5]}))
print(found)
"""


def test_nothing_is_unpickled_to_load_and_predict(classes: Run) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _AUDIT, str(classes.folder)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


@pytest.mark.parametrize("name", ["model.json", "model.txt", "estimator.skops", "coefficients.npy"])
def test_a_model_file_that_is_nonsense_is_an_error_of_ours(classes: Run, tmp_path: Path, name: str) -> None:
    """Also where size and checksum agree, as whoever changes a file can change its manifest."""
    folder = copy_bundle(classes.folder, tmp_path / "model")
    place = next(folder.rglob(name))
    place.write_bytes(b'{"kind": 7}')
    form = json.loads((folder / "manifest.json").read_bytes())
    relative = place.relative_to(folder).as_posix()
    entry = next(item for item in form["files"] if item["path"] == relative)
    entry |= {"size": place.stat().st_size, "sha256": sha256_of(place)}
    (folder / "manifest.json").write_text(json.dumps(form))
    with pytest.raises(BundleError) as caught:
        Bundle.load(folder)
    assert caught.value.code == "E_MODEL_FORMAT"
