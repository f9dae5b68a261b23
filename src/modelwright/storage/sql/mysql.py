"""MariaDB and MySQL, by PyMySQL."""

from __future__ import annotations

import hashlib
import os
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from modelwright._base.optional import require
from modelwright.errors import MissingDependencyError, SchemaError, StorageUnavailableError
from modelwright.storage.sql import server
from modelwright.storage.sql.address import ServerAddress
from modelwright.storage.sql.engine import Transaction
from modelwright.storage.sql.phrases import Part, Phrase
from modelwright.storage.sql.server import Greeting, ServerDatabase
from modelwright.storage.sql.trouble import Trouble

if TYPE_CHECKING:
    import pymysql

__all__ = ["MySQLDatabase"]

_CLOCK = "CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED)"
_CLOCK_QUERY: Part = (Phrase(f"SELECT {_CLOCK}", columns=["now_us"]), {})
_BEGIN_WRITE: Sequence[Part] = [(Phrase("START TRANSACTION READ WRITE"), {})]
_BEGIN_READ: Sequence[Part] = [
    (Phrase("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"), {}),
    (Phrase("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"), {}),
]
_GREET = f"""
SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;
SET SESSION innodb_lock_wait_timeout = {server.LOCK_S}, lock_wait_timeout = {server.LOCK_S},
            time_zone = '+00:00', default_storage_engine = InnoDB,
            sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO';
SET SESSION {{statement_limit}};
SELECT {_CLOCK}, @@max_connections, @@innodb_flush_log_at_trx_commit, @@log_bin, @@sync_binlog
"""
_LIMIT = {
    "MariaDB": f"max_statement_time = {server.STATEMENT_S}",
    "MySQL": f"max_execution_time = {1000 * server.STATEMENT_S}",  # of queries only
}
_UPTIME = "SHOW GLOBAL STATUS LIKE 'Uptime'"
_COUNT = "SHOW GLOBAL STATUS LIKE 'Threads_connected'"
_LOCK_S = 5  # for the lock of the schema at a time; less than our patience with a silent statement

# By the numbers of errors, the server's from 1000 and the client's from 2000; 0 is a closed connection.
_NO_ROOM = (1021, 1114)
_TROUBLES = {
    **dict.fromkeys((0, 1053, 1079, 1080, 1152, 1158, 1159, 1160, 1161, 1184, 1927), Trouble.LOST),
    **dict.fromkeys((2000, 2001, 2002, 2003, 2005, 2006, 2012, 2013, 2014, 2027, 2055, 4031), Trouble.LOST),
    **dict.fromkeys((1040, 1203, 1226), Trouble.FULL),
    **dict.fromkeys((1020, 1205, 1213, 1317, 1412, 1969, 3024, 3572), Trouble.BUSY),
    **dict.fromkeys(_NO_ROOM, Trouble.NO_ROOM),
    **dict.fromkeys((1062, 1586), Trouble.DUPLICATE),
}
_CODES = {
    **dict.fromkeys((1044, 1045, 1130, 1142, 1143, 1227, 1251, 1370, 1698, 1820, 1862), "E_DB_AUTH"),
    **dict.fromkeys((1049, 1129, 3159), "E_DB_CONNECT"),
    **dict.fromkeys(_NO_ROOM, "E_DB_FULL"),
    **dict.fromkeys((1290, 1792, 1836), "E_DB_READONLY"),
    1030: "E_DB_IO",
    **dict.fromkeys((1034, 1194, 1712), "E_DB_CORRUPT"),
    **dict.fromkeys((1054, 1146), "E_SCHEMA"),
    **dict.fromkeys((1153, 1406), "E_DB_TOO_LARGE"),
}
_OLDEST = {"MariaDB": (10, 6), "MySQL": (8, 0)}  # the first ones that can pass over locked rows


class MySQLDatabase(ServerDatabase):
    """A ledger in MariaDB 10.6 or MySQL 8.0, or newer; parameters as in `ServerDatabase`.

    An address without a password takes that of the environment variable ``MYSQL_PWD``.
    """

    clock = _CLOCK_QUERY
    _dialect = "mysql+pymysql"
    _raw: pymysql.Connection[Any] | None
    _idle_limit_s = 0  # what this connection was told last
    _plain = False  # whether the server is known to talk without TLS only

    def __init__(self, address: ServerAddress, **options: Any) -> None:
        require("pymysql", extra="mysql", feature=f"a storage at {address.scheme}://")
        super().__init__(address, **options)

    def _open(self) -> pymysql.Connection[Any]:
        import pymysql
        from pymysql.constants import CLIENT

        address = self.address
        options = dict(address.options)
        tls: dict[str, Any] = {name: value for name, value in options.items() if name.startswith("ssl_")}
        if "ssl_ca" in tls:
            tls["ssl_verify_cert"] = tls["ssl_verify_identity"] = True
        elif self._plain:
            tls["ssl_disabled"] = True
        self._idle_limit_s = 0
        # The connection is known to the guard before it says its first word.
        try:
            self._raw = pymysql.connect(
                host=address.host or "localhost",
                port=address.port or 3306,
                user=address.user or None,
                password=(address.password or os.environ.get("MYSQL_PWD", "")).encode(),
                database=address.database,
                unix_socket=options.get("unix_socket"),
                charset="utf8mb4",
                autocommit=True,
                connect_timeout=server.CONNECT_S,
                # Found, not changed, rows are what an UPDATE answers with everywhere else.
                client_flag=CLIENT.FOUND_ROWS | CLIENT.MULTI_STATEMENTS,
                program_name="modelwright",
                defer_connect=True,
                **tls,
            )
        except OSError as error:
            raise StorageUnavailableError(
                f"the certificates for {self.url} cannot be used ({error}).",
                hint="Check the files that ssl_ca, ssl_cert and ssl_key in its address name.",
                code="E_DB_CONNECT",
            ) from error
        try:
            self._raw.connect()
        except RuntimeError as error:  # PyMySQL's way to say so
            if "cryptography" not in str(error):
                raise
            raise MissingDependencyError(
                "this server's way to check passwords needs the library 'cryptography'.",
                hint='Install it with: pip install "PyMySQL[rsa]"',
            ) from error
        # Getting ready for TLS takes longer than all the rest, and this server has none.
        self._plain = self._plain or (
            not tls and not isinstance(getattr(self._raw, "_sock", None), ssl.SSLSocket)
        )
        return self._raw

    def _query(self, text: str) -> tuple[Any, ...]:
        import pymysql

        assert self._raw is not None
        try:
            with self._raw.cursor() as cursor:
                cursor.execute(text)
                row = cursor.fetchone()
                while cursor.nextset():
                    row = cursor.fetchone()
        except pymysql.Error as error:
            raise DBAPIError(text, None, error) from error
        return row or ()

    def _talk(self, message: Sequence[Part]) -> list[Sequence[tuple[Any, ...]]]:
        import pymysql

        assert self._raw is not None
        found = []
        try:
            with self._raw.cursor() as cursor:
                texts = [cursor.mogrify(phrase.text, values or None) for phrase, values in message]
                cursor.execute(";".join(texts))
                while True:
                    if cursor.description is not None:
                        found.append(cursor.fetchall())
                    if not cursor.nextset():
                        return found
        except pymysql.Error as error:
            raise DBAPIError.instance(message[-1][0].text, None, error, pymysql.Error) from error

    def beginning(self, *, write: bool, ends: bool) -> Sequence[Part]:
        """Return the statements that begin a transaction."""
        begin = _BEGIN_WRITE if write else _BEGIN_READ
        # The server throws out whoever is idle: also who froze in a transaction, for which MySQL has no
        # setting of its own.
        idle_s = server.IDLE_IN_TRANSACTION_S if write else server.READING_S
        if ends or idle_s == self._idle_limit_s:
            return begin
        self._idle_limit_s = idle_s
        return [(Phrase(f"SET SESSION wait_timeout = {idle_s}"), {}), *begin]

    def _greet(self) -> Greeting:
        assert self._raw is not None
        version = str(self._raw.get_server_info())  # type: ignore[no-untyped-call]
        kind = "MariaDB" if "MariaDB" in version else "MySQL"
        _check_server(kind, version, self.url)
        now_us, most, flush, log_bin, sync = self._query(_GREET.format(statement_limit=_LIMIT[kind]))
        risks = [] if flush == 1 else [f"innodb_flush_log_at_trx_commit is {flush}"]
        if log_bin and sync != 1 and kind == "MySQL":
            risks.append(f"sync_binlog is {sync}")
        _, uptime_s = self._query(_UPTIME)
        return Greeting(now_us, now_us - int(uptime_s) * 1_000_000, most, " and ".join(risks))

    def _count_connections(self) -> int:
        return int(self._query(_COUNT)[1])

    def _socket_number(self) -> int:
        found = getattr(self._raw, "_sock", None)
        return -1 if found is None else int(found.fileno())

    @contextmanager
    def _schema_lock(self, tx: Transaction) -> Iterator[None]:
        """Take a lock of the connection: statements on the schema would end one of the transaction."""
        name = "modelwright-" + hashlib.sha256(self.address.database.encode()).hexdigest()[:40]
        waited_s = 0.0
        while not tx.run(text("SELECT GET_LOCK(:name, :most)"), {"name": name, "most": _LOCK_S}).scalar():
            waited_s += _LOCK_S
            if waited_s >= self._timeout_s:
                raise StorageUnavailableError(
                    f"another process has been building the tables of {self.url} for {waited_s:g} s.",
                    code="E_DB_LOCKED",
                )
        try:
            self._limit_statements(tx, 0)
            yield
        except BaseException:
            self._drop()  # the lock goes with the connection
            raise
        self._limit_statements(tx, server.STATEMENT_S)
        tx.run(text("SELECT RELEASE_LOCK(:name)"), {"name": name})

    def _limit_statements(self, tx: Transaction, seconds: int) -> None:
        if getattr(tx.connection.dialect, "is_mariadb", False):
            tx.connection.exec_driver_sql(f"SET SESSION max_statement_time = {seconds}")

    def _trouble(self, error: DBAPIError) -> Trouble:
        return _TROUBLES.get(_number_of(error), Trouble.FINAL)

    def _meaning(self, error: DBAPIError) -> str:
        return _CODES.get(_number_of(error), "")


def _number_of(error: DBAPIError) -> int:
    arguments = getattr(error.orig, "args", ())
    return arguments[0] if arguments and isinstance(arguments[0], int) else -1


def _check_server(kind: str, version: str, url: str) -> None:
    digits = version.removeprefix("5.5.5-").partition("-")[0].split(".")
    found = tuple(int(part) for part in digits[:2] if part.isdigit())
    if len(found) == 2 and found < _OLDEST[kind]:
        needed = ".".join(map(str, _OLDEST[kind]))
        raise SchemaError(
            f"{url} is {kind} {'.'.join(digits)}, and {needed} or newer is needed.",
            hint="Upgrade the server, or use another storage.",
            code="E_DB_SERVER",
        )
