"""How a task's end becomes a trial's outcome: values checked, failures given their kind."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelwright.execution.base import End, EndKind
from modelwright.records import Artifact, Failure, FailureKind, Objective, Outcome, Report, TrialState

__all__ = ["Result", "last_values", "outcome_of", "read_values"]


@dataclass(frozen=True, slots=True)
class Result:
    """What an objective may return when it has more to say than its values.

    Attributes
    ----------
    values : float, sequence or mapping of str to float
        As an objective returns them.
    metrics : mapping
        Further results as JSON.
    artifacts : tuple of Artifact
        Files that the trial leaves.

    Examples
    --------
    >>> Result(0.25, metrics={"rows": 100}).values
    0.25
    """

    values: Any
    metrics: Mapping[str, Any] = field(default_factory=dict)
    artifacts: tuple[Artifact, ...] = ()


def read_values(returned: Any, objectives: Sequence[Objective]) -> tuple[float, ...] | Failure:
    """Return one finite float per objective, or the failure that says what came instead.

    A single objective takes a real number; several take a sequence in their order, or a mapping by name.

    Examples
    --------
    >>> read_values(1, [Objective()])
    (1.0,)
    >>> read_values("0.5", [Objective()]).message
    "expected a real number, got text '0.5'"
    """
    names = [objective.name for objective in objectives]
    if isinstance(returned, Mapping):
        if set(returned) != set(names):
            return _invalid(f"expected values for {names}, got {sorted(map(str, returned))}")
        items = [returned[name] for name in names]
    elif _is_sequence(returned):
        items = list(returned)
        if len(items) != len(names):
            return _invalid(f"expected {len(names)} value(s) ({', '.join(names)}), got {len(items)}")
    elif len(names) > 1 and returned is not None:
        return _invalid(f"expected {len(names)} values ({', '.join(names)}), got one: {_describe(returned)}")
    else:
        items = [returned]
    values = []
    for item in items:
        number = _as_float(item)
        if isinstance(number, Failure):
            return number
        values.append(number)
    return tuple(values)


def last_values(reports: Sequence[Report], objectives: Sequence[Objective]) -> tuple[float, ...]:
    """Return the values of the last report, empty unless it has one for each objective.

    Examples
    --------
    >>> from modelwright.records import Report
    >>> last_values([Report(1, {"value": 3.0}), Report(2, {"value": 2.0})], [Objective()])
    (2.0,)
    """
    last = reports[-1].values if reports else {}
    names = [objective.name for objective in objectives]
    return tuple(last[name] for name in names) if all(name in last for name in names) else ()


def _is_sequence(value: Any) -> bool:
    if isinstance(value, Sequence):
        return not isinstance(value, (str, bytes, bytearray))
    return getattr(value, "ndim", 0) == 1  # arrays and tensors


def _as_float(item: Any) -> float | Failure:
    if getattr(item, "ndim", None) == 0 and hasattr(item, "item"):
        item = item.item()  # NumPy scalars, and tensors of one number
    if isinstance(item, bool) or not isinstance(item, numbers.Real):
        return _invalid(f"expected a real number, got {_describe(item)}")
    try:
        number = float(item)
    except (OverflowError, ValueError, TypeError):
        number = math.inf
    if not math.isfinite(number):
        return Failure(FailureKind.NAN, f"the value is {number}, not a finite number", "E_NONFINITE")
    return number


def _describe(value: Any) -> str:
    if value is None:
        return "None (does the objective return its value?)"
    if isinstance(value, str):
        return f"text {value[:40]!r}"
    return f"{type(value).__name__} {str(value)[:40]}"


def _invalid(message: str) -> Failure:
    return Failure(FailureKind.INVALID, message, "E_TYPE")


# An objective may keep limits of its own; what it raises then tells optimizers the same as ours.
_BY_TYPE = {"builtins.MemoryError": FailureKind.MEMORY, "builtins.TimeoutError": FailureKind.TIMEOUT}

_BY_END = {
    EndKind.TIMEOUT: (FailureKind.TIMEOUT, "E_TIMEOUT"),
    EndKind.MEMORY: (FailureKind.MEMORY, "E_MEMORY"),
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
        ``{"failure": {...}}`` or ``{"pruned": True}``, with ``metrics`` and ``artifacts``.
    pruned : bool
        Whether the scheduler told the trial to stop.
    last_values : tuple of float
        The last reported values, which stand for a pruned trial that returned nothing usable.
    """
    state, failure = TrialState.FAILED, None
    values: tuple[float, ...] = ()
    metrics: Mapping[str, Any] = {}
    artifacts: tuple[Artifact, ...] = ()
    if end.kind is EndKind.RESULT:
        metrics = end.result.get("metrics", {})
        artifacts = tuple(Artifact(**item) for item in end.result.get("artifacts", ()))
        if "values" in end.result:
            state = TrialState.PRUNED if pruned else TrialState.COMPLETE
            values = tuple(end.result["values"])
        elif pruned or end.result.get("pruned"):
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
    return Outcome(
        state,
        values,
        failure,
        user_attrs=dict(user_attrs),
        metrics=metrics,
        artifacts=artifacts,
        duration_s=end.wall_s,
        peak_memory_mb=end.peak_memory_mb,
        exit_code=end.exit_code,
        log_location=log_location,
    )


def _failure_from(item: Mapping[str, str]) -> Failure:
    return Failure(FailureKind(item["kind"]), item["message"], item.get("code", ""))
