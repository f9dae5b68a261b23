"""Values as the cells of a CSV file, and back as they were.

Numbers, true, false and null are written as such. Text stands as it is, unless it would be read as something
else: text that a spreadsheet would run gets an apostrophe in front, and ``"12"``, the empty text and the like
are written as JSON, in quotes, and so are lists and mappings. An empty cell is no value at all.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from modelwright.storage.jsontext import decode, encode

__all__ = ["cell_of", "is_utf8", "line_of", "value_of"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_QUOTED = frozenset(',"\r\n')
_JSON = ('"', "{", "[")
_WORDS: dict[str, Any] = {
    "null": None,
    "true": True,
    "false": False,
    "nan": math.nan,
    "inf": math.inf,
    "-inf": -math.inf,
}
_WHOLE = re.compile(r"-?[0-9]{1,4000}")
_REAL = re.compile(r"-?[0-9]+(\.[0-9]*)?(e[+-]?[0-9]+)?", re.IGNORECASE)


def cell_of(value: Any, *, raw: bool = False) -> str:
    """Return the cell for a JSON value or a moment; with `raw` all text stands as it is.

    Examples
    --------
    >>> cell_of("relu"), cell_of(3), cell_of("3"), cell_of("=1+1"), cell_of([1])
    ('relu', '3', '"3"', "'=1+1", '[1]')
    """
    if isinstance(value, str):
        return value if raw else _text_cell(value)
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value) if isinstance(value, int | float) else encode(value)


def _text_cell(text: str) -> str:
    guarded = f"'{text}" if text.startswith(_FORMULA) else text
    bare = bool(text) and not text.startswith(_JSON) and _read(guarded) == text
    return guarded if bare and is_utf8(text) and "\0" not in text else encode(text)


def is_utf8(text: str) -> bool:
    """Return whether a file can hold `text`: half a surrogate pair is for JSON to spell out."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def value_of(cell: str) -> Any:
    """Return what `cell_of` made a cell of; an empty one raises ``ValueError``, and so does broken JSON.

    Examples
    --------
    >>> [value_of(cell) for cell in ("relu", "3", '"3"', "'=1+1", "[1]", "1e-3", "null")]
    ['relu', 3, '3', '=1+1', [1], 0.001, None]
    """
    if not cell:
        raise ValueError("the cell is empty")
    return _read(cell)


def _read(cell: str) -> Any:
    if cell[0] == "'" and cell[1:].startswith(_FORMULA):
        return cell[1:]
    if cell.startswith(_JSON):
        return decode(cell)
    word = cell.lower()
    if word in _WORDS:
        return _WORDS[word]
    if _WHOLE.fullmatch(cell):
        return int(cell)
    return float(cell) if _REAL.fullmatch(cell) else cell


def line_of(cells: Sequence[str]) -> bytes:
    """Return one line of a CSV file, with its end."""
    # The csv module leaves a carriage return unquoted where lines end in "\n", and readers stumble over it.
    quoted = ('"' + cell.replace('"', '""') + '"' if _QUOTED & set(cell) else cell for cell in cells)
    return (",".join(quoted) + "\n").encode("utf-8", "replace")
