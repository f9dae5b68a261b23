"""Studies as files for other programs: CSV, Parquet and JSON Lines."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal

from modelwright._base.optional import require
from modelwright.errors import InputError
from modelwright.storage.base import Storage
from modelwright.transfer.cells import cell_of, line_of
from modelwright.transfer.columns import column_names, rows_of
from modelwright.transfer.jsonlines import to_lines
from modelwright.transfer.output import open_output
from modelwright.transfer.parquet import write_parquet
from modelwright.transfer.snapshot import read_snapshot

__all__ = ["Format", "export_study", "format_of"]

Format = Literal["csv", "parquet", "jsonl"]

_ENDINGS: dict[str, Format] = {
    ".csv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}


def export_study(
    storage: Storage,
    name: str,
    path: str | Path,
    *,
    format: Format | None = None,
    raw: bool = False,
    force: bool = False,
) -> int:
    """Write the trials of a study to a file, and return how many there are.

    Parameters
    ----------
    storage : Storage
        Where the study is.
    name : str
        The study.
    path : str or Path
        The file, or ``"-"`` for standard output. It is written whole or not at all.
    format : {"csv", "parquet", "jsonl"}, optional
        By the file's ending unless given. CSV and Parquet hold one row per trial, with the columns of
        `Study.trials_dataframe`, and are read by `read_exported_table`; JSON Lines hold all that the ledger
        knows, and are read by `read_lines_file`.
    raw : bool, default=False
        Write text in CSV as it is. By default text that a spreadsheet would take for a formula gets an
        apostrophe in front, and text that looks like a number or is empty is written in quotes, as JSON.
    force : bool, default=False
        Replace a file that is there.

    Raises
    ------
    InputError
        The format is not known, or the file is there already.
    MissingDependencyError
        Parquet needs pyarrow.
    """
    kind = format_of(path) if format is None else format
    if kind not in _ENDINGS.values():
        raise InputError(f"expected the format csv, parquet or jsonl, got {kind!r}.")
    if kind == "parquet":
        require("pyarrow", extra="tabular", feature="exporting to Parquet")
    if kind == "jsonl":
        snapshot = read_snapshot(storage, name)
        with _opened(path, force) as file:
            for line in to_lines(snapshot):
                file.write(line.encode() + b"\n")
        return len(snapshot.trials)
    record = storage.study(name)
    trials, objectives = storage.trials(record.id), record.spec.objectives
    columns, rows = column_names(trials, objectives), rows_of(trials, objectives)
    with _opened(path, force) as file:
        if kind == "csv":
            _write_csv(file, columns, rows, raw)
        else:
            write_parquet(file, columns, list(rows))
    return len(trials)


def format_of(path: str | Path) -> Format:
    """Return the format that the ending of `path` stands for.

    Examples
    --------
    >>> format_of("trials.csv")
    'csv'
    """
    ending = Path(path).suffix.lower()
    if ending not in _ENDINGS:
        raise InputError(
            f"the ending of {str(path)!r} stands for no format.",
            hint="Give --format csv, parquet or jsonl, or a file that ends in .csv, .parquet or .jsonl.",
        )
    return _ENDINGS[ending]


@contextmanager
def _opened(path: str | Path, force: bool) -> Iterator[BinaryIO]:
    if str(path) != "-":
        with open_output(Path(path), force=force) as file:
            yield file
        return
    sys.stdout.flush()
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()


def _write_csv(file: BinaryIO, columns: Sequence[str], rows: Iterable[Mapping[str, Any]], raw: bool) -> None:
    file.write(line_of([cell_of(name) for name in columns]))
    for row in rows:
        file.write(line_of([cell_of(row[name], raw=raw) if name in row else "" for name in columns]))
