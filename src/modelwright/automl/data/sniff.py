"""How a text file writes its table: encoding, separator, header."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Sequence

from modelwright.errors import DataError

__all__ = ["SEPARATORS", "find_header", "find_separator", "to_utf8"]

SEPARATORS = (",", ";", "\t", "|")

_SAMPLE_BYTES = 1 << 18
_SAMPLE_ROWS = 200
_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def to_utf8(data: bytes, encoding: str | None) -> tuple[bytes, str]:
    """Return the text as UTF-8 without a byte-order mark, and the encoding that it had.

    A mark decides; then UTF-8 if it fits, UTF-16 if every other byte of the start is zero, and else Western
    European (cp1252, or Latin-1 where that has gaps), which fits any bytes.

    Raises
    ------
    DataError
        ``E_CSV_ENCODING``: it is not text in the encoding given or marked; the byte is named.
    """
    if encoding is not None:
        return _decode(data, encoding), encoding
    for mark, name in _MARKS:
        if data.startswith(mark):
            return (data[3:] if name == "utf-8" else _decode(data, name)), name
    head = data[:400]
    for name, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
        if len(head) >= 8 and zeros.count(0) > 0.7 * len(zeros):
            return _decode(data, name), name
    for name in ("utf-8", "cp1252"):
        try:
            text = data.decode(name)
        except UnicodeDecodeError:
            continue
        return (data if name == "utf-8" else text.encode()), name
    return data.decode("latin-1").encode(), "latin-1"


def _decode(data: bytes, encoding: str) -> bytes:
    try:
        return data.decode(encoding).removeprefix("\ufeff").encode()
    except LookupError:
        raise DataError(f"no encoding is called {encoding!r}.", code="E_CSV_ENCODING") from None
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        raise DataError(
            f"expected text in {encoding}; the byte at offset {error.start:,} is none ({error.reason}).",
            hint="Say the right encoding=..., such as 'cp1252', or save the file as UTF-8.",
            code="E_CSV_ENCODING",
        ) from error


def find_separator(data: bytes) -> str:
    """Return the separator that cuts the first rows into most columns, all rows into equally many.

    Each candidate reads the rows with quotes honoured; its score is the share of rows that have the most
    usual number of columns, times the share of cells that hold none of the other candidates (a decimal comma
    is no separator). Where none cuts anything, the table has one column and the comma will do.
    """
    rows_of = {separator: _sample(data, separator) for separator in SEPARATORS}
    scored = [(_score(rows, separator), separator) for separator, rows in rows_of.items()]
    best, separator = max(scored, key=lambda pair: pair[0])
    return separator if best > (0.0, 0) else ","


def _sample(data: bytes, separator: str) -> list[list[str]]:
    text = data[:_SAMPLE_BYTES].decode("utf-8", errors="replace")
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            if row:
                rows.append(row)
            if len(rows) > _SAMPLE_ROWS:
                break
    except csv.Error:
        return rows
    # The last row may be cut where the sample ends.
    return rows[:-1] if len(data) > _SAMPLE_BYTES and 1 < len(rows) <= _SAMPLE_ROWS else rows


def _score(rows: Sequence[Sequence[str]], separator: str) -> tuple[float, int]:
    widths = Counter(len(row) for row in rows)
    width, count = max(widths.items(), key=lambda pair: (pair[1], pair[0]), default=(1, 0))
    if width == 1:
        return 0.0, 0
    others = [other for other in SEPARATORS if other != separator]
    cells = [cell for row in rows for cell in row]
    clean = sum(
        not any(other in cell for other in others)
        or (separator != "," and _DECIMAL_COMMA.fullmatch(cell.strip()) is not None)
        for cell in cells
    )
    return count / len(rows) * clean / len(cells), width


def find_header(data: bytes, separator: str, target: str | None, names: Collection[str] = ()) -> bool:
    """Return whether the first row holds names.

    It does if it holds the target's name, or at least half of the names that are known. It does not if a cell
    of it is a number, or if each of its cells occurs again further down in its column.
    """
    rows = _sample(data, separator)
    first, rest = [cell.strip() for cell in rows[0]], rows[1:]
    if target is not None and target in first:
        return True
    if names and len(set(names).intersection(first)) * 2 >= len(names):
        return True
    if any(_NUMBER.fullmatch(cell) for cell in first):
        return False
    again = [
        any(len(row) > place and row[place].strip() == cell for row in rest)
        for place, cell in enumerate(first)
        if cell
    ]
    return not (len(rest) > 1 and again and all(again))
