"""Addresses of storages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import modelwright.storage
from modelwright.errors import InputError, StorageUnavailableError
from modelwright.storage import MemoryStorage, SQLStorage, open_existing, open_storage


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
        ("postgresql://me:secret@host/db", "'postgresql://' are not supported yet"),
        ("postgresql+psycopg://me:secret@host/db", "'postgresql://' are not supported yet"),
        ("mysql://me:secret@host/db", "not supported yet"),
        ("https://host:8080", "not supported yet"),
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
