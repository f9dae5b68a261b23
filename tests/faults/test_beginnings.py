"""How ledgers begin and are upgraded: by many processes at once, by processes that die, by other versions."""

from __future__ import annotations

import re
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine

from modelwright.errors import SchemaError
from modelwright.storage import open_existing, open_storage
from modelwright.storage.sql import migrations, schema
from modelwright.testing.audit import audit
from modelwright.testing.storage import make_spec

databases = pytest.mark.parametrize("address", ["sqlite", "postgresql", "mysql"], indirect=True)
ASSETS = Path(__file__).parents[1] / "assets"


def begin_together(colony: Any, processes: int) -> None:
    """Let processes build one ledger, create one study in it, and do its trials."""
    drones = [colony.drone(f"d{i}", "--wait", "--create", 30) for i in range(processes)]
    for drone in drones:
        drone.wait_for("ready")
    for drone in drones:
        drone.go()
    assert [drone.end() for drone in drones] == [0] * processes, [drone.error for drone in drones]
    colony.load()
    assert colony.results(drones) == list(range(30))
    colony.audit()


def test_f37_twelve_processes_begin_one_ledger(colony: Any) -> None:
    begin_together(colony, 12)


@pytest.mark.slow
@databases
@pytest.mark.parametrize("repeat", range(20))
def test_f37_twelve_processes_begin_one_ledger_20_times(colony: Any, repeat: int) -> None:
    begin_together(colony, 12)


@pytest.mark.parametrize("address", ["mysql"], indirect=True)
def test_f37_a_ledger_that_is_built_while_another_looks(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = create_engine(address.replace("mysql://", "mysql+pymysql://"))
    with engine.connect() as builder:
        schema.version.create(builder)  # the first step of a builder, whose next step comes a little late
        builder.commit()
    engine.dispose()
    plain_look, looks = migrations.inspect, []

    def look(connection: Connection) -> Any:
        looks.append(connection)
        if len(looks) == 1:  # within the transaction of who looks, which shows rows as they were before
            open_storage(address).close()
        return plain_look(connection)

    monkeypatch.setattr(migrations, "inspect", look)
    with closing(open_storage(address)) as storage:
        assert storage.studies() == []
    assert len(looks) >= 3


# other versions -------------------------------------------------------------------------------------------


def set_version(storage: Any, version: str) -> None:
    storage._db.write(lambda tx: tx.run(schema.version.update().values(version_num=version)))


@pytest.mark.parametrize(("version", "code"), [("0999", "E_SCHEMA_NEWER"), ("0001", "E_SCHEMA_OLDER")])
def test_f38_a_ledger_of_another_version(ledger: Any, version: str, code: str) -> None:
    ledger.create(trials=3)
    before = ledger.storage.trials(ledger.id), ledger.storage.study("study")
    set_version(ledger.storage, version)
    with pytest.raises(SchemaError) as caught:
        open_existing(ledger.url, upgrade=False)
    assert caught.value.code == code
    assert version in caught.value.message
    assert schema.VERSION in caught.value.message
    assert caught.value.hint
    assert (ledger.storage.trials(ledger.id), ledger.storage.study("study")) == before


# kills ----------------------------------------------------------------------------------------------------


def kill_at_each_step(colony: Any, *options: object) -> int:
    """Open a ledger by processes of which the n-th dies at its n-th statement, until one gets through."""
    for count in range(1, 400):
        drone = colony.drone(f"d{count}", "--most", 0, "--die-at", count, *options)
        if drone.end() != -signal.SIGKILL or drone.all("opened"):
            assert drone.all("opened"), drone.error
            return count
    raise AssertionError("it never got through")


def test_f39_building_killed_at_every_step(colony: Any) -> None:
    assert kill_at_each_step(colony, "--create", 3) > 15
    begin_together(colony, 2)


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as raw:
        return [line for line in raw.iterdump() if not line.startswith("CREATE")]


def test_f39_an_upgrade_killed_at_every_step(colony: Any, tmp_path: Path) -> None:
    old = (ASSETS / "ledger-0001.sql").read_text(encoding="utf-8")
    path, other = tmp_path / "ledger.db", tmp_path / "other.db"
    for item in (path, other):
        with closing(sqlite3.connect(item)) as raw:
            raw.executescript(old)
    before = dump(path)
    open_existing(other).close()
    assert kill_at_each_step(colony, "--upgrade", "--create", 3) > 15
    assert dump(path) == dump(other)
    backup = path.with_name("ledger.db.backup-0001")
    assert dump(backup) == before
    with closing(open_existing(other)) as storage:
        assert storage.create_study(make_spec("new")).spec.name == "new"


DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}
INSERTS = re.compile(r'^INSERT INTO "(\w+)" VALUES\(.*\);$', re.MULTILINE)


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """Connect to a server by a connection of the test's own."""
    kind, _, rest = url.partition(":")
    engine = create_engine(f"{DRIVERS[kind]}:{rest}")
    with engine.begin() as connection:
        if kind == "mysql":  # reads text and names as SQLite writes them
            connection.exec_driver_sql("SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'")
        yield connection
    engine.dispose()


def fill_old(url: str) -> None:
    """Make a database on a server a ledger of the first version, with the rows of the SQLite asset."""
    rows: dict[str, list[str]] = {}
    for found in INSERTS.finditer((ASSETS / "ledger-0001.sql").read_text(encoding="utf-8")):
        rows.setdefault(found.group(1), []).append(found.group())
    with connected(url) as connection:
        migrations.upgrade(connection, "0001")
        for table in schema.metadata.sorted_tables:
            for statement in rows.get(table.name, ()):
                if table is not schema.version:
                    connection.exec_driver_sql(statement.rstrip(";"))
        if url.startswith("postgresql"):  # rows that bring their keys along do not move the counters
            for name in ("datasets", "studies", "partitions", "trials"):
                counter = f"pg_get_serial_sequence('{name}', 'id')"
                connection.exec_driver_sql(f"SELECT setval({counter}, (SELECT max(id) FROM {name}))")


def rows_of(url: str) -> dict[str, list[Any]]:
    with connected(url) as connection:
        return {
            table.name: sorted(map(str, connection.execute(table.select())))
            for table in schema.metadata.sorted_tables
        }


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("address", ["postgresql", "mysql"], indirect=True)
def test_f39_an_upgrade_of_a_server_killed_at_every_step(
    colony: Any, address: str, new_database: Callable[[str], str]
) -> None:
    fill_old(address)
    other = new_database(address.partition(":")[0])
    fill_old(other)
    open_existing(other, upgrade=True).close()
    assert kill_at_each_step(colony, "--upgrade") > 15
    assert rows_of(address) == rows_of(other)
    with closing(open_existing(address)) as storage:
        study = storage.study("näme")
        audit(storage, study.id)
        assert storage.create_study(make_spec("new")).spec.name == "new"
