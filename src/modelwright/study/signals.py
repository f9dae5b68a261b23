"""Ctrl-C and SIGTERM during a run: the first one ends it in order, the second at once."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

from modelwright.execution.base import Executor

__all__ = ["Interrupts"]


class Interrupts:
    """Catches SIGINT and SIGTERM while it is entered, in the main thread; elsewhere it does nothing.

    Where trials run in the coordinator's own call (`inline`), a signal has to break into the objective:
    inside `raising`, and outside `shielded`, it raises KeyboardInterrupt.

    Parameters
    ----------
    executor : Executor
        Woken when a signal comes.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._in_caller = bool(getattr(executor, "in_caller", False))
        self._may_raise = False
        self._count = 0
        self._seen = 0
        self._before: dict[int, Any] = {}
        self.signal: int | None = None

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                handler = signal.getsignal(number)
                # A handler that the user has set for SIGTERM stays; the default ones are ours to replace.
                if number == signal.SIGINT or handler is signal.SIG_DFL:
                    self._before[number] = signal.signal(number, self._caught)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    @contextmanager
    def raising(self) -> Iterator[None]:
        """Let a signal raise in this block, if trials run in the caller."""
        self._may_raise = self._in_caller
        try:
            yield
        except KeyboardInterrupt:
            # Ours: the objective has been left, and the run ends in order through `take`.
            if not self._count:
                raise
        finally:
            self._may_raise = False

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """Hold a signal back while the ledger is written from within an objective's call."""
        before, self._may_raise = self._may_raise, False
        try:
            yield
        finally:
            self._may_raise = before
        if before and self._count > self._seen:
            raise KeyboardInterrupt

    def take(self) -> bool | None:
        """Return, once for each signal, whether it was the second; None if there was none."""
        if self._count == self._seen:
            return None
        self._seen = self._count
        return self._count > 1

    def raise_again(self) -> NoReturn:
        """Pass the signal on to the caller, now that the run has ended in order."""
        if self.signal == signal.SIGTERM:
            sys.exit(128 + signal.SIGTERM)
        raise KeyboardInterrupt

    def _caught(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        self.signal = self.signal or number
        if self._count == 1 and sys.stderr is not None and sys.stderr.isatty():
            print("\nEnding: running trials get a few seconds; press Ctrl-C again to kill them.", file=sys.stderr)
        self._executor.wake()
        if self._may_raise:
            raise KeyboardInterrupt
