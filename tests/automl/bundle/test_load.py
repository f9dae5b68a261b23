from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest

from modelwright.automl.bundle import (
    Bundle,
    MemberSource,
    load,
    publish,
    version_folder,
    write_bundle,
)
from modelwright.automl.data import Encoder, infer_schema
from modelwright.errors import BundleError, DataError, InputError

Write = Callable[..., Path]


class Example:
    """Gives "yes" the probability 1 / (1 + exp(-x - shift)), where x is the first feature."""

    def __init__(self, shift: float) -> None:
        self.shift = shift

    def predict(self, X: Any) -> Any:
        yes = 1 / (1 + np.exp(-np.nan_to_num(X[:, 0]) - self.shift))
        return np.column_stack([1 - yes, yes])

    def feature_importance(self) -> Any:
        return np.array([3.0, 1.0]) if self.shift else None


SHIFTS = {"models/a/fold-0": 0.1, "models/a/fold-1": -0.2, "models/b/fold-0": 0.0}


@pytest.fixture
def examples(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(folder: Path) -> Example:
        assert (folder / "weights.npy").is_file()
        return Example(SHIFTS["/".join(folder.parts[-3:])])

    monkeypatch.setattr(load, "read_model", read)


@pytest.fixture
def bundle(write: Write, examples: None) -> Bundle:
    return Bundle.load(write())


def test_probabilities_are_the_weighted_mean_of_the_means_over_folds(
    bundle: Bundle, table: pd.DataFrame, encoder: Encoder
) -> None:
    X = encoder.transform(table)
    of = {place: Example(shift).predict(X) for place, shift in SHIFTS.items()}
    expected = 0.75 * (of["models/a/fold-0"] + of["models/a/fold-1"]) / 2 + 0.25 * of["models/b/fold-0"]
    found = bundle.predict_proba(table)
    assert list(found.columns) == ["no", "yes"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15)


def test_labels_and_index_are_those_of_the_table(bundle: Bundle, table: pd.DataFrame) -> None:
    shuffled = table.sample(frac=1, random_state=0)
    found = bundle.predict(shuffled)
    assert found.name == "kind"
    assert found.index.equals(shuffled.index)
    assert set(found) == {"no", "yes"}
    best = bundle.predict_proba(shuffled).to_numpy().argmax(axis=1)
    assert found.tolist() == [("no", "yes")[place] for place in best]


def test_parts_of_a_large_table_give_the_same(
    bundle: Bundle, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = bundle.predict_proba(table)
    seen = []
    real = bundle.encoder.transform
    monkeypatch.setattr(bundle.encoder, "transform", lambda frame: seen.append(len(frame)) or real(frame))
    monkeypatch.setattr(load, "_CHUNK_ROWS", 7)
    pd.testing.assert_frame_equal(bundle.predict_proba(table), whole)
    assert seen == [7] * 8 + [4]


def test_a_table_of_no_rows_gives_none(bundle: Bundle, table: pd.DataFrame) -> None:
    assert bundle.predict(table.iloc[:0]).empty
    assert bundle.predict_proba(table.iloc[:0]).shape == (0, 2)


def test_extra_and_reordered_columns_and_text_do_no_harm(bundle: Bundle, table: pd.DataFrame) -> None:
    expected = bundle.predict_proba(table)
    notes: list[Any] = []
    odd = table.assign(more=1)[["kind", "more", "colour", "size"]].astype(str)
    pd.testing.assert_frame_equal(bundle.predict_proba(odd, findings=notes), expected)
    assert [note.code for note in notes] == ["I_EXTRA_COLUMNS"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda frame: frame.drop(columns="colour"), "'colour'"),
        (lambda frame: frame.assign(size="large"), "'size'"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_by_name(
    bundle: Bundle, table: pd.DataFrame, change: Callable[[pd.DataFrame], pd.DataFrame], named: str
) -> None:
    with pytest.raises(DataError, match=named) as caught:
        bundle.predict(change(table))
    assert caught.value.code == "E_SCHEMA_MISMATCH"


def test_importances_are_weighted_means_by_column(bundle: Bundle) -> None:
    found = bundle.feature_importance()
    assert found["column"].tolist() == ["size", "colour"]
    np.testing.assert_allclose(found["importance"], [0.75, 0.25])


def test_nothing_of_the_folder_is_needed_after_loading(bundle: Bundle, table: pd.DataFrame) -> None:
    shutil.rmtree(bundle.folder)
    assert len(bundle.predict(table)) == len(table)


def test_a_run_means_its_current_bundle(
    write: Write, examples: None, tmp_path: Path, table: pd.DataFrame
) -> None:
    write(version_folder(tmp_path / "run", 1))
    publish(tmp_path / "run", 1)
    for path in (tmp_path / "run", tmp_path / "run/bundle"):
        assert Bundle.load(path).folder == (tmp_path / "run/bundles/1").resolve()


def test_a_bundle_that_is_replaced_while_it_is_read_is_found_again(
    write: Write, examples: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    for number in (1, 2, 3):
        write(version_folder(run, number))
    publish(run, 1)
    real = load.read_model

    def read(folder: Path) -> Any:
        publish(run, 2)
        publish(run, 3)
        return real(folder)

    monkeypatch.setattr(load, "read_model", read)
    assert Bundle.load(run).folder.name == "3"


@pytest.mark.parametrize("name", ["copy", "copy.zip"])
def test_a_saved_copy_predicts_the_same(
    bundle: Bundle, table: pd.DataFrame, tmp_path: Path, name: str
) -> None:
    again = Bundle.load(bundle.save(tmp_path / name))
    pd.testing.assert_frame_equal(again.predict_proba(table), bundle.predict_proba(table))
    third = Bundle.load(again.save(tmp_path / ("third" + name)))
    fourth = Bundle.load(again.save(tmp_path / "fourth"))
    assert third.manifest == fourth.manifest == bundle.manifest


# refusals --------------------------------------------------------------------------------------------


def _edit_manifest(folder: Path, **fields: Any) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | fields))


def test_another_major_version_is_refused_unless_forced(write: Write, examples: None) -> None:
    folder = write()
    versions = json.loads((folder / "manifest.json").read_bytes())["versions"]
    _edit_manifest(folder, versions=versions | {"pandas": "99.1.0"})
    with pytest.raises(BundleError, match=r"pandas 99\.1\.0.*force") as caught:
        Bundle.load(folder)
    assert caught.value.code == "E_VERSION"
    Bundle.load(folder, force=True)


def test_another_minor_version_or_python_is_no_reason(write: Write, examples: None) -> None:
    folder = write()
    versions = json.loads((folder / "manifest.json").read_bytes())["versions"]
    minor = versions["pandas"].partition(".")[0] + ".999"
    _edit_manifest(folder, versions=versions | {"pandas": minor, "python": "9.0", "nothing-such": "1"})
    Bundle.load(folder)


@pytest.mark.parametrize("fields", [{"target": "other"}, {"classes": ["yes", "no"]}, {"task": "multiclass"}])
def test_parts_that_contradict_each_other_are_refused(
    write: Write, examples: None, fields: dict[str, Any]
) -> None:
    folder = write()
    _edit_manifest(folder, **fields)
    with pytest.raises(BundleError) as caught:
        Bundle.load(folder)
    assert caught.value.code == "E_SCHEMA_MISMATCH"


def test_a_model_of_another_shape_is_refused(
    bundle: Bundle, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Example, "predict", lambda self, X: np.zeros((len(X), 3)))
    with pytest.raises(BundleError, match=r"\(60, 3\)"):
        bundle.predict(table)


def test_values_have_no_probabilities(
    tmp_path: Path, examples: None, fold_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pd.DataFrame({"size": np.linspace(0, 1, 50), "price": np.linspace(2, 4, 50) ** 2})
    schema = infer_schema(table, "price")
    write_bundle(
        tmp_path / "model",
        schema=schema,
        encoder=Encoder.fit(table, schema),
        metric="rmse",
        members=[MemberSource("a", 1.0, [fold_folder("a")])],
    )
    monkeypatch.setattr(Example, "predict", lambda self, X: 2 * X[:, 0])
    bundle = Bundle.load(tmp_path / "model")
    np.testing.assert_array_equal(bundle.predict(table), 2 * table["size"])
    with pytest.raises(InputError, match="no probabilities"):
        bundle.predict_proba(table)


_AUDIT = """
import sys
found = []
sys.addaudithook(lambda event, args: found.append(event) if event == "pickle.find_class" else None)
import pickle
pickle.loads(pickle.dumps(print))
assert found, "the hook does not see unpickling"
found.clear()
from modelwright.automl.bundle import Bundle
from modelwright.errors import BundleError
for path in sys.argv[1:]:
    try:
        Bundle.load(path)
    except BundleError as error:
        print(error.code)
assert not found, found
"""


def test_nothing_is_unpickled_from_what_is_refused(write: Write, tmp_path: Path) -> None:
    """Python itself reports each class that a pickle asks for; while loading there is none."""
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(print))
    joblib.dump({"f": np.arange(3)}, tmp_path / "model.joblib")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "manifest.json").write_bytes(pickle.dumps(print))
    folder = write()
    np.save(tmp_path / "objects.npy", np.array([print], dtype=object), allow_pickle=True)
    (folder / "models/b/fold-0/weights.npy").unlink()
    (tmp_path / "objects.npy").rename(folder / "models/b/fold-0/weights.npy")
    paths = [tmp_path / name for name in ("model.pkl", "model.joblib", "folder", "model")]
    done = subprocess.run(
        [sys.executable, "-c", _AUDIT, *map(str, paths)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [
        "E_MODEL_FORMAT",
        "E_MODEL_FORMAT",
        "E_MANIFEST_INVALID",
        "E_MANIFEST_SIZE",
    ]
