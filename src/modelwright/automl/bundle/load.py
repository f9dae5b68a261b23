"""A saved model at work: from a table to labels, probabilities or values."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modelwright.automl.bundle.archive import copy_bundle, pack, unpack
from modelwright.automl.bundle.files import new_file
from modelwright.automl.bundle.manifest import Manifest
from modelwright.automl.bundle.parts import check_versions, read_encoder, read_model
from modelwright.automl.bundle.publish import locate
from modelwright.automl.bundle.verify import verify as verify_folder
from modelwright.automl.data import Encoder, Finding
from modelwright.automl.models import Model
from modelwright.errors import BundleError, InputError

__all__ = ["Bundle"]

Array = NDArray[np.float64]

_CHUNK_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class _Member:
    weight: float
    folds: tuple[Model, ...]


class Bundle:
    """A saved model, loaded; made by `Bundle.load`.

    All that it needs is in memory afterwards: its folder may move or go.

    Attributes
    ----------
    folder : Path
        Where it was loaded from, free of links.
    manifest : Manifest
        What the bundle says about itself: versions, members and their weights, scores.
    schema : Schema
        The columns that it takes.
    encoder : Encoder
        From such a table to a matrix.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        encoder: Encoder,
        members: tuple[_Member, ...],
    ) -> None:
        self.folder = folder
        self.manifest = manifest
        self.encoder = encoder
        self.schema = encoder.schema
        self._members = members

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, verify: bool = True, force: bool = False) -> Bundle:
        """Load a bundle, or the current bundle of a run.

        Parameters
        ----------
        path : path
            The folder of a bundle or of a run, or a ``.zip`` file that `save` has written.
        verify : bool, default=True
            Whether to compare the checksums of all files. The manifest, the names, the sizes and the
            types inside the files are checked in any case.
        force : bool, default=False
            Load it although a library has another major version than the one that wrote it. It may fail,
            or predict something else.

        Raises
        ------
        BundleError
            As `modelwright.automl.bundle.verify` does; and ``E_VERSION``: written with other libraries;
            ``E_SCHEMA_MISMATCH``: its parts do not belong together.
        """
        if Path(path).suffix == ".zip" and Path(path).is_file():
            with tempfile.TemporaryDirectory(prefix="modelwright-") as place:
                # Verified on the way; `folder` names the archive, since the unpacked files go at once.
                bundle = cls._load(unpack(path, Path(place) / "bundle"), verify=False, force=force)
            bundle.folder = Path(path).resolve()
            return bundle
        while True:
            folder = locate(path)
            try:
                return cls._load(folder, verify=verify, force=force)
            except Exception:
                if locate(path) == folder:
                    raise
                # A run has published twice since, and removed this one: take the newest.

    @classmethod
    def _load(cls, folder: Path, *, verify: bool, force: bool) -> Bundle:
        manifest = verify_folder(folder, checksums=verify)
        if not force:
            check_versions(manifest.versions)
        encoder = read_encoder(folder, manifest)
        members = tuple(
            _Member(member.weight, tuple(read_model(folder / fold) for fold in member.folds))
            for member in manifest.members
        )
        return cls(folder, manifest, encoder, members)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Copy the bundle to the new folder `path`, or pack it into one file if that ends with ``.zip``.

        Raises
        ------
        BundleError
            `path` exists, or the folder that the bundle was loaded from is no longer there as it was.
        """
        packed = self.folder.is_file()
        if packed and Path(path).suffix == ".zip":
            with new_file(Path(path)) as temporary:
                shutil.copyfile(self.folder, temporary)
            return Path(path)
        if packed:
            return unpack(self.folder, path)
        return pack(self.folder, path) if Path(path).suffix == ".zip" else copy_bundle(self.folder, path)

    @property
    def task(self) -> str:
        """What is predicted: ``"binary"``, ``"multiclass"`` or ``"regression"``."""
        return self.manifest.task

    @property
    def classes(self) -> tuple[Any, ...]:
        """The labels in the order of the probabilities; empty for regression."""
        return self.manifest.classes

    def __repr__(self) -> str:
        return f"Bundle({self.task} of {self.manifest.target!r}, {len(self._members)} members)"

    def predict(self, frame: Any, *, findings: list[Finding] | None = None) -> pd.Series[Any]:
        """Return labels, or values for regression.

        Parameters
        ----------
        frame : DataFrame or what `Schema.check` takes
            Columns are matched by name; more columns and another order do no harm.
        findings : list of Finding, optional
            Gets a note for all that was left out or counted as missing.

        Returns
        -------
        Series
            Named as the target, with the index of `frame`.

        Raises
        ------
        DataError
            ``E_SCHEMA_MISMATCH``: a column is missing or holds other values; it is named.
        """
        return self.labels(self.outputs(frame, findings=findings))

    def predict_proba(self, frame: Any, *, findings: list[Finding] | None = None) -> pd.DataFrame:
        """Return the probability of each class: one column per class, with the index of `frame`.

        Raises
        ------
        InputError
            The model predicts values.
        DataError
            As `predict` does.
        """
        if self.task == "regression":
            raise InputError(
                "expected a model for classes, but this one predicts values, which have no probabilities.",
                hint="Use predict.",
                code="E_TASK",
            )
        return self.outputs(frame, findings=findings)

    def outputs(self, frame: Any, *, findings: list[Finding] | None = None) -> pd.DataFrame:
        """Return what the ensemble gives: a column per class, or one column of values.

        The rows are encoded and predicted in parts of fixed size, so memory beyond the table itself and
        the result does not grow with the number of rows.
        """
        checked = self.schema.check(frame, findings=findings)
        columns = list(self.classes) if self.classes else [self.manifest.target]
        result = np.empty((len(checked), len(columns)))
        for rows in _parts(len(checked)):
            result[rows] = self._combine(self.encoder.transform(checked.iloc[rows]), len(columns))
        return pd.DataFrame(result, index=checked.index, columns=pd.Index(columns, dtype=object))

    def labels(self, outputs: pd.DataFrame) -> pd.Series[Any]:
        """Return the label of the highest probability in each row of `outputs`, or the values."""
        values = outputs.to_numpy()
        codes = values.argmax(axis=1) if self.classes else values[:, 0]
        return pd.Series(self.encoder.decode_target(codes), index=outputs.index, name=self.manifest.target)

    def feature_importance(self) -> pd.DataFrame:
        """Return how much the ensemble relies on each column of the table.

        Importances of the members' own kind (gain, impurity, size of coefficients), each scaled to the
        sum 1, averaged by weight over those members that have them. Where none has them, all are NaN.

        Returns
        -------
        DataFrame
            Columns ``column`` and ``importance``, the largest first; importances sum to 1.
        """
        features = np.zeros(len(self.encoder.features))
        for member in self._members:
            for model in member.folds:
                own = model.feature_importance()
                if own is not None and own.sum() > 0:
                    # Shorter where the last features were constant in the fold.
                    features[: len(own)] += member.weight / len(member.folds) * own / own.sum()
        total = features.sum()
        shares = pd.Series(features / total if total > 0 else np.nan, index=list(self.encoder.sources))
        by_column = shares.groupby(level=0, sort=False).sum(min_count=1)
        table = by_column.rename_axis("column").reset_index(name="importance")
        return table.sort_values("importance", ascending=False, kind="stable", ignore_index=True)

    def _combine(self, X: Array, width: int) -> Array:
        """Return the weighted mean over the members of the mean over their folds, shape (n, width)."""
        total = np.zeros((len(X), width))
        for member in self._members:
            mean = np.zeros_like(total)
            for model in member.folds:
                mean += _shaped(model.predict(X), total.shape)
            total += member.weight * (mean / len(member.folds))
        return total


def _parts(rows: int) -> Iterator[slice]:
    return (slice(start, start + _CHUNK_ROWS) for start in range(0, rows, _CHUNK_ROWS))


def _shaped(predicted: Array, shape: tuple[int, ...]) -> Array:
    result = predicted[:, None] if predicted.ndim == 1 else predicted
    if result.shape != shape:
        raise BundleError(
            f"expected predictions of shape {shape} from a model of the bundle, got {predicted.shape}.",
            hint="Copy the bundle again from where it was written.",
            code="E_SCHEMA_MISMATCH",
        )
    return result
