"""Trials as users read them: real values, floats, datetimes, and one table of all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from modelwright._base.clock import from_us
from modelwright._base.optional import require
from modelwright.records import Failure, StudySpec, Trial, TrialState
from modelwright.records.outcomes import how_far_off, violations_of

if TYPE_CHECKING:
    import pandas as pd

    from modelwright.study.spaces import SpaceVersions

__all__ = ["TrialResult", "to_dataframe"]


@dataclass(frozen=True, slots=True)
class TrialResult:
    """A trial with the real values of its parameters.

    Attributes
    ----------
    record : Trial
        The ledger's record.
    """

    record: Trial
    _spaces: SpaceVersions = field(repr=False, compare=False)

    @property
    def params(self) -> dict[str, Any]:
        """Values by name; empty until proposed."""
        return {} if self.record.params is None else self._spaces.load(self.record.params)

    @property
    def number(self) -> int:
        """Number in the study, from 0."""
        return self.record.number

    @property
    def state(self) -> TrialState:
        """Where it stands."""
        return self.record.state

    @property
    def values(self) -> tuple[float, ...]:
        """One per objective; empty without a result."""
        return self.record.values

    @property
    def value(self) -> float | None:
        """The value of a study with one objective; None without a result."""
        return self.record.values[0] if self.record.values else None

    @property
    def failure(self) -> Failure | None:
        """What went wrong, if it failed."""
        return self.record.failure

    @property
    def user_attrs(self) -> Mapping[str, Any]:
        """What the objective, or the user, left on it."""
        return self.record.user_attrs

    @property
    def reason(self) -> str:
        """Why the optimizer proposed it."""
        return self.record.provenance.reason

    @property
    def datetime_start(self) -> datetime | None:
        """When its last attempt began, in local time."""
        return _local(self.record.started_us)

    @property
    def datetime_complete(self) -> datetime | None:
        """When it ended, in local time."""
        return _local(self.record.ended_us)

    @property
    def duration(self) -> timedelta | None:
        """How long its last attempt took."""
        return None if self.record.duration_s is None else timedelta(seconds=self.record.duration_s)


def why_no_best(name: str, spec: StudySpec, trials: Iterable[Trial]) -> str:
    """Return why a study has no best trial: none is complete, or none meets the outcome constraints."""
    bounds = spec.outcome_constraints or ()
    off = [
        (how_far_off(violations_of(trial, spec.objectives, bounds), bounds), trial.number)
        for trial in trials
        if trial.state is TrialState.COMPLETE
    ]
    if not off:
        return f"no trial of {name!r} is complete yet."
    wanted = ", ".join(map(str, bounds))
    return f"no complete trial of {name!r} meets {wanted}; trial {min(off)[1]} comes nearest."


def _local(moment_us: int | None) -> datetime | None:
    return None if moment_us is None else from_us(moment_us).astimezone()


def to_dataframe(trials: Sequence[TrialResult], objectives: Sequence[str]) -> pd.DataFrame:
    """Return one row per trial, with the columns that users of Optuna know.

    Columns: ``number``, ``value`` (or ``values_<name>`` for several), ``datetime_start``,
    ``datetime_complete``, ``duration``, ``params_<name>`` ..., ``user_attrs_<name>`` ..., ``failure``,
    ``state`` in capitals.
    """
    pandas = require("pandas", extra="tabular", feature="a table of trials")
    rows = []
    for trial in trials:
        row: dict[str, Any] = {"number": trial.number}
        if len(objectives) == 1:
            row["value"] = trial.value
        else:
            values = trial.values or (None,) * len(objectives)
            row.update({f"values_{name}": value for name, value in zip(objectives, values, strict=True)})
        row["datetime_start"] = trial.datetime_start
        row["datetime_complete"] = trial.datetime_complete
        row["duration"] = trial.duration
        row.update({f"params_{name}": value for name, value in trial.params.items()})
        row.update({f"user_attrs_{name}": value for name, value in trial.user_attrs.items()})
        row["failure"] = None if trial.failure is None else trial.failure.kind.value
        # Optuna's word for a failed trial is FAIL; all others are ours in capitals.
        row["state"] = trial.state.value.upper().replace("FAILED", "FAIL")
        rows.append(row)
    table: pd.DataFrame = pandas.DataFrame(rows)
    order = [c for c in table.columns if c not in ("failure", "state")] + ["failure", "state"]
    return table.reindex(columns=order) if rows else table
