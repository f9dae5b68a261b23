"""What a keeper knows of its trial, and how it judges the end."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from modelwright.execution._common import summary
from modelwright.execution._payload import decode
from modelwright.execution.base import EndKind, ErrorInfo, Limits
from modelwright.execution.local import system
from modelwright.execution.local.output import Output
from modelwright.execution.local.processes import Process
from modelwright.execution.local.watch import MemoryWatch, Watch, megabytes
from modelwright.execution.local.wire import Frame, Tag

__all__ = ["Running"]

_TOGETHER_S = 0.01  # looks that are due so soon after each other are taken at once


@dataclass(slots=True)
class Running:
    """The trial that runs now, as far as its keeper knows.

    Attributes
    ----------
    job : int
        Its number with the coordinator.
    memory, output, watches
        What looks after its limits; `watches` are all of them.
    room : str, optional
        Its folder for temporary files.
    oom_kills : OomKills
        The kernel's counters before it began.
    verdict : tuple, optional
        Why we end it, once we do: a kind and words.
    kill_at : float, optional
        When its grace is over, on the monotonic clock.
    outcome : Frame, optional
        What its function returned or raised.
    notes : list of str
        What else should be said of its end.
    """

    job: int
    process: Process
    limits: Limits
    began: float
    memory: MemoryWatch
    output: Output | None
    watches: Sequence[Watch]
    room: str | None
    oom_kills: system.OomKills
    verdict: tuple[EndKind, str] | None = None
    kill_at: float | None = None
    outcome: Frame | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def over(self) -> bool:
        """Whether nothing more is to be expected of it."""
        return self.outcome is not None or self.process.status is not None

    @property
    def deadline(self) -> float:
        """When the clock next asks for something."""
        next_look = min(watch.next_at for watch in self.watches)
        if self.kill_at is not None:
            return min(self.kill_at, next_look)
        wall = self.limits.wall_s
        return min(next_look, self.began + wall if wall is not None else float("inf"))

    def due(self, now: float) -> list[Watch]:
        """Return the watches that want to look now, or would in a moment."""
        if all(watch.next_at > now for watch in self.watches):
            return []
        return [watch for watch in self.watches if watch.next_at <= now + _TOGETHER_S]

    @property
    def may_go_on(self) -> bool:
        """Whether its process left no doubt that it may take another task."""
        return (
            self.outcome is not None
            and self.outcome.tag is Tag.RESULT
            and bool(self.outcome.head.get("again"))
            and self.verdict is None
            and not self.notes
            and self.process.status is None
            and not self.process.link.closed
        )

    def report(self, now: float) -> tuple[dict[str, Any], bytes]:
        """Return how it ended, once nothing of it runs any more: the head and the body of a frame."""
        kind, detail, body = self._judge()
        head = {
            "kind": kind,
            "detail": "; ".join(filter(None, [detail, *self.notes])),
            "exit_code": None if self.outcome is not None else self._exit_code,
            "wall_s": now - self.began,
            "peak_memory_mb": self._peak_mb,
            "output": self.output.tail() if self.output is not None else "",
        }
        return head, body

    @property
    def _peak_mb(self) -> float | None:
        if self.memory.peak_mb is not None:
            return self.memory.peak_mb
        if self.process.usage is not None:
            return self.process.usage.ru_maxrss / (1e3 if system.IN_KILOBYTES else 1e6)
        return system.resident_mb([self.process.pid]) or None

    @property
    def _exit_code(self) -> int | None:
        status = self.process.status
        return None if status is None else os.waitstatus_to_exitcode(status)

    def _judge(self) -> tuple[EndKind, str, bytes]:
        if self.verdict is not None:
            return *self.verdict, b""
        if self.outcome is not None and self.outcome.tag is Tag.RESULT:
            return EndKind.RESULT, "", self.outcome.body
        if self.outcome is not None:
            return EndKind.ERROR, summary(ErrorInfo(**decode(self.outcome.body))), self.outcome.body
        code = self._exit_code
        assert code is not None
        if code >= 0:
            return EndKind.EXIT, f"its process left with exit code {code} and without a result", b""
        number = signal.Signals(-code)
        if number is signal.SIGKILL and (words := self._out_of_memory()):
            return EndKind.MEMORY, words, b""
        return EndKind.SIGNAL, f"its process died of {number.name} ({signal.strsignal(number)})", b""

    def _out_of_memory(self) -> str:
        """Return what points to the kernel as the killer; empty where nothing does."""
        words = system.out_of_memory(self.oom_kills)
        peak = f" at {megabytes(self.memory.peak_mb)}" if self.memory.peak_mb is not None else ""
        return words and words + peak
