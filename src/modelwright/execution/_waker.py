"""Waiting for sockets, and waking who waits, from any thread or from a signal handler."""

from __future__ import annotations

import contextlib
import selectors
import socket
from typing import Protocol

__all__ = ["Selector", "Waker", "wait_for"]

# Not `select.select`, which fails in a process with many descriptors; not epoll, which needs one itself.
Selector: type[selectors.BaseSelector] = getattr(selectors, "PollSelector", selectors.SelectSelector)


class _HasFileno(Protocol):
    def fileno(self) -> int: ...


def wait_for(item: _HasFileno, timeout_s: float | None = None, *, write: bool = False) -> None:
    """Wait until `item` can be read; with `write`, until it can be read or written."""
    with Selector() as selector:
        selector.register(item, selectors.EVENT_READ | (selectors.EVENT_WRITE if write else 0))
        selector.select(timeout_s)


class Waker:
    """Wakes whoever waits on it.

    A socket rather than a `threading.Event`: an event takes a lock, and a signal handler that interrupts its
    owner while the lock is held would wait forever.

    Examples
    --------
    >>> waker = Waker()
    >>> waker.wait(0.0)
    False
    >>> waker.wake()
    >>> waker.wait(60.0), waker.wait(0.0)
    (True, False)
    >>> waker.close()
    """

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def fileno(self) -> int:
        """Return what becomes readable."""
        return self._reader.fileno()

    def wake(self) -> None:
        """End a wait, or the next one; harmless after `close`."""
        with contextlib.suppress(OSError):  # a full pipe wakes as well
            self._writer.send(b"\0")

    def clear(self) -> bool:
        """Forget past calls of `wake`; return whether there were any."""
        woken = False
        with contextlib.suppress(BlockingIOError):
            while self._reader.recv(4096):
                woken = True
        return woken

    def wait(self, timeout_s: float) -> bool:
        """Wait up to `timeout_s`; return whether it was woken."""
        wait_for(self._reader, max(0.0, timeout_s))
        return self.clear()

    def close(self) -> None:
        """Give the sockets back."""
        self._reader.close()
        self._writer.close()
