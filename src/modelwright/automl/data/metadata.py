"""What the ledger keeps about a table: the fields of ATM's ``datasets``."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pandas as pd

from modelwright._base import jsonform
from modelwright.automl.data.schema import Schema
from modelwright.automl.data.values import to_text
from modelwright.storage.base import Dataset

__all__ = ["dataset_metadata", "fingerprint"]


def dataset_metadata(
    frame: pd.DataFrame,
    schema: Schema,
    *,
    name: str = "",
    train_path: str | os.PathLike[str] = "",
    test_path: str | os.PathLike[str] | None = None,
    description: str = "",
) -> Dataset:
    """Return the record of a table.

    ``d_features`` counts a category once per label, as one-hot columns would. ``majority`` is the largest
    class against all the others together, 0.0 for regression, where ``k_classes`` is 0. ``size_kb`` counts
    the cells in memory.

    Parameters
    ----------
    frame : DataFrame
        Checked for training: with the target, in the schema's form.
    schema : Schema
        Of this table.
    name : str, optional
        The name of the file without its ending by default, or ``"table"``.
    train_path, test_path : path, optional
        Where the tables came from.

    Examples
    --------
    >>> from modelwright.automl.data import infer_schema
    >>> table = {"x": [1.5, 2, 3, 4, 5], "city": list("aabcb"), "y": ["no", "no", "yes", "no", "no"]}
    >>> schema = infer_schema(table, "y")
    >>> record = dataset_metadata(schema.check(table, "train"), schema)
    >>> record.n_examples, record.k_classes, record.d_features, record.majority
    (5, 2, 4, 4.0)
    """
    labels = [column.categories for column in schema.columns if column.kind == "category"]
    return Dataset(
        name=name or Path(train_path).name.partition(".")[0] or "table",
        description=description,
        train_path=os.fspath(train_path),
        test_path=None if test_path is None else os.fspath(test_path),
        class_column=schema.target,
        n_examples=len(frame),
        k_classes=schema.n_classes,
        d_features=len(schema.columns) + sum(max(len(each) - 1, 0) for each in labels),
        majority=_majority(frame[schema.target]) if schema.classes else 0.0,
        size_kb=int(frame.memory_usage(index=False, deep=True).sum() / 1000),
        fingerprint=fingerprint(frame),
        metadata={"task": schema.task, "kinds": {column.name: column.kind for column in schema.columns}},
    )


def _majority(labels: pd.Series) -> float:
    counts = labels.value_counts()
    return float(counts.iloc[0] / counts.iloc[1:].sum())


def fingerprint(frame: pd.DataFrame) -> str:
    """Return the SHA-256 of the contents: names, types, cells and their order; the index does not count."""
    result = hashlib.sha256()
    for name in frame.columns:
        column = frame[name]
        result.update(jsonform.canonical([name, len(column)]).encode())
        if isinstance(column.dtype, pd.CategoricalDtype) or not pd.api.types.is_numeric_dtype(column.dtype):
            # Hashes of the cells' texts: 64 bits each, the same in every process.
            column = pd.util.hash_pandas_object(to_text(column), index=False)
        result.update(np.ascontiguousarray(column.to_numpy()).tobytes())
    return result.hexdigest()
