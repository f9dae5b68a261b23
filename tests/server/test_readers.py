"""Whoever reads for long keeps nobody waiting, whatever database is behind the server."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from tcp_proxy import TcpProxy

from modelwright.errors import StorageUnavailableError
from modelwright.server import Limits, readers
from modelwright.server.readers import open_served
from modelwright.server.run import serving
from modelwright.storage import Claim, SQLStorage
from modelwright.storage.http import HTTPStorage, open_http
from modelwright.storage.sql.engine import Database
from modelwright.testing.storage import make_spec


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def served(
    request: pytest.FixtureRequest, tmp_path: Path, new_database: Callable[[str], str], token: str
) -> Iterator[str]:
    """Serve a ledger in a database, and return the address of the server."""
    url = f"sqlite:///{tmp_path / 'hub.db'}" if request.param == "sqlite" else new_database(request.param)
    storage = open_served(url)
    with serving(storage, token) as address:
        yield address
    storage.close()


class Exports:
    """Calls of `changes` that stop in the middle of their transaction until they may go on."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.may_go_on = threading.Event()

    def hold(self, work: Any) -> Any:
        """Return `work` with a rest before it."""

        def held(tx: Any, *arguments: Any, **named: Any) -> Any:
            self.begun.release()
            assert self.may_go_on.wait(60)
            return work(tx, *arguments, **named)

        return held


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch) -> Iterator[Exports]:
    exports, here = Exports(), threading.local()
    real_changes, real_read = SQLStorage.changes, Database.read

    def changes(self: SQLStorage, *arguments: Any, **named: Any) -> Any:
        here.exports = True
        try:
            return real_changes(self, *arguments, **named)
        finally:
            here.exports = False

    def read(self: Database, work: Any, *arguments: Any, **named: Any) -> Any:
        held = getattr(here, "exports", False) and not exports.may_go_on.is_set()
        return real_read(self, exports.hold(work) if held else work, *arguments, **named)

    monkeypatch.setattr(SQLStorage, "changes", changes)
    monkeypatch.setattr(Database, "read", read)
    yield exports
    exports.may_go_on.set()


@pytest.mark.parametrize("clients", [1, Limits().threads + 2])
def test_exports_hold_up_no_claim(served: str, exports: Exports, token: str, clients: int) -> None:
    worker = HTTPStorage(served, token)
    study = worker.create_study(make_spec())
    worker.enqueue(study.id, {"x": 0.5}, {})
    exported: list[Any] = []
    reader = HTTPStorage(served, token)
    threads = [
        threading.Thread(target=lambda: exported.append(reader.changes(study.id, 0))) for _ in range(clients)
    ]
    for thread in threads:
        thread.start()
    for _ in range(min(clients, Limits().threads)):
        assert exports.begun.acquire(timeout=60)
    claim = worker.claim(study.id, "w", "c", 60)
    assert isinstance(claim, Claim)
    assert worker.renew([claim], 60).lost == frozenset()
    if clients == 1:
        assert worker.trial(study.id, claim.number).worker == "w"
    assert exported == []
    exports.may_go_on.set()
    for thread in threads:
        thread.join()
    assert [len(changes.trials) for changes in exported] == [1] * clients
    worker.close()
    reader.close()


def test_reads_go_on_while_another_program_locks_the_file(tmp_path: Path, token: str) -> None:
    storage = open_served(f"sqlite:///{tmp_path / 'hub.db'}")
    with serving(storage, token) as url, closing(HTTPStorage(url, token)) as client:
        study = client.create_study(make_spec())
        claims: list[Any] = []
        with closing(sqlite3.connect(tmp_path / "hub.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            thread = threading.Thread(target=lambda: claims.append(client.claim(study.id, "w", "c", 60)))
            thread.start()
            assert client.study("study").id == study.id
            assert (client.trials(study.id), claims) == ([], [])
            other.execute("ROLLBACK")
        thread.join()
        assert isinstance(claims[0], Claim)
    storage.close()


def test_no_answer_tells_the_password_of_the_database(
    new_database: Callable[[str], str],
    token: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    parts = urlsplit(new_database("postgresql"))
    monkeypatch.setattr(readers, "_PATIENCE_S", 0.1)
    with TcpProxy((parts.hostname or "", parts.port or 5432)) as proxy:
        place = f"{parts.username}:secret-words@127.0.0.1:{proxy.port}"
        storage = open_served(urlunsplit(parts._replace(netloc=place)))
        with serving(storage, token) as url, closing(open_http(url, token=token, patience_s=0.1)) as client:
            study = client.create_study(make_spec())
            proxy.refuse()
            for call in (client.studies, lambda: client.claim(study.id, "w", "c", 60)):
                with pytest.raises(StorageUnavailableError, match="could not be reached") as caught:
                    call()
                assert "secret-words" not in str(caught.value) + caplog.text
        storage.close()


def test_closing_closes_what_is_lent_out_too(tmp_path: Path, exports: Exports) -> None:
    storage = open_served(f"sqlite:///{tmp_path / 'hub.db'}")
    study = storage.create_study(make_spec())
    thread = threading.Thread(target=storage.changes, args=(study.id, 0))
    thread.start()
    assert exports.begun.acquire(timeout=60)
    storage.close()
    exports.may_go_on.set()
    thread.join()
    assert not [path.name for path in tmp_path.iterdir() if path.suffix != ".db"], "the log is still in use"
