"""Whether a text is a table: every row as wide as the first, every quote closed, within limits.

The check runs over bytes with numpy, in pieces, before anything is parsed: it costs little time and memory,
and a parser never gets to fill up short rows. It knows where quotes stand only if they stand at the
edges of cells; where they do not, or a row looks wrong, Python's csv reader goes through the text again and
names the line.
"""

from __future__ import annotations

import csv
import io

import numpy as np
from numpy.typing import NDArray

from modelwright.automl.data.files import ReadLimits
from modelwright.errors import DataError

__all__ = ["check_structure", "first_row"]

_PIECE = 1 << 24
_NEWLINE, _RETURN, _QUOTE = 10, 13, 34

Places = NDArray[np.int64]


def first_row(data: bytes, separator: str) -> list[str]:
    """Return the cells of the first row that is not blank.

    Raises
    ------
    DataError
        ``E_CSV_EMPTY`` (there is none), ``E_CSV_PARSE`` (a quote is not closed).
    """
    # A megabyte holds the header of more columns than are allowed; a whole file need not be decoded for it.
    text = data[: 1 << 24].decode("utf-8", errors="replace")
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            if any(cell.strip() for cell in row):
                return row
    except csv.Error as error:
        raise _not_parsed(1, str(error)) from error
    raise DataError(
        "expected a header and rows; the file is empty.",
        hint="Was it written to its end?",
        code="E_CSV_EMPTY",
    )


def check_structure(data: bytes, separator: str, width: int, limits: ReadLimits) -> None:
    """Check that every row has `width` cells, and that all stays within the limits.

    Raises
    ------
    DataError
        ``E_CSV_PARSE`` (NUL bytes, a quote that is not closed), ``E_CSV_RAGGED``, ``E_FIELD_TOO_LONG`` or
        ``E_TOO_MANY_CELLS``; the line is named.
    """
    nul = data.find(b"\0")
    if nul >= 0:
        line = data.count(b"\n", 0, nul) + 1
        raise DataError(
            f"expected text; line {line:,} holds a NUL byte (offset {nul:,}).",
            hint="Is this a text file? If it is in another encoding, say encoding=...",
            code="E_CSV_PARSE",
        )
    breaks, separators, strange = _places(data, ord(separator))
    cells = len(breaks) * width
    if cells > limits.cells:
        raise DataError(
            f"expected {limits.cells:,} cells at the most; the table has about {cells:,}.",
            hint="Take a sample of its rows, or raise ReadLimits(cells=...).",
            code="E_TOO_MANY_CELLS",
        )
    _check_fields(data, breaks, separators, limits)
    if strange or _looks_ragged(data, breaks, separators, width):
        _check_each_row(data, separator, width)


def _places(data: bytes, separator: int) -> tuple[Places, Places, bool]:
    """Return where rows end and where separators stand, outside quotes, and whether a quote stands oddly.

    The last row ends at the end of the text; a row that ends there anyway leaves a blank one.
    """
    breaks: list[Places] = []
    separators: list[Places] = []
    strange, inside = False, False
    for start in range(0, len(data), _PIECE):
        piece = np.frombuffer(data, dtype=np.uint8, count=min(_PIECE, len(data) - start), offset=start)
        before = data[start - 1] if start else _NEWLINE
        after = data[start + len(piece)] if start + len(piece) < len(data) else 0
        ends = piece == _NEWLINE
        returns = piece == _RETURN
        if returns.any():  # a lone carriage return ends a row too
            ends |= returns & (np.append(piece[1:], after) != _NEWLINE)
        cuts = piece == separator
        quotes = np.flatnonzero(piece == _QUOTE)
        if len(quotes) or inside:
            strange |= _opens_oddly(piece, quotes[int(inside) :: 2], before, separator)
            changes = np.zeros(len(piece), dtype=np.int8)
            changes[quotes] = 1
            quoted = (np.cumsum(changes, dtype=np.int64) + inside) % 2 == 1
            ends &= ~quoted
            cuts &= ~quoted
            inside = bool((len(quotes) + inside) % 2)
        breaks.append(np.flatnonzero(ends) + start)
        separators.append(np.flatnonzero(cuts) + start)
    breaks.append(np.array([len(data)]))
    return np.concatenate(breaks), np.concatenate(separators), strange or inside


def _opens_oddly(piece: NDArray[np.uint8], openings: Places, before: int, separator: int) -> bool:
    """Return whether a quote opens elsewhere than at the start of a cell, or after a closing one."""
    if not len(openings):
        return False
    previous = np.where(openings > 0, piece[openings - 1], before)
    return not bool(np.isin(previous, (separator, _NEWLINE, _RETURN, _QUOTE)).all())


def _looks_ragged(data: bytes, breaks: Places, separators: Places, width: int) -> bool:
    counts = np.diff(np.searchsorted(separators, breaks), prepend=0)
    lengths = np.diff(breaks, prepend=-1) - 1
    # Where rows end in \r\n, a blank one holds the carriage return.
    last = np.frombuffer(data, dtype=np.uint8)[np.maximum(breaks - 1, 0)]
    filled = (lengths > 1) | ((lengths == 1) & (last != _RETURN))
    return bool((counts[filled] != width - 1).any())


def _check_fields(data: bytes, breaks: Places, separators: Places, limits: ReadLimits) -> None:
    edges = np.sort(np.concatenate((breaks, separators)), kind="stable")
    sizes = np.diff(edges, prepend=-1)
    longest = int(sizes.argmax())
    if sizes[longest] <= limits.field_bytes:
        return
    line = data.count(b"\n", 0, int(edges[longest] - sizes[longest]) + 1) + 1
    raise DataError(
        f"expected {limits.field_bytes:,} bytes in a cell at the most; "
        f"one that begins in line {line:,} has {sizes[longest]:,}.",
        hint="Is a quote not closed?",
        code="E_FIELD_TOO_LONG",
    )


def _check_each_row(data: bytes, separator: str, width: int) -> None:
    reader = csv.reader(
        io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline=""), delimiter=separator, strict=True
    )
    begins = 1
    try:
        for row in reader:
            if len(row) != width and any(cell.strip() for cell in row):
                raise DataError(
                    f"expected {width:,} cells, as in the first row; line {begins:,} has {len(row):,}.",
                    hint="Look at that line: is a separator or a quote too many, or missing?",
                    code="E_CSV_RAGGED",
                )
            begins = reader.line_num + 1
    except csv.Error as error:
        raise _not_parsed(begins, str(error)) from error


def _not_parsed(line: int, reason: str) -> DataError:
    what = "a quote is opened and never closed" if "end of data" in reason or "limit" in reason else reason
    return DataError(
        f"expected rows of cells; the row that begins in line {line:,} cannot be read: {what}.",
        hint="Close the quote, or write a quote inside a quoted cell twice.",
        code="E_CSV_PARSE",
    )
