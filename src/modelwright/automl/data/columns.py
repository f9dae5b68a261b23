"""One feature column, and its cells in the form that the encoder takes.

========  ==============================================================
kind      in a checked frame
========  ==============================================================
number    float64, missing as NaN
boolean   float64: 0.0, 1.0 or NaN
category  pandas categories, those of the schema; unseen ones missing
date      datetime64, without a time zone
text      text, missing as NaN
id        as it came; never used to predict
constant  as it came; never used to predict
========  ==============================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from modelwright.automl.data.findings import Finding
from modelwright.automl.data.values import Series, to_dates, to_flags, to_numbers, to_text
from modelwright.errors import DataError, InputError

__all__ = ["LARGEST", "USED_KINDS", "Column", "Kind", "coerce"]

Kind = Literal["number", "category", "boolean", "date", "text", "id", "constant"]

USED_KINDS = ("number", "category", "boolean", "date", "text")
LARGEST = 1e30  # beyond it, squares and sums leave the range of the 32-bit floats that many learners use


@dataclass(frozen=True, slots=True)
class Column:
    """A feature column.

    Attributes
    ----------
    name : str
        As in the table.
    kind : str
        See the head of this module.
    categories : tuple of str
        Of a category: its labels, sorted. Of a boolean: how false and true are written.
    date_format : str
        Of a date that comes as text: how it is written.
    """

    name: str
    kind: Kind
    categories: tuple[str, ...] = ()
    date_format: str = ""

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            known = ", ".join(get_args(Kind))
            raise InputError(
                f"expected a kind of column out of {known}; got {self.kind!r} for {self.name!r}."
            )


def coerce(series: Series, column: Column, notes: list[Finding]) -> Any:
    """Return the cells of `series` as values of the column's kind; what had to be left out goes into `notes`.

    Raises
    ------
    DataError
        Most cells are of another kind (``E_SCHEMA_MISMATCH``).
    """
    if column.kind == "number":
        values, wrong, infinite = to_numbers(series)
        _report_wrong(series, column, wrong, notes)
        _report_large(column, values, infinite, notes)
        return values
    if column.kind == "boolean":
        values, wrong = to_flags(series, column.categories)
        _report_wrong(series, column, wrong, notes)
        return values
    if column.kind == "date":
        dates, wrong = to_dates(series, column.date_format or "ISO8601")
        _report_wrong(series, column, wrong, notes)
        return dates
    if column.kind == "category":
        return _categories(series, column, notes)
    return to_text(series) if column.kind == "text" else series


def _categories(series: Series, column: Column, notes: list[Finding]) -> Any:
    if isinstance(series.dtype, pd.CategoricalDtype) and tuple(series.cat.categories) == column.categories:
        return series if not series.cat.ordered else series.cat.as_unordered()
    text = to_text(series)
    labels = pd.Index(column.categories, dtype="str")
    places = labels.get_indexer(pd.Index(text))
    codes = pd.Categorical.from_codes(places, categories=labels)
    unseen = (places < 0) & text.notna().to_numpy()
    if not unseen.any():
        return codes
    if unseen.sum() == text.notna().sum() and pd.to_numeric(text[unseen], errors="coerce").notna().all():
        known = ", ".join(repr(label) for label in column.categories[:3])
        _refuse(series, column, unseen, f"categories such as {known}")
    _note(notes, "W_UNSEEN", column, series, unseen, "are categories that were not there before")
    return codes


_EXPECTED = {"number": "numbers", "boolean": "true and false", "date": "dates"}


def _report_wrong(series: Series, column: Column, wrong: Any, notes: list[Finding]) -> None:
    """Refuse a column of which most cells are of another kind; note a few."""
    if not wrong.any():
        return
    if 2 * wrong.sum() > to_text(series).notna().sum():
        _refuse(series, column, wrong, _EXPECTED[column.kind])
    what = _EXPECTED[column.kind]
    _note(notes, "W_NOT_" + column.kind.upper(), column, series, wrong, f"are not {what}")


def _refuse(series: Series, column: Column, wrong: Any, expected: str) -> None:
    example = str(series[wrong].iloc[0])[:40]
    raise DataError(
        f"expected {expected} in the column {column.name!r}; "
        f"{int(wrong.sum()):,} of {len(series):,} cells are none, such as {example!r}.",
        hint="Give the column the type that it had in training.",
        code="E_SCHEMA_MISMATCH",
    )


def _note(notes: list[Finding], code: str, column: Column, series: Series, wrong: Any, what: str) -> None:
    examples = ", ".join(repr(str(value)[:40]) for value in series[wrong].drop_duplicates().iloc[:3])
    message = f"{int(wrong.sum()):,} of {len(series):,} cells {what} ({examples}); they count as missing."
    notes.append(Finding("warning", code, column.name, message))


def _report_large(column: Column, values: Any, infinite: Any, notes: list[Finding]) -> None:
    if infinite.any():
        message = f"{int(infinite.sum()):,} of {len(values):,} cells are infinite; they count as missing."
        notes.append(Finding("warning", "W_INFINITE", column.name, message))
    with np.errstate(invalid="ignore"):
        large = int((np.abs(values) > LARGEST).sum())
    if large:
        message = f"{large:,} of {len(values):,} cells lie beyond {LARGEST:g}; they are cut to it."
        notes.append(Finding("warning", "W_LARGE", column.name, message))
