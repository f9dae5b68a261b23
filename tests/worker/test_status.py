from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from modelwright import Float, Space, Study
from modelwright.storage import Storage, open_storage
from modelwright.storage.base import Claim, WorkerInfo
from modelwright.study.worker import retire, this_worker
from modelwright.worker import status, worker_rows
from modelwright.worker.status import unattended

DAY_US = 86_400_000_000


@pytest.fixture
def storage(tmp_path: Path) -> Any:
    opened = open_storage(tmp_path / "hub.db")
    yield opened
    opened.close()


def shown(storage: Storage, **options: Any) -> dict[str, str]:
    return {row.info.id: row.state for row in worker_rows(storage, **options)}


def test_workers_here_and_elsewhere(storage: Storage) -> None:
    me = this_worker(storage)
    storage.register_worker(me)
    storage.register_worker(WorkerInfo("far", "elsewhere", 7, "b", 1.0))
    storage.register_worker(WorkerInfo("gone", me.host, 2**22 + 1, me.boot_id, 1.0))
    storage.register_worker(WorkerInfo("before", me.host, me.pid + 1, "another boot", 1.0))
    storage.register_worker(WorkerInfo("done", "elsewhere", 8, "b", 1.0))
    storage.retire_worker("done")
    expected = {me.id: "alive", "far": "alive", "gone": "dead", "before": "dead"}
    assert shown(storage) == expected
    assert shown(storage, everything=True) == {**expected, "done": "left"}
    retire(me.id)
    assert shown(storage)[me.id] == "dead"


def test_who_holds_a_lease_elsewhere_is_alive(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook is heard of once; a `modelwright worker` says every few seconds that it lives."""
    study = Study(Space(x=Float(0, 1)), storage=storage, name="s")
    for name, group in (("notebook", ""), ("worker", "worker-1"), ("late", "")):
        storage.register_worker(WorkerInfo(name, "elsewhere", 7, "b", 1.0, group=group))
    for name in ("notebook", "worker"):
        storage.claim(study.record.id, name, name, 60.0)
    storage.claim(study.record.id, "late", "late", 0.001)
    time.sleep(0.01)
    now_us = status.ledger_now_us(storage)
    monkeypatch.setattr(status, "ledger_now_us", lambda storage: now_us + 30_000_000)
    assert shown(storage) == {"notebook": "alive", "worker": "silent", "late": "silent"}


def test_all_workers_gone_for_days(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that still holds a trial is shown, however long ago it was heard of."""
    study = Study(Space(x=Float(0, 1)), storage=storage, name="s")
    for name in ("idle", "holder"):
        storage.register_worker(WorkerInfo(name, "elsewhere", 7, "b", 1.0, group="worker-1"))
    storage.claim(study.record.id, "holder", "c", 60.0)
    now_us = status.ledger_now_us(storage)
    assert shown(storage) == {"idle": "alive", "holder": "alive"}
    monkeypatch.setattr(status, "ledger_now_us", lambda storage: now_us + DAY_US // 24)
    assert shown(storage) == {"idle": "silent", "holder": "silent"}
    monkeypatch.setattr(status, "ledger_now_us", lambda storage: now_us + 3 * DAY_US)
    assert shown(storage) == {"holder": "silent"}
    [row] = worker_rows(storage)
    assert row.trials == [("s", 0)]
    assert row.seen_s >= 3 * 86400


def test_trials_that_run_in_name_only(storage: Storage) -> None:
    study = Study(Space(x=Float(0, 1)), storage=storage, name="s")
    key, me = study.record.id, this_worker(storage)
    assert unattended(storage, key, storage.trials(key)) == {}
    storage.register_worker(me)
    storage.register_worker(WorkerInfo("far", "elsewhere", 7, "b", 1.0))
    storage.register_worker(WorkerInfo("dead", me.host, 2**22 + 1, me.boot_id, 1.0))
    storage.register_worker(WorkerInfo("late", "elsewhere", 8, "b", 1.0))
    claims = [storage.claim(key, name, name, 60.0) for name in (me.id, "far", "dead")]
    storage.claim(key, "late", "late", 0.001)
    time.sleep(0.01)
    trials = storage.trials(key)
    assert unattended(storage, key, trials) == {2: "its worker is gone", 3: "its worker is silent"}
    # One that is given back after the trials were read is not told to be lost.
    assert isinstance(claims[2], Claim)
    storage.release(claims[2], "test")
    assert unattended(storage, key, trials) == {3: "its worker is silent"}
    retire(me.id)
