"""Kinds of columns, and the task, found from a table.

A column of text from a file and the same column typed in a frame are of one kind. The rules, in order:

- no value, or one value and no gap: constant;
- booleans, or two words for true and false (yes/no, t/f, true/false, y/n): boolean;
- numbers, or texts of which nine in ten are numbers: number, however few distinct ones. Whole numbers with
  leading zeros are labels, not numbers. All-different whole numbers that are named like an id or count the
  rows: id;
- dates, or texts of which nine in ten are dates in one way of writing: date;
- texts: few distinct ones, category; nearly all different and of one word or two, id; else text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
import pandas as pd

from modelwright._base.registry import nearest
from modelwright.automl.data.columns import Column, Kind
from modelwright.automl.data.frames import as_frame
from modelwright.automl.data.schema import Schema
from modelwright.automl.data.task import MIN_ROWS, infer_task, too_few_rows
from modelwright.automl.data.values import (
    FALSE_WORDS,
    TRUE_WORDS,
    Series,
    date_format,
    to_numbers,
    to_text,
)
from modelwright.errors import DataError, InputError

__all__ = ["infer_schema"]


_FEW_LABELS = 20  # up to this many distinct texts are a category, however few the rows
_MANY_LABELS = 1_000  # a category of more labels is text
_ID_ROWS = 20  # fewer rows show no id: any few values may differ
_ID_NAME = re.compile(
    r"(^|[\W_])(id|key|uuid|guid|index|idx|row|rownum|no|nr|number)$|^unnamed", re.IGNORECASE
)
_LEADING_ZERO = r"[+-]?0\d+"
_MOSTLY = 0.9


def infer_schema(
    frame: Any,
    target: str,
    task: str | None = None,
    hints: Mapping[str, Kind] | None = None,
) -> Schema:
    """Find the kinds of the columns, the task and the classes.

    Without a `task`: two distinct values, texts and booleans are classes. Numbers are classes if they all are
    whole, and there are at most 20 distinct ones and three rows for each; else a regression.

    Parameters
    ----------
    frame : DataFrame, mapping or array
        The table, typed or as text.
    target : str
        Name of the column to predict.
    task : {"classification", "binary", "multiclass", "regression"}, optional
        Found from the target by default.
    hints : mapping of str to str, optional
        Kinds of columns by name, for those that the user knows better; ``"id"`` leaves a column out.

    Raises
    ------
    DataError
        Nothing can be learned from this table; the codes are ``E_TARGET_MISSING`` (no such column),
        ``E_TARGET_EMPTY``, ``E_TARGET_ONE_CLASS``, ``E_TARGET_CLASSES`` (too many), ``E_TARGET_TYPE``,
        ``E_TOO_FEW_ROWS`` and ``E_NO_FEATURES``.

    Examples
    --------
    >>> table = {"age": ["31", "45", "?", "28", "52", "39"], "vip": list("tfftft")}
    >>> schema = infer_schema({**table, "y": [1, 0, 0, 1, 1, 0]}, "y")
    >>> [(column.name, column.kind) for column in schema.columns], schema.task, schema.classes
    ([('age', 'number'), ('vip', 'boolean')], 'binary', (0, 1))
    """
    table = as_frame(frame)
    hints = hints or {}
    _check_names(table, target, hints)
    if len(table) < MIN_ROWS:
        raise too_few_rows(len(table))
    task_found, classes = infer_task(table[target], task)
    features = table.drop(columns=target)
    columns = tuple(_column(features[name], hints.get(name)) for name in features.columns)
    schema = Schema(columns, target, task_found, classes)
    if not schema.used:
        what = "only the target" if not columns else f"no column that varies besides the target {target!r}"
        raise DataError(
            f"expected a column to predict from; the table has {what}.",
            hint="Give a table with more columns.",
            code="E_NO_FEATURES",
        )
    return schema


def _check_names(table: pd.DataFrame, target: str, hints: Mapping[str, Kind]) -> None:
    names = list(table.columns)
    if target not in names:
        raise DataError(
            f"the table has no column {target!r} to predict.",
            hint=nearest(str(target), names[:1000]),
            code="E_TARGET_MISSING",
        )
    allowed = [kind for kind in get_args(Kind) if kind != "constant"]
    for name, kind in hints.items():
        if name not in names:
            raise DataError(
                f"a kind is given for {name!r}, but there is no such column.",
                hint=nearest(name, names[:1000]),
            )
        if kind not in allowed:
            raise InputError(f"expected a kind out of {', '.join(allowed)} for {name!r}; got {kind!r}.")


def _column(series: Series, hint: Kind | None) -> Column:
    name = str(series.name)
    if hint is not None:
        return _hinted(series, name, hint)
    dtype = series.dtype
    if pd.api.types.is_bool_dtype(dtype):
        return (
            Column(name, "constant") if _is_constant(series) else Column(name, "boolean", ("False", "True"))
        )
    if pd.api.types.is_complex_dtype(dtype):
        raise DataError(
            f"expected plain values in the column {name!r}; got complex numbers.", code="E_COLUMN_TYPE"
        )
    if pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_timedelta64_dtype(dtype):
        return _number_column(to_numbers(series)[0], name)
    if pd.api.types.is_datetime64_any_dtype(dtype) or isinstance(dtype, pd.PeriodDtype):
        return Column(name, "constant" if _is_constant(series) else "date")
    labels = isinstance(dtype, pd.CategoricalDtype)
    if not labels and (values := _numbers_of_text(series)) is not None:
        return _number_column(values, name)
    return _text_column(to_text(series), name, labels=labels)


def _is_constant(series: Series) -> bool:
    distinct = series.nunique()
    return bool(distinct == 0 or (distinct == 1 and series.notna().all()))


def _numbers_of_text(series: Series) -> Any:
    """Return the numbers if nine in ten of the texts are some, and none is a code with leading zeros."""
    values, wrong, infinite = to_numbers(series)
    numbers = ~np.isnan(values) | infinite
    if not numbers.any() or numbers.sum() < _MOSTLY * (numbers.sum() + wrong.sum()):
        return None
    filled = values[~np.isnan(values)]
    whole = bool((filled == np.floor(filled)).all())
    return None if whole and to_text(series).str.fullmatch(_LEADING_ZERO).any() else values


def _number_column(values: Any, name: str) -> Column:
    filled = values[~np.isnan(values)]
    if len(filled) == 0 or (len(filled) == len(values) and filled.min() == filled.max()):
        return Column(name, "constant")
    return Column(name, "id" if _is_id(values, filled, name) else "number")


def _is_id(values: Any, filled: Any, name: str) -> bool:
    """Return whether the numbers count the rows, or are named like an id and all differ."""
    if len(filled) < max(_ID_ROWS, len(values)) or not (filled == np.floor(filled)).all():
        return False
    steps = np.diff(filled)
    if len(steps) and (steps == 1).all():
        return True
    return bool(_ID_NAME.search(name)) and len(np.unique(filled)) == len(filled)


def _text_column(text: Series, name: str, *, labels: bool) -> Column:
    """Judge a column of texts that are no numbers by its distinct values."""
    counts = text.value_counts()
    n = int(counts.sum())
    if len(counts) == 0 or (len(counts) == 1 and n == len(text)):
        return Column(name, "constant")
    distinct = pd.Series(counts.index.to_numpy(dtype=object), dtype="str")
    if labels and len(counts) <= _MANY_LABELS:
        return _category(name, distinct)
    if flags := _flag_labels(distinct):
        return Column(name, "boolean", flags)
    form = date_format(distinct)
    if form is not None:
        return Column(name, "date", date_format=form)
    return _words_column(distinct, n, name)


def _flag_labels(distinct: Series) -> tuple[str, ...] | None:
    """Return the labels for (false, true) if these are two words of one pair."""
    if len(distinct) != 2:
        return None
    by_word = {label.lower(): label for label in distinct}
    for no, yes in zip(FALSE_WORDS, TRUE_WORDS, strict=True):
        if set(by_word) == {no, yes}:
            return by_word[no], by_word[yes]
    return None


def _words_column(distinct: Series, n: int, name: str) -> Column:
    k = len(distinct)
    if k <= _MANY_LABELS and (k <= _FEW_LABELS or k <= n / 2):
        return _category(name, distinct)
    words = float((distinct.str.count(r"\s+") + 1).mean())
    if n >= _ID_ROWS and k >= 0.95 * n and words < 2:
        return Column(name, "id")
    return Column(name, "text")


def _category(name: str, distinct: Series) -> Column:
    return Column(name, "category", tuple(sorted(distinct)))


def _hinted(series: Series, name: str, kind: Kind) -> Column:
    if kind == "category":
        return _category(name, to_text(series).dropna().drop_duplicates())
    if kind == "boolean":
        distinct = to_text(series).dropna().drop_duplicates()
        if len(distinct) > 2:
            raise DataError(
                f"expected two values in {name!r}, which is said to be boolean; it has {len(distinct):,}."
            )
        return Column(name, "boolean", _flag_labels(distinct) or tuple(sorted(distinct)))
    if kind == "date" and not pd.api.types.is_datetime64_any_dtype(series.dtype):
        form = date_format(to_text(series).dropna().drop_duplicates())
        if form is None:
            example = str(series.dropna().iloc[0])[:40] if series.notna().any() else ""
            raise DataError(
                f"expected dates in {name!r}, which is said to hold them; got such as {example!r}."
            )
        return Column(name, "date", date_format=form)
    return Column(name, kind)
