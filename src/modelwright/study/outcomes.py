"""How a task's end becomes a trial's outcome: failures given their kind."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from modelwright.execution.base import End, EndKind
from modelwright.records import Failure, FailureKind, Outcome, OutcomeConstraint, StudySpec, TrialState
from modelwright.records.outcomes import measured_of

__all__ = ["measured", "outcome_of"]

# An objective may keep limits of its own; what it raises then tells optimizers the same as ours.
_BY_TYPE = {"builtins.MemoryError": FailureKind.MEMORY, "builtins.TimeoutError": FailureKind.TIMEOUT}

_BY_END = {
    EndKind.TIMEOUT: (FailureKind.TIMEOUT, "E_TIMEOUT"),
    EndKind.CPU: (FailureKind.TIMEOUT, "E_CPU"),
    EndKind.MEMORY: (FailureKind.MEMORY, "E_MEMORY"),
    EndKind.OUTPUT: (FailureKind.ERROR, "E_OUTPUT"),
    EndKind.DISK: (FailureKind.ERROR, "E_DISK"),
    EndKind.EXIT: (FailureKind.ERROR, "E_EXIT"),
    EndKind.SIGNAL: (FailureKind.ERROR, "E_SIGNAL"),
    EndKind.CANCELLED: (FailureKind.KILLED, "E_KILLED"),
    EndKind.LOST: (FailureKind.LOST, "E_LOST"),
}


def outcome_of(
    end: End,
    *,
    pruned: bool,
    last_values: tuple[float, ...],
    user_attrs: Mapping[str, Any],
    log_location: str,
) -> Outcome:
    """Turn the end of a trial's task into the outcome that the ledger keeps.

    Parameters
    ----------
    end : End
        Its result, if it has one, is what `ObjectiveCall` returned: ``{"values": [...]}``,
        ``{"failure": {...}}`` or ``{"pruned": True}``, with ``metrics``, ``cost`` and ``exit_code``.
    pruned : bool
        Whether the scheduler told the trial to stop.
    last_values : tuple of float
        The last reported values, which stand for a pruned trial that returned nothing usable.
    """
    state, failure = TrialState.FAILED, None
    values: tuple[float, ...] = ()
    metrics: Mapping[str, Any] = {}
    cost: float | None = None
    exit_code = end.exit_code
    if end.kind is EndKind.RESULT:
        metrics, cost = end.result.get("metrics", {}), end.result.get("cost")
        exit_code = end.result.get("exit_code")
        early = pruned or end.result.get("pruned", False)
        if "values" in end.result:
            state = TrialState.PRUNED if early else TrialState.COMPLETE
            values = tuple(end.result["values"])
        elif early and not end.result.get("exit_code"):
            state, values = TrialState.PRUNED, last_values
        else:
            failure = _failure_from(end.result["failure"])
    elif end.kind is EndKind.ERROR:
        assert end.error is not None
        name = end.error.types[0].removeprefix("builtins.") if end.error.types else "error"
        kind = next((_BY_TYPE[t] for t in end.error.types if t in _BY_TYPE), FailureKind.ERROR)
        failure = Failure(kind, f"{name}: {end.error.message}", "E_EXCEPTION", end.error.traceback)
    else:
        kind, code = _BY_END[end.kind]
        failure = Failure(kind, end.detail or end.kind.value, code)
    if failure is not None and end.output:
        told = "\n\n".join(filter(None, [failure.traceback.rstrip(), end.output]))
        failure = replace(failure, traceback=told)
    return Outcome(
        state,
        values,
        failure,
        user_attrs=dict(user_attrs),
        metrics=metrics,
        duration_s=end.wall_s,
        peak_memory_mb=end.peak_memory_mb,
        exit_code=exit_code,
        log_location=log_location,
        cost=cost,
    )


def measured(outcome: Outcome, spec: StudySpec) -> Outcome:
    """Return the outcome, failed if it is complete without a finite number for each outcome constraint.

    Examples
    --------
    >>> from modelwright.records import OutcomeConstraint
    >>> from modelwright.space import Space
    >>> spec = StudySpec("s", Space(), outcome_constraints=(OutcomeConstraint("latency", "<=", 20.0),))
    >>> measured(Outcome(TrialState.COMPLETE, (1.0,)), spec).failure.kind
    <FailureKind.INVALID: 'invalid'>
    """
    if outcome.state is not TrialState.COMPLETE:
        return outcome
    for bound in spec.outcome_constraints or ():
        value = measured_of(
            bound.metric, spec.objectives, outcome.values, outcome.metrics, outcome.user_attrs
        )
        failure = _unmeasured(bound, value)
        if failure is not None:
            return replace(outcome, state=TrialState.FAILED, values=(), failure=failure)
    return outcome


def _unmeasured(bound: OutcomeConstraint, value: Any) -> Failure | None:
    what = f"the metric {bound.metric!r} of the constraint '{bound}'"
    if value is None:
        message = (
            f"{what} is missing; return Result(value, metrics=...), or set trial.user_attrs[{bound.metric!r}]"
        )
        return Failure(FailureKind.INVALID, message, "E_METRIC")
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        message = f"{what}: expected a number, got {type(value).__name__} {str(value)[:40]}"
        return Failure(FailureKind.INVALID, message, "E_METRIC")
    if not math.isfinite(value):
        return Failure(FailureKind.NAN, f"{what} is {value}, not a finite number", "E_NONFINITE")
    return None


def _failure_from(item: Mapping[str, str]) -> Failure:
    return Failure(
        FailureKind(item["kind"]), item["message"], item.get("code", ""), item.get("traceback", "")
    )
