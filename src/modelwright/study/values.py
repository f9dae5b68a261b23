"""What an objective returns, checked: finite numbers, one for each objective."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelwright.errors import InputError
from modelwright.records import Failure, FailureKind, Objective, Report

__all__ = ["Broken", "Result", "last_values", "read_values"]


@dataclass(frozen=True, slots=True)
class Result:
    """What an objective may return when it has more to say than its values.

    Attributes
    ----------
    values : float, sequence or mapping of str to float
        As an objective returns them.
    metrics : mapping
        Further results as JSON.
    cost : float, optional
        What the trial counts for in a budget of costs; the seconds that it ran by default.
    pruned : bool
        Whether the trial ended early; its last report stands for it if `values` is None.

    Examples
    --------
    >>> Result(0.25, metrics={"rows": 100}).values
    0.25
    """

    values: Any
    metrics: Mapping[str, Any] = field(default_factory=dict)
    cost: float | None = None
    pruned: bool = False

    def __post_init__(self) -> None:
        cost = self.cost
        if cost is not None and (
            isinstance(cost, bool) or not isinstance(cost, numbers.Real) or not 0 <= cost < math.inf
        ):
            raise InputError(f"expected the cost of a trial to be a number of at least 0, got {cost!r}.")


@dataclass(frozen=True, slots=True)
class Broken:
    """How an objective failed that is no Python function: the failure, and the exit code of its process."""

    failure: Failure
    exit_code: int | None = None

    def form(self) -> dict[str, Any]:
        """Return it as JSON, as the result of a task."""
        failure = self.failure
        form: dict[str, Any] = {"kind": failure.kind.value, "message": failure.message, "code": failure.code}
        if failure.traceback:
            form["traceback"] = failure.traceback
        return {"failure": form} if self.exit_code is None else {"failure": form, "exit_code": self.exit_code}


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
