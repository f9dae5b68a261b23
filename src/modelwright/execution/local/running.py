"""What a keeper knows of its trial, and how it judges the end."""

from __future__ import annotations

import os
import resource
import signal
from dataclasses import dataclass, field
from typing import Any

from modelwright.execution._common import summary
from modelwright.execution._payload import decode
from modelwright.execution.base import EndKind, ErrorInfo, Limits
from modelwright.execution.local import system
from modelwright.execution.local.watch import MemoryWatch, megabytes
from modelwright.execution.local.wire import Frame, Link, Tag

__all__ = ["Running"]


@dataclass(slots=True)
class Running:
    """The trial that runs now, as far as its keeper knows.

    Attributes
    ----------
    job : int
        Its number with the coordinator.
    pid : int
        Of its own process, the first of its tree.
    oom_kills : int
        `system.oom_kills` before it began.
    verdict : tuple, optional
        Why we end it, once we do: a kind and words.
    kill_at : float, optional
        When its grace is over, on the monotonic clock.
    outcome : Frame, optional
        What its function returned or raised.
    status : int, optional
        How its process ended, as `os.wait` tells it.
    notes : list of str
        What else should be said of its end.
    """

    job: int
    pid: int
    link: Link
    limits: Limits
    watch: MemoryWatch
    began: float
    oom_kills: int
    verdict: tuple[EndKind, str] | None = None
    kill_at: float | None = None
    outcome: Frame | None = None
    status: int | None = None
    usage: resource.struct_rusage | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def over(self) -> bool:
        """Whether nothing more is to be expected of it."""
        return self.outcome is not None or self.status is not None

    @property
    def deadline(self) -> float:
        """When the clock next asks for something."""
        if self.kill_at is not None:
            return min(self.kill_at, self.watch.next_at)
        wall = self.limits.wall_s
        return min(self.watch.next_at, self.began + wall if wall is not None else float("inf"))

    def report(self, now: float) -> tuple[dict[str, Any], bytes]:
        """Return how it ended, once nothing of it runs any more: the head and the body of a frame."""
        kind, detail, body = self._judge()
        peak_mb = self.watch.peak_mb
        if peak_mb is None and self.usage is not None:
            peak_mb = self.usage.ru_maxrss / 1e3
        head = {
            "kind": kind,
            "detail": "; ".join(filter(None, [detail, *self.notes])),
            "exit_code": None if self.outcome is not None else self._exit_code,
            "wall_s": now - self.began,
            "peak_memory_mb": peak_mb,
        }
        return head, body

    @property
    def _exit_code(self) -> int | None:
        return None if self.status is None else os.waitstatus_to_exitcode(self.status)

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
        if number is signal.SIGKILL and system.oom_kills() > self.oom_kills:
            peak = f" at {megabytes(self.watch.peak_mb)}" if self.watch.peak_mb is not None else ""
            return EndKind.MEMORY, f"killed by the kernel, which was out of memory{peak}", b""
        return EndKind.SIGNAL, f"its process died of {number.name} ({signal.strsignal(number)})", b""
