"""From a checked frame to the matrix of floats that all trials share.

The encoder learns nothing from the target and nothing that a fold must not see: it only writes values as
numbers. Filling gaps, scaling and one-hot columns are each model's own affair.

=========  =========================================  ============================================
kind       features                                   missing
=========  =========================================  ============================================
number     itself, cut to +-1e30                      NaN
boolean    0 or 1                                     NaN
category   the place of its label                     NaN, as is a label that is new
date       year, month, day, weekday, hour and days   NaN
           since the first; only what varies
text       characters, words, share of digits, and    0 for the words, NaN for the rest
           0 or 1 for each of up to 30 words
=========  =========================================  ============================================

The words of a text column are those whose presence tells most by itself: the share p of rows that have the
word is nearest to a half, so that p (1 - p), the variance of its 0/1 column, is largest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from modelwright.automl.data.columns import LARGEST, Column
from modelwright.automl.data.schema import Schema
from modelwright.automl.data.target import Label, label_array
from modelwright.automl.data.values import Series
from modelwright.errors import DataError

__all__ = ["Encoder"]

Array = NDArray[np.float64]

_FORMAT = 1
_DATE_PARTS = ("year", "month", "day", "weekday", "hour", "days")
_MOST_WORDS = 30
_LEAST_SHARE, _LEAST_ROWS = 0.01, 5  # rarer words tell nothing about new rows
_WORD = r"\w+"


class Encoder:
    """Writes frames as matrices; made by `Encoder.fit`.

    Attributes
    ----------
    schema : Schema
        Of the frames that it takes.
    features : tuple of str
        Names of the columns of the matrix, such as ``"age"``, ``"sold.month"`` or ``"note:urgent"``.
    feature_kinds : tuple of str
        ``"number"`` or ``"category"`` for each.
    sources : tuple of str
        The column of the table from which each comes.

    Examples
    --------
    >>> from modelwright.automl.data import infer_schema
    >>> table = {"size": [1, 2, 3, 4, 5, 6], "colour": list("rgbrgb"), "y": ["no", "yes"] * 3}
    >>> schema = infer_schema(table, "y")
    >>> frame = schema.check(table, "train")
    >>> encoder = Encoder.fit(frame, schema)
    >>> encoder.transform({"size": ["7", "inf"], "colour": ["g", "violet"]})
    array([[ 7.,  1.],
           [nan, nan]])
    >>> codes = encoder.encode_target(frame["y"])
    >>> encoder.decode_target(codes).tolist() == frame["y"].tolist()
    True
    """

    def __init__(self, schema: Schema, state: Mapping[str, Any]) -> None:
        self.schema = schema
        self._state: dict[str, Any] = dict(state)
        self._places = {label: code for code, label in enumerate(schema.classes)}
        listed = [
            (column.name, name, kind)
            for column in schema.used
            for name, kind in _feature_names(column, self._state.get(column.name))
        ]
        self.sources = tuple(source for source, _, _ in listed)
        self.features = tuple(name for _, name, _ in listed)
        self.feature_kinds = tuple(kind for _, _, kind in listed)

    @classmethod
    def fit(cls, frame: pd.DataFrame, schema: Schema) -> Encoder:
        """Learn the parts of dates that vary and the words of texts.

        Parameters
        ----------
        frame : DataFrame
            The rows of the search; with or without the target, which is not looked at.
        schema : Schema
            Of this table.
        """
        checked = schema.check(frame)
        state: dict[str, Any] = {}
        for column in schema.used:
            if column.kind == "date":
                state[column.name] = _learn_dates(checked[column.name])
            elif column.kind == "text":
                state[column.name] = _learn_words(checked[column.name])
        return cls(schema, state)

    def transform(self, frame: Any) -> Array:
        """Return the matrix of shape (n, d) of a table; it is checked against the schema on the way.

        Raises
        ------
        DataError
            The table does not fit the schema.
        """
        checked = self.schema.check(frame)
        X = np.empty((len(checked), len(self.features)))
        start = 0
        for column in self.schema.used:
            block = _encode(checked[column.name], column, self._state.get(column.name))
            X[:, start : start + block.shape[1]] = block
            start += block.shape[1]
        return X

    def encode_target(self, series: Any) -> NDArray[Any]:
        """Return codes of classes (int64), or values (float64).

        Raises
        ------
        DataError
            A cell is empty or holds an unknown label.
        """
        labels, present = self.schema.check_target(pd.Series(series, name=self.schema.target))
        if not present.all():
            raise DataError(
                f"expected a target in each row; {int((~present).sum()):,} of {len(present):,} have none.",
                hint="Leave these rows out.",
                code="E_TARGET_EMPTY",
            )
        if self.schema.task == "regression":
            return np.asarray(labels, dtype=np.float64)
        return np.asarray(labels.map(self._places), dtype=np.int64)

    def decode_target(self, codes: NDArray[Any]) -> NDArray[Any]:
        """Return the labels of codes, in their own type; values stay as they are."""
        if self.schema.task == "regression":
            return np.asarray(codes, dtype=np.float64)
        labels = label_array(self.schema.classes)
        return np.asarray(labels[np.asarray(codes)])

    @property
    def classes(self) -> tuple[Label, ...]:
        """The labels in the order of their codes."""
        return self.schema.classes

    def to_json(self) -> dict[str, Any]:
        """Return schema and state as JSON; an encoder read from it gives the same bits."""
        return {"format": _FORMAT, "schema": self.schema.to_json(), "state": self._state}

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> Encoder:
        """Read what `to_json` wrote; anything else raises `DataError`."""
        if not isinstance(form, Mapping) or form.get("format") != _FORMAT:
            raise DataError(
                f"expected an encoder of format {_FORMAT}, got {str(form)[:80]!r}.", code="E_SCHEMA"
            )
        try:
            return cls(Schema.from_json(form["schema"]), form["state"])
        except (KeyError, TypeError) as error:
            raise DataError(f"the encoder's state is damaged: it lacks {error}.", code="E_SCHEMA") from error


def _feature_names(column: Column, state: Any) -> list[tuple[str, str]]:
    name = column.name
    if column.kind == "date":
        return [(f"{name}.{part}", "number") for part in state["parts"]]
    if column.kind == "text":
        counts = [f"{name}.{part}" for part in ("characters", "words", "digits")]
        return [(feature, "number") for feature in counts + [f"{name}:{word}" for word in state["words"]]]
    return [(name, "category" if column.kind == "category" else "number")]


def _encode(series: Series, column: Column, state: Any) -> Array:
    if column.kind == "category":
        codes = np.asarray(series.cat.codes, dtype=np.float64)
        return np.where(codes < 0, np.nan, codes)[:, None]
    if column.kind == "date":
        parts = _date_parts(series, state["origin"])
        return np.column_stack([parts[part] for part in state["parts"]])
    if column.kind == "text":
        return _encode_text(series, state["words"])
    return np.clip(np.asarray(series, dtype=np.float64), -LARGEST, LARGEST)[:, None]


# dates -------------------------------------------------------------------------------------------------


def _learn_dates(dates: Series) -> dict[str, Any]:
    first = dates.min()
    origin: str = "1970-01-01T00:00:00" if pd.isna(first) else first.isoformat()
    parts = _date_parts(dates, origin)
    varying = [part for part in _DATE_PARTS if len(np.unique(parts[part][~np.isnan(parts[part])])) > 1]
    return {"origin": origin, "parts": varying or ["days"]}


def _date_parts(dates: Series, origin: str) -> dict[str, Array]:
    days = (dates - pd.Timestamp(origin)).dt.total_seconds() / 86_400
    fields: dict[str, Series] = {
        "year": dates.dt.year,
        "month": dates.dt.month,
        "day": dates.dt.day,
        "weekday": dates.dt.day_of_week,
        "hour": dates.dt.hour,
        "days": days,
    }
    return {part: values.to_numpy(dtype=np.float64, na_value=np.nan) for part, values in fields.items()}


# texts -------------------------------------------------------------------------------------------------


def _words(text: Series) -> list[set[str]]:
    return [set(found) for found in text.fillna("").str.lower().str.findall(_WORD)]


def _learn_words(text: Series) -> dict[str, Any]:
    rows = _words(text)
    counts = Counter(word for row in rows for word in row)
    least = max(_LEAST_ROWS, _LEAST_SHARE * len(rows))
    common = [(word, count) for word, count in counts.items() if least <= count < len(rows)]
    # Variance of presence first, then the alphabet, so that equal tables give equal words.
    common.sort(key=lambda pair: (-pair[1] * (len(rows) - pair[1]), pair[0]))
    return {"words": [word for word, _ in common[:_MOST_WORDS]]}


def _encode_text(text: Series, words: Sequence[str]) -> Array:
    length = text.str.len().to_numpy(dtype=np.float64, na_value=np.nan)
    count = text.str.count(_WORD).to_numpy(dtype=np.float64, na_value=np.nan)
    digits = text.str.count(r"\d").to_numpy(dtype=np.float64, na_value=np.nan)
    place = {word: position for position, word in enumerate(words)}
    present = np.zeros((len(text), len(words)))
    for number, row in enumerate(_words(text) if words else ()):
        for word in row & place.keys():
            present[number, place[word]] = 1.0
    return np.column_stack([length, count, digits / np.maximum(length, 1.0), present])
