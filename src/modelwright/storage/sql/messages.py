"""Transactions that reach their server in few messages.

Each message costs a round trip, and locks are held meanwhile. So what begins a transaction goes out with its
first query, statements whose answers nobody needs with whatever comes next, and queries that are expected
together in one message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

from sqlalchemy import Connection, CursorResult, Executable, Row

from modelwright.storage.sql.engine import Statement, Transaction
from modelwright.storage.sql.phrases import Part, Phrase, Phrases

__all__ = ["ServerTransaction", "Wire"]

_COMMIT: Part = (Phrase("COMMIT"), {})
_FEW = 16  # so many rows go one by one with the next message; for more, drivers have better ways
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Wire(Protocol):
    """What a transaction needs of a server.

    Attributes
    ----------
    phrases : Phrases
        For statements in the words of its driver.
    clock : Part
        The query for its clock.
    """

    phrases: Phrases
    clock: Part

    def exchange(self, message: Sequence[Part]) -> list[Sequence[tuple[Any, ...]]]:
        """Run statements in one message, and return what each query among them found."""
        ...

    def beginning(self, *, write: bool, ends: bool) -> Sequence[Part]:
        """Return the statements that begin a transaction, which ends with the same message or does not."""
        ...

    def looking(self) -> Sequence[Part]:
        """Return the statements by which it learns how its tables have grown, if it needs any."""
        ...

    def moment(self, now_us: int) -> int:
        """Take note of what its clock said, and return the time that counts."""
        ...

    def estimate_us(self) -> int | None:
        """Return a moment that its clock has hardly reached; None if nothing is known of its clock."""
        ...


class ServerTransaction(Transaction):
    """A transaction of few messages; nothing is sent before an answer is needed."""

    def __init__(
        self,
        wire: Wire,
        connection: Connection,
        cache: dict[Any, Any],
        *,
        writes: bool,
        outage_end_us: int,
    ) -> None:
        super().__init__(connection, cache, writes=writes, outage_end_us=outage_end_us)
        self._wire = wire
        self._begun = False
        self._waiting: list[Part] = []
        self._expected: list[tuple[Statement, Sequence[Row[Any]]]] = []

    @property
    def connection(self) -> Connection:
        """For what the other methods do not cover; what waits is sent first."""
        self._exchange()
        return self._connection

    @property
    def now_us(self) -> int:
        """The time on the server's clock."""
        if self._now_us is None:
            found = self._exchange(self._wire.clock)
            self._now_us = self._wire.moment(found[-1][0][0])
        return self._now_us

    @property
    def about_us(self) -> int:
        """A moment on that clock which it has hardly reached; known without a message, mostly."""
        if self._now_us is not None:
            return self._now_us
        estimate_us = self._wire.estimate_us()
        return self.now_us if estimate_us is None else estimate_us

    def run(self, statement: Executable, values: Mapping[str, Any] | None = None) -> CursorResult[Any]:
        """Execute one statement."""
        self._expected.clear()  # it may change what was found
        return super().run(statement, values)

    def run_many(self, statement: Executable, values: Sequence[Mapping[str, Any]]) -> None:
        """Execute one statement for each of `values`: later, if these are few."""
        if len(values) > _FEW:
            self._expected.clear()
            super().run_many(statement, values)
            return
        for row in values:
            self.later(statement, row)

    def later(self, statement: Executable, values: Mapping[str, Any]) -> None:
        """Execute one statement with the next message."""
        part = self._wire.phrases.part(statement, values)
        if part is None:
            self.run(statement, values)
        else:
            self._expected.clear()
            self._waiting.append(part)

    def look_at_growth(self) -> None:
        """Let the server learn how its tables have grown."""
        self._waiting += self._wire.looking()

    def expect(self, *queries: Statement, last: bool = False) -> None:
        """Ask several queries in one message; `first` and `all` find their answers there."""
        parts = [part for query in queries if (part := self._wire.phrases.part(*query)) is not None]
        if len(parts) < len(queries):
            return
        found = self._exchange(*parts, last=last)
        self._expected = [
            (query, phrase.rows(rows)) for query, (phrase, _), rows in zip(queries, parts, found, strict=True)
        ]

    def first(self, query: Executable, values: Mapping[str, Any]) -> Row[Any] | None:
        """Return the first row of a query."""
        rows = self.all(query, values)
        return rows[0] if rows else None

    def all(self, query: Executable, values: Mapping[str, Any] = _NOTHING) -> Sequence[Row[Any]]:
        """Return all rows of a query."""
        for i, (expected, rows) in enumerate(self._expected):
            if expected[0] is query and expected[1] == values:
                del self._expected[i]
                return rows
        part = self._wire.phrases.part(query, values)
        if part is None:
            return super().all(query, values)
        (found,) = self._exchange(part)
        return part[0].rows(found)

    def commit(self) -> None:
        """Send what waits, and end the transaction."""
        if self._begun or self._waiting:
            self._exchange(_COMMIT)

    def _exchange(self, *parts: Part, last: bool = False) -> list[Sequence[tuple[Any, ...]]]:
        """Send what has to come first, and these parts; return what the queries among them found."""
        message: list[Part] = []
        ends = last and not self.writes
        asks_time = self.writes and not self._begun
        if not self._begun:
            message += self._wire.beginning(write=self.writes, ends=ends)
            if asks_time:
                message.append(self._wire.clock)
        message += self._waiting
        message += parts
        if ends:
            message.append(_COMMIT)
        self._waiting = []
        self._begun = not ends
        found = self._wire.exchange(message) if message else []
        if asks_time:
            self._now_us = self._wire.moment(found.pop(0)[0][0])
        return found
