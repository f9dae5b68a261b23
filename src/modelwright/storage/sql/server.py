"""Databases on a server: what PostgreSQL and MariaDB have in common.

A server can be out of reach, restart, be full, or stop to answer; connections break, and the answer to a
commit gets lost. None of this ends a worker: the transaction is run again, with full jitter, until it has
been done or `timeout_s` has passed. That is sound because every method of the contract may be repeated.

The clock is the server's own, read by the statement that begins each transaction, so a client whose clock is
wrong harms nothing. Reading transactions see one snapshot; writing ones read what is committed, and lock.
"""

from __future__ import annotations

import atexit
import os
import random
import socket
import time
import weakref
from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from modelwright.errors import InputError, SchemaError, StorageUnavailableError
from modelwright.storage.sql import migrations, schema
from modelwright.storage.sql.address import ServerAddress
from modelwright.storage.sql.engine import Call, Database, Transaction
from modelwright.storage.sql.guard import Guard
from modelwright.storage.sql.messages import ServerTransaction
from modelwright.storage.sql.phrases import Part, Phrases
from modelwright.storage.sql.presence import Presence
from modelwright.storage.sql.room import Room
from modelwright.storage.sql.trouble import Trouble, final_error, gave_up

__all__ = ["Greeting", "ServerDatabase"]

T = TypeVar("T")

CONNECT_S = 5
LOCK_S = 10
"""How long the server lets a statement wait for a lock."""
STATEMENT_S = 28
"""How long the server works on one statement: a little less than our own patience."""
IDLE_IN_TRANSACTION_S = 20
"""After this the server throws out a worker that froze while it held locks."""
READING_S = 600
"""The same for transactions that only read: they hold no locks, and large studies take a while to decode."""

_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 2.0
_SHORTEST_QUEUE_S = 0.1
_DUPLICATES = 3
_COUNT_EVERY_S = 1.0
_TURN_S = 0.5  # how long a connection is kept while others wait for one
_LET_OTHERS_S = 0.3
_CLOCK_MARGIN_S = 1.0  # how much faster than ours the server's clock may have run


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a server says of itself to a new connection.

    Attributes
    ----------
    now_us, started_us : int
        Its clock, and when it started.
    limit : int
        How many connections it has.
    risk : str
        What it could lose in a power failure, and by which setting; empty if nothing.
    """

    now_us: int
    started_us: int
    limit: int
    risk: str


class ServerDatabase(Database):
    """A ledger in a database on a server.

    Parameters
    ----------
    address : ServerAddress
        Where it is.
    create : bool
        Whether an empty database is made a ledger.
    upgrade : bool
        Whether a ledger of an older version is upgraded; workers of that version stop with a message then.
    timeout_s : float
        How long to go on trying while the server is away, full, or others hold locks.
    room_s : float
        How long to wait while the server's disk is full.
    wait_s : float
        The same for the very first connection, where a wrong address is likelier than an outage.
    silence_s : float
        How long a statement may be without an answer.
    idle_s : float
        After how long without use the connection is given back.
    clock : callable, optional
        Replaces the server's clock, in microseconds; for tests.
    """

    _dialect: str
    _raw: Any = None  # the driver's connection
    clock: Part

    def __init__(
        self,
        address: ServerAddress,
        *,
        create: bool = True,
        upgrade: bool = False,
        timeout_s: float = 600.0,
        room_s: float = 600.0,
        wait_s: float = 1.0,
        silence_s: float = 30.0,
        idle_s: float = 2.0,
        clock: Callable[[], int] | None = None,
    ) -> None:
        _check_times(timeout_s=timeout_s, room_s=room_s, wait_s=wait_s, silence_s=silence_s, idle_s=idle_s)
        super().__init__(address.public, timeout_s=timeout_s)
        self.address = address
        self._wait_s = wait_s
        self._silence_s = silence_s
        self._idle_s = idle_s
        self._clock = clock
        self._presence = Presence(self.url)
        self._room = Room(self.url, room_s)
        self._ready = False  # whether it is known to hold a ledger
        self._forget()
        self._engine = create_engine(
            f"{self._dialect}://", creator=self._open, poolclass=NullPool, pool_reset_on_return=None
        )
        self.phrases = Phrases(self._engine.dialect)
        self._ending: ServerTransaction | None = None
        self._engine.dialect.do_commit = self._send_commit  # type: ignore[method-assign, assignment]
        for name in ("before_cursor_execute", "commit", "rollback"):
            event.listen(self._engine, name, lambda *_: self._guard.asks())
        event.listen(self._engine, "after_cursor_execute", lambda *_: self._guard.answered())
        _servers.add(self)
        try:
            self._prepare(create=create, upgrade=upgrade)
        except BaseException:
            self.close()
            raise
        self._ready = True

    def _forget(self) -> None:
        """Start without a connection, as in a new process."""
        self._raw = None
        self._opened_at = self._counted_at = self._seen_at = 0.0
        self._seen_us = 0
        self._limit = 0
        self._crowded = False
        self._let_others = False
        self._presence.forget_outage()
        self._guard = Guard(
            silence_s=self._silence_s, idle_s=self._idle_s, cut=self._cut, give_back=self._give_back_idle
        )

    # what a dialect has to say ------------------------------------------------------------------------

    @abstractmethod
    def _open(self) -> Any:
        """Connect by the driver, in autocommit mode, and set `_raw`."""

    @abstractmethod
    def _greet(self) -> Greeting:
        """Set up the session, and ask the server about itself."""

    @abstractmethod
    def _query(self, text: str) -> tuple[Any, ...]:
        """Run statements in one message, and return the one row of the last."""

    @abstractmethod
    def _talk(self, message: Sequence[Part]) -> list[Sequence[tuple[Any, ...]]]:
        """Run statements in one message, and return what each query among them found."""

    @abstractmethod
    def beginning(self, *, write: bool, ends: bool) -> Sequence[Part]:
        """Return the statements that begin a transaction, which ends with the same message or does not."""

    def looking(self) -> Sequence[Part]:
        """Return the statements by which the server learns how its tables have grown, if it needs any."""
        return ()

    @abstractmethod
    def _count_connections(self) -> int:
        """Return how many connections the server has."""

    @abstractmethod
    def _socket_number(self) -> int:
        """Return the file descriptor of the connection, -1 if it has none."""

    @abstractmethod
    def _trouble(self, error: DBAPIError) -> Trouble:
        """Say what kind of error it is."""

    @abstractmethod
    def _meaning(self, error: DBAPIError) -> str:
        """Return the code, among those that `final_error` knows, of an error; else an empty text."""

    @abstractmethod
    def _schema_lock(self, tx: Transaction) -> AbstractContextManager[None]:
        """Keep other processes from changing the schema meanwhile."""

    # opening ------------------------------------------------------------------------------------------

    def _prepare(self, *, create: bool, upgrade: bool) -> None:
        """Look at what the database holds before anything is written to it; then make it a ledger."""
        found = self._look()
        if found == schema.VERSION:
            return
        if found in (None, migrations.UNFINISHED):
            if not create:
                raise StorageUnavailableError(
                    f"{self.url} is empty: it holds no ledger.",
                    hint="Check the name of the database.",
                    code="E_DB_PATH",
                )
        elif not upgrade:
            raise migrations.too_old(self.url, str(found))
        self.write(self._build)
        self.upgraded_from = "" if found in (None, migrations.UNFINISHED) else str(found)

    def _look(self) -> str | None:
        def look(tx: Transaction) -> str | None:
            return migrations.found_version(tx.connection, self.url)

        try:
            return self.read(look)
        except SchemaError as error:
            if error.code != "E_SCHEMA":
                raise
        # MariaDB shows the tables of this moment, and rows of the moment when the transaction began. A ledger
        # that was built in between seems to have tables and no version; a new transaction sees both.
        return self.read(look)

    def _build(self, tx: Transaction) -> None:
        self._guard.silence_s = max(self._silence_s, 3600.0)  # tables of years take their time
        try:
            with self._schema_lock(tx):
                migrations.prepare(tx.connection, self.url)
        finally:
            self._guard.silence_s = self._silence_s

    # connections --------------------------------------------------------------------------------------

    def _connect(self) -> Connection:
        if self._let_others:
            time.sleep(random.uniform(0, _LET_OTHERS_S))
            self._let_others = False
        self._guard.asks()
        self._guard.start()
        try:
            connection = self._engine.connect()
        except DBAPIError as error:
            self._note_refusal(error)
            raise
        try:
            self._welcome(self._greet())
            if self._ready:
                self._check_version()
        except BaseException:
            connection.invalidate()
            self._raw = None
            raise
        return connection

    def _check_version(self) -> None:
        """Refuse a ledger that somebody has upgraded while this process runs."""
        (found,) = self._query(f"SELECT version_num FROM {schema.version.name}")
        if found != schema.VERSION:
            raise SchemaError(
                f"{self.url} has the schema {found} by now, and this process uses {schema.VERSION}.",
                hint="Start it again with the version of Modelwright that upgraded it.",
                code="E_SCHEMA_NEWER" if str(found) > schema.VERSION else "E_SCHEMA",
            )

    def _welcome(self, greeting: Greeting) -> None:
        self._opened_at = time.monotonic()
        self._limit = greeting.limit
        self._presence.is_risky(greeting.risk)
        if self._clock is None:
            self._presence.is_there(greeting.now_us, greeting.started_us)
        else:
            self._presence.is_there(self._clock(), 0)
        self._outage_end_us = self._presence.outage_end_us

    def _note_refusal(self, error: DBAPIError) -> None:
        trouble = self._trouble(error)
        if trouble is Trouble.FULL:
            self._presence.reached = True
        if trouble is Trouble.LOST:
            patience_s = self._patience_s()
            # A first look that is soon over needs no line in the log: its error says the same.
            self._presence.is_away(self._words(error), patience_s if patience_s > self._wait_s else 0)

    def _words(self, error: DBAPIError) -> str:
        """Return what the driver said, in one line, without the password."""
        return self.address.without_password(" ".join(str(error.orig).split()))

    def _check(self) -> None:
        pass  # a server says so itself when a database is gone

    def _cut(self) -> None:
        """Break off a statement; its thread gets an error that says that the connection is lost."""
        with suppress(Exception):  # it may go by itself at this very moment
            number = self._socket_number()
            if number >= 0:
                with socket.socket(fileno=os.dup(number)) as copy:
                    copy.shutdown(socket.SHUT_RDWR)

    def _give_back_idle(self) -> bool:
        if not self._lock.acquire(blocking=False):
            return False  # a transaction begins at this moment
        try:
            self._give_back()
        finally:
            self._lock.release()
        return True

    def _give_back(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._raw = None

    # transactions -------------------------------------------------------------------------------------

    def _begin(self, connection: Connection, *, write: bool, durable: bool) -> ServerTransaction:
        connection.begin()
        return ServerTransaction(
            self, connection, self._cache, writes=write, outage_end_us=self._outage_end_us
        )

    def exchange(self, message: Sequence[Part]) -> list[Sequence[tuple[Any, ...]]]:
        """Run statements in one message, and return what each query among them found."""
        self._guard.asks()
        found = self._talk(message)
        self._guard.answered()
        return found

    def moment(self, now_us: int) -> int:
        """Take note of what the server's clock said, and return the time that counts."""
        self._seen_us, self._seen_at = int(now_us), time.monotonic()
        return self._seen_us if self._clock is None else self._clock()

    def estimate_us(self) -> int | None:
        """Return a moment that the server's clock has hardly reached; None if nothing is known of it."""
        if self._clock is not None:
            return self._clock()
        if not self._seen_us:
            return None
        return self._seen_us + int((time.monotonic() - self._seen_at + _CLOCK_MARGIN_S) * 1e6)

    def _commit(self, connection: Connection, transaction: Transaction) -> None:
        assert isinstance(transaction, ServerTransaction)
        self._ending = transaction
        super()._commit(connection, transaction)
        if transaction.writes and self._room.is_there():
            # No worker could renew its lease meanwhile.
            self._outage_end_us = self._presence.outage_end_us = transaction.about_us

    def _send_commit(self, raw: Any) -> None:
        """Commit in the place of SQLAlchemy, together with the writes that could wait."""
        ending, self._ending = self._ending, None
        if ending is None:
            raw.commit()
        else:
            ending.commit()

    def _attempt(self, work: Callable[[Transaction], T], call: Call) -> T:
        try:
            result = super()._attempt(work, call)
        except DBAPIError as error:
            if self._trouble(error) is Trouble.LOST:
                self._note_lost()
            raise
        finally:
            self._guard.used()
        self._look_around()
        return result

    def _note_lost(self) -> None:
        self._presence.lost(self._guard.asked_at or time.monotonic())
        self._drop()

    def _drop(self) -> None:
        super()._drop()
        self._raw = None

    def _look_around(self) -> None:
        """Where the server is nearly full, use a connection for a moment only: others wait for one."""
        now = time.monotonic()
        if now - self._counted_at > _COUNT_EVERY_S:
            self._counted_at = now
            self._guard.asks()
            try:
                self._crowded = self._count_connections() >= self._limit - max(1, self._limit // 20)
            except DBAPIError:
                self._note_lost()  # what was to be done is done; the next call connects again
            finally:
                self._guard.used()
        if self._crowded and now - self._opened_at > _TURN_S:
            self._give_back()
            self._let_others = True

    # trying again -------------------------------------------------------------------------------------

    def _patience_s(self) -> float:
        return self._timeout_s if self._presence.reached else min(self._wait_s, self._timeout_s)

    def _patiently(self, attempt: Callable[[], T]) -> T:
        began = time.monotonic()
        pause = _FIRST_PAUSE_S
        duplicates = 0
        while True:
            try:
                return attempt()
            except DBAPIError as error:
                trouble = self._trouble(error)
                duplicates += trouble is Trouble.DUPLICATE
                if trouble is Trouble.NO_ROOM and self._room.lacks(self._words(error)):
                    time.sleep(random.uniform(0, _LONGEST_PAUSE_S))
                    continue
                if trouble in (Trouble.FINAL, Trouble.NO_ROOM) or duplicates > _DUPLICATES:
                    raise final_error(self.url, self._meaning(error), self._words(error)) from error
                waited_s = time.monotonic() - began
                if waited_s >= self._patience_s():
                    raise gave_up(self.url, trouble, self._patience_s(), self._words(error)) from error
            # Full jitter, so that waiting processes do not come back in step.
            if trouble is Trouble.FULL:
                # Who has waited for long asks more often, and so comes before who has just begun.
                time.sleep(random.uniform(0, max(_SHORTEST_QUEUE_S, _LONGEST_PAUSE_S / (1 + waited_s / 5))))
            else:
                time.sleep(random.uniform(0, pause))
                pause = min(2 * pause, _LONGEST_PAUSE_S)

    # the life of the connection -----------------------------------------------------------------------

    def close(self) -> None:
        """Close the connection of this process."""
        with self._lock:
            self._closed = True
            self._give_back()

    def _after_fork(self) -> None:
        """Let go of the parent's connection without a word to the server."""
        number = self._socket_number() if self._raw is not None else -1
        super()._after_fork()
        if number >= 0:
            # A child that outlives its parent would keep the parent's locks alive with this socket.
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, number, inheritable=False)
            os.close(nowhere)
        self._forget()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"


def _check_times(**seconds: float) -> None:
    for name, value in seconds.items():
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < float("inf"):
            raise InputError(f"expected {name} as a number of seconds, got {value!r}.", code="E_DB_URL")
    for name in ("silence_s", "idle_s"):
        if seconds[name] <= 0:
            raise InputError(f"expected {name} above 0, got {seconds[name]:g}.", code="E_DB_URL")


_servers: weakref.WeakSet[ServerDatabase] = weakref.WeakSet()


@atexit.register
def _say_goodbye() -> None:
    """Close what is still open when the process ends, so that servers need not find out by themselves."""
    for database in list(_servers):
        database._give_back_idle()
