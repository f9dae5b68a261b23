"""Cells into values of one kind: a number, a text, a date, a flag.

A column may come as text from a file, or typed from a frame; both must give the same values. Each function
returns the values, missing where a cell is empty or does not fit, and which cells did not fit.

A cell is missing when it is NaN or None, or one of the words by which people write that: an empty text,
``?``, ``NA``, ``N/A``, ``nan``, ``null``, ``None`` and the like. Infinities are missing too.
"""

from __future__ import annotations

import datetime
import decimal
import numbers as numeric_types
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modelwright.errors import DataError

__all__ = [
    "FALSE_WORDS",
    "MISSING_WORDS",
    "TRUE_WORDS",
    "Mask",
    "Series",
    "date_format",
    "plain_text",
    "to_dates",
    "to_flags",
    "to_numbers",
    "to_text",
]

Series: TypeAlias = "pd.Series[Any]"
Mask: TypeAlias = NDArray[np.bool_]

_WORDS = ("na", "n/a", "#n/a", "nan", "<na>", "null", "none", "nat")
MISSING_WORDS = frozenset(
    [
        "",
        "?",
        "NaN",
        "NaT",
        *(form(word) for word in _WORDS for form in (str.lower, str.upper, str.capitalize)),
    ]
)
TRUE_WORDS = ("true", "t", "yes", "y")
FALSE_WORDS = ("false", "f", "no", "n")

# Month-first stands before day-first where both would do, and four-digit years before two-digit ones.
_DAYS = (
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%d.%m.%Y",
    "%d-%m-%Y",
    "%Y/%m/%d",
    "%d-%b-%Y",
    "%d %b %Y",
    "%b %d, %Y",
    "%d %B %Y",
    "%B %d, %Y",
    "%m/%d/%y",
    "%d/%m/%y",
    "%d.%m.%y",
)
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p")
_LOOKS_ISO = (
    r"[+-]?\d{4}-\d{1,2}(?:-\d{1,2})?(?:[T ]\d{1,2}(?::?\d{2}){0,2}(?:[.,]\d+)?(?:Z|\s?[+-]\d{2}:?\d{2})?)?"
)
_LOOKS_LIKE_A_DATE = r"[\w,]{1,9}[-/. ][\w,]{1,9}[-/. ]\d{2,4}(?: .{4,11})?"


def plain_text(value: Any) -> str:
    """Return the text of one cell, the same for 1, 1.0 and ``" 1 "``.

    Raises
    ------
    TypeError
        The cell holds a list, a mapping, bytes or the like.
    """
    if isinstance(value, str):
        # Half of a surrogate pair is no text in any file; it becomes a question mark.
        return value.strip().encode(errors="replace").decode()
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, numeric_types.Integral):
        return str(int(value))
    if isinstance(value, numeric_types.Real):
        number = float(value)
        return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
    if isinstance(value, datetime.date | datetime.time | datetime.datetime):
        return value.isoformat()
    if isinstance(value, decimal.Decimal | np.datetime64 | pd.Period | pd.Interval | datetime.timedelta):
        return str(value)
    raise TypeError(type(value).__name__)


def to_text(series: Series, *, keep: frozenset[str] = frozenset()) -> Series:
    """Return the cells as text without blanks around; missing ones as None.

    Parameters
    ----------
    series : Series
        Of any type.
    keep : frozenset of str, optional
        Words for missing that are values here.
    """
    is_text = isinstance(series.dtype, pd.StringDtype)
    text = series.str.strip() if is_text else _text_of_each(series)
    return text.mask(text.isin(list(MISSING_WORDS - keep)))


def _text_of_each(series: Series) -> Series:
    try:
        codes, distinct = pd.factorize(series)
        words = np.array([*(plain_text(value) for value in distinct), None], dtype=object)
    except TypeError as error:
        raise DataError(
            f"expected plain values in the column {str(series.name)!r} (numbers, texts, dates, booleans); "
            f"got {_odd_type(series)}.",
            hint="Turn each into a number or a text, or leave the column out.",
            code="E_COLUMN_TYPE",
        ) from error
    # A missing cell has the code -1, and so takes the last word: None.
    return pd.Series(words[codes], index=series.index, name=series.name, dtype="str")


def _odd_type(series: Series) -> str:
    for value in series:
        try:
            plain_text(value)
            hash(value)
        except TypeError:
            return f"a {type(value).__name__}"
    return f"values of the type {series.dtype}"


def _floats(series: Series) -> NDArray[np.float64]:
    """Return the cells as an array of its own, missing ones as NaN."""
    return np.array(series.to_numpy(dtype=np.float64, na_value=np.nan))


def _filled(series: Series) -> Mask:
    return np.asarray(series.notna(), dtype=bool)


def to_numbers(series: Series) -> tuple[NDArray[np.float64], Mask, Mask]:
    """Return (numbers, cells that are none, cells that were infinite)."""
    none = np.zeros(len(series), dtype=bool)
    if pd.api.types.is_timedelta64_dtype(series.dtype):
        values = _floats(series.dt.total_seconds())
    elif pd.api.types.is_numeric_dtype(series.dtype) and not pd.api.types.is_complex_dtype(series.dtype):
        values = _floats(series)
    else:
        text = series if isinstance(series.dtype, pd.StringDtype) else to_text(series)
        values = _floats(pd.to_numeric(text, errors="coerce"))
        gaps = np.isnan(values)
        if gaps.any():  # only what is no number can be a word for missing
            none[gaps] = _filled(to_text(text[gaps]))
    infinite = np.isinf(values)
    values[infinite] = np.nan
    return values, none, infinite


def to_flags(series: Series, labels: tuple[str, ...]) -> tuple[NDArray[np.float64], Mask]:
    """Return (0.0 for false and 1.0 for true, cells that are neither).

    Parameters
    ----------
    series : Series
        Of any type; the numbers 0 and 1 are known too.
    labels : tuple of str
        The texts of false and true that the table uses, such as ``("f", "t")``.
    """
    if pd.api.types.is_numeric_dtype(series.dtype):  # booleans among them
        values = _floats(series)
        return np.where((values == 0) | (values == 1), values, np.nan), ~np.isin(values, (0, 1)) & ~np.isnan(
            values
        )
    meaning = {
        **dict.fromkeys(FALSE_WORDS, 0.0),
        **dict.fromkeys(TRUE_WORDS, 1.0),
        "0": 0.0,
        "1": 1.0,
        **{label.lower(): float(code) for code, label in enumerate(labels)},
    }
    text = to_text(series).str.lower()
    values = _floats(text.map(meaning))
    return values, np.isnan(values) & _filled(text)


def date_format(distinct: Series) -> str | None:
    """Return how these texts write dates, for `to_dates`; None if nine in ten do not in one way.

    Parameters
    ----------
    distinct : Series
        Distinct texts, none missing.
    """
    few = distinct.iloc[:200]
    if few.str.fullmatch(_LOOKS_ISO).mean() >= 0.9:
        return "ISO8601"
    if few.str.fullmatch(_LOOKS_LIKE_A_DATE).mean() < 0.9:
        return None
    for days in _DAYS:
        for times in _TIMES:
            if (
                _parse(few, days + times).notna().mean() >= 0.9
                and _parse(distinct, days + times).notna().mean() >= 0.9
            ):
                return days + times
    return None


def to_dates(series: Series, form: str) -> tuple[Series, Mask]:
    """Return (dates without a time zone, in UTC where the cells name one; cells that are none)."""
    if isinstance(series.dtype, pd.PeriodDtype):
        series = pd.Series(series.dt.to_timestamp(), index=series.index)
    if isinstance(series.dtype, pd.DatetimeTZDtype):
        series = series.dt.tz_convert("UTC").dt.tz_localize(None)
    if pd.api.types.is_datetime64_dtype(series.dtype):
        return series, np.zeros(len(series), dtype=bool)
    text = to_text(series)
    dates = _parse(text, form)
    return dates, ~_filled(dates) & _filled(text)


def _parse(text: Series, form: str) -> Series:
    return pd.to_datetime(text, format=form, errors="coerce", utc=True).dt.tz_localize(None)
