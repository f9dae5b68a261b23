from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from modelwright.automl.bundle import Bundle, MemberSource, load, predict_file, write_bundle
from modelwright.automl.data import Encoder, Finding, infer_schema
from modelwright.errors import DataError, InputError


class Sure:
    """Always the same probabilities, of three classes."""

    def predict(self, X: Any) -> Any:
        return np.eye(3)[np.arange(len(X)) % 3] * 0.7 + 0.1

    def feature_importance(self) -> None:
        return None


LABELS = ["=1+1", "-5", "plain, with comma"]


@pytest.fixture
def bundle(tmp_path: Path, fold_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> Bundle:
    table = pd.DataFrame({"size": np.arange(60.0) ** 1.5, "y": LABELS * 20})
    schema = infer_schema(table, "y")
    monkeypatch.setattr(load, "read_model", lambda folder: Sure())
    return Bundle.load(
        write_bundle(
            tmp_path / "model",
            schema=schema,
            encoder=Encoder.fit(table, schema),
            metric="log_loss",
            members=[MemberSource("m", 1.0, [fold_folder("m")])],
        )
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "new.csv"
    path.write_text("size;other\n" + "".join(f"{i};x\n" for i in range(6)))
    return path


def test_labels_and_probabilities_row_for_row(bundle: Bundle, source: Path, tmp_path: Path) -> None:
    notes: list[Finding] = []
    rows = predict_file(bundle, source, tmp_path / "out.csv", safe_csv=False, findings=notes)
    found = pd.read_csv(tmp_path / "out.csv")
    assert list(found.columns) == ["y", *(f"probability_{label}" for label in sorted(LABELS))]
    assert rows == len(found) == 6
    assert found["y"].tolist() == bundle.predict(pd.read_csv(source, sep=";")).tolist()
    np.testing.assert_allclose(found.iloc[:, 1:].sum(axis=1), 1)
    assert {note.code for note in notes} == {"I_SEPARATOR", "I_EXTRA_COLUMNS"}


def test_labels_that_are_formulas_are_disarmed(bundle: Bundle, source: Path, tmp_path: Path) -> None:
    predict_file(bundle, source, tmp_path / "out.csv")
    labels = pd.read_csv(tmp_path / "out.csv")["y"]
    assert set(labels) == {"'=1+1", "-5", "plain, with comma"}


def test_probabilities_are_written_in_full(bundle: Bundle, source: Path, tmp_path: Path) -> None:
    predict_file(bundle, source, tmp_path / "out.csv")
    found = pd.read_csv(tmp_path / "out.csv", dtype=str).iloc[:, 1:].map(float)
    expected = bundle.predict_proba(pd.read_csv(source, sep=";"))
    np.testing.assert_array_equal(found, expected)


def test_an_older_file_stays_whole_when_writing_fails(
    bundle: Bundle, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out.csv").write_text("older")
    before = sorted(tmp_path.iterdir())

    def fail(self: pd.DataFrame, path: Path, **options: Any) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", fail)
    with pytest.raises(OSError, match="No space"):
        predict_file(bundle, source, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "older"
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(("place", "words"), [("model", "is a folder"), ("none/out.csv", "does not exist")])
def test_a_place_that_takes_no_file(
    bundle: Bundle, source: Path, tmp_path: Path, place: str, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        predict_file(bundle, source, tmp_path / place)


def test_the_table_itself_is_not_overwritten(bundle: Bundle, source: Path) -> None:
    with pytest.raises(InputError, match="itself"):
        predict_file(bundle, source, source)


def test_a_file_that_does_not_fit(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("length,width\n1,2\n3,4\n")
    with pytest.raises(DataError, match="'size'"):
        predict_file(bundle, tmp_path / "new.csv", tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_a_header_of_numbers_is_known_by_the_schema(
    tmp_path: Path, fold_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pd.DataFrame({"0": np.arange(60.0), "1": np.arange(60.0) % 7, "y": LABELS * 20})
    schema = infer_schema(table, "y")
    monkeypatch.setattr(load, "read_model", lambda folder: Sure())
    written = write_bundle(
        tmp_path / "numbered",
        schema=schema,
        encoder=Encoder.fit(table, schema),
        metric="log_loss",
        members=[MemberSource("m", 1.0, [fold_folder("m")])],
    )
    (tmp_path / "new.csv").write_text("0,1\n5,2\n6,3\n7,4\n")
    notes: list[Finding] = []
    assert predict_file(Bundle.load(written), tmp_path / "new.csv", tmp_path / "o.csv", findings=notes) == 3
    assert notes == []
