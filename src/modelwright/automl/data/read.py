"""A table from wherever it is: CSV in its many forms, Parquet, or memory.

Cells of a text file stay text here. What they mean is decided once, by `infer_schema`, and from then on by
the schema: so a file with one row is read as the file with all rows was, and a label ``007`` or ``None``
stays what it is.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from modelwright._base.optional import require
from modelwright.automl.data.files import ReadLimits, checked_path, read_bytes
from modelwright.automl.data.findings import Finding
from modelwright.automl.data.frames import as_frame, check_names
from modelwright.automl.data.scan import check_structure, first_row
from modelwright.automl.data.sniff import find_header, find_separator, to_utf8
from modelwright.errors import DataError, InputError

__all__ = ["ReadLimits", "ReadResult", "read_table"]

_NUMBER_WITH_COMMA = r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?"
_NUMBER = r"[+-]?\d+(?:,\d+)?(?:[eE][+-]?\d+)?"
_SEPARATOR_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_CONTROL = re.compile(rb"[\x01-\x08\x0e-\x1a\x1c-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class ReadResult:
    """A table and what was found out about how it is written.

    Attributes
    ----------
    frame : DataFrame
        All text from a text file; typed otherwise. Names are text and differ.
    notes : list of Finding
        Separator, encoding and header where they were not the usual ones.
    path : Path, optional
        Of the file, if it was one.
    """

    frame: pd.DataFrame
    notes: list[Finding]
    path: Path | None = None


def read_table(
    source: Any,
    *,
    sep: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
    target: str | None = None,
    names: Collection[str] = (),
    limits: ReadLimits | None = None,
) -> ReadResult:
    r"""Read a table.

    Parameters
    ----------
    source : path, DataFrame, mapping of columns, 2-D array or sequence of rows
        A path names a text file (``.csv``, ``.tsv``, ``.txt``, each also as ``.gz``) or a Parquet file.
    sep : str, optional
        One character between cells; comma, semicolon, tab or bar is found out by default.
    encoding : str, optional
        Found out by default: a byte-order mark, UTF-8, UTF-16, else Western European.
    header : bool, optional
        Whether the first row holds names; found out by default. Else the columns are ``c0``, ``c1``, ...
    target : str, optional
        A name that the header should hold; helps to tell a header from data.
    names : collection of str, optional
        Names of which the header should hold half or more, such as the columns that a model takes.
    limits : ReadLimits, optional
        What a file may cost at the most.

    Raises
    ------
    DataError
        It cannot be read as a table; ``code`` begins with ``E_FILE_`` or ``E_CSV_``, or is ``E_COMPRESSION``,
        ``E_FIELD_TOO_LONG``, ``E_TOO_MANY_COLUMNS`` or ``E_TOO_MANY_CELLS``.

    Examples
    --------
    >>> from pathlib import Path
    >>> _ = Path("beer.csv").write_text("name;abv\nTripel;8,5\nPils;5\n")
    >>> result = read_table("beer.csv")
    >>> result.frame["abv"].tolist()
    ['8.5', '5']
    >>> [note.code for note in result.notes]
    ['I_SEPARATOR', 'I_DECIMAL_COMMA']
    """
    limits = limits or ReadLimits()
    if not isinstance(source, str | os.PathLike):
        frame = as_frame(source)
        _check_size(frame.shape[1], frame.size, limits)
        return ReadResult(_not_empty(frame), [])
    path = checked_path(source, limits)
    data = read_bytes(path, limits)
    if data.startswith(b"PAR1"):
        return ReadResult(_read_parquet(data, path, limits), [], path)
    notes: list[Finding] = []
    frame = _read_text(data, sep, encoding, header, target, names, limits, notes)
    return ReadResult(frame, notes, path)


def _read_text(
    data: bytes,
    sep: str | None,
    encoding: str | None,
    header: bool | None,
    target: str | None,
    expected: Collection[str],
    limits: ReadLimits,
    notes: list[Finding],
) -> pd.DataFrame:
    if sep is not None and (len(sep) != 1 or not sep.isascii() or sep in '"\r\n'):
        raise InputError(f"expected one plain character as separator, got {sep!r}.")
    _refuse_binary(data)
    data, used = to_utf8(data, encoding)
    if encoding is None and used != "utf-8":
        _note(notes, "I_ENCODING", f"the file is no UTF-8; it was read as {used}.")
    separator = sep or find_separator(data)
    if sep is None and separator != ",":
        _note(notes, "I_SEPARATOR", f"cells are separated by a {_SEPARATOR_NAMES[separator]}.")
    first = first_row(data, separator)
    _check_size(len(first), 0, limits)
    check_structure(data, separator, len(first), limits)
    if header is None:
        header = find_header(data, separator, target, expected)
        if not header:
            _note(
                notes,
                "W_NO_HEADER",
                "the first row looks like data; columns are named c0, c1, ...",
                "warning",
            )
    names = [name.strip() for name in first] if header else [f"c{place}" for place in range(len(first))]
    check_names(names, of_file=True)
    frame = _parse(data, separator, names, header)
    return _decimal_points(_not_empty(frame), notes) if separator != "," else frame


def _parse(data: bytes, separator: str, names: Sequence[str], header: bool) -> pd.DataFrame:
    try:
        frame = pd.read_csv(
            io.BytesIO(data),
            sep=separator,
            header=0 if header else None,
            names=list(range(len(names))),  # set below: pandas would rename some
            index_col=False,
            dtype=str,
            na_filter=False,
            encoding="utf-8",
            low_memory=False,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        raise DataError(f"the text cannot be read as a table: {error}.", code="E_CSV_PARSE") from error
    return _not_empty(frame.set_axis(pd.Index(names), axis=1))


def _not_empty(frame: pd.DataFrame) -> pd.DataFrame:
    if frame.shape[0] and frame.shape[1]:
        return frame
    raise DataError(
        f"expected rows below the header; there are none, only {frame.shape[1]:,} column name(s).",
        hint="Was the file written to its end?",
        code="E_CSV_EMPTY",
    )


def _decimal_points(frame: pd.DataFrame, notes: list[Finding]) -> pd.DataFrame:
    """Write numbers with a decimal comma, which only files without separating commas have, with a point."""
    changed = {}
    for name in frame.columns:
        filled = frame[name][frame[name] != ""]
        few = filled.iloc[:1000]
        if not few.str.contains(",", regex=False).any() or not few.str.fullmatch(_NUMBER).all():
            continue
        if filled.str.fullmatch(_NUMBER).all() and filled.str.fullmatch(_NUMBER_WITH_COMMA).any():
            changed[name] = frame[name].str.replace(",", ".", regex=False)
    if not changed:
        return frame
    some = ", ".join(repr(name) for name in list(changed)[:5])
    _note(notes, "I_DECIMAL_COMMA", f"commas are decimal points in {len(changed)} column(s): {some}.")
    return frame.assign(**changed)


def _read_parquet(data: bytes, path: Path, limits: ReadLimits) -> pd.DataFrame:
    parquet = require("pyarrow.parquet", extra="tabular", feature="reading Parquet")
    try:
        facts = parquet.ParquetFile(io.BytesIO(data))
        _check_size(facts.metadata.num_columns, facts.metadata.num_columns * facts.metadata.num_rows, limits)
        frame = facts.read().to_pandas()
    except (ValueError, OSError, KeyError) as error:
        if isinstance(error, DataError):
            raise
        reason = str(error).splitlines()[0]
        raise DataError(f"{str(path)!r} is damaged Parquet: {reason}.", code="E_FILE_FORMAT") from error
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index(drop=all(name is None for name in frame.index.names))
    return _not_empty(as_frame(frame))


def _check_size(columns: int, cells: int, limits: ReadLimits) -> None:
    if columns > limits.columns:
        raise DataError(
            f"expected {limits.columns:,} columns at the most; the table has {columns:,}.",
            hint="Choose the columns that matter, or raise ReadLimits(columns=...).",
            code="E_TOO_MANY_COLUMNS",
        )
    if cells > limits.cells:
        raise DataError(
            f"expected {limits.cells:,} cells at the most; the table has {cells:,}.",
            hint="Take a sample of its rows, or raise ReadLimits(cells=...).",
            code="E_TOO_MANY_CELLS",
        )


def _refuse_binary(data: bytes) -> None:
    head = data[:4096]
    if len(_CONTROL.findall(head)) > 0.05 * len(head):
        raise DataError(
            "expected a table as text; the file holds binary data.",
            hint="Save the table as CSV or Parquet.",
            code="E_FILE_FORMAT",
        )


def _note(notes: list[Finding], code: str, message: str, level: Any = "info") -> None:
    notes.append(Finding(level, code, None, message))
