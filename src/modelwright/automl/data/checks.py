"""What should be known about a table before the first model is fitted, in words with figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modelwright.automl.data.columns import Column
from modelwright.automl.data.findings import Finding
from modelwright.automl.data.schema import Schema
from modelwright.automl.data.target import LABEL_WORDS
from modelwright.automl.data.values import Series, to_text

__all__ = ["check_table"]

_LEAK_ROWS = 50  # fewer rows are told apart by chance too easily
_NEARLY_ALL = 0.999
_TINY_CLASS = 10
_IMBALANCE = 20
_GAPS, _NEARLY_EMPTY = 0.5, 0.95
_MOST_PAIRS = 5  # of columns, named in one finding


def check_table(frame: pd.DataFrame, schema: Schema) -> list[Finding]:
    """Return what was noticed, the most serious first.

    Parameters
    ----------
    frame : DataFrame
        Checked for training: with the target, in the schema's form.
    schema : Schema
        Of this table.

    Examples
    --------
    >>> import numpy as np
    >>> from modelwright.automl.data import infer_schema
    >>> y = np.arange(60) % 3
    >>> table = {"copy": 10 * y + 1, "x": np.arange(60) % 7, "version": [2] * 60, "y": y}
    >>> schema = infer_schema(table, "y")
    >>> for finding in check_table(schema.check(table, "train"), schema):
    ...     print(finding.level, finding.code, finding.column)
    warning W_LEAK copy
    warning W_DUPLICATE_ROWS None
    info I_CONSTANT version
    """
    target = frame[schema.target]
    codes = {column.name: _codes(frame[column.name]) for column in schema.used}
    leaks = [_leak(frame[column.name], codes[column.name], column, target, schema) for column in schema.used]
    findings = [
        *_unused(frame, schema),
        *(found for leak in leaks for found in leak),
        *_target(target, schema),
        *_duplicate_rows(frame, schema),
        *_duplicate_columns(frame, codes),
        *(found for column in schema.used for found in _gaps(frame[column.name], column)),
    ]
    order = {"error": 0, "warning": 1, "info": 2}
    return sorted(findings, key=lambda finding: order[finding.level])


def _codes(series: Series) -> NDArray[np.int64]:
    """Return the number of each cell's value in order of first appearance; missing is a value too."""
    codes, _ = pd.factorize(series, use_na_sentinel=False)
    return np.asarray(codes, dtype=np.int64)


def _unused(frame: pd.DataFrame, schema: Schema) -> list[Finding]:
    findings = []
    for column in schema.columns:
        values = frame[column.name]
        if column.kind == "constant":
            filled = to_text(values).dropna()
            what = (
                f"all {len(values):,} values are {str(filled.iloc[0])[:40]!r}"
                if len(filled)
                else "it is empty"
            )
            findings.append(Finding("info", "I_CONSTANT", column.name, f"{what}; the column is not used."))
        elif column.kind == "id":
            message = f"{values.nunique():,} values in {len(values):,} rows: it names rows, and is not used."
            findings.append(Finding("info", "I_ID", column.name, message))
    return findings


# leaks -------------------------------------------------------------------------------------------------


def _leak(
    series: Series, codes: NDArray[np.int64], column: Column, target: Series, schema: Schema
) -> list[Finding]:
    """Return a finding if this one column nearly gives the target away."""
    if len(target) < _LEAK_ROWS or column.kind == "text":
        return []
    if schema.task == "regression":
        message = _copies_values(series, column, target)
    else:
        labels = _codes(target)
        message = _determines(codes, labels) or _separates(series, column, labels)
    if not message:
        return []
    text = f"{message} Is it known before the target is? If not, leave the column out."
    return [Finding("warning", "W_LEAK", column.name, text)]


def _copies_values(series: Series, column: Column, target: Series) -> str:
    if column.kind != "number":
        return ""
    both = series.notna()
    if both.sum() < _LEAK_ROWS or series.std() == 0:
        return ""
    x, y = series[both].rank().to_numpy(), target[both].rank().to_numpy()
    if min(x.std(), y.std()) == 0:
        return ""
    strength = abs(float(np.corrcoef(x, y)[0, 1]))
    if strength < _NEARLY_ALL:
        return ""
    return f"its order is that of the target (rank correlation {strength:.4f})."


def _determines(codes: NDArray[np.int64], labels: NDArray[np.int64]) -> str:
    """Judge a column of few values by whether each value goes with one class."""
    n_values, k = int(codes.max()) + 1, int(labels.max()) + 1
    if n_values > len(codes) / 10 or n_values * k > 10_000_000:
        return ""
    table = np.bincount(codes * k + labels, minlength=n_values * k).reshape(n_values, k)
    purity = float(table.max(axis=1).sum() / len(codes))
    usual = float(table.sum(axis=0).max() / len(codes))
    # The largest class alone gives a high share where classes are uneven: most of the rest must be explained.
    if purity < _NEARLY_ALL or 1 - purity > 0.1 * (1 - usual):
        return ""
    return f"its {n_values:,} values give the class of {purity:.1%} of the rows."


def _separates(series: Series, column: Column, labels: NDArray[np.int64]) -> str:
    """Judge a column of numbers by whether each class has a range of its own."""
    if column.kind not in ("number", "date"):
        return ""
    filled = series.notna().to_numpy()
    x, y = series.to_numpy()[filled], labels[filled]
    if len(y) < _LEAK_ROWS or len(np.unique(y)) < 2 or np.bincount(y).max() > len(y) - 5:
        return ""
    order = np.argsort(x, kind="stable")
    # With classes apart, the sorted column changes class about once per class.
    changes = int((np.diff(y[order]) != 0).sum())
    k = len(np.unique(y))
    ties = len(y) - len(np.unique(x))
    if changes > (k - 1) + (1 - _NEARLY_ALL) * len(y) or ties > 0.9 * len(y):
        return ""
    return f"sorted by it, the {k} classes hardly mix ({changes} changes of class in {len(y):,} rows)."


# the target --------------------------------------------------------------------------------------------


def _target(target: Series, schema: Schema) -> list[Finding]:
    if schema.task == "regression":
        return []
    name, counts = schema.target, target.value_counts()
    findings = []
    words = [label for label in schema.classes if isinstance(label, str) and label in LABEL_WORDS]
    if words:
        rows = int(counts.reindex(words).sum())
        message = (
            f"{rows:,} rows have the label {words[0]!r}, which counts as a class. "
            "If it means missing, empty these cells."
        )
        findings.append(Finding("warning", "W_LABEL_WORD", name, message))
    tiny = counts[(counts > 0) & (counts < _TINY_CLASS)]
    if len(tiny):
        some = ", ".join(f"{label!r} ({count})" for label, count in tiny.iloc[::-1][:_MOST_PAIRS].items())
        message = (
            f"{len(tiny)} class(es) have fewer than {_TINY_CLASS} rows: {some}. Scores of these mean little."
        )
        findings.append(Finding("warning", "W_TINY_CLASS", name, message))
    if counts.iloc[0] > _IMBALANCE * counts.iloc[-1]:
        message = (
            f"{counts.index[0]!r} has {counts.iloc[0]:,} rows, {counts.index[-1]!r} {counts.iloc[-1]:,}. "
            "Accuracy would hardly see the small class; roc_auc, f1 or balanced_accuracy do."
        )
        findings.append(Finding("info", "I_IMBALANCE", name, message))
    return findings


# rows and columns --------------------------------------------------------------------------------------


def _duplicate_rows(frame: pd.DataFrame, schema: Schema) -> list[Finding]:
    names = [*(column.name for column in schema.used), schema.target]
    twice = int(frame.duplicated(subset=names).sum())
    if not twice:
        return []
    share = twice / len(frame)
    message = f"{twice:,} of {len(frame):,} rows ({share:.1%}) repeat an earlier row"
    if share < 0.01:
        return [Finding("info", "I_DUPLICATE_ROWS", None, f"{message}.")]
    advice = "copies on both sides of a split make scores look better than they are."
    return [Finding("warning", "W_DUPLICATE_ROWS", None, f"{message}; {advice}")]


def _duplicate_columns(frame: pd.DataFrame, codes: dict[str, Any]) -> list[Finding]:
    seen: dict[bytes, str] = {}
    findings = []
    for name, values in codes.items():
        # Any two columns of different values match one to one: of these only equal ones are copies.
        few = int(values.max()) + 1 <= len(values) / 2
        key = values if few else np.asarray(pd.util.hash_pandas_object(frame[name], index=False))
        first = seen.setdefault(key.tobytes(), name)
        if first != name:
            message = f"it says the same as {first!r}: each value there goes with one here."
            findings.append(Finding("info", "I_DUPLICATE_COLUMN", name, message))
    return findings


def _gaps(series: Series, column: Column) -> list[Finding]:
    share = float(series.isna().mean())
    if share <= _GAPS:
        return []
    message = f"{share:.1%} of its cells are missing."
    if share > _NEARLY_EMPTY:
        return [Finding("warning", "W_MISSING", column.name, message)]
    return [Finding("info", "I_MISSING", column.name, message)]
