"""Trials as rows of a table, and back.

The columns are those of `Study.trials_dataframe`, with moments in UTC, failures spelt out, and the directions
of the objectives. What a trial does not have is absent from its row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from modelwright._base.clock import from_us, to_us
from modelwright.records import Failure, FailureKind, Objective, Provenance, Trial, TrialState

__all__ = ["column_names", "directions_of", "missing_column", "rows_of", "trial_of", "value_columns"]

_VALUE = "value"
_PARAMETER, _ATTRIBUTE, _VALUES, _DIRECTIONS = "params_", "user_attrs_", "values_", "directions_"
_TIMES = ("datetime_start", "datetime_complete", "duration")
_LAST = ("failure", "failure_message", "attempts", "state")
_FIDELITY = "fidelity"
_OWN = ("number", *_TIMES, *_LAST)

# Optuna's word for a failed trial is FAIL; all others are ours in capitals.
_NAMES = {state: "FAIL" if state is TrialState.FAILED else state.value.upper() for state in TrialState}
_STATES = {name: state for state, name in _NAMES.items()}
_PROVENANCE = Provenance("import", reason="a row of an exported table")


# writing -------------------------------------------------------------------------------------------------


def column_names(trials: Sequence[Trial], objectives: Sequence[Objective]) -> list[str]:
    """Return the names of the columns that these trials fill, in their order.

    ``number``, ``value`` (or ``values_<name>`` for several objectives), ``datetime_start``,
    ``datetime_complete``, ``duration`` in seconds, ``fidelity``, ``params_<name>`` ...,
    ``user_attrs_<name>`` ..., ``directions_<name>`` ..., ``failure``, ``failure_message``, ``attempts``,
    ``state``.
    """
    params = {f"{_PARAMETER}{name}": None for trial in trials for name in trial.params or ()}
    attrs = {f"{_ATTRIBUTE}{name}": None for trial in trials for name in trial.user_attrs}
    values, directions = _value_names(objectives), _direction_names(objectives)
    fidelity = [_FIDELITY] if any(trial.fidelity is not None for trial in trials) else []
    return ["number", *values, *_TIMES, *fidelity, *params, *attrs, *directions, *_LAST]


def _value_names(objectives: Sequence[Objective]) -> list[str]:
    return [_VALUE] if len(objectives) == 1 else [f"{_VALUES}{item.name}" for item in objectives]


def _direction_names(objectives: Sequence[Objective]) -> list[str]:
    return [f"{_DIRECTIONS}{item.name}" for item in objectives]


def rows_of(trials: Sequence[Trial], objectives: Sequence[Objective]) -> Iterator[Mapping[str, Any]]:
    """Yield one row per trial by column name.

    Moments are aware UTC datetimes. Configurations are in the form in which the ledger keeps them.
    """
    values, directions = _value_names(objectives), _direction_names(objectives)
    common = {name: item.direction for name, item in zip(directions, objectives, strict=True)}
    for trial in trials:
        row: dict[str, Any] = {"number": trial.number, **common}
        row.update(zip(values, trial.values, strict=False))  # a pruned trial may have fewer
        if trial.started_us is not None:
            row["datetime_start"] = from_us(trial.started_us)
        if trial.ended_us is not None:
            row["datetime_complete"] = from_us(trial.ended_us)
        if trial.duration_s is not None:
            row["duration"] = trial.duration_s
        if trial.fidelity is not None:
            row[_FIDELITY] = trial.fidelity
        row.update({f"{_PARAMETER}{name}": value for name, value in (trial.params or {}).items()})
        row.update({f"{_ATTRIBUTE}{name}": value for name, value in trial.user_attrs.items()})
        if trial.failure is not None:
            row["failure"] = trial.failure.kind.value
            row["failure_message"] = trial.failure.message
        row["attempts"] = trial.attempts
        row["state"] = _NAMES[trial.state]
        yield row


# reading -------------------------------------------------------------------------------------------------


def missing_column(columns: Sequence[str]) -> str:
    """Return a column without which a table is none that `rows_of` made; empty if it is one."""
    lacking = [name for name in _OWN if name not in columns]
    return lacking[0] if lacking else "" if value_columns(columns) else _VALUE


def value_columns(columns: Sequence[str]) -> list[str]:
    """Return the columns with the values of the objectives."""
    return [name for name in columns if name == _VALUE or name.startswith(_VALUES)]


def directions_of(row: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    """Return the directions of the objectives by name, None for what the row does not say."""
    values = value_columns(columns)
    named = [name for name in columns if name.startswith(_DIRECTIONS)]
    if len(named) == len(values):
        return {name.removeprefix(_DIRECTIONS): row.get(name) for name in named}
    return {name.removeprefix(_VALUES): None for name in values}


def trial_of(row: Mapping[str, Any], columns: Sequence[str]) -> Trial:
    """Return the trial of a row; one that makes no sense raises ``ValueError``.

    A column that is none of ours becomes a user attribute.
    """
    state = _STATES.get(row.get("state"))  # type: ignore[arg-type]
    if state is None:
        known = ", ".join(_STATES)
        raise ValueError(f"expected the state to be one of {known}, got {row.get('state')!r:.40}")
    started_us, ended_us = _moment(row, "datetime_start"), _moment(row, "datetime_complete")
    return Trial(
        _whole(row, "number"),
        state,
        _params(row, state),
        _values(row, columns, state),
        _failure(row) if state is TrialState.FAILED else None,
        fidelity=_number(row, _FIDELITY),
        attempts=_whole(row, "attempts"),
        provenance=_PROVENANCE,
        user_attrs=_user_attrs(row),
        duration_s=_number(row, "duration"),
        queued_us=started_us,
        started_us=started_us,
        ended_us=ended_us,
    )


def _whole(row: Mapping[str, Any], name: str) -> int:
    value = row.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise ValueError(f"expected a whole number as the {name}, got {value!r:.40}")
    return value


def _number(row: Mapping[str, Any], name: str) -> float | None:
    if name not in row:
        return None
    value = row[name]
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"{name!r}: expected a number, got {value!r:.40}")
    return float(value)


def _moment(row: Mapping[str, Any], name: str) -> int | None:
    value = row.get(name)
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if moment is None:
        return None
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise ValueError(f"{name!r}: expected a moment such as 2030-01-31T18:00:00+00:00, got {value!r:.40}")
    return to_us(moment)


def _params(row: Mapping[str, Any], state: TrialState) -> dict[str, Any] | None:
    given = {name.removeprefix(_PARAMETER): row[name] for name in row if name.startswith(_PARAMETER)}
    # A trial that has a result had a configuration, if perhaps an empty one.
    return given if given or state in (TrialState.COMPLETE, TrialState.PRUNED) else None


def _user_attrs(row: Mapping[str, Any]) -> dict[str, Any]:
    others = (_PARAMETER, _VALUES, _DIRECTIONS)
    ours = (*_OWN, _FIDELITY, _VALUE)
    return {
        name.removeprefix(_ATTRIBUTE): value
        for name, value in row.items()
        if name.startswith(_ATTRIBUTE) or (name not in ours and not name.startswith(others))
    }


def _values(row: Mapping[str, Any], columns: Sequence[str], state: TrialState) -> tuple[float, ...]:
    if state is TrialState.FAILED:
        return ()
    names = value_columns(columns)
    values = tuple(value for value in (_number(row, name) for name in names) if value is not None)
    if len(values) < len(names) and (state is TrialState.COMPLETE or values):
        raise ValueError(f"expected {len(names)} value(s), got {len(values)}")
    return values


def _failure(row: Mapping[str, Any]) -> Failure:
    kind = FailureKind(row.get("failure", FailureKind.ERROR))
    return Failure(kind, str(row.get("failure_message", "")), "E_IMPORTED")
