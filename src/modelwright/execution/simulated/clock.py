"""A clock that stands still until it is told to go on."""

from __future__ import annotations

import math

from modelwright.errors import InputError

__all__ = ["SimulatedClock"]

_START_US = 1_735_689_600_000_000  # 2025-01-01, 00:00 UTC: some fixed moment, so that equal runs are equal


class SimulatedClock:
    """Seconds since the beginning of a simulation.

    A `SimulatedExecutor` moves it. A ledger in memory that is to live in the same time gets it as
    ``MemoryStorage(clock=clock, now_us=clock.now_us)``.

    Parameters
    ----------
    start_us : int, optional
        The calendar's moment at which it begins, in microseconds since 1970, UTC.

    Examples
    --------
    >>> clock = SimulatedClock(start_us=0)
    >>> clock.advance(90.5)
    >>> clock(), clock.now_us()
    (90.5, 90500000)
    """

    def __init__(self, start_us: int = _START_US) -> None:
        self._start_us = start_us
        self._now_s = 0.0

    def __call__(self) -> float:
        """Return the seconds that have passed; they only grow."""
        return self._now_s

    def now_us(self) -> int:
        """Return the moment in microseconds since 1970, UTC."""
        return self._start_us + round(self._now_s * 1e6)

    def advance(self, seconds: float) -> None:
        """Let time pass, as for work that is not a task's."""
        if not 0 <= seconds < math.inf:
            raise InputError(f"expected seconds of at least 0 to let pass, got {seconds!r}.")
        self._now_s += seconds

    def advance_to(self, moment_s: float) -> None:
        """Let time pass until `moment_s`; a moment that is over changes nothing."""
        self._now_s = max(self._now_s, moment_s)

    def __repr__(self) -> str:
        return f"SimulatedClock({self._now_s:g} s)"
