"""SQLite: one file, any number of processes on one machine.

Write-ahead log; each write takes the write lock at once (``BEGIN IMMEDIATE``), so that it cannot fail
half-way because another one came first. ``synchronous=FULL`` makes a commit wait until the disk has it; it is
set per transaction, since only finished results are worth that.
"""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from modelwright._base.clock import now_us
from modelwright.errors import InputError, SchemaError, StorageError, StorageUnavailableError
from modelwright.storage.sql import migrations, schema
from modelwright.storage.sql.engine import Database, Transaction
from modelwright.storage.sql.filesystems import refuse_network
from modelwright.storage.sql.room import Room

__all__ = ["Durability", "SQLiteDatabase"]

T = TypeVar("T")
Durability = Literal["power", "process"]

# The log is copied into the file when it has grown to 16 MB. SQLite's default, a quarter of that, costs a
# third of the speed.
_LOG_PAGES = 4000
# A trial touches few pages. With more of them held (SQLite's default is 2 MB) it is no quicker.
_CACHE_KB = 500
_ROOM_PAUSE_S = 0.5
_BUSY_MS = 50  # SQLite's own wait cannot be interrupted by Ctrl-C; after it, `Database` waits in Python


class SQLiteDatabase(Database):
    """A ledger in a SQLite file.

    Parameters
    ----------
    path : Path
        The file.
    create : bool
        Whether a file that is not there is created.
    durability : {"power", "process"}
        Whether durable writes wait for the disk.
    timeout_s : float
        How long to wait while another program holds the lock.
    room_s : float
        How long to wait while the disk is full.
    upgrade : bool
        Whether a ledger of an older version is upgraded, after it has been copied.
    clock : callable
        The clock of the leases, in microseconds.
    """

    def __init__(
        self,
        path: Path,
        *,
        create: bool = True,
        durability: Durability = "power",
        timeout_s: float = 30.0,
        room_s: float = 600.0,
        upgrade: bool = True,
        clock: Callable[[], int] = now_us,
    ) -> None:
        if durability not in ("power", "process"):
            raise InputError(f"expected durability='power' or 'process', got {durability!r}.")
        self.path = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() follows links
        super().__init__(f"sqlite:///{self.path}", timeout_s=timeout_s)
        self._clock = clock
        self._room = Room(self.url, room_s)
        self._durability = durability
        self._synchronous = ""
        self._begin_with = "BEGIN"
        self._file: tuple[int, int] | None = None
        self._engine = create_engine("sqlite://", creator=self._open_file, poolclass=NullPool)
        event.listen(self._engine, "begin", lambda connection: connection.exec_driver_sql(self._begin_with))
        self._may_create = self._look_at_path(create)
        try:
            self._prepare(create, upgrade)
        except BaseException:
            self.close()
            raise

    # opening ------------------------------------------------------------------------------------------

    def _look_at_path(self, create: bool) -> bool:
        """Refuse a path that cannot work; return whether the file is to be created."""
        folder = self.path.parent
        if not folder.is_dir():
            raise StorageUnavailableError(
                f"the folder of the ledger, {folder}, does not exist.",
                hint="Create it, or check the path.",
                code="E_DB_PATH",
            )
        refuse_network(self.path)
        if self.path.is_dir():
            raise StorageUnavailableError(
                f"{self.path} is a folder, not a file.", hint="Give a file in it.", code="E_DB_PATH"
            )
        if not self.path.exists():
            if create:
                return True
            raise StorageUnavailableError(
                f"there is no ledger at {self.path}.", hint="Check the path.", code="E_DB_PATH"
            )
        if not os.access(self.path, os.W_OK):
            raise self._read_only()
        return False

    def _prepare(self, create: bool, upgrade: bool) -> None:
        """Look at what the file holds before anything is written to it; then make it a ledger."""
        found = self.read(lambda tx: migrations.found_version(tx.connection, self.url))
        self._may_create = False
        if found is None and not create:
            raise StorageUnavailableError(
                f"{self.path} is empty: it holds no ledger.", hint="Check the path.", code="E_DB_PATH"
            )
        if found not in (None, schema.VERSION):
            if not upgrade:
                raise migrations.too_old(self.url, str(found))
            self.backup = self._patiently(lambda: self._copy(f"backup-{found}"))
        self._patiently(self._use_write_ahead_log)
        if found != schema.VERSION:
            self.write_durably(lambda tx: migrations.prepare(tx.connection, self.url))
            self.upgraded_from = found or ""

    def _use_write_ahead_log(self) -> None:
        if self._execute("PRAGMA journal_mode") != ("wal",):
            self._execute("PRAGMA journal_mode=WAL")

    def _copy(self, ending: str) -> Path:
        """Copy the ledger to a file beside it, whole or not at all; a copy that is there stays."""
        final = self.path.with_name(f"{self.path.name}.{ending}")
        partial = final.with_name(f"{final.name}.{os.getpid()}")
        if final.exists():
            return final
        partial.unlink(missing_ok=True)
        try:
            self._execute("VACUUM INTO ?", str(partial))
            partial.replace(final)
        finally:
            partial.unlink(missing_ok=True)
        return final

    def _execute(self, statement: str, *values: str) -> Any:
        """Execute a statement outside of transactions, and so without SQLAlchemy, which would begin one."""
        assert self._connection is not None
        try:
            return _raw(self._connection).execute(statement, values).fetchone()
        except sqlite3.Error as error:
            raise DBAPIError(statement, None, error) from error

    def _open_file(self) -> sqlite3.Connection:
        mode = "rwc" if self._may_create else "rw"  # a file that vanishes later is never made anew
        raw = sqlite3.connect(
            f"file:{quote(str(self.path))}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=_BUSY_MS / 1000,
        )
        raw.execute("PRAGMA foreign_keys=ON")
        raw.execute(f"PRAGMA wal_autocheckpoint={_LOG_PAGES}")
        return raw

    def _connect(self) -> Connection:
        connection = self._engine.connect()
        self._synchronous = ""
        status = self.path.stat()
        if self._file is not None and self._file != (status.st_dev, status.st_ino):
            connection.close()
            raise self._gone()
        self._file = status.st_dev, status.st_ino
        return connection

    # transactions -------------------------------------------------------------------------------------

    def _check(self) -> None:
        try:
            status = os.stat(self.path)  # noqa: PTH116 - half the time of Path.stat
        except OSError:
            raise self._gone() from None
        if (status.st_dev, status.st_ino) != self._file:
            raise self._gone()

    def _begin(self, connection: Connection, *, write: bool, durable: bool) -> Transaction:
        if write:
            wanted = "FULL" if durable and self._durability == "power" else "NORMAL"
            if not self._synchronous:  # a new connection; to set the cache reads the file, which is a ledger
                self._execute(f"PRAGMA cache_size=-{_CACHE_KB}")
            if wanted != self._synchronous:
                self._execute(f"PRAGMA synchronous={wanted}")
                self._synchronous = wanted
        self._begin_with = "BEGIN IMMEDIATE" if write else "BEGIN"
        connection.begin()
        return Transaction(
            connection, self._cache, writes=write, now_us=self._clock(), outage_end_us=self._outage_end_us
        )

    def _commit(self, connection: Connection, transaction: Transaction) -> None:
        super()._commit(connection, transaction)
        if transaction.writes and self._room.is_there():
            self._outage_end_us = self._clock()  # no worker could renew its lease meanwhile

    def _patiently(self, attempt: Callable[[], T]) -> T:
        """Call `attempt` until it finds neither the file locked nor the disk full."""
        deadline = time.monotonic() + self._timeout_s
        pause = 0.002
        while True:
            try:
                return attempt()
            except DBAPIError as error:
                code = _code_of(error)
                # Who opens the file on a full disk hears of an I/O error.
                full = code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and self._room.lacking)
                if full and self._room.lacks(str(error.orig)):
                    time.sleep(random.uniform(0, _ROOM_PAUSE_S))
                    continue
                if code not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                    raise self._translate(error) from error
                if time.monotonic() >= deadline:
                    raise StorageUnavailableError(
                        f"{self.url} was locked by another program for {self._timeout_s:g} s.",
                        hint="End the program that keeps it locked, and try again.",
                        code="E_DB_LOCKED",
                    ) from error
            # Full jitter, so that waiting processes do not wake in step.
            time.sleep(random.uniform(0, pause))
            pause = min(2 * pause, 0.02)

    # errors -------------------------------------------------------------------------------------------

    def _translate(self, error: DBAPIError) -> StorageError:
        code = _code_of(error)
        if code == sqlite3.SQLITE_READONLY:
            return self._read_only()
        if code == sqlite3.SQLITE_NOTADB:
            return SchemaError(
                f"{self.path} is not a ledger: it is no SQLite database.",
                hint="Give another path.",
                code="E_DB_FOREIGN",
            )
        if code == sqlite3.SQLITE_CANTOPEN and self._file is not None and not self.path.exists():
            return self._gone()
        if code in _MEANING:
            message, hint, name = _MEANING[code]
            return StorageUnavailableError(f"{self.path} {message} ({error.orig}).", hint=hint, code=name)
        return StorageError(f"{self.path} refused a statement: {error.orig}.", code="E_DB")

    def _read_only(self) -> StorageUnavailableError:
        return StorageUnavailableError(
            f"{self.path} cannot be written: the file or its folder is read-only.",
            hint="Change the permissions, or give another path.",
            code="E_DB_READONLY",
        )

    def _gone(self) -> StorageUnavailableError:
        return StorageUnavailableError(
            f"{self.path} was deleted, moved or replaced while it was in use.",
            hint="Put it back, or start again with a new ledger; none is made in its place by itself.",
            code="E_DB_GONE",
        )


_MEANING = {
    sqlite3.SQLITE_FULL: (
        "cannot grow: the disk is full",
        "Make room and run the same command again.",
        "E_DB_FULL",
    ),
    sqlite3.SQLITE_IOERR: ("could not be read or written", "Check the disk.", "E_DB_IO"),
    sqlite3.SQLITE_CORRUPT: ("is damaged", "Restore a copy, or give another path.", "E_DB_CORRUPT"),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", "Check the path and the permissions.", "E_DB_PATH"),
    sqlite3.SQLITE_PERM: ("cannot be opened", "Check the path and the permissions.", "E_DB_PATH"),
}


def _code_of(error: DBAPIError) -> int:
    # The low byte is the kind of error; the rest says more.
    return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF


def _raw(connection: Connection) -> sqlite3.Connection:
    raw = connection.connection.dbapi_connection
    assert isinstance(raw, sqlite3.Connection)
    return raw
