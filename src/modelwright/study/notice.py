"""Word that a trial has to go: noted, so that it can write a checkpoint first."""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelwright.execution.base import Channel

__all__ = ["Notice"]

_CANCEL = "cancel"  # as executors name it, which a trial's process need not load


class Notice:
    """Whether a trial was asked to go.

    Nothing is noted before `listen`: until then a trial in a process of its own dies of SIGTERM, and one that
    shares a process ends at its next message, both at once.

    Parameters
    ----------
    channel : Channel
        The trial's.
    own_process : bool
        Whether a signal to this process is one to the trial.
    """

    def __init__(self, channel: Channel, *, own_process: bool) -> None:
        self._channel = channel
        self._own_process = own_process
        self._listening = False
        self._installed = False
        self._given = False

    def listen(self) -> None:
        """Note the word from now on instead of ending by it."""
        if self._listening:
            return
        self._listening = True
        # A handler of the user's stays theirs, and only the main thread can have one at all.
        main = threading.current_thread() is threading.main_thread()
        if self._own_process and main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            _forget_in_forks()
            signal.signal(signal.SIGTERM, self._hear)
            self._installed = True

    @property
    def given(self) -> bool:
        """Whether the trial was asked to go, as far as it listens."""
        if self._listening and not self._given and not self._own_process:
            self._given = any(kind == _CANCEL for kind, _ in self._channel.receive())
        return self._given

    def close(self) -> None:
        """Stop listening, and let the signal do what it was held back from."""
        if not self._installed:
            return
        self._installed = False
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if self._given:
            for stream in (sys.stdout, sys.stderr):
                with suppress(Exception):  # closed or replaced by the trial
                    stream.flush()
            os.kill(os.getpid(), signal.SIGTERM)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self._given = True


@functools.cache
def _forget_in_forks() -> None:
    """Have processes that the trial forks die of the signal as ever, such as those of a pool."""
    os.register_at_fork(after_in_child=_forget)


def _forget() -> None:
    handler = signal.getsignal(signal.SIGTERM)
    if isinstance(getattr(handler, "__self__", None), Notice):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
