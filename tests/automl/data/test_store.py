"""A stored table is whole, read-only, and noticed when it was changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from modelwright.automl.data.store import TableStore
from modelwright.errors import DataError

X = np.array([[1.5, np.nan], [-0.0, 1e30], [3.0, 4.0]])
Y = np.array([0, 1, 0])


def test_what_is_written_is_read_bit_for_bit(tmp_path: Path) -> None:
    TableStore.write(
        tmp_path / "data",
        X,
        Y,
        weight=np.array([1.0, 2.0, 0.5]),
        X_test=X[:1],
        y_test=Y[:1],
        meta={"task": "binary", "classes": ["no", "yes"]},
        texts={"schema.json": "{}"},
    )
    store = TableStore.open(tmp_path / "data", verify=True)
    assert store.X.tobytes() == X.tobytes()
    assert store.y.tolist() == [0, 1, 0]
    assert store.weight is not None
    assert store.weight.tolist() == [1.0, 2.0, 0.5]
    assert store.X_test is not None
    assert store.X_test.shape == (1, 2)
    assert store.meta == {"task": "binary", "classes": ["no", "yes"]}
    assert (tmp_path / "data" / "schema.json").read_text() == "{}"
    assert isinstance(store.X, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        store.X[0, 0] = 1


def test_parts_that_were_not_given_are_none(tmp_path: Path) -> None:
    store = TableStore.write(tmp_path / "data", X, Y)
    assert (store.weight, store.X_test, store.y_test, store.meta) == (None, None, None, {})


def test_a_full_folder_is_never_replaced(tmp_path: Path) -> None:
    TableStore.write(tmp_path / "data", X, Y)
    with pytest.raises(DataError, match="holds something already"):
        TableStore.write(tmp_path / "data", X * 2, Y)
    assert TableStore.open(tmp_path / "data", verify=True).X[0, 0] == 1.5
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        TableStore.write(tmp_path / "data", X, Y, meta={"best": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arrays",
    [
        {"X": X, "y": Y[:2]},
        {"X": X[:, 0], "y": Y},
        {"X": X, "y": Y, "weight": np.ones(2)},
        {"X": X, "y": Y, "X_test": X},
        {"X": X, "y": Y, "X_test": X[:, :1], "y_test": Y},
        {"X": X, "y": Y, "X_test": X, "y_test": Y[:1]},
    ],
)
def test_arrays_must_fit_together(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    with pytest.raises(DataError):
        TableStore.write(tmp_path / "data", **arrays)
    assert list(tmp_path.iterdir()) == []


def test_a_shorter_file_is_noticed_and_so_is_a_changed_byte(tmp_path: Path) -> None:
    TableStore.write(tmp_path / "data", X, Y)
    path = tmp_path / "data" / "X.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:-8])
    with pytest.raises(DataError, match=r"X\.npy' was changed"):
        TableStore.open(tmp_path / "data")
    path.write_bytes(whole[:-1] + b"\x01")
    TableStore.open(tmp_path / "data")  # sizes alone do not show it
    with pytest.raises(DataError, match=r"X\.npy' was changed"):
        TableStore.open(tmp_path / "data", verify=True)
    path.unlink()
    with pytest.raises(DataError, match="lacks its file"):
        TableStore.open(tmp_path / "data")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format":99,"files":{},"meta":{}}'])
def test_a_folder_without_a_whole_description_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "meta.json").write_text(text)
    with pytest.raises(DataError):
        TableStore.open(tmp_path)
    with pytest.raises(DataError, match=r"meta\.json cannot be read"):
        TableStore.open(tmp_path / "nowhere")
