"""Transactions on workers; a wish for one is left in its row, and as an event of the studies it works on."""

from __future__ import annotations

from typing import Any

from sqlalchemy import bindparam, insert, select, update

from modelwright.storage.base import WorkerInfo
from modelwright.storage.ledger_head import signed
from modelwright.storage.plain import clean_text
from modelwright.storage.sql import rows, schema
from modelwright.storage.sql.attempts import RUNNING
from modelwright.storage.sql.engine import Transaction
from modelwright.storage.sql.heads import head_of
from modelwright.storage.sql.leases import expired_before
from modelwright.storage.sql.studies import study_by_id

__all__ = ["ask_worker", "register_worker", "retire_worker", "workers"]

_T, _W = schema.trials.c, schema.workers.c
_WORKER = select(schema.workers).where(_W.id == bindparam("key"))
_WORKERS = select(schema.workers).order_by(_W.id)
_HOLDERS = _WORKERS.where(
    _W.id.in_(
        select(_T.worker_id).where(
            _T.state == RUNNING, _T.study_id == bindparam("study"), _T.lease_until_us > bindparam("expired")
        )
    )
)
_HELD = (
    select(_T.study_id, _T.lease_until_us)
    .where(_T.state == RUNNING, _T.worker_id == bindparam("worker"), _T.lease_until_us > 0)
    .order_by(_T.study_id)
)
_RETIRE = (
    update(schema.workers)
    .where(_W.id == bindparam("key"), _W.left_us.is_(None))
    .values(left_us=bindparam("at"))
)


def register_worker(tx: Transaction, info: WorkerInfo) -> WorkerInfo:
    """See `Storage.register_worker`."""
    columns: dict[str, Any] = {
        "host": clean_text(info.host),
        "pid": info.pid,
        "boot_id": info.boot_id,
        "process_started": info.process_started,
        "version": info.version,
        "group_id": info.group,
        "seen_us": tx.now_us,
        "left_us": None,
    }
    if tx.first(_WORKER, {"key": info.id}) is None:
        new = {"id": info.id, "registered_us": tx.now_us, "asked": "", **columns}
        tx.run(insert(schema.workers), new)
    else:
        _change(tx, info.id, columns)
    return _worker(tx, info.id)


def _change(tx: Transaction, worker_id: str, columns: dict[str, Any]) -> None:
    tx.run(update(schema.workers).where(_W.id == bindparam("key")).values(columns), {"key": worker_id})


def _worker(tx: Transaction, worker_id: str) -> WorkerInfo:
    row = tx.first(_WORKER, {"key": worker_id})
    if row is None:
        raise KeyError(f"there is no worker {worker_id!r}")
    return rows.worker_from_row(row)


def workers(tx: Transaction, study_id: int | None) -> list[WorkerInfo]:
    """See `Storage.workers`."""
    if study_id is None:
        return [rows.worker_from_row(row) for row in tx.all(_WORKERS)]
    study_by_id(tx, study_id)
    key = {"study": study_id, "expired": expired_before(tx, study_id)}
    return [rows.worker_from_row(row) for row in tx.all(_HOLDERS, key)]


def ask_worker(tx: Transaction, worker_id: str, wish: str, who: str) -> WorkerInfo:
    """See `Storage.ask_worker`."""
    if _worker(tx, worker_id).asked != wish:
        _change(tx, worker_id, {"asked": wish})
        held = tx.all(_HELD, {"worker": worker_id})
        studies = {row.study_id for row in held if row.lease_until_us > expired_before(tx, row.study_id)}
        for study_id in sorted(studies):
            head_of(tx, study_id).write(tx, "ask", worker=worker_id, wish=wish, **signed(who))
    return _worker(tx, worker_id)


def retire_worker(tx: Transaction, worker_id: str) -> None:
    """See `Storage.retire_worker`."""
    tx.later(_RETIRE, {"key": worker_id, "at": tx.now_us})
