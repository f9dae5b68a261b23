"""When a worker is to leave, and why: known to its turns, told by signals, the ledger and the clock."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable

__all__ = ["Leaving"]


class Leaving:
    """The wish that a worker leaves, safe to use from any thread.

    Attributes
    ----------
    reason : str
        Why no more trials are started; empty while they are.
    until_s : float
        When a trial that still runs is given back, on the monotonic clock; infinite to let it end.
    """

    def __init__(self) -> None:
        self.reason = ""
        self.until_s = math.inf
        self._asked = threading.Event()
        self._wake: Callable[[], None] | None = None

    def ask(self, reason: str, *, within_s: float = math.inf) -> None:
        """Wish it; a later wish only makes it sooner."""
        self.until_s = min(self.until_s, time.monotonic() + within_s)
        self.reason = self.reason or reason
        self._asked.set()
        if (wake := self._wake) is not None:
            with contextlib.suppress(OSError, ValueError):  # it has been closed this very moment
                wake()

    @property
    def hurried(self) -> bool:
        """Whether there is a moment by which all has to be over."""
        return self.until_s < math.inf

    def notify(self, wake: Callable[[], None] | None) -> None:
        """Call `wake` at each wish from now on; None calls nobody."""
        self._wake = wake

    def pause(self, seconds: float) -> bool:
        """Sleep; return whether it is time to leave."""
        return self._asked.wait(seconds)
