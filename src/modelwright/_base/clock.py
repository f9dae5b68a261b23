"""The wall clock, in the one unit that records use, and the clock by which waits are measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

__all__ = ["Clock", "from_us", "now_us", "to_us"]

Clock = Callable[[], float]
"""Seconds that only grow, such as `time.monotonic`."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def now_us() -> int:
    """Return the time in microseconds since 1970, UTC."""
    return time.time_ns() // 1000


def from_us(moment_us: int) -> datetime:
    """Return `moment_us` as an aware UTC datetime, to the microsecond."""
    return _EPOCH + timedelta(microseconds=moment_us)


def to_us(moment: datetime) -> int:
    """Return an aware datetime in microseconds since 1970, UTC.

    Examples
    --------
    >>> to_us(from_us(1_700_000_000_123_457))
    1700000000123457
    """
    return (moment - _EPOCH) // _MICROSECOND
