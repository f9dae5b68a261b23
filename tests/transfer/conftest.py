"""Storages, and a study that has one of everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from rich_study import make_rich

from modelwright.storage import MemoryStorage, open_storage
from modelwright.storage.base import Storage


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Callable[[str], Storage]]:
    """Return a function that opens a SQLite storage in the test's folder, and closes it in the end."""
    opened: list[Storage] = []

    def open_(name: str) -> Storage:
        opened.append(open_storage(tmp_path / f"{name}.db"))
        return opened[-1]

    yield open_
    for storage in opened:
        storage.close()


@pytest.fixture
def rich(sqlite: Callable[[str], Storage]) -> Storage:
    """Return a SQLite storage with the study ``rich`` and its files."""
    storage = sqlite("rich")
    make_rich(storage)
    return storage


@pytest.fixture
def memory() -> MemoryStorage:
    """Return an empty storage in memory."""
    return MemoryStorage()


@contextmanager
def _served(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    pytest.importorskip("fastapi")
    from modelwright.server.run import serving
    from modelwright.storage.http import HTTPStorage

    token = "a-token-of-the-tests-0123456789"
    monkeypatch.setenv("MODELWRIGHT_TOKEN", token)
    with serving(storage, token) as url, closing(HTTPStorage(url, token)) as remote:
        yield remote


@pytest.fixture
def far(sqlite: Callable[[str], Storage], monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    """A storage behind a server of ours, which keeps files; commands find its token."""
    with _served(sqlite("served"), monkeypatch) as storage:
        yield storage


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    """A storage behind a server of ours that keeps no files."""
    with _served(MemoryStorage(), monkeypatch) as storage:
        yield storage
