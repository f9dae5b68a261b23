"""What Optuna's files hold, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["FINISHED", "METRIC_NAMES", "RawStudy", "RawTrial", "is_understood"]

FINISHED = ("COMPLETE", "PRUNED", "FAIL")
METRIC_NAMES = "study:metric_names"

_CONSTRAINTS = "constraints"
_FIXED = "fixed_params"


def is_understood(key: str) -> bool:
    """Return whether we know what Optuna notes under this key."""
    return key in (METRIC_NAMES, _FIXED, _CONSTRAINTS) or key.startswith(f"{_CONSTRAINTS}:")


@dataclass(slots=True)
class RawTrial:
    """One trial.

    Attributes
    ----------
    state : str
        Optuna's name of it: RUNNING, COMPLETE, PRUNED, FAIL or WAITING.
    values : list of float, optional
        One per objective.
    params : dict
        Internal values by name: numbers, and positions among the choices.
    distributions : dict
        What each parameter was drawn from, as Optuna writes it.
    reports : dict
        Intermediate values by step.
    system : dict
        What Optuna and its samplers noted for themselves.
    started_us, ended_us : int, optional
        Microseconds since 1970, UTC.
    """

    number: int
    state: str
    values: list[float] | None = None
    params: dict[str, float] = field(default_factory=dict)
    distributions: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    reports: dict[int, float] = field(default_factory=dict)
    user_attrs: dict[str, Any] = field(default_factory=dict)
    system: dict[str, Any] = field(default_factory=dict)
    started_us: int | None = None
    ended_us: int | None = None

    @property
    def fixed(self) -> Mapping[str, Any]:
        """Values that a user gave for the trial when it was enqueued, by name."""
        given: Mapping[str, Any] = self.system.get(_FIXED, {})
        return given

    @property
    def constraints(self) -> dict[str, float]:
        """The values of its constraints by name; those above 0 are violated."""
        listed = {str(i): float(value) for i, value in enumerate(self.system.get(_CONSTRAINTS) or ())}
        prefix = f"{_CONSTRAINTS}:"  # since version 5 each is by itself
        named = {k.removeprefix(prefix): float(v) for k, v in self.system.items() if k.startswith(prefix)}
        return listed | named


@dataclass(slots=True)
class RawStudy:
    """One study; `directions` are Optuna's names of them: MINIMIZE, MAXIMIZE or NOT_SET."""

    name: str
    directions: list[str]
    user_attrs: dict[str, Any] = field(default_factory=dict)
    system: dict[str, Any] = field(default_factory=dict)
    trials: list[RawTrial] = field(default_factory=list)
