"""The contract on MariaDB or MySQL, and what is their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from modelwright.errors import SchemaError
from modelwright.storage import SQLStorage
from modelwright.storage.sql import MySQLDatabase, ServerAddress, Transaction, schema
from modelwright.storage.sql.mysql import _check_server
from modelwright.storage.sql.trouble import Trouble, final_error
from modelwright.testing.storage import ManualClock, StorageContract


def connect(url: str, **options: object) -> MySQLDatabase:
    return MySQLDatabase(ServerAddress.parse(url, "mysql", ()), **options)


def empty(tx: Transaction) -> None:
    """Forget all rows but the version."""
    for table in reversed(schema.metadata.sorted_tables):
        if table is not schema.version:
            tx.run(text(f"DELETE FROM {table.name}"))


@pytest.fixture(scope="module")
def shared(new_database: Callable[[str], str]) -> Iterator[MySQLDatabase]:
    """Return a database whose clock a test may replace."""
    url = new_database("mysql")
    connect(url).close()
    database = connect(url, clock=lambda: 0)
    yield database
    database.close()


class TestMySQLStorage(StorageContract):
    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def storage(self, clock: ManualClock, shared: MySQLDatabase) -> SQLStorage:
        shared.write(empty)
        shared._clock = lambda: clock.us
        return SQLStorage(shared)


@pytest.mark.parametrize(
    ("number", "trouble", "code"),
    [
        (1205, Trouble.BUSY, None),
        (1213, Trouble.BUSY, None),
        (1969, Trouble.BUSY, None),
        (0, Trouble.LOST, None),
        (1053, Trouble.LOST, None),
        (2002, Trouble.LOST, None),
        (2003, Trouble.LOST, None),
        (2006, Trouble.LOST, None),
        (2013, Trouble.LOST, None),
        (1927, Trouble.LOST, None),
        (1040, Trouble.FULL, None),
        (1203, Trouble.FULL, None),
        (1062, Trouble.DUPLICATE, None),
        (1045, Trouble.FINAL, "E_DB_AUTH"),
        (1142, Trouble.FINAL, "E_DB_AUTH"),
        (1049, Trouble.FINAL, "E_DB_CONNECT"),
        (3159, Trouble.FINAL, "E_DB_CONNECT"),
        (1021, Trouble.NO_ROOM, "E_DB_FULL"),
        (1290, Trouble.FINAL, "E_DB_READONLY"),
        (1146, Trouble.FINAL, "E_SCHEMA"),
        (1153, Trouble.FINAL, "E_DB_TOO_LARGE"),
        (1064, Trouble.FINAL, ""),
        (1264, Trouble.FINAL, ""),
    ],
)
def test_errors_are_told_apart(
    shared: MySQLDatabase, number: int, trouble: Trouble, code: str | None
) -> None:
    import pymysql

    wrapped = DBAPIError("SELECT 1", None, pymysql.err.OperationalError(number, "words of the server"))
    assert shared._trouble(wrapped) is trouble
    if code is not None:
        assert shared._meaning(wrapped) == code
        told = final_error(shared.url, code, "words")
        assert told.code == (code or "E_DB")
        assert shared.url in str(told)


def test_the_session_is_set_up(shared: MySQLDatabase) -> None:
    def settings(tx: Transaction) -> list[Any]:
        names = "@@innodb_lock_wait_timeout, @@wait_timeout, @@time_zone, @@character_set_client"
        row = tx.connection.exec_driver_sql(f"SELECT {names}, @@default_storage_engine").one()
        return list(row)

    assert shared.write(settings) == [10, 20, "+00:00", "utf8mb4", "InnoDB"]
    assert shared.read(settings) == [10, 600, "+00:00", "utf8mb4", "InnoDB"]


def test_tables_compare_text_to_the_letter(shared: MySQLDatabase) -> None:
    query = """
    SELECT DISTINCT engine, table_collation FROM information_schema.tables
    WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'"""
    assert shared.read(lambda tx: tx.all(text(query))) == [("InnoDB", "utf8mb4_bin")]


@pytest.mark.parametrize(
    ("kind", "version", "fits"),
    [
        ("MariaDB", "5.5.5-10.11.19-MariaDB-0+deb12u1", True),
        ("MariaDB", "11.8.2-MariaDB", True),
        ("MariaDB", "5.5.5-10.5.9-MariaDB", False),
        ("MySQL", "8.0.36", True),
        ("MySQL", "5.7.44-log", False),
        ("MySQL", "no number", True),
    ],
)
def test_servers_that_are_too_old_are_named(kind: str, version: str, fits: bool) -> None:
    if fits:
        _check_server(kind, version, "mysql://host/db")
        return
    with pytest.raises(SchemaError, match="or newer is needed") as caught:
        _check_server(kind, version, "mysql://host/db")
    assert caught.value.code == "E_DB_SERVER"
