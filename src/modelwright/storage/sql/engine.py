"""Transactions: how work reaches a database, whatever its dialect.

A `Database` runs functions of a `Transaction`: each runs in one transaction, and is run again from the start
when the database says that it was busy. So such a function must have no effect but on the database.

When the answer to a commit is lost, nobody knows whether the work is done. It is not simply run again then:
first the transaction's *mark* is looked for, which is there if, and only if, it was committed. If so, the
work is done, and its answer is the one that it gave then.
"""

from __future__ import annotations

import os
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, CursorResult, Executable, Row
from sqlalchemy.exc import DBAPIError

from modelwright.errors import InputError, StorageUnavailableError

__all__ = ["Call", "Database", "Mark", "Statement", "Transaction"]

P = ParamSpec("P")
T = TypeVar("T")
V = TypeVar("V")

Statement = tuple[Executable, Mapping[str, Any]]
"""A statement with its values."""

Mark = Callable[["Transaction"], bool]
"""Tells in a later transaction whether an earlier one was committed, and waits for it if it is not over."""


class Transaction:
    """What a function may do within one transaction.

    Statements given to `first`, `all`, `expect` and `later` have to be constants of their modules: they are
    compiled once and kept.

    Attributes
    ----------
    writes : bool
        Whether it may change the database.
    outage_end_us : int
        When, on the database's clock, it was last back after it had been away: since then only have workers
        been able to renew their leases. 0 if it was not.
    mark : Mark, optional
        By what a later transaction would know that this one was committed. Work that may be run twice
        without a second effect, and gives the same answer then, needs none.
    """

    def __init__(
        self,
        connection: Connection,
        cache: dict[Any, Any],
        *,
        writes: bool,
        now_us: int | None = None,
        outage_end_us: int = 0,
    ) -> None:
        self._connection = connection
        self._cache = cache
        self.writes = writes
        self._now_us = now_us
        self.outage_end_us = outage_end_us
        self.mark: Mark | None = None

    @property
    def connection(self) -> Connection:
        """For what the methods below do not cover."""
        return self._connection

    @property
    def now_us(self) -> int:
        """The time on the database's clock, in microseconds since 1970; leases are compared with it."""
        assert self._now_us is not None
        return self._now_us

    @property
    def about_us(self) -> int:
        """A moment on the same clock, known without a question to the database; seldom before `now_us`."""
        return self.now_us

    def run(self, statement: Executable, values: Mapping[str, Any] | None = None) -> CursorResult[Any]:
        """Execute one statement."""
        return self.connection.execute(statement, values)

    def run_many(self, statement: Executable, values: Sequence[Mapping[str, Any]]) -> None:
        """Execute one statement for each of `values`, if there are any."""
        if values:
            self.connection.execute(statement, values)

    def later(self, statement: Executable, values: Mapping[str, Any]) -> None:
        """Execute one statement whose answer nobody needs, before the next one or with the commit."""
        self.run(statement, values)

    def look_at_growth(self) -> None:
        """Let the database learn how its tables have grown, where it would not in time."""

    def expect(self, *queries: Statement, last: bool = False) -> None:
        """Say which queries come next: a server answers all of them in one message.

        With `last` nothing else comes, and a transaction that reads ends with them. Another query that comes
        nevertheless sees a newer state.
        """

    def first(self, query: Executable, values: Mapping[str, Any]) -> Row[Any] | None:
        """Return the first row of a query."""
        return self.run(query, values).first()

    def all(self, query: Executable, values: Mapping[str, Any] = MappingProxyType({})) -> Sequence[Row[Any]]:
        """Return all rows of a query."""
        return self.run(query, values).all()

    def constant(self, key: tuple[Any, ...], load: Callable[[], V]) -> V:
        """Return what `load` gives, kept between transactions: only for rows that never change."""
        value: V | None = self.recall(key)
        if value is None:
            value = load()
            self.remember(key, value)
        return value

    def recall(self, key: tuple[Any, ...]) -> Any:
        """Return what an earlier transaction of this process remembered; None if nothing."""
        return self._cache.get(key)

    def remember(self, key: tuple[Any, ...], value: Any) -> None:
        """Keep a value for later transactions; none of a writing one, because it may be rolled back."""
        if not self.writes:
            self._cache[key] = value


@dataclass(frozen=True, slots=True)
class Sent:
    """A commit that was sent: the transaction's mark, and the answer of its work."""

    mark: Mark | None
    answer: Any


@dataclass(slots=True)
class Call:
    """One piece of work, over all its attempts.

    `sent` is the commit of the present attempt, `unheard` the latest one that ended with an error: perhaps
    it was done, and only the answer was lost.
    """

    write: bool
    durable: bool
    sent: Sent | None = None
    unheard: Sent | None = None


class Database(ABC):
    """One database, through one connection per process that its threads take in turns.

    A fork leaves parent and child with connections of their own.

    Parameters
    ----------
    url : str
        How messages call it; without a password.
    timeout_s : float
        How long to try while the database is busy.

    Attributes
    ----------
    upgraded_from : str
        The version of the ledger before this object upgraded it; empty if it did not.
    backup : Path, optional
        The copy that was made before that.
    """

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self.url = url
        self.upgraded_from = ""
        self.backup: Path | None = None
        self._timeout_s = timeout_s
        self._outage_end_us = 0
        self._cache: dict[Any, Any] = {}
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._closed = False
        _databases.add(self)

    # what a dialect has to say ------------------------------------------------------------------------

    @abstractmethod
    def _connect(self) -> Connection:
        """Open a connection to the database, which exists."""

    @abstractmethod
    def _check(self) -> None:
        """Raise if the database that the connection leads to is not there any more."""

    @abstractmethod
    def _begin(self, connection: Connection, *, write: bool, durable: bool) -> Transaction:
        """Start a transaction."""

    @abstractmethod
    def _patiently(self, attempt: Callable[[], T]) -> T:
        """Call `attempt` again while that may help, and say in our words what went wrong in the end."""

    def _commit(self, connection: Connection, transaction: Transaction) -> None:
        """Commit what the transaction wrote."""
        connection.commit()

    # running work -------------------------------------------------------------------------------------

    def read(self, work: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` on one consistent state of the database."""
        return self._run(lambda tx: work(tx, *args, **kwargs), write=False, durable=False)

    def write(self, work: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` and commit: what it wrote survives the death of this process."""
        return self._run(lambda tx: work(tx, *args, **kwargs), write=True, durable=False)

    def write_durably(
        self, work: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `work` and commit: what it wrote survives a power failure, if so configured."""
        return self._run(lambda tx: work(tx, *args, **kwargs), write=True, durable=True)

    def _run(self, work: Callable[[Transaction], T], *, write: bool, durable: bool) -> T:
        call = Call(write, durable)

        def attempt() -> T:
            with self._lock:
                return self._attempt(work, call)

        try:
            return self._patiently(attempt)
        except UnicodeEncodeError as error:
            raise InputError(f"text that is no valid Unicode cannot be stored: {error}.") from error

    def _attempt(self, work: Callable[[Transaction], T], call: Call) -> T:
        call.sent = None
        if self._closed:
            raise StorageUnavailableError(f"{self.url} has been closed.", code="E_DB_CLOSED")
        if self._connection is None:
            self._connection = self._connect()
        self._check()
        if call.unheard is not None and self._stands(call.unheard):
            return call.unheard.answer  # type: ignore[no-any-return]
        try:
            answer = self._transact(work, call)
        except BaseException:
            call.unheard = call.sent or call.unheard
            raise
        self._check()  # what was committed to a file that is gone must not count as done
        return answer

    def _stands(self, sent: Sent) -> bool:
        """Say whether a commit without an answer was done, as far as that makes a difference."""
        return sent.mark is not None and self._transact(sent.mark, Call(write=True, durable=False))

    def _transact(self, work: Callable[[Transaction], T], call: Call) -> T:
        connection = self._connection
        assert connection is not None
        try:
            transaction = self._begin(connection, write=call.write, durable=call.durable)
            answer = work(transaction)
            call.sent = Sent(transaction.mark, answer)
            self._commit(connection, transaction)
        except BaseException:
            if call.sent is not None:
                self._drop()  # to SQLAlchemy the transaction is over, to the database perhaps not
            else:
                self._roll_back(connection)
            raise
        return answer

    def _roll_back(self, connection: Connection) -> None:
        try:
            connection.rollback()
        except DBAPIError:
            connection.invalidate()
        if connection.invalidated:
            self._drop()

    def _drop(self) -> None:
        """Close the connection, whatever state it is in."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
        self._connection = None

    # the life of the connection -----------------------------------------------------------------------

    def close(self) -> None:
        """Close the connection of this process."""
        with self._lock:
            self._closed = True
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _after_fork(self) -> None:
        """Leave the parent's connection alone: closing it here would harm the parent."""
        self._lock = threading.Lock()
        if self._connection is not None:
            _inherited.append(self._connection)
            self._connection = None


_databases: weakref.WeakSet[Database] = weakref.WeakSet()
_inherited: list[Connection] = []


def _renew_after_fork() -> None:
    for database in list(_databases):
        database._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_after_fork)
