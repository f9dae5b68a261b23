"""The encoded table on disk: plain ``.npy`` files that every trial maps into memory.

A folder is written under a temporary name and renamed when it is complete, so what has its name is whole::

    data/
      X.npy  y.npy              the rows of the search
      weight.npy                of these rows, if given
      X_test.npy  y_test.npy    the rows set aside for the test, if any
      meta.json                 what the caller keeps with them, and size and SHA-256 of each file
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright._base import jsonform
from modelwright.errors import DataError

__all__ = ["TableStore"]

_FORMAT = 1
_ARRAYS = ("X", "y", "weight", "X_test", "y_test")


class TableStore:
    """An encoded table in a folder, mapped into memory and read-only.

    Attributes
    ----------
    folder : Path
        Where it is.
    X : ndarray of shape (n, d)
        The base matrix.
    y : ndarray of shape (n,)
        Codes of classes (int64) or values (float64).
    weight : ndarray of shape (n,), optional
        Of the rows.
    X_test, y_test : ndarray, optional
        The rows set aside.
    meta : dict
        What was given when it was written: task, classes, feature_kinds, metric, folds, seed and the like.

    Examples
    --------
    >>> import numpy as np
    >>> store = TableStore.write("table", np.zeros((3, 2)), np.arange(3), meta={"task": "multiclass"})
    >>> store = TableStore.open("table")
    >>> store.X.shape, store.meta["task"], store.weight is None
    ((3, 2), 'multiclass', True)
    """

    def __init__(self, folder: Path, arrays: Mapping[str, NDArray[Any]], meta: dict[str, Any]) -> None:
        self.folder = folder
        self.meta = meta
        self.X = arrays["X"]
        self.y = arrays["y"]
        self.weight = arrays.get("weight")
        self.X_test = arrays.get("X_test")
        self.y_test = arrays.get("y_test")

    @classmethod
    def write(
        cls,
        folder: str | os.PathLike[str],
        X: NDArray[np.float64],
        y: NDArray[Any],
        *,
        weight: NDArray[np.float64] | None = None,
        X_test: NDArray[np.float64] | None = None,
        y_test: NDArray[Any] | None = None,
        meta: Mapping[str, Any] | None = None,
        texts: Mapping[str, str] | None = None,
    ) -> TableStore:
        """Write a new folder, all of it or nothing.

        Parameters
        ----------
        folder : path
            Must not exist yet, or be empty.
        X, y, weight, X_test, y_test : ndarray
            The attributes of the same names.
        meta : mapping, optional
            JSON that is kept with them.
        texts : mapping of str to str, optional
            Further files by name, such as ``schema.json``, that belong to the folder from its first moment.

        Raises
        ------
        DataError
            The arrays do not fit together, or the folder holds something already.
        """
        target = Path(folder)
        given = {"X": X, "y": y, "weight": weight, "X_test": X_test, "y_test": y_test}
        arrays = {name: np.ascontiguousarray(array) for name, array in given.items() if array is not None}
        _check_shapes(arrays)
        target.parent.mkdir(parents=True, exist_ok=True)
        building = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        building.mkdir()
        try:
            for name, array in arrays.items():
                with (building / f"{name}.npy").open("wb") as file:
                    np.save(file, array, allow_pickle=False)
                    _flush(file)
            for name, text in (texts or {}).items():
                _write_text(building / name, text)
            files = {path.name: _facts(path) for path in sorted(building.iterdir())}
            contents = {"format": _FORMAT, "files": files, "meta": dict(meta or {})}
            _write_text(building / "meta.json", jsonform.dumps(contents))
            _move_into_place(building, target)
        finally:
            shutil.rmtree(building, ignore_errors=True)
        return cls.open(target)

    @classmethod
    def open(cls, folder: str | os.PathLike[str], *, verify: bool = False) -> TableStore:
        """Map a folder into memory.

        Parameters
        ----------
        folder : path
            As given to `write`.
        verify : bool, default=False
            Compare the checksums too, not only the sizes; reads all of it.

        Raises
        ------
        DataError
            There is no whole table in the folder, or a file was changed.
        """
        place = Path(folder)
        contents = _read_meta(place)
        for name, facts in contents["files"].items():
            _check_file(place / name, facts, verify)
        arrays = {
            name: np.load(place / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            for name in _ARRAYS
            if f"{name}.npy" in contents["files"]
        }
        return cls(place, arrays, contents["meta"])


def _check_shapes(arrays: Mapping[str, NDArray[Any]]) -> None:
    X, y = arrays["X"], arrays["y"]
    wrong = X.ndim != 2 or any(len(arrays[name]) != len(X) for name in ("y", "weight") if name in arrays)
    if ("X_test" in arrays) != ("y_test" in arrays):
        raise DataError("the test part needs both X_test and y_test, or neither.")
    if "X_test" in arrays:
        wrong |= arrays["X_test"].shape[1:] != X.shape[1:] or len(arrays["X_test"]) != len(arrays["y_test"])
    if wrong or y.ndim != 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise DataError(
            f"expected X (n, d), y (n,), weight (n,), X_test (m, d) and y_test (m,); got {shapes}."
        )


def _move_into_place(building: Path, target: Path) -> None:
    try:
        building.rename(target)  # succeeds on an empty folder, never replaces a full one
    except OSError as error:
        if target.exists():
            raise DataError(
                f"expected a new folder for the encoded table, but {str(target)!r} holds something already."
            ) from error
        raise
    entry = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(entry)  # the rename itself survives a power loss
    finally:
        os.close(entry)


def _read_meta(place: Path) -> dict[str, Any]:
    try:
        contents = jsonform.loads((place / "meta.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(
            f"expected an encoded table in {str(place)!r}, but its meta.json cannot be read."
        ) from error
    except ValueError as error:
        raise DataError(f"{str(place / 'meta.json')!r} is damaged: {error}.") from error
    if not isinstance(contents, dict) or contents.get("format") != _FORMAT:
        raise DataError(
            f"the encoded table in {str(place)!r} is of another version.", hint="Encode the table again."
        )
    return contents


def _check_file(path: Path, facts: Mapping[str, Any], verify: bool) -> None:
    try:
        same = path.stat().st_size == facts["bytes"] and (not verify or _facts(path) == facts)
    except OSError as error:
        raise DataError(f"the encoded table lacks its file {str(path)!r}.") from error
    if not same:
        raise DataError(f"{str(path)!r} was changed after it was written.", hint="Encode the table again.")


def _facts(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    return {"sha256": checksum, "bytes": path.stat().st_size}


def _write_text(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        _flush(file)


def _flush(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
