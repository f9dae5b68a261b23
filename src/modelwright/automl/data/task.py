"""The task, found from the target: which classes, or values."""

from __future__ import annotations

from typing import Literal

from modelwright.automl.data.target import Label, check_values, distinct_labels
from modelwright.automl.data.values import Series
from modelwright.errors import DataError, InputError

__all__ = ["MAX_CLASSES", "MIN_ROWS", "TaskName", "infer_task", "too_few_rows"]

TaskName = Literal["binary", "multiclass", "regression"]

MIN_ROWS = 5
MAX_CLASSES = 1_000

_FEW_LABELS = 20  # up to this many distinct whole numbers are classes, if each has three rows or so


def infer_task(series: Series, task: str | None) -> tuple[TaskName, tuple[Label, ...]]:
    """Return the task and its classes, sorted; none for a regression.

    Parameters
    ----------
    series : Series
        The target.
    task : str, optional
        What the user says it is.

    Raises
    ------
    DataError
        Nothing can be learned from this target; the code begins with ``E_TARGET_``.
    """
    name = str(series.name)
    if task not in (None, "classification", "binary", "multiclass", "regression"):
        raise InputError(
            f"expected the task 'classification', 'binary', 'multiclass' or 'regression', got {task!r}."
        )
    if task == "regression":
        _check_spread(check_values(series, [])[0].dropna(), name)
        return "regression", ()
    labels, counts = distinct_labels(series)
    n = sum(counts)
    if not labels:
        raise DataError(
            f"expected values in the target {name!r}; all {len(series):,} cells are empty.",
            hint="Name another target, or give a table that has one.",
            code="E_TARGET_EMPTY",
        )
    if n < MIN_ROWS:
        raise too_few_rows(n)
    if len(labels) == 1:
        raise DataError(
            f"expected two different values or more in the target {name!r}; all {n:,} are {labels[0]!r}.",
            hint="There is nothing to tell apart: give rows of another class too.",
            code="E_TARGET_ONE_CLASS",
        )
    if task is None and _is_measured(labels, n):
        _check_spread(check_values(series, [])[0].dropna(), name)
        return "regression", ()
    _check_classes(labels, counts, name)
    found: TaskName = "binary" if len(labels) == 2 else "multiclass"
    if task in ("binary", "multiclass") and task != found:
        raise DataError(
            f"expected {'two classes' if task == 'binary' else 'three classes or more'} in the target "
            f"{name!r} of a {task} task; it has {len(labels)}.",
            code="E_TARGET_TYPE",
        )
    return found, tuple(labels)


def _is_measured(labels: list[Label], n: int) -> bool:
    """Return whether these are values rather than labels."""
    if len(labels) == 2 or not all(type(label) in (int, float) for label in labels):
        return False
    whole = all(float(label).is_integer() for label in labels)
    return not whole or len(labels) > min(_FEW_LABELS, n // 3)


def _check_spread(values: Series, name: str) -> None:
    if len(values) < MIN_ROWS:
        if len(values) == 0:
            raise DataError(f"expected values in the target {name!r}; there is none.", code="E_TARGET_EMPTY")
        raise too_few_rows(len(values))
    if values.nunique() == 1:
        raise DataError(
            f"expected different values in the target {name!r}; all {len(values):,} are {values.iloc[0]:g}.",
            hint="There is nothing to predict.",
            code="E_TARGET_ONE_CLASS",
        )


def _check_classes(labels: list[Label], counts: list[int], name: str) -> None:
    n, k = sum(counts), len(labels)
    hint = "For numbers, say task='regression'; an id or a free text cannot be a target."
    if k > MAX_CLASSES:
        raise DataError(
            f"expected {MAX_CLASSES:,} classes at most in the target {name!r}; it has {k:,} in {n:,} rows.",
            hint=hint,
            code="E_TARGET_CLASSES",
        )
    if max(counts) == 1 or (k > 10 and k > n / 2):
        raise DataError(
            f"expected classes of several rows each in the target {name!r}; it has {k:,} in {n:,} rows.",
            hint=hint,
            code="E_TARGET_CLASSES",
        )


def too_few_rows(count: int) -> DataError:
    """Return the error for a table of `count` rows."""
    return DataError(
        f"expected {MIN_ROWS} rows with a target at the least, got {count}.",
        hint="Give a table with more rows.",
        code="E_TOO_FEW_ROWS",
    )
