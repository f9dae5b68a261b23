"""Transactions that give trials out, take them back, and keep leases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, bindparam, delete, insert, literal, select, union_all

from modelwright.records import StudyState, TrialState
from modelwright.storage.base import Claim, Controls, NoClaim
from modelwright.storage.ledger_rows import lost_failure
from modelwright.storage.plain import clean_text, plain
from modelwright.storage.sql import schema
from modelwright.storage.sql.attempts import (
    RUNNING,
    THIS,
    end_attempt,
    is_held,
    row_of,
    set_columns,
    start_attempt,
    was_released,
)
from modelwright.storage.sql.encoding import decode, encode
from modelwright.storage.sql.engine import Transaction
from modelwright.storage.sql.studies import Head, head_of, state_of
from modelwright.storage.sql.trial_rows import failure_to_row, new_trial_row

__all__ = ["claim", "enqueue", "forfeit", "release", "renew_all"]

_T = schema.trials.c
_WAITING = TrialState.WAITING.value

# Of each row that `claim` looks at.
_CLAIM_COLUMNS = (
    _T.number, _T.state, _T.fence, _T.attempts, _T.claim_id, _T.lease_until_us, _T.params, _T.space_version,
    _T.fidelity, _T.parent, _T.partition_index,
)  # fmt: skip
_first_waiting = (
    select(*_CLAIM_COLUMNS)
    .where(_T.state == _WAITING, _T.study_id == bindparam("study"))
    .order_by(_T.lease_until_us, _T.number)
    .limit(1)
    .subquery()
)
_CANDIDATES = union_all(
    select(*_CLAIM_COLUMNS).where(_T.study_id == bindparam("study"), _T.claim_id == bindparam("claim")),
    select(_first_waiting),
    select(*_CLAIM_COLUMNS).where(
        _T.state == RUNNING, _T.study_id == bindparam("study"), _T.lease_until_us <= bindparam("now")
    ),
)
_ANY_RUNNING = (
    select(literal(1)).where(_T.state == RUNNING, _T.study_id == bindparam("study")).limit(bindparam("one"))
)
_ADD = insert(schema.trials)
_DROP = delete(schema.trials).where(*THIS)
_DROP_REPORTS = delete(schema.reports).where(
    schema.reports.c.study_id == bindparam("study"), schema.reports.c.number == bindparam("n")
)
_TAKE = set_columns(
    "state", "fence", "attempts", "worker_id", "claim_id", "lease_until_us", "stop", "started_us", "revision"
)
_GIVE_BACK = set_columns(
    "state", "attempts", "worker_id", "claim_id", "lease_until_us", "started_us", "revision"
)
_LOSE = set_columns(
    "state", "claim_id", "lease_until_us", "failure_kind", "failure_code", "failure_message",
    "failure_traceback", "ended_us", "revision", "finished_revision",
)  # fmt: skip
_RENEW = set_columns("lease_until_us")
_LEASED_BY = (
    select(_T.study_id, _T.number)
    .where(_T.state == RUNNING, _T.worker_id == bindparam("worker"), _T.lease_until_us > bindparam("now"))
    .order_by(_T.study_id, _T.number)
)


def _us(seconds: float) -> int:
    return int(seconds * 1e6)


def enqueue(tx: Transaction, study_id: int, params: Mapping[str, Any], user_attrs: Mapping[str, Any]) -> int:
    """See `Storage.enqueue`."""
    head = head_of(tx, study_id)
    number = head.issued
    head.issued += 1
    if head.budget_trials is not None:
        head.budget_trials = max(head.budget_trials, head.issued)
    head.reopen(tx.now_us)
    row = new_trial_row(study_id, number, head.space_version, tx.now_us)
    row["params"] = encode(plain(params, "params"))
    row["user_attrs"] = encode(plain(user_attrs, "user_attrs"))
    row["enqueued"] = 1
    row["revision"] = head.write(tx, "enqueue", number, 0)
    tx.run(_ADD, row)
    return number


def claim(tx: Transaction, study_id: int, worker_id: str, claim_id: str, lease_s: float) -> Claim | NoClaim:
    """See `Storage.claim`."""
    head = head_of(tx, study_id)
    found = tx.all(_CANDIDATES, {"study": study_id, "claim": claim_id, "now": tx.now_us})
    for row in found:
        if row.claim_id == claim_id:
            return _claim(study_id, claim_id, row.fence, row.attempts, row)
    if head.state in (StudyState.COMPLETE.value, StudyState.FAILED.value):
        return NoClaim("complete")
    if head.state == StudyState.PAUSED.value:
        return NoClaim("paused")
    lost = [row for row in found if row.state == RUNNING and row.attempts >= head.max_attempts]
    ready = [row for row in found if row not in lost]
    if ready:
        return _take(tx, head, min(ready, key=lambda row: row.number), lost, worker_id, claim_id, lease_s)
    if not head.closed and (head.budget_trials is None or head.issued < head.budget_trials):
        return _issue(tx, head, lost, worker_id, claim_id, lease_s)
    if lost:
        _end_lost(tx, head, lost, head.write(tx, "lost", trials=[row.number for row in lost]))
    if tx.first(_ANY_RUNNING, {"study": study_id, "one": 1}) is not None:
        return NoClaim("busy")
    return NoClaim("closed" if head.closed else "spent")


def _claim(study_id: int, claim_id: str, fence: int, attempts: int, row: Any) -> Claim:
    params = None if row.params is None else decode(row.params)
    return Claim(
        study_id,
        row.number,
        fence,
        claim_id,
        attempts,
        params,
        row.space_version,
        row.fidelity,
        row.parent,
        row.partition_index,
    )


def _take(
    tx: Transaction,
    head: Head,
    row: Row[Any],
    lost: Sequence[Row[Any]],
    worker_id: str,
    claim_id: str,
    lease_s: float,
) -> Claim:
    """Give out a trial that waits or whose lease has run out."""
    fence = (row.fence or head.fence_floor) + 1
    attempts = row.attempts + 1
    if row.state == RUNNING:
        end_attempt(tx, head.study_id, row.number, row.fence, "lost")
    revision = _write_claim(tx, head, row.number, fence, worker_id, attempts, lost)
    columns = _claimed(tx, fence, attempts, worker_id, claim_id, lease_s, revision)
    tx.run(_TAKE, {"study": head.study_id, "n": row.number, **columns})
    return _claim(head.study_id, claim_id, fence, attempts, row)


def _issue(
    tx: Transaction, head: Head, lost: Sequence[Row[Any]], worker_id: str, claim_id: str, lease_s: float
) -> Claim:
    """Give out a new number."""
    number, fence = head.issued, head.fence_floor + 1
    head.issued += 1
    row = new_trial_row(head.study_id, number, head.space_version, tx.now_us)
    revision = _write_claim(tx, head, number, fence, worker_id, 1, lost)
    row.update(_claimed(tx, fence, 1, worker_id, claim_id, lease_s, revision))
    tx.run(_ADD, row)
    return Claim(head.study_id, number, fence, claim_id, 1, space_version=head.space_version)


def _claimed(
    tx: Transaction, fence: int, attempts: int, worker_id: str, claim_id: str, lease_s: float, revision: int
) -> dict[str, Any]:
    return {
        "state": RUNNING,
        "fence": fence,
        "attempts": attempts,
        "worker_id": worker_id,
        "claim_id": claim_id,
        "lease_until_us": tx.now_us + _us(lease_s),
        "stop": 0,
        "started_us": tx.now_us,
        "revision": revision,
    }


def _write_claim(
    tx: Transaction, head: Head, number: int, fence: int, worker: str, attempt: int, lost: Sequence[Row[Any]]
) -> int:
    extra = {"lost": [row.number for row in lost]} if lost else {}
    revision = head.write(tx, "claim", number, fence, worker=worker, attempt=attempt, **extra)
    _end_lost(tx, head, lost, revision)
    start_attempt(tx, head.study_id, number, fence, worker)
    return revision


def _end_lost(tx: Transaction, head: Head, lost: Sequence[Row[Any]], revision: int) -> None:
    for row in lost:
        end_attempt(tx, head.study_id, row.number, row.fence, "lost")
        columns = {
            "state": TrialState.FAILED.value,
            "claim_id": None,
            "lease_until_us": 0,
            "ended_us": tx.now_us,
            "revision": revision,
            "finished_revision": revision,
            **failure_to_row(lost_failure(row.attempts)),
        }
        tx.run(_LOSE, {"study": head.study_id, "n": row.number, **columns})


def release(tx: Transaction, held: Claim, why: str, close: bool) -> bool:
    """See `Storage.release`."""
    head = head_of(tx, held.study_id)
    row = row_of(tx, held.study_id, held.number)
    if row is None or not is_held(row, held):
        return was_released(tx, held)
    key = {"study": held.study_id, "n": held.number}
    end_attempt(tx, held.study_id, held.number, held.fence, "released")
    if close:
        head.closed = clean_text(why)
    if row.params is None and held.number == head.issued - 1:
        head.issued -= 1
        # Fences only grow, also when the number is given out again.
        head.fence_floor = max(head.fence_floor, held.fence)
        tx.run(_DROP, key)
        tx.run(_DROP_REPORTS, key)
        head.write(tx, "release", held.number, held.fence, why=clean_text(why), given_back=True)
        return True
    revision = head.write(tx, "release", held.number, held.fence, why=clean_text(why))
    columns = {
        "state": _WAITING,
        "attempts": row.attempts - 1,
        "worker_id": "",
        "claim_id": None,
        "lease_until_us": 0,
        "started_us": None,
        "revision": revision,
    }
    tx.run(_GIVE_BACK, {**key, **columns})
    return True


def renew_all(tx: Transaction, claims: Sequence[Claim], lease_s: float) -> Controls:
    """See `Storage.renew`."""
    lost, stop, states = set(), set(), {}
    alive = {item.study_id: state_of(tx, item.study_id) for item in claims}
    for item in claims:
        state = alive[item.study_id]
        gone, asked = (True, False) if state is None else _renew(tx, item, lease_s)
        if state is not None:
            states[item.study_id] = state
        if gone:
            lost.add(item.number)
        if asked:
            stop.add(item.number)
    return Controls(frozenset(lost), frozenset(stop), states)


def _renew(tx: Transaction, held: Claim, lease_s: float) -> tuple[bool, bool]:
    """Prolong one lease; return whether the claim is lost, and whether somebody asked to stop it."""
    row = row_of(tx, held.study_id, held.number)
    if row is None:
        return False, False
    if is_held(row, held):
        until_us = tx.now_us + _us(lease_s)
        tx.run(_RENEW, {"study": held.study_id, "n": held.number, "lease_until_us": until_us})
        return False, bool(row.stop)
    return row.fence != held.fence or row.failure_kind == "lost", False


def forfeit(tx: Transaction, worker_id: str, why: str) -> list[int]:
    """See `Storage.forfeit`."""
    held: dict[int, list[int]] = {}
    for row in tx.all(_LEASED_BY, {"worker": worker_id, "now": tx.now_us}):
        held.setdefault(row.study_id, []).append(row.number)
    for study_id, numbers in held.items():
        head = head_of(tx, study_id)
        for number in numbers:
            tx.run(_RENEW, {"study": study_id, "n": number, "lease_until_us": tx.now_us})
        head.write(tx, "forfeit", worker=worker_id, why=clean_text(why), trials=numbers)
    return [number for numbers in held.values() for number in numbers]
