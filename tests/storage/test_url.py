"""Addresses of storages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import modelwright.storage
from modelwright.errors import InputError, StorageUnavailableError
from modelwright.storage import MemoryStorage, SQLStorage, open_existing, open_storage
from modelwright.storage.sql import ServerAddress


@pytest.mark.parametrize("url", [None, "memory://"])
def test_memory(url: str | None) -> None:
    assert isinstance(open_storage(url), MemoryStorage)
    assert isinstance(open_existing(url), MemoryStorage)


@pytest.mark.parametrize("form", ["sqlite:///hub.db", "hub.db", "sqlite+pysqlite:///hub.db", Path("hub.db")])
def test_a_file_in_this_folder(form: str | Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    storage = open_storage(form)
    assert isinstance(storage, SQLStorage)
    monkeypatch.chdir("/")  # what was opened stays where it is
    assert storage.studies() == []
    assert storage.url == f"sqlite:///{tmp_path}/hub.db"
    storage.close()
    open_existing(storage.url).close()


def test_a_full_path_and_options(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path}/a.db", durability="process", timeout_s=5)
    storage.close()
    assert (tmp_path / "a.db").is_file()
    with pytest.raises(InputError, match="durability"):
        open_storage(f"sqlite:///{tmp_path}/b.db", durability="never")
    with pytest.raises(InputError, match="no option 'durable'"):
        open_storage(f"sqlite:///{tmp_path}/b.db", durable=True)
    with pytest.raises(InputError, match="no option"):
        open_storage("memory://", durability="process")
    assert [item.name for item in tmp_path.iterdir()] == ["a.db"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "an empty text"),
        ("  ", "an empty text"),
        ("hub", "'hub'.*sqlite:///file.db"),
        ("oracle://host/db", "no kind of storage 'oracle://'"),
        ("me:secret@host/db", "a text without '://'"),
        ("postgresql+asyncpg://me:secret@host/db", "driver 'asyncpg' is not used.*'postgresql://'"),
        ("mysql+mysqldb://me:secret@host/db", "driver 'mysqldb' is not used.*'mysql://'"),
        ("postgresql://me:secret@host", "name of one database"),
        ("postgresql://me:secret@host/", "name of one database"),
        ("mysql://me:secret@host/a/b", "name of one database"),
        ("postgres://me:se/cret@host/db", "port is no number"),
        ("postgres://me:se@secret@host/db", "stray.*%40"),
        ("postgresql://me:secret#1@host/db", "port is no number|stray"),
        ("mysql://me:secret@host:port/db", "port is no number"),
        ("mysql://me:secret@host:99999/db", "port is no number"),
        (" mysql://me:secret@host/db", "there is no kind of storage"),
        ("mysql://me:secret@host/db ", "spaces or line ends"),
        ("mysql://me:secret@ho\nst/db", "spaces or line ends"),
        ("mysql://me\udcff:secret@host/db", "bytes that are no text"),
        ("postgresql://me:secret@host/db?options=-cfsync=off", "no option 'options'"),
        ("postgresql://me:secret@host/db?sslmod=require", "no option 'sslmod'.*sslmode"),
        ("mysql://me:secret@host/db?local_infile=1", "no option 'local_infile'"),
        ("mariadb://me:secret@host/db?read_default_file=/etc/passwd", "no option 'read_default_file'"),
        ("sqlite://", "'memory://'"),
        ("sqlite:///", "'memory://'"),
        ("sqlite:///:memory:", "'memory://'"),
        ("sqlite://hub.db", "'sqlite:///hub.db'"),
        ("sqlite:///hub.db?mode=ro", "no options.*mode=ro"),
        (7, "got int"),
    ],
)
def test_what_is_wrong_is_told(url: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=words) as caught:
        open_storage(url)
    assert caught.value.code == "E_DB_URL"
    assert "secret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "scheme", "expected", "public"),
    [
        (
            "postgres://me:p%40s%3As%2Fw%25rd%C3%BC@db.example:6000/led%20ger?sslmode=require",
            "postgresql",
            ServerAddress(
                "postgresql", "db.example", 6000, "led ger", "me", "p@s:s/w%rdü", {"sslmode": "require"}
            ),
            "postgresql://me@db.example:6000/led%20ger",
        ),
        (
            "mysql://m%40e@[::1]:3307/d",
            "mysql",
            ServerAddress("mysql", "::1", 3307, "d", "m@e"),
            "mysql://m%40e@[::1]:3307/d",
        ),
        ("mariadb://host/d", "mariadb", ServerAddress("mariadb", "host", None, "d"), "mariadb://host/d"),
        ("postgresql:///d", "postgresql", ServerAddress("postgresql", "", None, "d"), "postgresql:///d"),
    ],
)
def test_b36_addresses_of_servers(url: str, scheme: str, expected: ServerAddress, public: str) -> None:
    address = ServerAddress.parse(url, scheme, ("sslmode",))
    assert address == expected
    assert address.password == expected.password
    assert address.public == public
    assert address.password not in repr(address) or not address.password


def test_options_of_servers_are_checked() -> None:
    with pytest.raises(InputError, match="no option 'durability'"):
        open_storage("postgresql://me:secret@host/db", durability="process")
    with pytest.raises(InputError, match=r"no option 'timeout'.*timeout_s"):
        open_storage("mysql://me:secret@host/db", timeout=3)


def test_an_existing_storage_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailableError, match="no ledger"):
        open_existing(tmp_path / "hub.db")
    assert list(tmp_path.iterdir()) == []


def test_memory_needs_no_database_library() -> None:
    code = (
        "import sys; from modelwright.storage import open_storage; open_storage();"
        " print([name for name in ('sqlalchemy', 'alembic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


def test_the_package_refuses_unknown_names() -> None:
    with pytest.raises(AttributeError, match="Nothing"):
        _ = modelwright.storage.Nothing
