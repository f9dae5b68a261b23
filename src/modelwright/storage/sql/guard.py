"""A watch over one connection, from a thread of its own.

Two things have to happen while the threads that use a connection are elsewhere: a statement that the server
leaves without an answer must be broken off, since neither TCP nor the drivers notice a network that
swallows packets; and a connection that nobody uses goes back to the server, which has few of them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

__all__ = ["Guard"]


class Guard:
    """Says when a connection has been silent or idle for too long.

    The thread runs while `start` has been called and `give_back` has not answered True. It is a daemon, and
    a forked child does not have it: there, make a new guard.

    Parameters
    ----------
    silence_s : float
        How long a statement may be without an answer.
    idle_s : float
        How long a connection may be without use.
    cut : callable
        Called when a statement has been silent for `silence_s`.
    give_back : callable
        Called when the connection has been idle for `idle_s`; returns whether it is closed now.
    """

    def __init__(
        self, *, silence_s: float, idle_s: float, cut: Callable[[], None], give_back: Callable[[], bool]
    ) -> None:
        self.silence_s = silence_s
        self._idle_s = idle_s
        self._cut = cut
        self._give_back = give_back
        self._tick_s = min(0.5, silence_s / 4, idle_s / 4)
        self._asked_at: float | None = None
        self._used_at = time.monotonic()
        self._lock = threading.Lock()
        self._watching = False

    @property
    def asked_at(self) -> float | None:
        """When the statement began that has no answer yet, on the monotonic clock."""
        return self._asked_at

    def asks(self) -> None:
        """Take note that a statement goes out."""
        self._asked_at = time.monotonic()

    def answered(self) -> None:
        """Take note that its answer is there."""
        self._asked_at = None

    def used(self) -> None:
        """Take note that a transaction has ended."""
        self._asked_at = None
        self._used_at = time.monotonic()

    def start(self) -> None:
        """Watch from now on."""
        self._used_at = time.monotonic()
        with self._lock:
            if not self._watching:
                self._watching = True
                threading.Thread(target=self._watch, name="modelwright-connection", daemon=True).start()

    def _watch(self) -> None:
        while True:
            time.sleep(self._tick_s)
            now = time.monotonic()
            asked_at = self._asked_at
            if asked_at is not None:
                if now - asked_at > self.silence_s:
                    self._cut()
            elif now - self._used_at > self._idle_s:
                with self._lock:
                    if self._give_back():
                        self._watching = False
                        return
