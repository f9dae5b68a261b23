"""Tables that are in memory already, as a frame with text for names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from modelwright.errors import DataError

__all__ = ["as_frame", "check_names"]

_LONGEST_NAME = 256


def as_frame(source: Any, *, names: Sequence[str] | None = None) -> pd.DataFrame:
    """Return `source` as a frame whose column names are text and differ.

    Parameters
    ----------
    source : DataFrame, Series (one row), mapping of columns, 2-D array or sequence of rows
        It is left as it is.
    names : sequence of str, optional
        For an array, which has none; ``c0``, ``c1``, ... by default.

    Raises
    ------
    DataError
        Something else came, or two columns have one name.

    Examples
    --------
    >>> import numpy as np
    >>> as_frame(np.eye(2)).columns.tolist()
    ['c0', 'c1']
    """
    frame = _frame_of(source, names)
    labels = [name if isinstance(name, str) else str(name) for name in frame.columns]
    check_names(labels)
    if labels != list(frame.columns) or isinstance(frame.columns, pd.MultiIndex):
        frame = frame.set_axis(pd.Index(labels), axis=1)
    return frame


def _frame_of(source: Any, names: Sequence[str] | None) -> pd.DataFrame:
    if isinstance(source, pd.DataFrame):
        return source
    if isinstance(source, pd.Series):
        return source.to_frame().T.infer_objects()
    if isinstance(source, Mapping):
        try:
            return pd.DataFrame({name: _column(values) for name, values in source.items()})
        except (ValueError, TypeError) as error:
            raise DataError(
                f"expected columns of one length by name; {error}.", code="E_TABLE_TYPE"
            ) from error
    if isinstance(source, np.ndarray):
        return _frame_of_array(source, names)
    if isinstance(source, list | tuple) and source and isinstance(source[0], Mapping):
        return pd.DataFrame(list(source))
    if isinstance(source, list | tuple):
        return pd.DataFrame(list(source)).pipe(
            lambda frame: frame.set_axis(_names(frame.shape[1], names), axis=1)
        )
    raise DataError(
        "expected a DataFrame, a Series (one row), a mapping of columns or a 2-D array; "
        f"got {type(source).__name__}.",
        code="E_TABLE_TYPE",
    )


def _column(values: Any) -> Any:
    return values.reset_index(drop=True) if isinstance(values, pd.Series) else values


def _frame_of_array(source: np.ndarray[Any, Any], names: Sequence[str] | None) -> pd.DataFrame:
    array = (
        source[None, :] if source.ndim == 1 and names is not None and len(source) == len(names) else source
    )
    if array.ndim != 2:
        raise DataError(
            f"expected an array of two dimensions (rows, columns); got the shape {source.shape}.",
            code="E_TABLE_TYPE",
        )
    return pd.DataFrame(array, columns=pd.Index(_names(array.shape[1], names)))


def _names(width: int, names: Sequence[str] | None) -> list[str]:
    if names is None:
        return [f"c{position}" for position in range(width)]
    if len(names) != width:
        raise DataError(f"expected {len(names)} columns, got {width}.", code="E_SCHEMA_MISMATCH")
    return list(names)


def check_names(names: Sequence[str], *, of_file: bool = False) -> None:
    """Refuse names that are given twice and, in a file, ones that are empty, over-long or formulas.

    Raises
    ------
    DataError
        Code ``E_CSV_COLUMNS``; the columns are named.
    """
    counts = Counter(names)
    if len(counts) < len(names):
        twice = [name for name, count in counts.items() if count > 1 and name]
        if twice:
            some = ", ".join(repr(name) for name in twice[:5])
            raise _bad_names(f"expected each column to have its own name; given more than once: {some}.")
    if not of_file:
        return
    empty = [str(place) for place, name in enumerate(names, start=1) if not name.strip()]
    if empty:
        raise _bad_names(
            f"expected a name for each column; column {', '.join(empty[:5])} of the header has none."
        )
    for name in names:
        if len(name) > _LONGEST_NAME:
            raise _bad_names(
                f"expected names of {_LONGEST_NAME} characters; {name[:30] + '...'!r} has {len(name):,}."
            )
        if name[0] in "=+-@":
            raise _bad_names(
                f"the column name {name[:40]!r} would run as a formula when the table is opened as a sheet."
            )


def _bad_names(message: str) -> DataError:
    return DataError(
        message,
        hint="Rename it in the header (or say header=False if the first row is data).",
        code="E_CSV_COLUMNS",
    )
