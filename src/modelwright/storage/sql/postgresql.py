"""PostgreSQL, by psycopg 3."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy.exc import DataError, DBAPIError

from modelwright._base.optional import require
from modelwright.errors import MissingDependencyError
from modelwright.storage.sql import schema, server
from modelwright.storage.sql.address import ServerAddress
from modelwright.storage.sql.engine import Transaction
from modelwright.storage.sql.phrases import Part, Phrase
from modelwright.storage.sql.server import Greeting, ServerDatabase
from modelwright.storage.sql.trouble import Trouble

if TYPE_CHECKING:
    import psycopg

__all__ = ["PostgreSQLDatabase"]

_CLOCK = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_CLOCK_QUERY: Part = (Phrase(f"SELECT {_CLOCK}", columns=["now_us"]), {})
_BEGIN_WRITE: Sequence[Part] = [(Phrase("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"), {})]
_BEGIN_READ: Sequence[Part] = [(Phrase("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"), {})]
_LOOK_AT_TRIALS: Sequence[Part] = [(Phrase(f"ANALYZE (SKIP_LOCKED) {schema.trials.name}"), {})]
_READ_ON: Part = (Phrase(f"SET LOCAL idle_in_transaction_session_timeout = '{server.READING_S}s'"), {})
_GREET = f"""
SET lock_timeout = '{server.LOCK_S}s';
SET statement_timeout = '{server.STATEMENT_S}s';
SET idle_in_transaction_session_timeout = '{server.IDLE_IN_TRANSACTION_S}s';
SET timezone = 'UTC';
SET client_min_messages = warning;
SELECT {_CLOCK}, (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint,
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
       current_setting('synchronous_commit'), current_setting('fsync'), current_setting('full_page_writes')
"""
_COUNT = "SELECT sum(numbackends)::int FROM pg_stat_database"
_SCHEMA_LOCK = 6_471_130_958  # any number, if all versions of this program use the same

_LOST = ("57P01", "57P02", "57P03", "57P05", "25P03")
_BUSY = ("40001", "40003", "40P01", "55P03", "57014")
_FULL = "53300"
_NO_ROOM = "53100"
_DUPLICATE = "23505"
_CODES = {
    "28": "E_DB_AUTH",
    "42501": "E_DB_AUTH",
    "3D000": "E_DB_CONNECT",
    _NO_ROOM: "E_DB_FULL",
    "25006": "E_DB_READONLY",
    "58": "E_DB_IO",
    "XX001": "E_DB_CORRUPT",
    "XX002": "E_DB_CORRUPT",
    "42P01": "E_SCHEMA",
    "42703": "E_SCHEMA",
    "22001": "E_DB_TOO_LARGE",
    "54": "E_DB_TOO_LARGE",
}
# A refused connection has no SQLSTATE: the library hands on only the text. A text in another language counts
# as an outage, which ends with the same text after a while.
_NO_CONNECTION = ("too many clients", "connection slots are reserved", "too many connections")
_NOT_LET_IN = (
    "authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "is not permitted to log in",
    "permission denied",
)
_NOT_THERE = (
    "does not support SSL",
    "certificate verify failed",
    "SSL error",
    "root certificate file",
    "invalid sslmode",
    "is not currently accepting connections",
)


class PostgreSQLDatabase(ServerDatabase):
    """A ledger in PostgreSQL 12 or newer; parameters as in `ServerDatabase`.

    What the address leaves out comes from the usual places, such as ``PGPASSWORD`` and ``~/.pgpass``.
    """

    clock = _CLOCK_QUERY
    _dialect = "postgresql+psycopg"
    _raw: psycopg.Connection[Any] | None

    def __init__(self, address: ServerAddress, **options: Any) -> None:
        _require_driver()
        super().__init__(address, **options)

    def _open(self) -> psycopg.Connection[Any]:
        import psycopg

        address = self.address
        parts = {
            "host": address.host,
            "port": address.port,
            "user": address.user,
            "password": address.password,
            "dbname": address.database,
            **address.options,
        }
        self._raw = psycopg.connect(
            **{name: value for name, value in parts.items() if value},  # type: ignore[arg-type]
            connect_timeout=server.CONNECT_S,
            application_name="modelwright",
            client_encoding="utf8",
            autocommit=True,  # `beginning` begins, so that a transaction costs no round trip more
        )
        return self._raw

    def _query(self, text: str) -> tuple[Any, ...]:
        import psycopg

        assert self._raw is not None
        try:
            with self._raw.cursor() as cursor:
                cursor.execute(text.encode(), prepare=False)
                while cursor.nextset():
                    pass
                row = cursor.fetchone()
        except psycopg.Error as error:
            raise DBAPIError(text, None, error) from error
        return row or ()

    def _talk(self, message: Sequence[Part]) -> list[Sequence[tuple[Any, ...]]]:
        import psycopg

        assert self._raw is not None
        found: list[psycopg.Cursor[Any]] = []
        failed: psycopg.Error | None = None
        try:
            with self._raw.pipeline() as pipeline, self._raw.cursor() as unheard:
                pipeline._communicate_gen = _wait  # type: ignore[method-assign, assignment]
                pipeline._exit_gen = partial(_end, pipeline)  # type: ignore[method-assign]
                try:
                    for phrase, values in message:
                        cursor = self._raw.cursor() if phrase.finds else unheard
                        # What has no values is not worth a prepared statement, and seldom may be one.
                        cursor.execute(phrase.encoded, values or None, prepare=None if values else False)
                        if phrase.finds:
                            found.append(cursor)
                except psycopg.Error as error:
                    failed = error  # a pipeline that is left by an error writes to the log
        except psycopg.Error as error:
            failed = failed or error
        if failed is not None:
            raise DBAPIError.instance(message[-1][0].text, None, failed, psycopg.Error) from failed
        return [cursor.fetchall() for cursor in found]

    def beginning(self, *, write: bool, ends: bool) -> Sequence[Part]:
        """Return the statements that begin a transaction."""
        if write:
            return _BEGIN_WRITE
        return _BEGIN_READ if ends else [*_BEGIN_READ, _READ_ON]

    def looking(self) -> Sequence[Part]:
        """Return the statements by which the server learns how its tables have grown.

        By itself it takes a minute. Until then its plans are those for an empty table, where any index is as
        good as another: they read all trials of a study to find one.
        """
        return _LOOK_AT_TRIALS

    def _greet(self) -> Greeting:
        now_us, started_us, limit, commits, fsync, pages = self._query(_GREET)
        settings = {"synchronous_commit": commits, "fsync": fsync, "full_page_writes": pages}
        risks = [f"{name} is off" for name, value in settings.items() if value == "off"]
        return Greeting(now_us, started_us, limit, " and ".join(risks))

    def _count_connections(self) -> int:
        return int(self._query(_COUNT)[0])

    def _socket_number(self) -> int:
        raw = self._raw
        return -1 if raw is None or raw.closed else raw.fileno()

    @contextmanager
    def _schema_lock(self, tx: Transaction) -> Iterator[None]:
        tx.run(text(f"SELECT pg_advisory_xact_lock({_SCHEMA_LOCK})"))  # kept until the transaction ends
        tx.run(text("SET LOCAL statement_timeout = 0"))
        yield

    def _trouble(self, error: DBAPIError) -> Trouble:
        state = getattr(error.orig, "sqlstate", None)
        if state is None:
            return _trouble_without_state(error.orig)
        if state in _LOST or state.startswith("08"):
            return Trouble.LOST
        if state == _FULL:
            return Trouble.FULL
        if state in _BUSY:
            return Trouble.BUSY
        if state == _NO_ROOM:
            return Trouble.NO_ROOM
        return Trouble.DUPLICATE if state == _DUPLICATE else Trouble.FINAL

    def _meaning(self, error: DBAPIError) -> str:
        state = getattr(error.orig, "sqlstate", None)
        if state is not None:
            return _CODES.get(state, _CODES.get(state[:2], ""))
        if isinstance(error, DataError):  # the driver refuses a value, such as text with a NUL in it
            return ""
        said = str(error.orig)
        if any(words in said for words in _NOT_LET_IN) or _is_unknown(said, "role"):
            return "E_DB_AUTH"
        return "E_DB_CONNECT"


def _wait() -> Iterator[Any]:
    """Leave a statement for `_end` to send.

    The library sends each by itself, and the server wakes up for each.
    """
    return iter(())


def _end(pipeline: psycopg.Pipeline) -> Generator[Any, Any, None]:
    """Send all statements of a pipeline, and its Sync, together; then read the answers.

    The library mostly sends a Flush behind the Sync. That is work to the server (seen with version 15), and
    ends the time for which a session may idle in a transaction: who freezes would keep its locks for ever.
    """
    from psycopg.generators import send

    pipeline._enqueue_sync()
    while pipeline.command_queue:
        pipeline.command_queue.popleft()()
    yield from send(pipeline.pgconn)
    yield from pipeline._fetch_gen(flush=False)


def _trouble_without_state(error: BaseException | None) -> Trouble:
    import psycopg

    if not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return Trouble.FINAL
    said = str(error)
    if any(words in said for words in _NO_CONNECTION):
        return Trouble.FULL
    if any(words in said for words in (*_NOT_LET_IN, *_NOT_THERE)):
        return Trouble.FINAL
    return Trouble.FINAL if _is_unknown(said, "role") or _is_unknown(said, "database") else Trouble.LOST


def _is_unknown(said: str, what: str) -> bool:
    return f'{what} "' in said and "does not exist" in said


def _require_driver() -> None:
    try:
        require("psycopg", extra="postgresql", feature="a storage at postgresql://")
    except MissingDependencyError:
        raise
    except ImportError as error:  # the package is there, but no libpq that it could use
        raise MissingDependencyError(
            f"a storage at postgresql:// needs the library 'psycopg', which cannot be loaded: {error}.",
            hint='Install it with: pip install "modelwright[postgresql]"',
        ) from error
