"""How commands speak: tables for people, JSON for machines, nothing but results when piped."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import typer

__all__ = ["clean", "count", "number", "print_json", "print_table", "seconds", "size"]

_SHORT = 12  # a column no wider than this is never folded; others keep at least so much


def print_json(value: Any) -> None:
    """Print one JSON document; what is not finite becomes null, since JSON has no such numbers."""
    text = json.dumps(_finite(value), indent=2, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(_finite(value), indent=2)
    typer.echo(text)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "") -> None:
    """Print a table: drawn on a terminal, tab-separated when piped.

    On a terminal that is too narrow for it, each row takes several lines, one for each column.
    """
    lines = [[clean(cell) for cell in row] for row in [columns, *rows]]
    if not sys.stdout.isatty():
        for line in lines:
            typer.echo("\t".join(line))
        return
    from rich.cells import cell_len
    from rich.console import Console

    console = Console()
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    if sum(min(width, _SHORT) + 3 for width in widths) > console.width:
        _print_blocks(lines, title)
    else:
        console.print(_drawn(lines, widths, title))


def _print_blocks(lines: Sequence[Sequence[str]], title: str) -> None:
    columns, *rows = lines
    longest = max(map(len, columns))
    if title:
        typer.echo(f"{title}\n")
    for row in rows:
        for column, cell in zip(columns, row, strict=True):
            typer.echo(f"{column:<{longest}}  {cell}".rstrip())
        typer.echo()


def _drawn(lines: Sequence[Sequence[str]], widths: Sequence[int], title: str) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    columns, *rows = lines
    table = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left")
    for column, width in zip(columns, widths, strict=True):
        table.add_column(column, no_wrap=width <= _SHORT, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def clean(text: str) -> str:
    """Return `text` without control characters, which a terminal would obey."""
    return "".join(c if c.isprintable() else " " for c in text)


def count(number: int, noun: str) -> str:
    """Return a number of things for people.

    Examples
    --------
    >>> count(1, "trial"), count(1200, "trial")
    ('1 trial', '1200 trials')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def number(value: float | None, digits: int = 5) -> str:
    """Return a number for people; a dash where there is none."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.{digits}g}"


def seconds(value: float | None) -> str:
    """Return a duration for people."""
    if value is None:
        return "-"
    if value < 1:
        return f"{1000 * value:.0f} ms"
    if value < 120:
        return f"{value:.1f} s"
    return f"{int(value // 60)} min {int(value % 60)} s"


def size(value: float | None) -> str:
    """Return a number of bytes for people."""
    if value is None:
        return "-"
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.3g} {unit}"
        value /= 1000
    raise AssertionError("unreachable")
