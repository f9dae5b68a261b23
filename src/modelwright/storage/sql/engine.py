"""Transactions: how work reaches a database, whatever its dialect.

A `Database` runs functions of a `Transaction`: each runs in one transaction, and is run again from the start
when the database says that it was busy. So such a function must have no effect but on the database.
"""

from __future__ import annotations

import os
import random
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, CursorResult, Executable, Row
from sqlalchemy.exc import DBAPIError

from modelwright._base.clock import now_us
from modelwright.errors import InputError, StorageError, StorageUnavailableError

__all__ = ["Database", "Transaction"]

P = ParamSpec("P")
T = TypeVar("T")
V = TypeVar("V")


class Transaction:
    """What a function may do within one transaction.

    Attributes
    ----------
    connection : Connection
        For what the methods below do not cover.
    now_us : int
        The time on the database's clock, in microseconds since 1970; leases are compared with it.
    """

    __slots__ = ("_cache", "_writes", "connection", "now_us")

    def __init__(self, connection: Connection, now_us: int, cache: dict[Any, Any], *, writes: bool) -> None:
        self.connection = connection
        self._cache = cache
        self._writes = writes
        self.now_us = now_us

    def run(self, statement: Executable, values: Mapping[str, Any] | None = None) -> CursorResult[Any]:
        """Execute one statement."""
        return self.connection.execute(statement, values)

    def run_many(self, statement: Executable, values: Sequence[Mapping[str, Any]]) -> None:
        """Execute one statement for each of `values`, if there are any."""
        if values:
            self.connection.execute(statement, values)

    def first(self, statement: Executable, values: Mapping[str, Any] | None = None) -> Row[Any] | None:
        """Return the first row of a query."""
        return self.run(statement, values).first()

    def all(self, statement: Executable, values: Mapping[str, Any] | None = None) -> Sequence[Row[Any]]:
        """Return all rows of a query."""
        return self.run(statement, values).all()

    def constant(self, key: tuple[Any, ...], load: Callable[[], V]) -> V:
        """Return what `load` gives, kept between transactions: only for rows that never change.

        Nothing that a writing transaction loads is kept, because it may be rolled back.
        """
        if key in self._cache:
            return self._cache[key]  # type: ignore[no-any-return]
        value = load()
        if not self._writes:
            self._cache[key] = value
        return value


class Database(ABC):
    """One database, through one connection per process that its threads take in turns.

    A fork leaves parent and child with connections of their own.

    Parameters
    ----------
    url : str
        How messages call it; without a password.
    timeout_s : float
        How long to try while the database is busy.
    clock : callable
        The database's clock in microseconds.
    """

    def __init__(self, url: str, *, timeout_s: float, clock: Callable[[], int] = now_us) -> None:
        self.url = url
        self._timeout_s = timeout_s
        self._clock = clock
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
    def _begin(self, connection: Connection, *, write: bool, durable: bool) -> None:
        """Start a transaction."""

    @abstractmethod
    def _is_busy(self, error: DBAPIError) -> bool:
        """Say whether trying again may help."""

    @abstractmethod
    def _translate(self, error: DBAPIError) -> StorageError:
        """Say in our words what went wrong."""

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
        def attempt() -> T:
            with self._lock:
                return self._attempt(work, write=write, durable=durable)

        return self._patiently(attempt)

    def _patiently(self, attempt: Callable[[], T]) -> T:
        """Call `attempt` until it does not find the database busy, and put errors into our words."""
        deadline = time.monotonic() + self._timeout_s
        pause = 0.002
        while True:
            try:
                return attempt()
            except DBAPIError as error:
                if not self._is_busy(error):
                    raise self._translate(error) from error
                if time.monotonic() >= deadline:
                    raise StorageUnavailableError(
                        f"{self.url} was locked by another program for {self._timeout_s:g} s.",
                        hint="End the program that keeps it locked, and try again.",
                        code="E_DB_LOCKED",
                    ) from error
            except UnicodeEncodeError as error:
                raise InputError(f"text that is no valid Unicode cannot be stored: {error}.") from error
            # Full jitter, so that waiting processes do not wake in step.
            time.sleep(random.uniform(0, pause))
            pause = min(2 * pause, 0.02)

    def _attempt(self, work: Callable[[Transaction], T], *, write: bool, durable: bool) -> T:
        if self._closed:
            raise StorageUnavailableError(f"{self.url} has been closed.", code="E_DB_CLOSED")
        if self._connection is None:
            self._connection = self._connect()
        self._check()
        connection = self._connection
        try:
            self._begin(connection, write=write, durable=durable)
            result = work(Transaction(connection, self._clock(), self._cache, writes=write))
            connection.commit()
        except BaseException:
            self._roll_back(connection)
            raise
        self._check()  # what was committed to a file that is gone must not count as done
        return result

    def _roll_back(self, connection: Connection) -> None:
        try:
            connection.rollback()
        except DBAPIError:
            self._connection = None
            connection.invalidate()

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
