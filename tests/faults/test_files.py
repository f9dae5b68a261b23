"""A SQLite file that is damaged, goes away, or lies where SQLite does not work."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from modelwright.errors import StorageError, StorageUnavailableError
from modelwright.storage import Storage, open_existing, open_storage
from modelwright.storage.sql import filesystems
from modelwright.storage.sql.filesystems import ALLOW, network_kind
from modelwright.testing.audit import audit
from modelwright.testing.storage import make_spec


def with_some(path: Path) -> Storage:
    storage = open_storage(path)
    study = storage.create_study(make_spec())
    for i in range(30):
        storage.enqueue(study.id, {"x": i / 30}, {"note": "x" * 2000})
    return storage


def in_one_file(path: Path) -> None:
    """Move what is in the log into the file."""
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def delete(path: Path) -> None:
    for item in path.parent.glob(path.name + "*"):
        item.unlink()


def replace(path: Path) -> None:
    delete(path)
    with_some(path).close()


def cut_in_half(path: Path) -> None:
    in_one_file(path)
    os.truncate(path, path.stat().st_size // 2 + 100)


def overwrite(path: Path) -> None:
    in_one_file(path)
    path.write_bytes(b"not a database, whatever its name\n" * 2000)


def empty(path: Path) -> None:
    delete(path)
    path.touch()


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "deleted": (delete, "E_DB_PATH"),
    "cut in half": (cut_in_half, "E_DB_CORRUPT"),
    "overwritten": (overwrite, "E_DB_FOREIGN"),
    "emptied": (empty, "E_DB_PATH"),
}


def read_all(storage: Storage) -> None:
    study = storage.study("study")
    storage.trials(study.id)
    audit(storage, study.id)


@pytest.mark.parametrize("name", DAMAGE)
def test_f35_a_file_that_was_damaged_between_two_runs(tmp_path: Path, name: str) -> None:
    path = tmp_path / "ledger.db"
    with_some(path).close()
    damage, code = DAMAGE[name]
    damage(path)
    before = path.read_bytes() if path.exists() else None
    with pytest.raises(StorageError) as caught, closing(open_existing(path)) as storage:
        read_all(storage)
    assert caught.value.code == code
    assert caught.value.hint
    assert (path.read_bytes() if path.exists() else None) == before


@pytest.mark.parametrize(
    ("damage", "code"), [(delete, "E_DB_GONE"), (replace, "E_DB_GONE"), (empty, "E_DB_GONE")]
)
def test_f35_a_file_that_goes_away_while_it_is_used(
    tmp_path: Path, damage: Callable[[Path], None], code: str
) -> None:
    path = tmp_path / "ledger.db"
    with closing(with_some(path)) as storage:
        study = storage.study("study")
        damage(path)
        before = path.read_bytes() if path.exists() else None
        for call in (
            lambda: storage.study("study"),
            lambda: storage.set_budget(study.id, 3),
            lambda: storage.claim(study.id, "w", "c", 60),
        ):
            with pytest.raises(StorageUnavailableError) as caught:
                call()
            assert caught.value.code == code
        assert (path.read_bytes() if path.exists() else None) == before


def test_f35_a_file_that_is_damaged_while_it_is_used(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with closing(with_some(path)) as storage:
        cut_in_half(path)
        with pytest.raises(StorageUnavailableError) as caught:
            read_all(storage)
        assert caught.value.code in ("E_DB_CORRUPT", "E_DB_IO")


# network file systems -------------------------------------------------------------------------------------

MOUNTS = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /home rw,relatime shared:2 - nfs4 server:/home rw,vers=4.2
31 30 8:3 / /home/local rw,relatime shared:3 - xfs /dev/sdb1 rw
32 22 0:41 / /mnt/a\040share rw,relatime - cifs //server/share rw
33 22 0:42 / /media/cloud rw,nosuid - fuse.sshfs me@host: rw
34 22 0:43 / /media/disk rw,nosuid - fuseblk /dev/sdc1 rw
35 22 0:44 / /media/twice rw - nfs server:/old rw
36 35 0:45 / /media/twice rw - tmpfs tmpfs rw
37 22 0:46 / /media/sheets rw - fuse.bindfs /dev/sda1 rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/ledger.db", ""),
        ("/home/me/ledger.db", "nfs4"),
        ("/home/local/ledger.db", ""),
        ("/homes/ledger.db", ""),
        ("/mnt/a share/ledger.db", "cifs"),
        ("/media/cloud/ledger.db", "fuse.sshfs"),
        ("/media/disk/ledger.db", ""),
        ("/media/twice/ledger.db", ""),
        ("/media/sheets/ledger.db", ""),
    ],
)
def test_f36_network_file_systems_are_known(path: str, kind: str) -> None:
    assert network_kind(Path(path), MOUNTS) == kind


def test_f36_what_cannot_be_known_counts_as_local(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert network_kind(Path("/srv/ledger.db"), "garbage\n - \n1 2 3\n") == ""
    monkeypatch.setattr(filesystems, "_MOUNTS", tmp_path / "none")
    assert network_kind(tmp_path / "ledger.db") == ""
    monkeypatch.undo()
    assert network_kind(tmp_path / "ledger.db") == ""


def test_f36_a_ledger_on_a_network_file_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    folder = tmp_path / "share"
    folder.mkdir()
    mounts.write_text(f"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n30 22 0:40 / {folder} rw - nfs4 server:/ rw\n")
    monkeypatch.setattr(filesystems, "_MOUNTS", mounts)
    monkeypatch.delenv(ALLOW, raising=False)
    for make in (open_storage, open_existing):
        with pytest.raises(StorageUnavailableError, match=r"network file system \(nfs4\)") as caught:
            make(folder / "ledger.db")
        assert caught.value.code == "E_DB_NETWORK"
        assert "postgresql://" in caught.value.hint
        assert ALLOW in caught.value.hint
    assert list(folder.iterdir()) == []
    monkeypatch.setenv(ALLOW, "1")
    with closing(open_storage(folder / "ledger.db")) as storage:
        assert storage.studies() == []
