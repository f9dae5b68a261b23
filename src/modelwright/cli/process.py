"""When this process began."""

from __future__ import annotations

import os
import time
from pathlib import Path

__all__ = ["process_start_s"]


def process_start_s() -> float:
    """Return when this process began, on the monotonic clock, to a hundredth of a second on Linux.

    Examples
    --------
    >>> import time
    >>> process_start_s() < time.monotonic()
    True
    """
    return time.monotonic() - max(0.0, _age_s())


def _age_s() -> float:
    try:
        # After the name, which may hold anything, the start is the 20th field: clock ticks since boot.
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):
        import psutil  # elsewhere; on Linux it knows the moment of boot to a second only

        return time.time() - float(psutil.Process().create_time())
