"""How commands speak: tables for people, JSON for machines, nothing but results when piped."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import typer

__all__ = ["clean", "number", "print_json", "print_table", "seconds", "size"]


def print_json(value: Any) -> None:
    """Print one JSON document; what is not finite becomes null, since JSON has no such numbers."""
    typer.echo(json.dumps(_finite(value), indent=2, ensure_ascii=False))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "") -> None:
    """Print a table: drawn on a terminal, tab-separated when piped."""
    if not sys.stdout.isatty():
        for row in [columns, *rows]:
            typer.echo("\t".join(clean(cell) for cell in row))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left")
    *narrow, last = columns
    for column in narrow:
        table.add_column(column, no_wrap=True)
    table.add_column(last, overflow="fold")
    for row in rows:
        table.add_row(*(Text(clean(cell)) for cell in row))
    Console().print(table)


def clean(text: str) -> str:
    """Return `text` without control characters, which a terminal would obey."""
    return "".join(c if c.isprintable() else " " for c in text)


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
