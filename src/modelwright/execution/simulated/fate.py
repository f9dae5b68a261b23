"""What happens to a task by chance: how long it takes, whether it is slow, fails, or loses its slot.

All of it is drawn from the seed and the task's id, so it does not depend on the order of tasks, on other
tasks, or on the machine. Rates are per hour that a slot works: with the rate r a task that takes d seconds
meets what the rate is of with probability 1 - exp(-r d / 3600).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from modelwright.errors import InputError
from modelwright.execution.base import End, EndKind, ErrorInfo

__all__ = ["Chances", "Distribution", "Duration", "Fate", "Preemptions", "Stragglers"]

Duration = Callable[[Any, Random], float]
"""From a task's argument, and a generator of its own, to the seconds that it takes."""

_ERROR = ErrorInfo(
    ("builtins.RuntimeError", "builtins.Exception", "builtins.BaseException"), "drawn by the simulation"
)
_ENDS = {
    "error": End(EndKind.ERROR, error=_ERROR, detail="RuntimeError: drawn by the simulation"),
    "memory": End(EndKind.MEMORY, detail="a simulated shortage of memory"),
    "exit": End(EndKind.EXIT, detail="a simulated exit", exit_code=1),
    "signal": End(EndKind.SIGNAL, detail="a simulated crash", exit_code=-11),
    "lost": End(EndKind.LOST, detail="its simulated machine is gone"),
}
_PREEMPTED = End(EndKind.LOST, detail="its simulated slot was taken away")


@dataclass(frozen=True, slots=True)
class Distribution:
    """How long tasks take, by a law.

    Attributes
    ----------
    law : {"fixed", "uniform", "exponential", "lognormal"}
        Of ``"uniform"`` the values lie between mean (1 - spread) and mean (1 + spread); of ``"lognormal"``
        `spread` is the standard deviation of the logarithm. The others have no spread of their own.
    mean_s : float
        The mean.
    spread : float, default=0.5
        How much the values differ.

    Examples
    --------
    >>> Distribution("uniform", 60, 0.5)(None, Random(1)) < 90
    True
    """

    law: str
    mean_s: float
    spread: float = 0.5

    def __post_init__(self) -> None:
        if self.law not in _LAWS:
            raise InputError(f"expected one of {', '.join(_LAWS)} as the law, got {self.law!r}.")
        _check("mean_s", self.mean_s, positive=True)
        _check("spread", self.spread)
        if self.law == "uniform" and self.spread > 1:
            raise InputError(f"expected the spread of a uniform law to be at most 1, got {self.spread!r}.")

    def __call__(self, argument: Any, rng: Random) -> float:
        """Return a value; the argument is not looked at."""
        return self.mean_s * _LAWS[self.law](self.spread, rng)


_LAWS: dict[str, Callable[[float, Random], float]] = {
    "fixed": lambda spread, rng: 1.0,
    "uniform": lambda spread, rng: rng.uniform(1 - spread, 1 + spread),
    "exponential": lambda spread, rng: rng.expovariate(1.0),
    "lognormal": lambda spread, rng: math.exp(rng.gauss(-spread * spread / 2, spread)),
}


@dataclass(frozen=True, slots=True)
class Stragglers:
    """Tasks that are slow for no reason of their own.

    Attributes
    ----------
    share : float
        Which part of all tasks.
    factor : float
        How many times as long they take.
    """

    share: float
    factor: float = 10.0

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise InputError(f"expected the share of stragglers between 0 and 1, got {self.share!r}.")
        _check("factor", self.factor, positive=True)


@dataclass(frozen=True, slots=True)
class Preemptions:
    """Slots that are taken away from under a task, and come back.

    Attributes
    ----------
    per_hour : float
        How often in an hour of a slot's work.
    away_s : float
        How long the slot is gone.
    """

    per_hour: float
    away_s: float = 120.0

    def __post_init__(self) -> None:
        _check("per_hour", self.per_hour)
        _check("away_s", self.away_s)


@dataclass(frozen=True, slots=True)
class Fate:
    """What is to happen to one task.

    Attributes
    ----------
    takes_s : float, optional
        How long it takes if nothing ends it; None where its function says so itself.
    stretch : float
        How many times as long as it says a `sleep` of it takes.
    ends_s : float
        After how long something ends it.
    end : End
        How.
    away_s : float
        How long its slot is gone then.
    """

    takes_s: float | None
    stretch: float
    ends_s: float
    end: End
    away_s: float


class Chances:
    """Draws the fates of tasks; parameters as of `SimulatedExecutor`."""

    def __init__(
        self,
        duration: Duration | float | None,
        failures: Mapping[str, float],
        stragglers: Stragglers | None,
        preemptions: Preemptions | None,
        seed: int,
    ) -> None:
        for kind, rate in failures.items():
            if kind not in _ENDS:
                raise InputError(
                    f"expected failures to map kinds ({', '.join(_ENDS)}) to rates per hour, got {kind!r}."
                )
            _check(f"failures[{kind!r}]", rate)
        if isinstance(duration, (int, float)):
            duration = Distribution("fixed", duration)
        self._duration = duration
        self._rates = [(rate, _ENDS[kind], 0.0) for kind, rate in sorted(failures.items()) if rate]
        if preemptions is not None and preemptions.per_hour:
            self._rates.append((preemptions.per_hour, _PREEMPTED, preemptions.away_s))
        self._stragglers = stragglers or Stragglers(0.0)
        self._seed = seed

    def of(self, task_id: str, argument: Any) -> Fate:
        """Return what is to happen to a task."""
        rng = Random(f"{self._seed}/{task_id}")
        stretch = self._stragglers.factor if rng.random() < self._stragglers.share else 1.0
        ends_s, end, away_s = math.inf, _PREEMPTED, 0.0
        # To the microsecond: the last bits of a logarithm are not the same on every machine.
        for rate, how, away in self._rates:
            moment_s = round(3600.0 * rng.expovariate(rate), 6)
            if moment_s < ends_s:
                ends_s, end, away_s = moment_s, how, away
        takes_s = None
        if self._duration is not None:
            takes_s = self._duration(argument, rng)
            _check("the duration of a task", takes_s)
            takes_s = round(takes_s * stretch, 6)
        return Fate(takes_s, stretch, ends_s, end, away_s)


def _check(name: str, value: Any, *, positive: bool = False) -> None:
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf
    if not good or (positive and not value):
        least = "above 0" if positive else "of at least 0"
        raise InputError(f"expected {name} to be a number {least}, got {value!r}.")
