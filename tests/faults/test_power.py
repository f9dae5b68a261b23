"""Power that fails: whatever part of SQLite's log has reached the disk, a consistent ledger comes of it."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from modelwright.records import TrialState
from modelwright.storage import SQLStorage, open_existing, open_storage
from modelwright.testing.audit import audit
from modelwright.testing.storage import make_spec
from modelwright.testing.storage_walk import Mirror, Walk


@dataclass(frozen=True)
class Promise:
    """What the ledger had acknowledged as durable when its log was so long."""

    log_bytes: int
    finished: frozenset[int]


def grow(path: Path, seed: int, steps: int, *, checkpoint: bool) -> tuple[SQLStorage, list[Promise]]:
    """Take a random walk through a ledger, and note what each length of the log must hold."""
    storage = open_storage(path)
    study = storage.set_budget(storage.create_study(make_spec()).id, 10**6)
    walk = Walk(random.Random(seed), 60)
    walk._claims.append(storage.claim(study.id, "w", "first", 60))  # or it begins with one that nobody got
    mirror = Mirror(storage, lambda seconds: None)
    log = path.with_name(path.name + "-wal")
    promises = [Promise(log.stat().st_size, frozenset())]
    for step in range(steps):
        if checkpoint and step == steps // 2:
            with closing(sqlite3.connect(path)) as other:
                assert other.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()[0] == 0
            held = frozenset(t.number for t in storage.trials(study.id) if t.finished_revision)
            promises = [Promise(0, held)]
        name, answer = walk.step(mirror, study.id)
        if name == "finish" and str(answer) in ("accepted", "retry"):
            done = frozenset(t.number for t in storage.trials(study.id, [TrialState.COMPLETE]))
            promises.append(Promise(_live_bytes(log), done))
    return storage, promises  # type: ignore[return-value]


def _live_bytes(log: Path) -> int:
    """Return the length of the log's newest part: after a restart, older frames follow it."""
    data = log.read_bytes()
    salt, page = data[16:24], int.from_bytes(data[8:12], "big")
    frame = 24 + page
    count = 0
    while data[32 + count * frame + 8 : 32 + count * frame + 16] == salt:
        count += 1
    return 32 + count * frame


@contextmanager
def after_power_failed(path: Path, folder: Path, kept: int, damage: str) -> Iterator[Any]:
    """Yield the ledger that comes of a log of which only `kept` bytes reached the disk, if there is one."""
    copy = folder / "ledger.db"
    shutil.copy(path, copy)
    log = path.with_name(path.name + "-wal").read_bytes()
    rest = {"cut": b"", "zeros": bytes(len(log) - kept), "torn": bytes(b ^ 0x5A for b in log[kept:])}[damage]
    copy.with_name("ledger.db-wal").write_bytes(log[:kept] + rest)
    with closing(sqlite3.connect(copy)) as raw:
        empty = raw.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    if empty:
        yield None
    else:
        with closing(open_existing(copy)) as storage:
            yield storage
    for item in folder.iterdir():
        item.unlink()


def cut_everywhere(tmp_path: Path, *, seed: int, cuts: int, damage: str, checkpoint: bool) -> None:
    print(f"seed {seed}")
    path = tmp_path / "original" / "ledger.db"
    folder = tmp_path / "copy"
    path.parent.mkdir()
    folder.mkdir()
    storage, promises = grow(path, seed, 220, checkpoint=checkpoint)
    rng = random.Random(seed)
    end = promises[-1].log_bytes
    offsets = sorted(
        {0, end, *(p.log_bytes for p in promises[:5]), *(rng.randrange(end) for _ in range(cuts))}
    )
    revisions = []
    for kept in offsets:
        promised = [promise for promise in promises if promise.log_bytes <= kept]
        with after_power_failed(path, folder, kept, damage) as found:
            if found is None or not found.studies():
                assert promised == [], "a study that was there has gone"
                continue
            study = found.study("study")
            audit(found, study.id)
            done = {trial.number for trial in found.trials(study.id) if trial.finished_revision}
            assert not promised or promised[-1].finished <= done, f"results lost at byte {kept}"
            revisions.append(study.revision)
    storage.close()
    assert revisions == sorted(revisions)
    assert len(set(revisions)) > 5
    assert promises[-1].finished


@pytest.mark.parametrize("damage", ["cut", "torn"])
def test_f34_power_fails(tmp_path: Path, damage: str) -> None:
    cut_everywhere(tmp_path, seed=11, cuts=25, damage=damage, checkpoint=False)


def test_f34_power_fails_after_a_checkpoint(tmp_path: Path) -> None:
    cut_everywhere(tmp_path, seed=12, cuts=25, damage="cut", checkpoint=True)


@pytest.mark.slow
@pytest.mark.parametrize("checkpoint", [False, True])
@pytest.mark.parametrize("damage", ["cut", "torn", "zeros"])
@pytest.mark.parametrize("seed", [1, 2])
def test_f34_power_fails_anywhere(tmp_path: Path, damage: str, checkpoint: bool, seed: int) -> None:
    cut_everywhere(tmp_path, seed=seed, cuts=100, damage=damage, checkpoint=checkpoint)
