"""SQLite files: what can be wrong with them, locks, durability, and files that vanish."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from modelwright.errors import InputError, SchemaError, StorageError, StorageUnavailableError
from modelwright.records import Proposal, Provenance
from modelwright.storage import Claim, SQLStorage, open_existing
from modelwright.storage.sql import SQLiteDatabase
from modelwright.storage.url import upgrade
from modelwright.testing.storage import complete, make_spec


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def storage(path: Path) -> Iterator[SQLStorage]:
    storage = SQLStorage(path, timeout_s=0.2, room_s=0.2)
    yield storage
    storage.close()


def raw(storage: SQLStorage) -> sqlite3.Connection:
    """Return the driver's connection below a storage."""
    connection = storage._db._connection
    assert connection is not None
    found = connection.connection.dbapi_connection
    assert isinstance(found, sqlite3.Connection)
    return found


def run_one(storage: SQLStorage, study_id: int, name: str) -> None:
    claim = storage.claim(study_id, "w", name, 60)
    assert isinstance(claim, Claim)
    storage.propose(claim, Proposal({"x": 0.5}), Provenance(), 0)
    storage.finish(claim, complete(), name)


def foreign(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE customers (id INTEGER)")
    connection.close()


def with_version(version: str | None) -> Any:
    def make(path: Path) -> None:
        SQLStorage(path).close()
        connection = sqlite3.connect(path)
        with connection:
            connection.execute("DELETE FROM modelwright_version")
            if version is not None:
                connection.execute("INSERT INTO modelwright_version VALUES (?)", [version])
        connection.close()

    return make


def in_pieces(path: Path) -> None:
    SQLStorage(path).close()
    content = bytearray(path.read_bytes())
    content[200:4096] = b"\xff" * (4096 - 200)
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("make", "error", "code", "words"),
    [
        (lambda p: p.write_text("a,b\n1,2\n" * 99), SchemaError, "E_DB_FOREIGN", "no SQLite database"),
        (foreign, SchemaError, "E_DB_FOREIGN", "customers"),
        (with_version("0999"), SchemaError, "E_SCHEMA_NEWER", "0999.*pip install --upgrade"),
        (with_version(None), SchemaError, "E_SCHEMA", "without a readable version"),
        (with_version("odd"), SchemaError, "E_SCHEMA", "'odd'"),
        (in_pieces, StorageUnavailableError, "E_DB_CORRUPT", "damaged"),
        (lambda p: p.mkdir(), StorageUnavailableError, "E_DB_PATH", "is a folder"),
    ],
)
def test_each_wrong_file_has_its_own_error(
    path: Path, make: Any, error: type[StorageError], code: str, words: str
) -> None:
    make(path)
    before = {item: item.read_bytes() for item in path.parent.iterdir() if item.is_file()}
    with pytest.raises(error, match=words) as caught:
        SQLStorage(path)
    assert caught.value.code == code
    assert {item: item.read_bytes() for item in path.parent.iterdir() if item.is_file()} == before


def test_a_missing_folder_or_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailableError, match="folder of the ledger"):
        SQLStorage(tmp_path / "no" / "ledger.db")
    with pytest.raises(StorageUnavailableError, match="no ledger at"):
        open_existing(f"sqlite:///{tmp_path}/ledger.db")
    (tmp_path / "empty.db").touch()
    with pytest.raises(StorageUnavailableError, match="is empty"):
        open_existing(tmp_path / "empty.db")
    assert [item.name for item in tmp_path.iterdir()] == ["empty.db"]
    SQLStorage(tmp_path / "empty.db").close()  # an empty file may become a ledger where that is wanted
    open_existing(tmp_path / "empty.db").close()


def test_odd_characters_in_the_path(tmp_path: Path) -> None:
    path = tmp_path / "a b%20?#ü&x=1.db"
    storage = SQLStorage(path)
    storage.create_study(make_spec())
    storage.close()
    assert path.is_file()
    assert [record.spec.name for record in SQLStorage(path, create=False).studies()] == ["study"]


_READ_ONLY = """
import os, sys
from modelwright.errors import StorageUnavailableError
from modelwright.storage import SQLStorage, sql
path = sys.argv[1]
if os.geteuid() == 0:
    os.setuid(65534)  # to root, nothing is read-only
for name in ("ledger.db", "new.db"):
    try:
        SQLStorage(os.path.join(path, name))
    except StorageUnavailableError as error:
        print(error.code)
"""


def test_read_only_files_and_folders(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    SQLStorage(tmp_path / "ledger.db").close()
    (tmp_path / "ledger.db").chmod(0o444)
    tmp_path.chmod(0o555)
    for folder in (tmp_path, *tmp_path.parents):  # pytest's folders are closed to other users
        if folder.stat().st_uid == os.geteuid() and not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)
    done = subprocess.run(
        [sys.executable, "-c", _READ_ONLY, str(tmp_path)], capture_output=True, text=True, check=False
    )
    tmp_path.chmod(0o755)
    assert done.stdout.split() == ["E_DB_READONLY", "E_DB_PATH"], done.stderr


def test_a_write_that_is_refused(storage: SQLStorage) -> None:
    study = storage.create_study(make_spec())
    raw(storage).execute("PRAGMA query_only=ON")
    with pytest.raises(StorageUnavailableError, match="read-only") as caught:
        storage.set_budget(study.id, 3)
    assert caught.value.code == "E_DB_READONLY"
    raw(storage).execute("PRAGMA query_only=OFF")
    assert storage.set_budget(study.id, 3).budget.trials == 3


def test_a_full_disk_loses_nothing(storage: SQLStorage) -> None:
    study = storage.create_study(make_spec())
    run_one(storage, study.id, "before")
    revision = storage.study("study").revision
    (pages,) = raw(storage).execute("PRAGMA page_count").fetchone()
    raw(storage).execute(f"PRAGMA max_page_count={pages + 2}")
    with pytest.raises(StorageUnavailableError, match="disk is full") as caught:
        storage.set_trial_attrs(study.id, 0, {"large": "x" * 100_000})
    assert caught.value.code == "E_DB_FULL"
    assert storage.study("study").revision == revision
    raw(storage).execute("PRAGMA max_page_count=100000")
    storage.set_trial_attrs(study.id, 0, {"large": "x" * 100_000})
    assert len(storage.trial(study.id, 0).user_attrs["large"]) == 100_000


def test_a_full_disk_is_waited_for(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    now = 10**15
    with closing(SQLStorage(path, clock=lambda: now)) as storage:
        study = storage.create_study(make_spec(lease_s=60.0, max_attempts=2))
        claim = storage.claim(study.id, "w", "c", 60)
        assert isinstance(claim, Claim)
        (pages,) = raw(storage).execute("PRAGMA page_count").fetchone()
        raw(storage).execute(f"PRAGMA max_page_count={pages + 2}")
        large = threading.Thread(target=storage.set_trial_attrs, args=(study.id, 0, {"large": "x" * 100_000}))
        large.start()
        while "waiting up to 600 s for room" not in caplog.text:
            assert large.is_alive()
            time.sleep(0.01)
        assert storage.study("study").revision == study.revision + 1, "who reads need not wait"
        now += 10**9  # the lease has run out by now, but its worker could not renew it
        raw(storage).execute("PRAGMA max_page_count=100000")
        large.join()
        assert "has room again" in caplog.text
        other = storage.claim(study.id, "w", "d", 60)
        assert isinstance(other, Claim)
        assert other.number == 1
        now += 10**9
        again = storage.claim(study.id, "w", "e", 60)
        assert isinstance(again, Claim)
        assert (again.number, again.attempts) == (0, 2)


def test_a_file_that_vanishes_is_not_made_anew(storage: SQLStorage, path: Path) -> None:
    study = storage.create_study(make_spec())
    for item in path.parent.iterdir():
        item.unlink()
    for call in (lambda: storage.set_budget(study.id, 2), lambda: storage.study("study")):
        with pytest.raises(StorageUnavailableError, match="deleted") as caught:
            call()
        assert caught.value.code == "E_DB_GONE"
    assert list(path.parent.iterdir()) == []


def test_a_file_that_is_replaced_is_left_alone(storage: SQLStorage, path: Path) -> None:
    study = storage.create_study(make_spec())
    other = SQLStorage(path.with_name("other.db"))
    other.close()
    path.with_name("other.db").replace(path)
    with pytest.raises(StorageUnavailableError, match="replaced"):
        storage.set_budget(study.id, 2)
    storage._db._after_fork()  # as in a child, which opens its own connection
    with pytest.raises(StorageUnavailableError, match="replaced"):
        storage.set_budget(study.id, 2)


def test_a_lock_of_another_program_is_waited_for(storage: SQLStorage, path: Path) -> None:
    study = storage.create_study(make_spec())
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    assert storage.study("study").issued == 0  # reading goes on
    with pytest.raises(StorageUnavailableError, match="locked by another program") as caught:
        storage.set_budget(study.id, 2)
    assert caught.value.code == "E_DB_LOCKED"
    storage._db._timeout_s = 60
    tried = threading.Event()
    begin = storage._db._begin

    def noticed(*args: Any, **options: Any) -> int:
        try:
            return begin(*args, **options)
        finally:
            tried.set()

    storage._db._begin = noticed  # type: ignore[method-assign]
    writer = threading.Thread(target=storage.set_budget, args=(study.id, 2))
    writer.start()
    tried.wait(30)
    other.execute("ROLLBACK")
    other.close()
    writer.join(30)
    assert storage.study("study").budget.trials == 2


@pytest.mark.parametrize(
    ("durability", "expected"),
    [
        ("power", ["FULL", "NORMAL", "FULL", "NORMAL", "FULL"]),
        ("process", ["NORMAL"]),
    ],
)
def test_only_results_wait_for_the_disk(path: Path, durability: Any, expected: list[str]) -> None:
    SQLStorage(path).close()
    storage = SQLStorage(path, durability=durability)
    statements: list[str] = []
    raw(storage).set_trace_callback(statements.append)
    study = storage.create_study(make_spec())
    run_one(storage, study.id, "a")
    run_one(storage, study.id, "b")
    switches = [text.partition("=")[2] for text in statements if text.startswith("PRAGMA synchronous")]
    assert switches == expected
    # What a switch is worth: it must come right before the transaction of a result.
    if durability == "power":
        after = [statements[i + 1] for i, text in enumerate(statements) if text == "PRAGMA synchronous=FULL"]
        assert all(text.startswith("BEGIN IMMEDIATE") for text in after)
    storage.close()


def test_the_file_is_in_write_ahead_mode(storage: SQLStorage) -> None:
    assert raw(storage).execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert raw(storage).execute("PRAGMA foreign_keys").fetchone() == (1,)


def test_a_closed_storage_says_so(storage: SQLStorage) -> None:
    storage.close()
    storage.close()
    with pytest.raises(StorageUnavailableError, match="closed"):
        storage.studies()


def old_ledger(path: Path) -> None:
    dump = Path(__file__).parents[2] / "assets" / "ledger-0001.sql"
    connection = sqlite3.connect(path)
    connection.executescript(dump.read_text(encoding="utf-8"))
    connection.close()


def test_f38_an_older_ledger_is_upgraded_only_where_that_is_wanted(path: Path) -> None:
    old_ledger(path)
    before = path.read_bytes()
    with pytest.raises(SchemaError, match="modelwright studies upgrade") as caught:
        open_existing(path, upgrade=False)
    assert caught.value.code == "E_SCHEMA_OLDER"
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_copy_is_made_before_an_upgrade(path: Path) -> None:
    old_ledger(path)
    upgrade(path).close()
    open_existing(path, upgrade=False).close()
    copy = path.with_name("ledger.db.backup-0001")
    assert [item.name for item in path.parent.iterdir() if "backup" in item.name] == [copy.name]
    connection = sqlite3.connect(copy)
    assert connection.execute("SELECT version_num FROM modelwright_version").fetchall() == [("0001",)]
    assert connection.execute("SELECT COUNT(*) FROM trials").fetchone() == (4,)
    connection.close()


def test_a_copy_that_fails_leaves_the_ledger_as_it_was(path: Path) -> None:
    old_ledger(path)
    before = path.read_bytes()
    path.with_name(f"ledger.db.backup-0001.{os.getpid()}").mkdir()  # where the copy would be written
    with pytest.raises(OSError, match="backup"):
        open_existing(path)
    assert path.read_bytes() == before


def test_a_commit_that_fails_leaves_no_transaction_open(storage: SQLStorage) -> None:
    study = storage.create_study(make_spec())
    failing = True

    def fail(_: Any) -> None:
        if failing:
            raise KeyboardInterrupt

    event.listen(storage._db._engine, "commit", fail)  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        storage.set_budget(study.id, 3)
    failing = False
    assert storage.study("study").budget.trials is None
    assert storage.set_budget(study.id, 4).budget.trials == 4


def test_options_are_checked(path: Path) -> None:
    with pytest.raises(InputError, match="durability"):
        SQLiteDatabase(path, durability="hope")  # type: ignore[arg-type]
    assert not path.exists()


def test_text_that_is_no_unicode_is_refused(storage: SQLStorage) -> None:
    with pytest.raises(InputError, match="Unicode"):
        storage.study("half \ud800")
    assert storage.studies() == []


def test_an_error_in_a_transaction_undoes_it(storage: SQLStorage) -> None:
    study = storage.create_study(make_spec())

    def work(tx: Any) -> None:
        tx.connection.exec_driver_sql("DELETE FROM studies")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        storage._db.write(work)
    assert storage.study("study") == study
