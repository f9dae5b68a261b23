"""A slot as the coordinator sees it: its keeper, the line to it, and the job that it does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from modelwright.execution._payload import encode
from modelwright.execution.base import Job, Resources
from modelwright.execution.local.service import LauncherService
from modelwright.execution.local.wire import Link, Tag

__all__ = ["LocalJob", "Seat"]


@dataclass(slots=True, eq=False)
class LocalJob(Job):
    """A job, and how its keeper is reached."""

    number: int = 0
    argument: bytes = b""
    seat: Seat | None = None
    cancelled: str | None = None  # while it waits
    early: list[tuple[str, bytes]] = field(default_factory=list)  # messages sent while it waits

    def cancel(self, why: str) -> None:
        """Ask the keeper to end the task; one that waits ends with the next events."""
        if self.done or self.cancelled is not None:
            return
        self.cancelled = why
        if self.seat is not None:
            self.seat.tell(Tag.CANCEL, {"job": self.number, "why": why}, encode(why, "the reason"))

    def send(self, kind: str, payload: Any) -> None:
        """Send a message down, or keep it until the task starts."""
        if self.done:
            return
        body = encode(payload, f"the message {kind!r}")
        if self.seat is None:
            self.early.append((kind, body))
        else:
            self.seat.tell(Tag.TELL, {"job": self.number, "kind": kind}, body)


@dataclass(slots=True, eq=False)
class Seat:
    """A slot and its keeper."""

    index: int
    resources: Resources
    service: LauncherService | None = None
    keeper: int = 0
    link: Link | None = None
    functions: frozenset[int] = frozenset()
    job: LocalJob | None = None

    def tell(self, tag: Tag, head: dict[str, Any], body: bytes = b"") -> None:
        """Send the keeper a frame; one that is gone is noticed elsewhere."""
        if self.link is not None:
            self.link.send(tag, head, body)

    def serves(self, service: LauncherService, function: int) -> bool:
        """Whether its keeper is there, is a child of this launcher, and knows this function."""
        if self.link is None or self.service is not service or function not in self.functions:
            return False
        self.link.receive()
        return not self.link.closed

    def leave(self) -> None:
        """Give up the line to the keeper, which ends it."""
        if self.link is not None:
            self.link.close()
            self.link = None

    def nothing_left(self) -> bool:
        """Whether the processes of a keeper that is gone are known to be gone as well.

        The launcher kills what a keeper leaves behind and then says so. A keeper that lost its launcher has
        cleaned up before it went.
        """
        service = self.service
        return service is None or not service.alive or self.keeper in service.gone
