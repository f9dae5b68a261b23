"""Watching what a process tree uses without spending much on it.

Each watch says when it wants to look again (`next_at`), whether there is too much (`exceeded`), and how much
in words (`figure`).

Proportional set size (PSS) is what a tree really costs: the pages that it shares with the launcher or among
its own processes count once. Reading it walks page tables, about a millisecond for each process. The resident
set size is a hundred times cheaper and never smaller, so PSS is only read where the cheap figure says that it
could matter, or that there is a new peak to record.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar, Protocol

from modelwright.execution.base import EndKind
from modelwright.execution.local import system

__all__ = ["CpuWatch", "MemoryWatch", "Watch", "megabytes"]

_CALM_S = 0.1
_NEAR_LIMIT_S = 0.02  # a process can fill a gigabyte in half a second
_UNLIMITED_S = 0.5
_COST_FACTOR = 20  # a look that takes long, at many processes, is taken less often
_GROWTH = 1.1  # of the resident size, after which PSS is read again
_GROWTH_MB = 8.0
_NEWS_MB = 1.0  # smaller growth, which is only read for the record of the peak,
_NEWS_S = 0.5  # and at most this often


_CPU_LEAST_S = 0.02


class Watch(Protocol):
    """Something of one trial that has a limit.

    Attributes
    ----------
    kind : EndKind
        How a trial ends that goes beyond it.
    next_at : float
        When it wants to look again, on the monotonic clock.
    """

    kind: ClassVar[EndKind]
    next_at: float

    def exceeded(self, pids: list[int], now: float) -> bool:
        """Look; return whether there is more than the limit."""

    def figure(self, after_s: float) -> str:
        """Return the figures of an excess in words."""


class MemoryWatch:
    """The memory of one trial's tree, and its limit.

    Attributes
    ----------
    peak_mb : float or None
        The largest PSS seen; None before the first look.
    """

    kind: ClassVar[EndKind] = EndKind.MEMORY

    def __init__(self, limit_mb: float | None, now: float) -> None:
        self.limit_mb = limit_mb
        self.peak_mb: float | None = None
        self.next_at = now + (_UNLIMITED_S if limit_mb is None else _CALM_S / 2)
        self._resident_at_reading = 0.0
        self._read_at = now
        self._last_mb = 0.0

    def exceeded(self, pids: list[int], now: float) -> bool:
        """Look at these processes; return whether they use more than the limit."""
        begin = time.monotonic()
        resident = system.resident_mb(pids)
        suspicious = self.limit_mb is not None and resident > self.limit_mb
        grown = resident > self._resident_at_reading * _GROWTH + _GROWTH_MB
        stale = resident > self._resident_at_reading + _NEWS_MB and now > self._read_at + _NEWS_S
        if suspicious or grown or stale:
            self._resident_at_reading, self._read_at = resident, now
            self._last_mb = system.proportional_mb(pids)
            self.peak_mb = max(self._last_mb, self.peak_mb or 0.0)
        cost_s = time.monotonic() - begin
        self.next_at = now + max(self._pause(resident), _COST_FACTOR * cost_s)
        return suspicious and self.limit_mb is not None and self._last_mb > self.limit_mb

    def figure(self, after_s: float) -> str:
        """Return the figures of an excess in words, such as ``"4.1 GB of 4 GB at 12 s"``."""
        assert self.limit_mb is not None
        return f"{megabytes(self._last_mb)} of {megabytes(self.limit_mb)} at {after_s:.3g} s"

    def _pause(self, resident: float) -> float:
        if self.limit_mb is None:
            return _UNLIMITED_S
        return _NEAR_LIMIT_S if resident > self.limit_mb / 2 else _CALM_S


class CpuWatch:
    """The computing time of one trial's tree, ended processes included.

    Parameters
    ----------
    limit_s : float
        The most that it may use.
    ended_s : callable
        Returns what processes have used that have ended and were taken leave of here.
    cores : int
        On how many cores the tree can run: time passes so many times as fast for it.
    """

    kind: ClassVar[EndKind] = EndKind.CPU

    def __init__(self, limit_s: float, ended_s: Callable[[], float], cores: int, now: float) -> None:
        self._limit_s = limit_s
        self._ended_s = ended_s
        self._cores = cores
        self._used_s = 0.0
        self.next_at = now + max(_CPU_LEAST_S, limit_s / cores)

    def exceeded(self, pids: list[int], now: float) -> bool:
        """Look at these processes; return whether they have computed for longer than the limit."""
        self._used_s = self._ended_s() + system.cpu_s(pids)
        self.next_at = now + max(_CPU_LEAST_S, (self._limit_s - self._used_s) / self._cores)
        return self._used_s >= self._limit_s

    def figure(self, after_s: float) -> str:
        """Return the figures of an excess in words, such as ``"cpu: 60.1 s of 60 s at 31 s"``."""
        return f"cpu: {self._used_s:.1f} s of {self._limit_s:g} s at {after_s:.3g} s"


def megabytes(amount: float) -> str:
    """Return an amount of memory in words.

    Examples
    --------
    >>> megabytes(412.3), megabytes(4096)
    ('412 MB', '4.1 GB')
    """
    return f"{amount:.0f} MB" if amount < 1000 else f"{amount / 1000:.1f}".removesuffix(".0") + " GB"
