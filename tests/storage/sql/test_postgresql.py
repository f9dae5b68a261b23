"""The contract on PostgreSQL, and what is PostgreSQL's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from modelwright.storage import Claim, SQLStorage
from modelwright.storage.sql import PostgreSQLDatabase, ServerAddress, Transaction, reading, schema
from modelwright.storage.sql.trouble import Trouble, final_error
from modelwright.testing.storage import ManualClock, StorageContract, complete, make_spec

_STUDIES = select(schema.studies.c.id)


def connect(url: str, **options: object) -> PostgreSQLDatabase:
    return PostgreSQLDatabase(ServerAddress.parse(url, "postgresql", ()), **options)


def empty(tx: Transaction) -> None:
    """Forget all rows but the version; for a few rows this is a lot faster than TRUNCATE."""
    for table in reversed(schema.metadata.sorted_tables):
        if table is not schema.version:
            tx.run(text(f"DELETE FROM {table.name}"))


@pytest.fixture(scope="module")
def shared(new_database: Callable[[str], str]) -> Iterator[PostgreSQLDatabase]:
    """Return a database whose clock a test may replace."""
    url = new_database("postgresql")
    database = connect(url, clock=lambda: 0)
    # Whether commits survive a power failure is not what is tested here.
    alter = f"ALTER DATABASE {database.address.database} SET synchronous_commit = off"
    database.write(lambda tx: tx.run(text(alter)))
    database._give_back()
    yield database
    database.close()


class TestPostgreSQLStorage(StorageContract):
    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def storage(self, clock: ManualClock, shared: PostgreSQLDatabase) -> SQLStorage:
        shared.write(empty)
        shared._clock = lambda: clock.us
        return SQLStorage(shared)


def with_state(state: str) -> Any:
    import psycopg

    return psycopg.errors.lookup(state)("words of the server")


def refused(words: str) -> Any:
    """Return the error of a connection that does not come about: it has no SQLSTATE."""
    import psycopg

    return psycopg.OperationalError(f'connection to server at "127.0.0.1", port 5432 failed: {words}')


@pytest.mark.parametrize(
    ("error", "trouble", "code"),
    [
        (with_state("40001"), Trouble.BUSY, None),
        (with_state("40P01"), Trouble.BUSY, None),
        (with_state("55P03"), Trouble.BUSY, None),
        (with_state("57014"), Trouble.BUSY, None),
        (with_state("57P01"), Trouble.LOST, None),
        (with_state("57P03"), Trouble.LOST, None),
        (with_state("25P03"), Trouble.LOST, None),
        (with_state("08006"), Trouble.LOST, None),
        (with_state("53300"), Trouble.FULL, None),
        (with_state("23505"), Trouble.DUPLICATE, None),
        (with_state("53100"), Trouble.NO_ROOM, "E_DB_FULL"),
        (with_state("25006"), Trouble.FINAL, "E_DB_READONLY"),
        (with_state("42501"), Trouble.FINAL, "E_DB_AUTH"),
        (with_state("28P01"), Trouble.FINAL, "E_DB_AUTH"),
        (with_state("3D000"), Trouble.FINAL, "E_DB_CONNECT"),
        (with_state("42P01"), Trouble.FINAL, "E_SCHEMA"),
        (with_state("58030"), Trouble.FINAL, "E_DB_IO"),
        (with_state("XX001"), Trouble.FINAL, "E_DB_CORRUPT"),
        (with_state("22003"), Trouble.FINAL, ""),
        (with_state("42601"), Trouble.FINAL, ""),
        (refused("Connection refused"), Trouble.LOST, None),
        (refused("FATAL:  the database system is starting up"), Trouble.LOST, None),
        (refused("FATAL:  sorry, too many clients already"), Trouble.FULL, None),
        (refused('FATAL:  password authentication failed for user "me"'), Trouble.FINAL, "E_DB_AUTH"),
        (refused('FATAL:  role "me" does not exist'), Trouble.FINAL, "E_DB_AUTH"),
        (refused('FATAL:  no pg_hba.conf entry for host "h", no encryption'), Trouble.FINAL, "E_DB_AUTH"),
        (refused('FATAL:  database "d" does not exist'), Trouble.FINAL, "E_DB_CONNECT"),
        (refused("server does not support SSL, but SSL was required"), Trouble.FINAL, "E_DB_CONNECT"),
    ],
    ids=str,
)
def test_errors_are_told_apart(
    shared: PostgreSQLDatabase, error: Any, trouble: Trouble, code: str | None
) -> None:
    wrapped = DBAPIError("SELECT 1", None, error)
    assert shared._trouble(wrapped) is trouble
    if code is not None:
        assert shared._meaning(wrapped) == code
        told = final_error(shared.url, code, "words")
        assert told.code == (code or "E_DB")
        assert shared.url in str(told)


def test_the_session_is_set_up(shared: PostgreSQLDatabase) -> None:
    def settings(tx: Transaction) -> list[Any]:
        names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout", "TimeZone")
        more = ("transaction_isolation", "application_name")
        return [tx.connection.exec_driver_sql(f"SHOW {name}").scalar() for name in (*names, *more)]

    expected = ["10s", "28s", "20s", "UTC", "read committed", "modelwright"]
    assert shared.write(settings) == expected
    expected[2], expected[4] = "10min", "repeatable read"
    assert shared.read(settings) == expected


def test_a_message_ends_with_its_sync(shared: PostgreSQLDatabase, tmp_path: Path) -> None:
    """Of anything behind it the server would think that the session is at work, however long it is frozen."""
    shared.read(lambda tx: tx.all(_STUDIES))
    with (tmp_path / "trace.txt").open("w") as trace:
        shared._raw.pgconn.trace(trace.fileno())
        for _ in range(20):
            shared.write(lambda tx: tx.all(_STUDIES))
        shared._raw.pgconn.untrace()
    sent = [line.split()[4] for line in (tmp_path / "trace.txt").read_text().splitlines() if "\tF\t" in line]
    assert sent.count("Sync") == 40  # the questions, and the commit
    assert "Flush" not in sent


def rows_read(tx: Transaction, study_id: int) -> int:
    """Return how many rows of trials the server reads to find one of them."""
    read = text("SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'trials'")
    before = int(tx.run(read).scalar_one())
    reading.trial(tx, study_id, 0)
    return int(tx.run(read).scalar_one()) - before


def test_to_find_a_trial_a_young_study_is_not_read_whole(new_database: Callable[[str], str]) -> None:
    """Of new tables the server knows nothing for a minute, and of a new study in them for longer."""
    with closing(SQLStorage(connect(new_database("postgresql")))) as storage:
        for name in ("first", "second"):
            study = storage.create_study(make_spec(name))
            for number in range(450):
                claim = storage.claim(study.id, "w", f"{name}-{number}", 60)
                assert isinstance(claim, Claim)
                storage.finish(claim, complete(), f"{name}-{number}")
                if number < 20:  # so that it has plans from when the study was small
                    storage._db.read(rows_read, study.id)
            assert storage._db.read(rows_read, study.id) <= 2
