"""What a table looks like: its columns, its target and its task; and frames made to fit.

``check`` turns any frame of the same columns (typed, or all text as read from a file) into the one form that
the encoder takes; `columns` says which. Doing it twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from modelwright._base.registry import nearest
from modelwright.automl.data.columns import USED_KINDS, Column, coerce
from modelwright.automl.data.findings import Finding
from modelwright.automl.data.frames import as_frame
from modelwright.automl.data.target import Label, check_labels, check_values, label_texts
from modelwright.automl.data.values import Series
from modelwright.errors import DataError, InputError

__all__ = ["Schema"]

Purpose = Literal["train", "predict"]

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns, the target and the task of a table.

    Attributes
    ----------
    columns : tuple of Column
        The features, in the order of the table.
    target : str
        Name of the target column.
    task : {"binary", "multiclass", "regression"}
        What is predicted.
    classes : tuple
        The labels, sorted, in their own types (int, float, bool or str); empty for regression.

    Examples
    --------
    >>> schema = Schema((Column("x", "number"), Column("sex", "category", ("f", "m"))), "y", "binary", (0, 1))
    >>> schema.check({"sex": ["m", "?"], "x": ["1.5", "2"]})
         x  sex
    0  1.5    m
    1  2.0  NaN
    >>> schema.check({"sex": ["m"], "age_x": [1.5]})
    Traceback (most recent call last):
        ...
    modelwright.errors.DataError: the table lacks the column 'x'. Known: age_x.
    """

    columns: tuple[Column, ...]
    target: str
    task: Literal["binary", "multiclass", "regression"]
    classes: tuple[Label, ...] = ()
    _by_text: Mapping[str, Label] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_text", label_texts(self.classes))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all feature columns."""
        return tuple(column.name for column in self.columns)

    @property
    def used(self) -> tuple[Column, ...]:
        """The columns that predict: all but ids and constants."""
        return tuple(column for column in self.columns if column.kind in USED_KINDS)

    @property
    def n_classes(self) -> int:
        """Number of classes; 0 for regression."""
        return len(self.classes)

    def check(
        self, frame: Any, purpose: Purpose = "predict", *, findings: list[Finding] | None = None
    ) -> pd.DataFrame:
        """Return the table in the form that the encoder takes, columns matched by name.

        Parameters
        ----------
        frame : DataFrame, mapping, Series (one row) or 2-D array (columns by position)
            The table. It is left as it is.
        purpose : {"train", "predict"}
            ``"train"`` wants the target too, puts it last, and drops rows without one.
        findings : list of Finding, optional
            Gets a note for all that was changed or left out.

        Returns
        -------
        DataFrame
            With the index of `frame`.

        Raises
        ------
        DataError
            A column is missing or holds values of another kind (``E_SCHEMA_MISMATCH``); it is named.
        """
        if purpose not in get_args(Purpose):
            raise InputError(f"expected the purpose 'train' or 'predict', got {purpose!r}.")
        notes: list[Finding] = [] if findings is None else findings
        table = as_frame(frame, names=self._names_by_position(frame))
        self._check_names(table, purpose, notes)
        if purpose == "predict":
            return self._features(table, notes)
        target, present = self.check_target(table[self.target], notes)
        checked = self._features(table[present], notes)
        checked[self.target] = target[present].infer_objects()
        return checked

    def check_target(self, series: Series, findings: list[Finding] | None = None) -> tuple[Any, Any]:
        """Return (labels in their own type or values, which rows have one)."""
        notes: list[Finding] = [] if findings is None else findings
        if self.task == "regression":
            return check_values(series, notes)
        return check_labels(series, self._by_text, notes)

    def to_json(self) -> dict[str, Any]:
        """Return the schema as JSON."""
        columns = [
            {
                "name": column.name,
                "kind": column.kind,
                **({"categories": list(column.categories)} if column.categories else {}),
                **({"date_format": column.date_format} if column.date_format else {}),
            }
            for column in self.columns
        ]
        return {
            "format": _FORMAT,
            "columns": columns,
            "target": self.target,
            "task": self.task,
            "classes": list(self.classes),
        }

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> Schema:
        """Read what `to_json` wrote; anything else raises `DataError`."""
        if not isinstance(form, Mapping) or form.get("format") != _FORMAT:
            raise DataError(
                f"expected a schema of format {_FORMAT}, got {str(form)[:80]!r}.", code="E_SCHEMA"
            )
        try:
            unknown = set(form) - {"format", "columns", "target", "task", "classes"}
            if unknown or form["task"] not in ("binary", "multiclass", "regression"):
                raise ValueError(f"unknown entries {sorted(unknown)} or task {form['task']!r}")
            columns = tuple(
                Column(**{**entry, "categories": tuple(entry.get("categories", ()))})
                for entry in form["columns"]
            )
            return cls(columns, form["target"], form["task"], tuple(form["classes"]))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"the schema is damaged: {error}.", code="E_SCHEMA") from error

    def _names_by_position(self, frame: Any) -> Sequence[str] | None:
        """Return the names for an array, which has none: the features, or these and the target."""
        if not isinstance(frame, np.ndarray):
            return None
        width = frame.shape[-1] if frame.ndim else 0
        return (*self.names, self.target) if width == len(self.columns) + 1 else self.names

    def _check_names(self, table: pd.DataFrame, purpose: Purpose, notes: list[Finding]) -> None:
        there = set(table.columns)
        needed = [column.name for column in self.used]
        missing = [name for name in needed if name not in there]
        if purpose == "train" and self.target not in there:
            missing.append(self.target)
        extra = sorted(there - set(self.names) - {self.target})
        if missing:
            names = ", ".join(repr(name) for name in missing[:5]) + (" ..." if len(missing) > 5 else "")
            count = f"{len(missing)} columns: " if len(missing) > 1 else "column "
            hint = nearest(missing[0], extra) if 0 < len(extra) <= 1000 else f"It has {len(there)} columns."
            raise DataError(f"the table lacks the {count}{names}.", hint=hint, code="E_SCHEMA_MISMATCH")
        if extra:
            some = ", ".join(repr(name) for name in extra[:5]) + (" ..." if len(extra) > 5 else "")
            notes.append(
                Finding(
                    "info", "I_EXTRA_COLUMNS", None, f"{len(extra)} unknown column(s) are ignored: {some}."
                )
            )

    def _features(self, table: pd.DataFrame, notes: list[Finding]) -> pd.DataFrame:
        there = set(table.columns)
        data = {
            column.name: coerce(table[column.name], column, notes)
            if column.name in there
            else pd.Series(None, index=table.index, dtype=object)  # an id or a constant, which nothing reads
            for column in self.columns
        }
        return pd.DataFrame(data, index=table.index)
