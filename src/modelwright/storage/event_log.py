"""The events of one study in memory."""

from __future__ import annotations

from typing import Any

from modelwright.storage.answers import Event
from modelwright.storage.plain import plain

__all__ = ["EventLog"]


class EventLog:
    """Events in columns, since there are several for each trial and few are ever read.

    The event of revision r is at position r - 1. No object but its payload belongs to an event alone, which
    keeps a ledger of a million of them small, and Python's collector has little to look at.

    Examples
    --------
    >>> log = EventLog()
    >>> log.append("create", None, None, {}, 1_000_000)
    >>> log.append("claim", 0, 1, {"worker": "me"}, 2_000_000)
    >>> log.read(1, 10)
    [Event(revision=2, kind='claim', number=0, fence=1, payload={'worker': 'me'}, at_us=2000000)]
    """

    def __init__(self) -> None:
        self._kinds: list[str] = []
        self._numbers: list[int | None] = []
        self._fences: list[int | None] = []
        self._payloads: list[dict[str, Any]] = []
        self._at_us: list[int] = []

    def append(
        self, kind: str, number: int | None, fence: int | None, payload: dict[str, Any], at_us: int
    ) -> None:
        """Add the event of the next revision; the payload is the log's own from now on."""
        self._kinds.append(kind)
        self._numbers.append(number)
        self._fences.append(fence)
        self._payloads.append(payload)
        self._at_us.append(at_us)

    def read(self, since: int, limit: int) -> list[Event]:
        """Return copies of up to `limit` events after revision `since`."""
        first = max(since, 0)
        columns = (self._kinds, self._numbers, self._fences, self._payloads, self._at_us)
        rows = zip(*(column[first : first + limit] for column in columns), strict=True)
        return [
            Event(revision, kind, number, fence, plain(payload), at_us)
            for revision, (kind, number, fence, payload, at_us) in enumerate(rows, first + 1)
        ]
