"""The target column: labels that keep their types, or values.

Words for missing cells are ambiguous in a target: ``NA`` may be Namibia, ``None`` a diagnosis. Among labels
that are texts, the words ``NA``, ``N/A``, ``None`` and ``null`` (in any case) therefore are labels like any
other, and a finding says so; an empty cell, ``?`` and ``nan`` are missing. Among labels that are numbers all
these words are missing. Rows without a target are left out of training.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modelwright.automl.data.findings import Finding
from modelwright.automl.data.values import MISSING_WORDS, Mask, Series, plain_text, to_numbers, to_text
from modelwright.errors import DataError

__all__ = [
    "LABEL_WORDS",
    "Label",
    "check_labels",
    "check_values",
    "distinct_labels",
    "label_array",
    "label_texts",
]

Label: TypeAlias = int | float | bool | str

LABEL_WORDS = frozenset(word for word in MISSING_WORDS if word.lower() in {"na", "n/a", "none", "null"})
LARGEST_TARGET = 1e30

_LEADING_ZERO = re.compile(r"[+-]?0\d+")
_INTEGER = re.compile(r"-?(0|[1-9]\d{0,17})")


def distinct_labels(series: Series) -> tuple[list[Label], list[int]]:
    """Return the distinct labels of a target, sorted, in their own types, and how often each occurs.

    Texts that all are plain integers (no leading zero) become integers, texts that all are other numbers
    become floats; other texts stay texts.
    """
    dtype = series.dtype
    if not pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_complex_dtype(dtype):
        counts = to_text(series, keep=LABEL_WORDS).value_counts()
        words = [word for word in counts.index if word not in LABEL_WORDS]
        typed = _types_of(series, words)
        if typed is not None:
            pairs = _together([(value, int(counts[word])) for word, value in zip(words, typed, strict=True)])
        else:
            pairs = [(str(word), int(count)) for word, count in counts.items()]
    else:
        found = series[series.notna()].value_counts()
        pairs = [(_plain(value), int(count)) for value, count in found.items()]
    pairs = [(label, count) for label, count in pairs if not isinstance(label, float) or math.isfinite(label)]
    pairs.sort(key=lambda pair: pair[0])
    return [value for value, _ in pairs], [count for _, count in pairs]


def _together(pairs: Sequence[tuple[Label, int]]) -> list[tuple[Label, int]]:
    """Add up counts of one value that was written in several ways, such as ``1`` and ``1.0``."""
    counts: dict[Label, int] = {}
    for value, count in pairs:
        counts[value] = counts.get(value, 0) + count
    return list(counts.items())


def _types_of(series: Series, words: Sequence[str]) -> list[Label] | None:
    """Return what the texts stand for if that is one type other than text."""
    if not words:
        return None
    if all(_INTEGER.fullmatch(word) for word in words):
        return [int(word) for word in words]
    if set(words) <= {"True", "False"} and series.dropna().map(lambda cell: isinstance(cell, bool)).all():
        return [word == "True" for word in words]
    if any(_LEADING_ZERO.fullmatch(word) for word in words):
        return None
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        return None
    return list(numbers)


def _plain(value: Any) -> Label:
    plain: Label = value.item() if isinstance(value, np.generic) else value
    return plain


def label_texts(labels: Sequence[Label]) -> dict[str, Label]:
    """Return the labels by their plain texts."""
    return {plain_text(label): label for label in labels}


def label_array(labels: Sequence[Label]) -> NDArray[Any]:
    """Return labels as an array of their own type: bool, int64, float64, or object for texts."""
    kinds = {type(label) for label in labels}
    plain = {bool: np.bool_, int: np.int64, float: np.float64}
    dtype = plain.get(next(iter(kinds)), object) if len(kinds) == 1 else object
    return np.array(list(labels), dtype=dtype)


def check_labels(series: Series, known: Mapping[str, Label], notes: list[Finding]) -> tuple[Series, Mask]:
    """Return (labels in their own type, which rows have one).

    Raises
    ------
    DataError
        A label is not among the known ones.
    """
    text = to_text(series, keep=LABEL_WORDS & frozenset(known))
    text = _same_numbers(text, known)
    present = text.notna().to_numpy()
    codes, distinct = pd.factorize(text)
    unseen = [str(label) for label in distinct if label not in known]
    if unseen:
        some = ", ".join(repr(label) for label in unseen[:3])
        classes = ", ".join(repr(label) for label in list(known)[:5])
        raise DataError(
            f"the target {str(series.name)!r} holds {len(unseen)} label(s) that are new: {some}.",
            hint=f"Known classes: {classes}{' ...' if len(known) > 5 else ''}.",
            code="E_SCHEMA_MISMATCH",
        )
    _report_missing(series, present, notes)
    labels = label_array([known[label] for label in distinct])
    if present.all():
        return pd.Series(labels[codes], index=series.index, name=series.name), present
    padded = np.array([*labels.tolist(), None], dtype=object)  # a missing cell has the code -1
    return pd.Series(padded[codes], index=series.index, name=series.name, dtype=object), present


def _same_numbers(text: Series, known: Mapping[str, Label]) -> Series:
    """Write numbers as the known labels are written: ``"1.0"`` and ``"1"`` are one label."""
    if not all(isinstance(label, int | float) and not isinstance(label, bool) for label in known.values()):
        return text
    odd = text.notna() & ~text.isin(list(known))
    if odd.any():
        numbers = pd.to_numeric(text[odd], errors="coerce")
        text = text.copy()
        text[odd] = [_same_number(value, word) for value, word in zip(numbers, text[odd], strict=True)]
    return text


def _same_number(value: float, word: str) -> str | None:
    if np.isnan(value):
        return word
    return None if np.isinf(value) else plain_text(value)  # an infinity is as good as missing


def check_values(series: Series, notes: list[Finding]) -> tuple[Series, Mask]:
    """Return (values, which rows have one).

    Raises
    ------
    DataError
        More than a tenth of the cells that are there are no numbers.
    """
    values, wrong, _ = to_numbers(series)
    filled = int((~np.isnan(values)).sum())
    if wrong.sum() > 0.1 * (filled + wrong.sum()):
        example = str(series[wrong].iloc[0])[:40]
        raise DataError(
            f"expected numbers in the target {str(series.name)!r} of a regression; "
            f"{int(wrong.sum()):,} of {len(series):,} cells are none, such as {example!r}.",
            hint="For labels, fit a classifier: see the setting `task`.",
            code="E_TARGET_TYPE",
        )
    with np.errstate(invalid="ignore"):
        values[np.abs(values) > LARGEST_TARGET] = np.nan
    present = ~np.isnan(values)
    _report_missing(series, present, notes)
    return pd.Series(values, index=series.index, name=series.name), present


def _report_missing(series: Series, present: Mask, notes: list[Finding]) -> None:
    gone = int((~present).sum())
    if gone:
        message = f"{gone:,} of {len(series):,} rows have no target that can be used; they are left out."
        notes.append(Finding("warning", "W_TARGET_MISSING", str(series.name), message))
