"""How a task's end becomes a trial's outcome: failures given their kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from modelwright.execution.base import End, EndKind
from modelwright.records import Failure, FailureKind, Outcome, TrialState

__all__ = ["outcome_of"]

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


def _failure_from(item: Mapping[str, str]) -> Failure:
    return Failure(
        FailureKind(item["kind"]), item["message"], item.get("code", ""), item.get("traceback", "")
    )
