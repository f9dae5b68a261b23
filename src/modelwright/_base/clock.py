"""The wall clock, in the one unit that records use."""

from __future__ import annotations

import time
from datetime import UTC, datetime

__all__ = ["from_us", "now_us"]


def now_us() -> int:
    """Return the time in microseconds since 1970, UTC."""
    return time.time_ns() // 1000


def from_us(moment_us: int) -> datetime:
    """Return `moment_us` as an aware UTC datetime."""
    return datetime.fromtimestamp(moment_us / 1e6, tz=UTC)
