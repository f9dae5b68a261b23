"""What PostgreSQL and MariaDB have in common: opening, schemas, errors in words, connections and locks."""

from __future__ import annotations

import logging
import multiprocessing
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import pytest
from sqlalchemy import Connection, create_engine, event, inspect
from sqlalchemy.exc import DBAPIError

from modelwright.errors import (
    InputError,
    MissingDependencyError,
    SchemaError,
    StorageError,
    StorageUnavailableError,
)
from modelwright.storage import SQLStorage, open_existing, open_storage
from modelwright.storage.sql import migrations, schema
from modelwright.storage.sql.server import ServerDatabase
from modelwright.storage.url import upgrade
from modelwright.testing.storage import make_spec

DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}


@pytest.fixture(params=["postgresql", "mysql"], scope="module")
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def ledger(kind: str, new_database: Callable[[str], str]) -> str:
    """Return the address of a ledger that several tests use: making one takes a while."""
    url = new_database(kind)
    open_storage(url).close()
    return url


@pytest.fixture
def url(kind: str, new_database: Callable[[str], str]) -> str:
    """Return the address of an empty database."""
    return new_database(kind)


def database_of(storage: Any) -> ServerDatabase:
    assert isinstance(storage, SQLStorage)
    assert isinstance(storage._db, ServerDatabase)
    return storage._db


def run_raw(url: str, *statements: str) -> list[Any]:
    """Run statements by a connection of the test's own, and return the rows of the last."""
    engine = create_engine(
        re.sub("^[a-z]+", DRIVERS[urlsplit(url).scheme], url), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        results = [connection.exec_driver_sql(statement) for statement in statements]
        rows = list(results[-1]) if results[-1].returns_rows else []
    engine.dispose()
    return rows


def tables_of(url: str) -> list[str]:
    engine = create_engine(re.sub("^[a-z]+", DRIVERS[urlsplit(url).scheme], url))
    names = inspect(engine).get_table_names()
    engine.dispose()
    return names


def write_version(url: str) -> None:
    """Put the version back that belongs there."""
    statement = f"INSERT INTO modelwright_version VALUES ('{schema.VERSION}')"
    run_raw(url, "DELETE FROM modelwright_version", statement)


# opening ------------------------------------------------------------------------------------------------


def test_an_empty_database_becomes_a_ledger_where_that_is_wanted(url: str) -> None:
    with pytest.raises(StorageUnavailableError, match="holds no ledger") as caught:
        open_existing(url)
    assert caught.value.code == "E_DB_PATH"
    assert tables_of(url) == []
    storage = open_storage(url)
    study = storage.create_study(make_spec())
    storage.close()
    again = open_existing(url)
    assert again.studies() == [study]
    again.close()
    with pytest.raises(StorageUnavailableError, match="closed"):
        again.studies()


def test_b39_somebody_elses_database_is_left_alone(url: str) -> None:
    run_raw(url, "CREATE TABLE customers (id INTEGER)")
    with pytest.raises(SchemaError, match="customers") as caught:
        open_storage(url)
    assert caught.value.code == "E_DB_FOREIGN"
    assert tables_of(url) == ["customers"]


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("UPDATE modelwright_version SET version_num = '0999'", "E_SCHEMA_NEWER"),
        ("UPDATE modelwright_version SET version_num = '0001'", "E_SCHEMA_OLDER"),
        ("UPDATE modelwright_version SET version_num = 'odd'", "E_SCHEMA"),
        ("DELETE FROM modelwright_version", "E_SCHEMA"),
    ],
)
def test_b39_f38_other_versions_are_refused(ledger: str, statement: str, code: str) -> None:
    run_raw(ledger, statement)
    before = run_raw(ledger, "SELECT * FROM modelwright_version")
    with pytest.raises(SchemaError) as caught:
        open_storage(ledger)
    assert caught.value.code == code
    assert run_raw(ledger, "SELECT * FROM modelwright_version") == before
    if code == "E_SCHEMA_OLDER":
        assert "modelwright studies upgrade" in str(caught.value)
    write_version(ledger)


def test_f38_a_process_that_runs_notices_an_upgrade(ledger: str) -> None:
    storage = open_storage(ledger)
    run_raw(ledger, "UPDATE modelwright_version SET version_num = '0999'")
    database_of(storage)._give_back()
    with pytest.raises(SchemaError) as caught:
        storage.studies()
    assert caught.value.code == "E_SCHEMA_NEWER"
    storage.close()
    write_version(ledger)


# addresses and errors -----------------------------------------------------------------------------------


def with_parts(url: str, user: str = "", password: str = "", host: str = "", port: int | None = None) -> str:
    parts = urlsplit(url)
    name = quote(user or parts.username or "", safe="")
    secret = f":{quote(password, safe='')}" if password else ""
    place = f"{host or parts.hostname}:{port or parts.port}"
    return urlunsplit(parts._replace(netloc=f"{name}{secret}@{place}"))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"user": "nobody-of-that-name", "password": "s3cret"}, "E_DB_AUTH"),
        ({"port": 1, "password": "s3cret"}, "E_DB_CONNECT"),
        ({"host": "no-such-host.invalid", "password": "s3cret"}, "E_DB_CONNECT"),
    ],
    ids=["user", "port", "host"],
)
def test_b35_wrong_parts_are_told(ledger: str, change: dict[str, Any], code: str) -> None:
    began = time.monotonic()
    with pytest.raises(StorageUnavailableError) as caught:
        open_storage(with_parts(ledger, **change), wait_s=0.1)
    assert caught.value.code == code
    assert caught.value.hint
    assert time.monotonic() - began < 30
    error: BaseException | None = caught.value
    while error is not None:
        assert "s3cret" not in f"{error!s} {error!r}"
        error = error.__cause__ or error.__context__


def test_b35_a_database_that_is_not_there(ledger: str) -> None:
    with pytest.raises(StorageUnavailableError, match="no_such_database") as caught:
        open_storage(urlunsplit(urlsplit(ledger)._replace(path="/no_such_database")))
    assert caught.value.code == "E_DB_CONNECT"


def test_b35_tls_that_the_server_does_not_have(ledger: str) -> None:
    option = "sslmode=require" if ledger.startswith("postgresql") else "ssl_ca=/no/such/file"
    with pytest.raises(StorageError) as caught:
        open_storage(f"{ledger}?{option}", wait_s=0.1)
    assert caught.value.code == "E_DB_CONNECT"


def test_b36_passwords_with_odd_characters(kind: str, ledger: str, caplog: pytest.LogCaptureFixture) -> None:
    password = "p@s:s/w%rd?#ü 漢"
    name = urlsplit(ledger).path[1:]
    literal = password.replace("%", "%%")
    if kind == "postgresql":
        statements = [f"CREATE ROLE {name} LOGIN SUPERUSER PASSWORD '{literal}'"]
        drop = f"DROP ROLE {name}"
    else:
        statements = [
            f"CREATE USER {name}@'%%' IDENTIFIED BY '{literal}'",
            f"GRANT ALL ON {name}.* TO {name}@'%%'",
        ]
        drop = f"DROP USER {name}@'%%'"
    run_raw(ledger, *statements)
    try:
        storage = open_storage(with_parts(ledger, user=name, password=password))
        shown = f"{storage.url} {database_of(storage)!r} {database_of(storage).address!r} {caplog.text}"
        assert password not in shown
        assert quote(password, safe="") not in shown
        assert storage.url == with_parts(ledger, user=name)
        storage.close()
        if kind == "mysql":  # the test's PostgreSQL may trust everybody
            with pytest.raises(StorageUnavailableError) as caught:
                open_storage(with_parts(ledger, user=name, password=password + "x"))
            assert caught.value.code == "E_DB_AUTH"
    finally:
        if kind == "postgresql":
            run_raw(ledger, f"REASSIGN OWNED BY {name} TO CURRENT_USER")
        run_raw(ledger, drop)


def test_b34_a_missing_driver_is_named(ledger: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    monkeypatch.setitem(__import__("sys").modules, "pymysql", None)
    with pytest.raises(MissingDependencyError, match="pip install"):
        open_storage(ledger)


@pytest.mark.parametrize("option", [{"timeout_s": -1}, {"silence_s": 0}, {"idle_s": "2"}, {"wait_s": True}])
def test_options_are_checked(ledger: str, option: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(option))):
        open_storage(ledger, **option)


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)  # elsewhere it is the whole server's
def test_durability_that_is_off_is_told_once(ledger: str, caplog: pytest.LogCaptureFixture) -> None:
    alter = f"ALTER DATABASE {urlsplit(ledger).path[1:]}"
    run_raw(ledger, f"{alter} SET synchronous_commit = off")
    with caplog.at_level(logging.WARNING, "modelwright"):
        storage = open_storage(ledger)
        database_of(storage)._give_back()
        storage.studies()
        storage.close()
    run_raw(ledger, f"{alter} RESET synchronous_commit")
    assert caplog.text.count("synchronous_commit is off") == 1


# schemas ------------------------------------------------------------------------------------------------


def structure(url: str) -> dict[str, Any]:
    """Return columns, indexes and keys by table, in an order that does not matter, and the views."""
    engine = create_engine(re.sub("^[a-z]+", DRIVERS[urlsplit(url).scheme], url))
    found: dict[str, Any] = {}
    look = inspect(engine)
    for table in look.get_table_names():
        columns = [(item["name"], str(item["type"]), item["nullable"]) for item in look.get_columns(table)]
        indexes = [
            (item["name"], item["column_names"], bool(item["unique"])) for item in look.get_indexes(table)
        ]
        keys = [
            (item["constrained_columns"], item["referred_table"], item["options"].get("ondelete"))
            for item in look.get_foreign_keys(table)
        ]
        primary = look.get_pk_constraint(table)["constrained_columns"]
        found[table] = (sorted(columns), sorted(indexes, key=str), sorted(keys, key=str), primary)
    for view in look.get_view_names():
        found[view] = look.get_view_definition(view).replace(urlsplit(url).path[1:], "")
    engine.dispose()
    return found


def migrate(url: str, to: str = "head", stop_at: int | None = None) -> None:
    """Run the migrations as `upgrade` does; break them off before the statement number `stop_at`."""
    engine = create_engine(re.sub("^[a-z]+", DRIVERS[urlsplit(url).scheme], url))
    count = 0

    def step(connection: Connection, cursor: Any, statement: str, *_: Any) -> None:
        nonlocal count
        if statement.lstrip().upper().startswith(("ALTER", "CREATE", "DROP", "UPDATE", "INSERT")):
            count += 1
            if count == stop_at:
                raise KeyboardInterrupt

    event.listen(engine, "before_cursor_execute", step)
    try:
        with engine.begin() as connection:
            migrations.upgrade(connection, to)
    finally:
        engine.dispose()


def test_the_migrations_build_the_schema(url: str, kind: str, new_database: Callable[[str], str]) -> None:
    open_storage(url).close()
    other = new_database(kind)
    migrate(other)
    assert structure(url) == structure(other)
    assert run_raw(url, "SELECT * FROM modelwright_version") == [(schema.VERSION,)]


@pytest.mark.slow
def test_f39_an_upgrade_killed_at_any_step_can_be_repeated(
    url: str, kind: str, new_database: Callable[[str], str]
) -> None:
    migrate(url, "0001")
    step = 0
    while True:
        step += 1
        try:
            migrate(url, stop_at=step)
        except KeyboardInterrupt:
            assert run_raw(url, "SELECT * FROM modelwright_version") == [("0001",)]
            continue
        break
    assert step > 5
    fresh = new_database(kind)
    open_storage(fresh).close()
    assert structure(url) == structure(fresh)


def test_upgrade_is_an_act_of_its_own(url: str) -> None:
    migrate(url, "0001")
    with pytest.raises(SchemaError) as caught:
        open_existing(url)
    assert caught.value.code == "E_SCHEMA_OLDER"
    storage = upgrade(url)
    assert storage.create_study(make_spec()).spec.name == "study"
    storage.close()
    open_existing(url).close()


@pytest.mark.parametrize("kind", ["mysql"], indirect=True)  # elsewhere it is one transaction
def test_f39_a_creation_killed_at_any_step_can_be_repeated(url: str, kind: str) -> None:
    engine = create_engine(re.sub("^[a-z]+", DRIVERS[kind], url))
    steps: list[str] = []
    stop_at = 0

    def step(connection: Connection, cursor: Any, statement: str, *_: Any) -> None:
        if statement.lstrip().upper().startswith(("CREATE", "INSERT", "UPDATE")):
            steps.append(statement)
            if len(steps) == stop_at:
                raise KeyboardInterrupt

    event.listen(engine, "before_cursor_execute", step)
    while True:
        stop_at += 3
        steps.clear()
        try:
            with engine.connect() as connection:
                migrations.prepare(connection, url)
                connection.commit()
        except KeyboardInterrupt:
            with pytest.raises(StorageUnavailableError, match="holds no ledger"):
                open_existing(url)
            continue
        break
    engine.dispose()
    assert stop_at > 9
    storage = open_existing(url)
    assert storage.studies() == []
    storage.close()


def test_a_creation_that_fails_gives_the_lock_back(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(migrations, "prepare", fail)
        with pytest.raises(ZeroDivisionError):
            open_storage(url)
    storage = open_storage(url, timeout_s=5)
    assert storage.studies() == []
    storage.close()


def _open_at_once(url: str, barrier: Any, answers: Any) -> None:
    barrier.wait()
    try:
        storage = open_storage(url)
        storage.close()
        answers.put("")
    except BaseException as error:
        answers.put(repr(error))


@pytest.mark.parametrize("repeat", [1, pytest.param(5, marks=pytest.mark.slow)])
def test_f37_twelve_processes_make_one_new_ledger(
    kind: str, new_database: Callable[[str], str], repeat: int
) -> None:
    context = multiprocessing.get_context("fork")
    for _ in range(repeat):
        url = new_database(kind)
        barrier, answers = context.Barrier(12), context.Queue()
        processes = [context.Process(target=_open_at_once, args=(url, barrier, answers)) for _ in range(12)]
        for process in processes:
            process.start()
        assert [answers.get(timeout=120) for _ in processes] == [""] * 12
        for process in processes:
            process.join(60)
        answers.close()
        answers.join_thread()


# connections and locks ----------------------------------------------------------------------------------


@pytest.fixture
def storage(ledger: str) -> Iterator[SQLStorage]:
    storage = open_storage(ledger, idle_s=0.3)
    assert isinstance(storage, SQLStorage)
    for study in storage.studies():
        storage.delete_study(study.spec.name, force=True)
    yield storage
    storage.close()


def test_a_connection_without_use_is_given_back(storage: SQLStorage, until: Callable[..., None]) -> None:
    database = database_of(storage)
    storage.studies()
    assert database._connection is not None
    until(lambda: database._connection is None)
    until(lambda: not database._guard._watching)
    assert storage.studies() == []
    assert database._connection is not None


def test_a_child_has_a_connection_of_its_own(storage: SQLStorage) -> None:
    storage.create_study(make_spec())
    database = database_of(storage)
    database._guard._idle_s = 600  # the parent keeps its own, however long the child takes

    def number(tx: Any) -> int:
        name = "pg_backend_pid()" if storage.url.startswith("postgresql") else "CONNECTION_ID()"
        return int(tx.connection.exec_driver_sql(f"SELECT {name}").scalar())

    mine = database.read(number)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writing, f"{database.read(number)} {len(storage.studies())}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    theirs, count = map(int, os.read(reading, 100).split())
    os.close(reading)
    assert count == 1
    assert theirs != mine
    assert database.read(number) == mine


def test_threads_take_turns(storage: SQLStorage) -> None:
    study = storage.create_study(make_spec())
    numbers: list[int] = []
    threads = [
        threading.Thread(target=lambda: numbers.extend(storage.enqueue(study.id, {}, {}) for _ in range(5)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(20))


def test_who_waits_for_a_lock_is_told_in_the_end(storage: SQLStorage, ledger: str) -> None:
    study = storage.create_study(make_spec())
    other = open_storage(ledger, timeout_s=0.1)
    held, done = threading.Event(), threading.Event()

    def hold(tx: Any) -> None:
        tx.connection.exec_driver_sql(f"SELECT id FROM studies WHERE id = {study.id} FOR UPDATE")
        held.set()
        done.wait(60)

    holder = threading.Thread(target=database_of(storage).write, args=(hold,))
    holder.start()
    assert held.wait(30)
    short = (
        "SET lock_timeout = '100ms'" if "postgresql" in ledger else "SET SESSION innodb_lock_wait_timeout = 1"
    )
    database_of(other)._query(f"{short}; SELECT 1")
    with pytest.raises(StorageUnavailableError) as caught:
        other.set_budget(study.id, 3)
    assert caught.value.code == "E_DB_LOCKED"
    assert other.study("study").budget.trials is None  # reading goes on
    done.set()
    holder.join()
    assert other.set_budget(study.id, 3).budget.trials == 3
    other.close()


def test_the_clock_is_the_servers(storage: SQLStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    now_us = time.time_ns() // 1000
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    moment = database_of(storage).read(lambda tx: tx.now_us)
    assert abs(moment - now_us) < 60_000_000  # F40: whatever the clock of this machine says
    assert database_of(storage).read(lambda tx: tx.outage_end_us) <= moment


@pytest.mark.parametrize("every", [5])
def test_f30_deadlocks_and_serialization_failures_are_not_noticed(
    storage: SQLStorage, kind: str, every: int
) -> None:
    database = database_of(storage)
    count = 0

    def fail(connection: Connection) -> None:
        nonlocal count
        count += 1
        if count % every == 0:
            if kind == "postgresql":
                import psycopg

                error = psycopg.errors.DeadlockDetected if count % 2 else psycopg.errors.SerializationFailure
                raise DBAPIError("COMMIT", None, error())
            import pymysql

            deadlock = pymysql.err.OperationalError(1213, "Deadlock found when trying to get lock")
            raise DBAPIError("COMMIT", None, deadlock)

    event.listen(database._engine, "commit", fail)
    study = storage.create_study(make_spec())
    numbers = [storage.enqueue(study.id, {"x": i / 40}, {}) for i in range(40)]
    assert numbers == list(range(40))
    assert storage.study("study").issued == 40
    assert count > 48
