"""A table of results as a study: columns get their roles, and a space is made from the data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from modelwright._base.registry import nearest
from modelwright.errors import ConfigurationError, InputError, SpaceError
from modelwright.records import Failure, FailureKind, Objective, Provenance, StudySpec, Trial, TrialState
from modelwright.space import Space
from modelwright.storage.base import AdoptedTrial
from modelwright.transfer.columns import missing_column
from modelwright.transfer.inferring import infer_parameter
from modelwright.transfer.snapshot import StudySnapshot, in_order
from modelwright.transfer.table import (
    BadRows,
    Table,
    is_empty,
    read_cell,
    read_column,
    read_number,
    read_table,
)

__all__ = ["Missing", "read_results"]

Missing = Literal["failed", "waiting", "skip"]


def read_results(
    path: str | Path,
    *,
    name: str,
    values: Sequence[str],
    directions: Sequence[str] = (),
    params: Sequence[str] = (),
    log: Sequence[str] = (),
    space: Space | None = None,
    missing: Missing = "failed",
) -> StudySnapshot:
    """Read a CSV file with one row per configuration.

    Parameters
    ----------
    path : str or Path
        The file: UTF-8, with the names of the columns in the first line.
    name : str
        What the study shall be called.
    values : sequence of str
        The columns with results, one for each objective.
    directions : sequence of str, default=()
        ``"minimize"`` or ``"maximize"`` for each objective; minimize by default.
    params : sequence of str, default=()
        The columns with parameters. By default all that are no values; with it the others become user
        attributes of the trials. A table that `export_study` wrote is for `read_exported_table`.
    log : sequence of str, default=()
        Parameters on a logarithmic scale.
    space : Space, optional
        The space. By default it is made from the data: whole numbers, real numbers, true and false, or
        categories, each in the range that is there. An empty cell is a parameter that is not active.
    missing : {"failed", "waiting", "skip"}, default="failed"
        What becomes of a row without a result: a trial that failed, one that waits to be run, or nothing.

    Raises
    ------
    InputError
        A column is not there, or rows are wrong; the message names their lines.
    """
    if missing not in ("failed", "waiting", "skip"):
        raise InputError(f"expected missing to be failed, waiting or skip, got {missing!r}.")
    table = read_table(Path(path))
    objectives = _objectives(values, directions)
    chosen = _parameters(table, values, params)
    for column in log:
        if column not in chosen:
            raise InputError(f"the column {column!r} is no parameter.", hint=nearest(column, chosen))
    if space is None:
        space = _inferred(table, chosen, log)
    elif log:
        raise InputError("expected `log` or a space, got both: a space says itself what is logarithmic.")
    reader = _Reader(space, chosen, list(values), missing)
    bad = BadRows(table.path)
    trials: list[AdoptedTrial] = []
    for line, row in table.rows:
        try:
            trial = reader.trial(len(trials), row)
        except (ValueError, ConfigurationError) as error:
            bad.add(line, str(error).rstrip("."))
            continue
        if trial is not None:
            trials.append(AdoptedTrial(trial, trial.number))
    bad.check()
    spec = StudySpec(name, space, objectives, description=f"imported from {Path(path).name}")
    return StudySnapshot(spec, [space.to_json()], in_order(trials))


def _objectives(values: Sequence[str], directions: Sequence[str]) -> tuple[Objective, ...]:
    if not values:
        raise InputError("expected the column with the results, got none.", hint="Give --value COLUMN.")
    if directions and len(directions) != len(values):
        raise InputError(f"expected {len(values)} direction(s), one for each value, got {len(directions)}.")
    names = ["value"] if len(values) == 1 else list(values)
    given: Sequence[Any] = directions or ["minimize"] * len(values)
    return tuple(Objective(name, direction) for name, direction in zip(names, given, strict=True))


def _parameters(table: Table, values: Sequence[str], params: Sequence[str]) -> list[str]:
    for column in [*values, *params]:
        if column not in table.columns:
            raise InputError(
                f"{table.path!r} has no column {column!r}.",
                hint=nearest(column, table.columns),
                code="E_COLUMN",
            )
        if column in values and column in params:
            raise InputError(f"the column {column!r} cannot be a value and a parameter.", code="E_COLUMN")
    if not params and not missing_column(table.columns):
        raise InputError(
            f"{table.path!r} is a table of trials that `export` wrote, and not only of results.",
            hint="It says itself what its columns are: use read_exported_table, or name the parameters.",
            code="E_COLUMN",
        )
    chosen = list(params) or [column for column in table.columns if column not in values]
    if not chosen:
        raise InputError(f"{table.path!r} has no column left for parameters.", code="E_COLUMN")
    return chosen


def _inferred(table: Table, params: Sequence[str], log: Sequence[str]) -> Space:
    """Return the space that the data span; a cell of a parameter that is empty is a bad row."""
    bad = BadRows(table.path)
    for line, row in table.rows:
        empty = [column for column in params if row[column] == ""]
        if empty:
            bad.add(line, f"the parameter {empty[0]!r} is empty")
    bad.check()
    parameters = {}
    for column in params:
        try:
            values = read_column([row[column] for _, row in table.rows])
            parameters[column] = infer_parameter(values, log=column in log)
        except SpaceError as error:
            raise SpaceError(f"the column {column!r}: {error.message}", hint=error.hint) from None
    return Space(parameters)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Makes trials of rows."""

    space: Space
    params: list[str]
    values: list[str]
    missing: Missing

    def trial(self, number: int, row: Mapping[str, str]) -> Trial | None:
        """Return the trial of one row, None for one that is left out; a wrong row raises ``ValueError``."""
        config = self.space.dump(self.space.check(self._config(row)))
        state, values, failure = self._result(row)
        if state is None:
            return None
        others = {
            name: cell for name, cell in row.items() if name not in self.values and name not in self.params
        }
        return Trial(
            number,
            state,
            config,
            values,
            failure,
            user_attrs=others,
            enqueued=True,
            provenance=Provenance("import", reason="a row of a table of results"),
        )

    def _config(self, row: Mapping[str, str]) -> dict[str, Any]:
        config = {}
        for name in self.params:
            if name not in self.space:
                raise ConfigurationError(
                    f"the space has no parameter {name!r}", hint=nearest(name, list(self.space.names))
                )
            if row[name] == "":
                continue
            try:
                config[name] = read_cell(self.space[name], row[name])
            except ValueError as error:
                raise ValueError(f"{name!r}: {error}") from None
        return config

    def _result(self, row: Mapping[str, str]) -> tuple[TrialState | None, tuple[float, ...], Failure | None]:
        cells = [row[column] for column in self.values]
        if any(is_empty(cell) for cell in cells):
            if self.missing == "failed":
                failure = Failure(FailureKind.ERROR, "the table has no result", "E_NO_RESULT")
                return TrialState.FAILED, (), failure
            return (TrialState.WAITING if self.missing == "waiting" else None), (), None
        numbers = tuple(read_number(cell) for cell in cells)
        if all(math.isfinite(number) for number in numbers):
            return TrialState.COMPLETE, numbers, None
        failure = Failure(FailureKind.NAN, "the value in the table is not a finite number", "E_NONFINITE")
        return TrialState.FAILED, (), failure
