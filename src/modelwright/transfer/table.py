"""CSV files with the numbers of their lines, and what the cells of a column mean."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelwright.errors import InputError
from modelwright.space import Bool, Float, Int, Parameter
from modelwright.storage.jsontext import encode

__all__ = [
    "BadRows",
    "Table",
    "is_empty",
    "read_cell",
    "read_column",
    "read_header",
    "read_lines",
    "read_number",
    "read_table",
    "refuse_doubles",
]

_HINT = "Expected CSV as UTF-8: the names of the columns in the first line, then the rows."
_MOST_NAMED = 10
_LONGEST_CELL = 2**30
_EMPTY = ("", "nan", "na", "n/a", "null")
_FLAGS = {"true": True, "false": False}
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_REAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(inf|infinity)", re.IGNORECASE)
_GUARDED = re.compile("'[=+@\t\r-]")


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file: the names of its columns, and its rows as text with the lines they end in."""

    path: str
    columns: list[str]
    rows: list[tuple[int, dict[str, str]]]


@dataclass(slots=True)
class BadRows:
    """Gathers what is wrong with the rows of a file, so that all of it can be said at once.

    `unit` is what their numbers count.
    """

    path: str
    unit: str = "line"
    found: list[str] = field(default_factory=list)

    def add(self, number: int, words: str) -> None:
        """Note one row."""
        self.found.append(f"{self.unit} {number}: {words}")

    def check(self) -> None:
        """Raise `InputError` with the first ten if there are any."""
        if not self.found:
            return
        more = len(self.found) - _MOST_NAMED
        named = "; ".join(self.found[:_MOST_NAMED]) + (f"; and {more:,} more" if more > 0 else "")
        raise InputError(
            f"{self.path!r} has {len(self.found):,} bad row(s): {named}.",
            hint="Mend or remove them.",
            code="E_ROWS",
        )


def read_header(path: Path) -> list[str]:
    """Return the names of the columns of a CSV file as they stand there; see `read_lines`."""
    with _reading(path) as reader:
        return _header(path, reader)


def read_lines(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header of a CSV file, and its rows with the lines they end in; empty rows are passed over.

    Raises
    ------
    InputError
        It is not there, no UTF-8 text, has no header, or rows have too few or too many cells; these are named
        by their lines.
    """
    with _reading(path) as reader:
        header = _header(path, reader)
        lines = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    bad = BadRows(str(path))
    for line, row in lines:
        if len(row) != len(header):
            bad.add(line, f"expected {len(header)} cells, got {len(row)}")
    bad.check()
    return header, lines


@contextmanager
def _reading(path: Path) -> Iterator[Any]:
    if not path.is_file():
        raise InputError(f"there is no file {str(path)!r}.", code="E_PATH")
    limit = csv.field_size_limit(_LONGEST_CELL)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            yield reader
    except UnicodeDecodeError as error:
        raise InputError(f"{str(path)!r} is not UTF-8 text: {error}.", hint=_HINT, code="E_ROWS") from None
    except csv.Error as error:
        message = f"{str(path)!r}, line {reader.line_num}: {error}."
        raise InputError(message, hint=_HINT, code="E_ROWS") from None
    finally:
        csv.field_size_limit(limit)


def _header(path: Path, reader: Iterator[list[str]]) -> list[str]:
    header = next(reader, [])
    if not any(header):
        raise _no_table(path)
    return header


def _no_table(path: Path) -> InputError:
    return InputError(f"{str(path)!r} holds no table.", hint=_HINT, code="E_ROWS")


def read_table(path: Path) -> Table:
    """Read a table of results: a CSV file with the names of the columns first, and at least one row.

    Raises
    ------
    InputError
        As `read_lines`, or two columns have one name.
    """
    header, lines = read_lines(path)
    columns = [_unguarded(cell).strip() for cell in header]
    if not lines:
        raise _no_table(path)
    refuse_doubles(path, columns)
    cells = [(line, [_unguarded(cell.strip(" ")) for cell in row]) for line, row in lines]
    return Table(str(path), columns, [(line, dict(zip(columns, row, strict=True))) for line, row in cells])


def refuse_doubles(path: Path, columns: Sequence[str]) -> None:
    """Raise if two columns have one name."""
    twice = [name for name, times in Counter(columns).items() if times > 1]
    if twice:
        raise InputError(f"{str(path)!r} has two columns {twice[0]!r}.", code="E_ROWS")


def _unguarded(cell: str) -> str:
    """Return a cell without the apostrophe that keeps a spreadsheet from running it."""
    return cell[1:] if _GUARDED.match(cell) else cell


def is_empty(cell: str) -> bool:
    """Return whether a cell of a table of results stands for no value."""
    return cell.lower() in _EMPTY


def read_number(cell: str) -> float:
    """Return a number; text raises ``ValueError`` with what was expected."""
    if not _REAL.fullmatch(cell):
        raise ValueError(f"expected a number, got {cell[:40]!r}")
    return float(cell)


def read_column(cells: Sequence[str]) -> list[Any]:
    """Return what cells stand for together: truth values, whole numbers, numbers, or text."""
    if all(cell.lower() in _FLAGS for cell in cells):
        return [_FLAGS[cell.lower()] for cell in cells]
    if all(_WHOLE.fullmatch(cell) for cell in cells):
        return [int(cell) for cell in cells]
    return [float(cell) for cell in cells] if all(map(_REAL.fullmatch, cells)) else list(cells)


def read_cell(parameter: Parameter, cell: str) -> Any:
    """Return the value that `cell` stands for; what is none of the parameter's raises ``ValueError``."""
    if isinstance(parameter, Bool):
        if cell.lower() not in _FLAGS:
            raise ValueError(f"expected true or false, got {cell[:40]!r}")
        return _FLAGS[cell.lower()]
    if isinstance(parameter, Float | Int):
        return int(cell) if _WHOLE.fullmatch(cell) else read_number(cell)
    choices = getattr(parameter, "choices", ())
    labels = getattr(parameter, "labels", None) or choices
    for choice, label in zip(choices, labels, strict=True):
        if cell == (label if isinstance(label, str) else encode(label)) or _same_number(choice, cell):
            return choice
    raise ValueError(f"expected one of {list(labels)!r:.80}, got {cell[:40]!r}")


def _same_number(choice: Any, cell: str) -> bool:
    number = isinstance(choice, int | float) and not isinstance(choice, bool)
    return number and bool(_REAL.fullmatch(cell)) and float(cell) == choice
