"""Ctrl-C and SIGTERM during a run: the first one ends it in order, the second at once."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

from modelwright.execution.base import Channel, Executor, Function

__all__ = ["Interrupts"]

_NOTICE = "\nEnding: running trials get a few seconds; press Ctrl-C again to kill them.\n"


class Interrupts:
    """Catches SIGINT and SIGTERM while it is entered, in the main thread; elsewhere it does nothing.

    A signal is noted and picked up with `take`. It raises KeyboardInterrupt in two places only: in an
    objective that runs in the run's own thread (see `breakable`), since nothing else could end it; and
    anywhere from the third on, since a callback may never come back.

    Parameters
    ----------
    executor : Executor
        Woken when a signal comes.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._thread = 0
        self._may_raise = False
        self._count = 0
        self._seen = 0
        self._before: dict[int, Any] = {}
        self.signal: int | None = None

    def __enter__(self) -> Interrupts:
        self._thread = threading.get_ident()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                handler = signal.getsignal(number)
                # A handler that the user has set for SIGTERM stays; the default ones are ours to replace.
                if handler is signal.SIG_DFL or (number == signal.SIGINT and handler is not None):
                    self._before[number] = signal.signal(number, self._caught)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def breakable(self, function: Function) -> Function:
        """Return `function` such that a signal breaks into it where it runs in the run's own thread."""

        def call(channel: Channel, argument: Any) -> Any:
            if threading.get_ident() != self._thread:
                return function(channel, argument)
            try:
                self._may_raise = True
                return function(channel, argument)
            finally:
                self._may_raise = False

        return call

    @contextmanager
    def absorbing(self) -> Iterator[None]:
        """Around the executor: swallow the KeyboardInterrupt that a signal raised in an objective.

        The job is marked as cancelled by then, and the run ends in order through `take`. One that the
        objective raised by itself passes.
        """
        try:
            yield
        except KeyboardInterrupt:
            if self._count == self._seen or self._count > 2:
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
        """Pass the signal on to the caller: KeyboardInterrupt, or SystemExit for SIGTERM."""
        if self.signal == signal.SIGTERM:
            sys.exit(128 + signal.SIGTERM)
        raise KeyboardInterrupt

    def _caught(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        self.signal = self.signal or number
        if self._count == 1:
            self._tell()
        self._executor.wake()
        if self._may_raise or self._count > 2:
            raise KeyboardInterrupt

    def _tell(self) -> None:
        # Not by print: a stream that was interrupted in the middle of a write must not be entered again.
        with contextlib.suppress(Exception):
            if sys.stderr.isatty():
                os.write(sys.stderr.fileno(), _NOTICE.encode())
