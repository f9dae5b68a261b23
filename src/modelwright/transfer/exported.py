"""Tables of trials that `export_study` wrote, as studies again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modelwright._base.registry import nearest
from modelwright.errors import ConfigurationError, InputError, SpaceError
from modelwright.records import Objective, StudySpec, Trial
from modelwright.space import Parameter, Space
from modelwright.storage.base import AdoptedTrial
from modelwright.transfer.cells import value_of
from modelwright.transfer.columns import directions_of, missing_column, trial_of
from modelwright.transfer.inferring import categories_of, infer_parameter, infer_spaces, version_of
from modelwright.transfer.parquet import is_parquet, read_parquet, read_parquet_header
from modelwright.transfer.snapshot import StudySnapshot, as_waiting, in_order
from modelwright.transfer.table import BadRows, read_header, read_lines, refuse_doubles

__all__ = ["is_exported_table", "read_exported_table"]

_LOST = (
    "a table holds trials only: reports, attempts, files and settings of the study are not in it "
    "(JSON Lines hold all but the files)"
)
_INFERRED = "ranges and choices are those that the trials have, unless a whole space is given"


def is_exported_table(path: str | Path) -> bool:
    """Return whether a file is a table of trials that `export_study` wrote, as CSV or Parquet."""
    place = Path(path)
    return not missing_column(read_parquet_header(place) if is_parquet(place) else read_header(place))


def read_exported_table(
    path: str | Path,
    *,
    name: str,
    directions: Sequence[str] = (),
    log: Sequence[str] = (),
    space: Space | None = None,
) -> StudySnapshot:
    """Read a CSV or Parquet file that `export_study` wrote.

    Configurations, values, states, failures, user attributes and times come back as they were; of a CSV that
    was written with ``raw=True``, text that looks like a number does not. A trial that ran waits. Columns
    that were added by hand become user attributes. The `notes` of the snapshot say what is lost.

    Parameters
    ----------
    path : str or Path
        The file.
    name : str
        What the study shall be called.
    directions : sequence of str, default=()
        ``"minimize"`` or ``"maximize"`` for each objective; those in the file by default.
    log : sequence of str, default=()
        Parameters on a logarithmic scale.
    space : Space, optional
        The space; made from the trials by default.

    Raises
    ------
    InputError
        The file is no such table, or rows are wrong; the message names them.
    """
    table = _read(Path(path))
    missing = missing_column(table.columns)
    if missing:
        raise InputError(
            f"{table.path!r} is no table of trials of ours: it has no column {missing!r}.",
            hint="Tables of other programs are read from CSV: give --value COLUMN.",
            code="E_COLUMN",
        )
    if space is not None and log:
        raise InputError("expected `log` or a space, got both: a space says itself what is logarithmic.")
    trials = _trials(table, space)
    spaces = _inferred(trials, log) if space is None else [space]
    objectives, unsure = _objectives(table, directions)
    versions = [replace(trial, space_version=version_of(trial.params, spaces)) for trial in trials]
    return StudySnapshot(
        StudySpec(name, spaces[0], objectives, description=f"imported from {Path(path).name}"),
        [item.to_json() for item in spaces],
        in_order(AdoptedTrial(trial, trial.number) for trial in versions),
        notes=[*unsure, *([_INFERRED] if space is None and trials else []), _LOST],
    )


@dataclass(frozen=True, slots=True)
class _Table:
    """Rows with their places in the file, in which what a trial lacks is absent."""

    path: str
    unit: str
    columns: list[str]
    rows: list[tuple[int, dict[str, Any]]]


def _read(path: Path) -> _Table:
    if is_parquet(path):
        columns, found = read_parquet(path)
        return _Table(str(path), "row", columns, list(enumerate(found, start=1)))
    header, lines = read_lines(path)
    columns = [str(value_of(cell)) for cell in header]
    refuse_doubles(path, columns)
    bad = BadRows(str(path))
    rows = []
    for line, cells in lines:
        try:
            named = zip(columns, cells, strict=True)
            rows.append((line, {name: value_of(cell) for name, cell in named if cell}))
        except ValueError as error:
            bad.add(line, str(error))
    bad.check()
    return _Table(str(path), "line", columns, rows)


def _trials(table: _Table, space: Space | None) -> list[Trial]:
    """Return the trials; one that makes no sense, or is outside of a given space, is a bad row."""
    bad = BadRows(table.path, table.unit)
    found: dict[int, Trial] = {}
    for place, row in table.rows:
        try:
            trial = trial_of(row, table.columns)
            if trial.number in found:
                raise ValueError(f"the trial {trial.number} is there twice")
            if space is not None and trial.params is not None:
                space.check(space.load(trial.params))
        except (ValueError, ConfigurationError) as error:
            bad.add(place, str(error).rstrip("."))
            continue
        found[trial.number] = trial if trial.state.finished else as_waiting(trial, ())[0]
    bad.check()
    return list(found.values())


def _inferred(trials: Sequence[Trial], log: Sequence[str]) -> list[Space]:
    """Return the space that the trials span, in one version or two."""
    values: dict[str, list[Any]] = {}
    for trial in trials:
        for name, value in (trial.params or {}).items():
            values.setdefault(name, []).append(value)
    for name in log:
        if name not in values:
            raise InputError(f"no trial has a parameter {name!r}.", hint=nearest(name, list(values)))
    parameters = {name: _parameter(name, found, name in log) for name, found in values.items()}
    # Trials that failed may have ended before their objective asked for everything.
    whole = [trial.params for trial in trials if trial.params is not None and trial.values]
    return infer_spaces(parameters, whole)


def _parameter(name: str, values: Sequence[Any], log: bool) -> Parameter:
    try:
        return infer_parameter(values, log=log)
    except SpaceError as error:
        if log:
            raise SpaceError(f"the parameter {name!r}: {error.message}", hint=error.hint) from None
        return categories_of(values)  # numbers that are too large for a range


def _objectives(table: _Table, given: Sequence[str]) -> tuple[tuple[Objective, ...], list[str]]:
    """Return the objectives, and notes where their directions are a guess."""
    found = [directions_of(row, table.columns) for _, row in table.rows] or [directions_of({}, table.columns)]
    directions = found[0]
    if given:
        if len(given) != len(directions):
            raise InputError(f"expected {len(directions)} direction(s), got {len(given)}.")
        directions = dict(zip(directions, given, strict=True))
    elif any(other != directions for other in found):
        raise InputError(f"{table.path!r} has rows of different directions.", hint="Give the direction.")
    unsure = [
        f"the file does not say the direction of {name!r}: taken for minimize"
        for name, direction in directions.items()
        if direction is None
    ]
    return tuple(Objective(name, item or "minimize") for name, item in directions.items()), unsure
