"""Files of trials: in a folder, and behind a server."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tcp_proxy import TcpProxy

from modelwright.errors import InputError, StorageError
from modelwright.records import Artifact
from modelwright.server import Limits
from modelwright.server.files import sweep
from modelwright.server.run import serving
from modelwright.storage import MemoryStorage, open_storage
from modelwright.storage.artifacts import ArtifactStore, FolderStore, Incoming, store_for
from modelwright.storage.http import HTTPStorage
from modelwright.testing.storage import make_spec

TOKEN = "a-token-of-the-tests-0123456789"
LARGE = bytes(range(256)) * 20_000  # five times as large as one piece


@pytest.fixture
def ledger() -> MemoryStorage:
    ledger = MemoryStorage()
    ledger.create_study(make_spec())
    return ledger


@pytest.fixture
def url(ledger: MemoryStorage, tmp_path: Path) -> Iterator[str]:
    limits = Limits(file=len(LARGE) + 10)
    with serving(ledger, TOKEN, artifacts=tmp_path / "served", limits=limits) as url:
        yield url


@pytest.fixture
def remote(url: str) -> Iterator[HTTPStorage]:
    storage = HTTPStorage(url, TOKEN)
    yield storage
    storage.close()


@pytest.fixture(params=["folder", "http"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    if request.param == "folder":
        return FolderStore(tmp_path / "served" / "study-1")
    return request.getfixturevalue("remote").artifact_store(1)  # type: ignore[no-any-return]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(LARGE)
    return path


def test_a_file_comes_back(store: ArtifactStore, source: Path, tmp_path: Path) -> None:
    artifact = store.put(12, 3, "models/0 ü+%.txt", source, format="txt")
    assert artifact == Artifact(
        "models/0 ü+%.txt",
        "trials/12-3/models/0 ü+%.txt",
        hashlib.sha256(LARGE).hexdigest(),
        len(LARGE),
        "txt",
    )
    for _ in range(2):
        assert store.get(artifact, tmp_path / "cache").read_bytes() == LARGE
    assert store.locations() == [artifact.location]
    source.write_bytes(b"")
    empty = store.put(12, 3, "empty", source)
    assert store.get(empty, tmp_path / "cache").read_bytes() == b""
    assert store.delete(artifact.location)
    assert not store.delete(artifact.location)
    assert store.locations() == ["trials/12-3/empty"]
    with pytest.raises(StorageError, match="no file") as caught:
        store.get(artifact, tmp_path / "other")
    assert caught.value.code == "E_ARTIFACT_MISSING"


def test_a_file_of_the_study_itself(store: ArtifactStore, source: Path, tmp_path: Path) -> None:
    artifact = store.put_at("run/data/X.npy", source, format="npy")
    assert (artifact.name, artifact.location, artifact.format) == ("run/data/X.npy", "run/data/X.npy", "npy")
    assert store.put_at("run/data/X.npy", source, name="X").name == "X"
    assert store.get(artifact, tmp_path / "cache").read_bytes() == LARGE
    assert store.locations() == ["run/data/X.npy"]
    with pytest.raises(InputError):
        store.put_at("../X.npy", source)


def test_a_file_is_replaced_as_a_whole(store: ArtifactStore, source: Path, tmp_path: Path) -> None:
    store.put(1, 1, "a", source)
    source.write_bytes(b"new")
    artifact = store.put(1, 1, "a", source)
    assert store.get(artifact, tmp_path / "cache").read_bytes() == b"new"
    assert [path.name for path in (tmp_path / "served").rglob("*") if path.is_file()] == ["a"]


def test_a_damaged_file_is_found_out(store: ArtifactStore, source: Path, tmp_path: Path) -> None:
    artifact = store.put(1, 1, "a", source)
    [kept] = [path for path in (tmp_path / "served").rglob("*") if path.is_file()]
    kept.write_bytes(LARGE[:-1] + b"?")
    with pytest.raises(StorageError, match="not the one that its trial left") as caught:
        store.get(artifact, tmp_path / "cache")
    assert caught.value.code == "E_ARTIFACT_HASH"
    assert not list((tmp_path / "cache").rglob("*.part*"))
    with pytest.raises(StorageError):
        store.get(replace(artifact, sha256="", size=3), tmp_path / "cache")


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../a",
        "a/../b",
        "/etc/passwd",
        "a//b",
        "a\\b",
        "a\0b",
        "a\nb",
        "C:a",
        ".part-1",
        "x" * 300,
        "/".join("a" * 30),
        "a/",
        " ",
        "\udcff",
    ],
)
def test_names_stay_in_the_folder(store: ArtifactStore, source: Path, name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        store.put(1, 1, name, source)
    assert caught.value.code == "E_ARTIFACT_NAME"
    with pytest.raises(InputError):
        store.delete(f"../{name}")
    assert store.locations() == []


def test_links_are_not_followed(store: ArtifactStore, source: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    folder = tmp_path / "served" / "study-1"
    (folder / "trials").mkdir(parents=True)
    (folder / "trials" / "1-1").symlink_to(outside)
    (folder / "trials" / "2-1").mkdir()
    (folder / "trials" / "2-1" / "a").symlink_to(outside / "secret")
    assert store.locations() == []
    for location in ("trials/1-1/secret", "trials/2-1/a", "trials/2-1"):
        with pytest.raises(StorageError):
            store.get(Artifact("a", location, "", 6), tmp_path / "cache")
    with pytest.raises((StorageError, OSError)):
        store.put(1, 1, "b", source)
    store.put(2, 1, "a", source)  # takes the place of the link
    assert (outside / "secret").read_text() == "secret"
    assert [item.name for item in outside.iterdir()] == ["secret"]


def test_a_file_that_is_in_place_is_not_copied(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    place = tmp_path / "trials" / "4-2" / "model"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"abc")
    before = place.stat()
    artifact = store.put(4, 2, "model", place)
    assert (place.stat().st_ino, place.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert store.get(artifact, tmp_path) == place


def test_what_broke_off_is_swept(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    with Incoming(tmp_path, "trials/1-1/a") as incoming:
        incoming.write(b"abc")
        [part] = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert store.locations() == []
        assert store.sweep() == 0
        os.utime(part, (time.time() - 7200,) * 2)
        kept = tmp_path / "kept"
        os.link(part, kept)
        assert store.sweep() == 1
        os.link(kept, part)
    assert not part.exists()


def send(url: str, head: str, body: bytes, *, torn: bool = False) -> bytes:
    """Send a request by hand, and return the answer; a torn one is followed by the end of the connection."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        full = f"PUT {head}\r\nHost: {host}\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n"
        connection.sendall(full.encode() + body)
        if torn:
            connection.shutdown(socket.SHUT_WR)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
        return b"".join(parts)


def test_a_torn_upload_leaves_nothing(url: str, tmp_path: Path, remote: HTTPStorage) -> None:
    path = "/api/v1/ledger/studies/1/files?location=trials/1-1/a&sha256="
    digest = hashlib.sha256(b"abc").hexdigest()
    send(url, f"{path}{digest} HTTP/1.1\r\nContent-Length: 3", b"ab", torn=True)
    wrong = send(url, f"{path}{'0' * 64} HTTP/1.1\r\nContent-Length: 3", b"abc")
    assert b"E_ARTIFACT_HASH" in wrong
    assert b" 411 " in send(
        url, f"{path}{digest} HTTP/1.1\r\nTransfer-Encoding: chunked", b"3\r\nabc\r\n0\r\n\r\n"
    )
    long = send(url, f"{path}{digest} HTTP/1.1\r\nContent-Length: 999999999", b"abc")
    assert b" 413 " in long
    end = time.monotonic() + 20
    while [item for item in (tmp_path / "served").rglob("*") if item.is_file()]:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert remote.artifact_store(1).locations() == []
    assert b" 200 " in send(url, f"{path}{digest} HTTP/1.1\r\nContent-Length: 3", b"abc")
    assert remote.artifact_store(1).locations() == ["trials/1-1/a"]


def test_a_broken_download_begins_again(url: str, source: Path, tmp_path: Path) -> None:
    host, _, port = url.removeprefix("http://").rpartition(":")
    with TcpProxy((host, int(port)), seed=3) as proxy:
        storage = HTTPStorage(f"http://127.0.0.1:{proxy.port}", TOKEN)
        store = storage.artifact_store(1)
        artifact = store.put(1, 1, "a", source)
        proxy.reset_share = 1 / 100  # of pieces of 64 kB: every second download breaks
        for i in range(5):
            assert store.get(artifact, tmp_path / f"cache{i}").read_bytes() == LARGE
            assert store.put(1, 1, f"b{i}", source).sha256 == artifact.sha256
        proxy.reset_share = 0.0
        assert len(store.locations()) == 6
        storage.close()


def test_files_too_large_are_refused(remote: HTTPStorage, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(LARGE + b"x" * 11)
    with pytest.raises(StorageError, match="longer than"):
        remote.artifact_store(1).put(1, 1, "a", path)
    assert remote.artifact_store(1).locations() == []


def test_the_store_that_belongs_to_a_storage(tmp_path: Path, source: Path, ledger: MemoryStorage) -> None:
    assert store_for(MemoryStorage(), 1, None) is None
    local = store_for(ledger, 1, tmp_path / "files")
    assert repr(local) == f"FolderStore({str(tmp_path / 'files')!r})"
    with serving(ledger, TOKEN) as url:
        storage = HTTPStorage(url, TOKEN)
        store = store_for(storage, 1, tmp_path)
        assert TOKEN not in repr(store)
        assert store is not None
        with pytest.raises(StorageError, match="keeps no files"):
            store.put(1, 1, "a", source)
        storage.close()


def test_a_server_sweeps_what_others_left(tmp_path: Path, ledger: MemoryStorage) -> None:
    part = tmp_path / "study-1" / "trials" / "1-1" / ".part-0"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"abc")
    assert sweep(ledger, tmp_path) == 0
    os.utime(part, (time.time() - 7200,) * 2)
    assert sweep(ledger, tmp_path) == 1
    assert sweep(ledger, None) == 0


def test_a_file_ledger_keeps_files_beside_it(tmp_path: Path, source: Path) -> None:
    file = open_storage(tmp_path / "hub.db")
    study = file.create_study(make_spec("näme/x".replace("/", " ")))
    with serving(file, TOKEN) as url:
        storage = HTTPStorage(url, TOKEN)
        artifact = storage.artifact_store(study.id).put(3, 1, "oof", source)
        storage.close()
    file.close()
    [kept] = [path for path in (tmp_path / "hub.files").rglob("*") if path.is_file()]
    assert kept.as_posix().endswith(artifact.location)
