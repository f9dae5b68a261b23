"""Transactions that prolong leases, end them, and give trials back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, bindparam, delete, select

from modelwright.records import StudyState, TrialState
from modelwright.storage.base import Claim, Controls
from modelwright.storage.ledger_rows import killed_failure, lost_failure
from modelwright.storage.plain import clean_text
from modelwright.storage.sql import schema
from modelwright.storage.sql.attempts import (
    RUNNING,
    THIS,
    WAITING,
    fail,
    is_held,
    release_attempt,
    row_and_head,
    row_of,
    set_columns,
    trial_columns,
    was_lost,
    was_released,
)
from modelwright.storage.sql.engine import Transaction
from modelwright.storage.sql.heads import head_of
from modelwright.storage.sql.studies import spec_of, states_of

__all__ = ["expired_before", "forfeit", "release", "renew_all", "silent_rows", "take_back"]

_T = schema.trials.c
_DROP = delete(schema.trials).where(*THIS)
_DROP_REPORTS = delete(schema.reports).where(
    schema.reports.c.study_id == bindparam("study"), schema.reports.c.number == bindparam("n")
)
_GIVE_BACK = set_columns(
    "state", "attempts", "worker_id", "claim_id", "lease_until_us", "started_us", "revision"
)
_TO_RENEW = trial_columns(_T.state, _T.fence, _T.stop, _T.result_id)
_RENEW = set_columns("lease_until_us")
_LEASED_BY = (
    select(_T.study_id, _T.number, _T.fence)
    .where(_T.state == RUNNING, _T.worker_id == bindparam("worker"), _T.lease_until_us > 0)
    .order_by(_T.study_id, _T.number)
)
_SILENT = (
    select(_T.number)
    .where(_T.state == RUNNING, _T.study_id == bindparam("study"), _T.lease_until_us <= bindparam("expired"))
    .order_by(_T.number)
)


def expired_before(tx: Transaction, study_id: int) -> int:
    """Return the moment up to which leases of a study count as run out.

    While the database was away no worker could renew its lease. So after an outage none is taken from its
    worker until one lease has passed; those that `forfeit` ended lie below zero and are not spared.
    """
    if tx.outage_end_us and tx.now_us < tx.outage_end_us + int(spec_of(tx, study_id).lease_s * 1e6):
        return 0
    return tx.now_us


def silent_rows(tx: Transaction, study_id: int) -> list[Row[Any]]:
    """Lock the trials whose leases have run out, and return their rows by number."""
    expired_us = expired_before(tx, study_id)
    found = tx.all(_SILENT, {"study": study_id, "expired": expired_us})
    rows = [row_of(tx, study_id, item.number) for item in found]  # what has run since was taken over
    return [row for row in rows if row and row.state == RUNNING and row.lease_until_us <= expired_us]


def take_back(tx: Transaction, study_id: int, row: Row[Any], waits: bool, revision: int) -> None:
    """Let a trial whose attempt was lost wait for another one, or end it."""
    if waits:
        _send_back(tx, study_id, row.number, row.attempts, revision)
    else:
        fail(tx, study_id, row.number, killed_failure() if row.stop else lost_failure(row.attempts), revision)


def _send_back(tx: Transaction, study_id: int, number: int, attempts: int, revision: int) -> None:
    columns = {
        "state": WAITING,
        "attempts": attempts,
        "worker_id": "",
        "claim_id": None,
        "lease_until_us": 0,
        "started_us": None,
        "revision": revision,
    }
    tx.later(_GIVE_BACK, {"study": study_id, "n": number, **columns})


def release(tx: Transaction, held: Claim, why: str, close: bool) -> bool:
    """See `Storage.release`."""
    row, head = row_and_head(tx, held.study_id, held.number)
    if row is None or not is_held(row, held):
        return was_released(tx, held)
    key = {"study": held.study_id, "n": held.number}
    why = clean_text(why)
    release_attempt(tx, head, row)
    if close:
        head.closed = why
    if row.stop:  # the wish to kill it outlives the worker that was asked
        revision = head.write(tx, "release", held.number, held.fence, why=why, killed=True)
        tx.later(_SET_ATTEMPTS, {**key, "attempts": row.attempts - 1})
        fail(tx, held.study_id, held.number, killed_failure(), revision)
    elif row.params is None and held.number == head.issued - 1:
        head.issued -= 1
        # Fences only grow, also when the number is given out again.
        head.fence_floor = max(head.fence_floor, held.fence)
        tx.later(_DROP, key)
        tx.later(_DROP_REPORTS, key)
        head.write(tx, "release", held.number, held.fence, why=why, given_back=True)
    else:
        revision = head.write(tx, "release", held.number, held.fence, why=why)
        _send_back(tx, held.study_id, held.number, row.attempts - 1, revision)
    return True


_SET_ATTEMPTS = set_columns("attempts")


def renew_all(tx: Transaction, claims: Sequence[Claim], lease_s: float) -> Controls:
    """See `Storage.renew`; no study is locked, so this waits for nobody's claim."""
    states = states_of(tx, {item.study_id for item in claims})
    known = sorted((item for item in claims if item.study_id in states), key=lambda i: (i.study_id, i.number))
    queries = [(_TO_RENEW, {"study": item.study_id, "n": item.number}) for item in known]
    tx.expect(*queries)
    rows = [tx.first(*query) for query in queries]
    lost, stop = {item.number for item in claims if item.study_id not in states}, set()
    for item, row in zip(known, rows, strict=True):
        gone, asked = _renew(tx, item, row, lease_s)
        if gone:
            lost.add(item.number)
        if asked:
            stop.add(item.number)
    broken_off = {key for key, (state, abort) in states.items() if abort and state is not StudyState.RUNNING}
    ordered = {item.study_id: states[item.study_id][0] for item in claims if item.study_id in states}
    return Controls(frozenset(lost), frozenset(stop), ordered, frozenset(broken_off))


def _renew(tx: Transaction, held: Claim, row: Row[Any] | None, lease_s: float) -> tuple[bool, bool]:
    """Prolong one lease; return whether the claim is lost, and whether somebody asked to kill its trial."""
    if row is None:
        return False, False
    if is_held(row, held):
        until_us = tx.now_us + int(lease_s * 1e6)
        tx.later(_RENEW, {"study": held.study_id, "n": held.number, "lease_until_us": until_us})
        return False, bool(row.stop)
    # A trial that failed without a result was ended by somebody else: lost, or killed.
    ended = row.state == TrialState.FAILED.value and row.result_id is None
    return row.fence != held.fence or ended or (row.state == WAITING and was_lost(tx, held)), False


def forfeit(tx: Transaction, worker_id: str, why: str) -> list[int]:
    """See `Storage.forfeit`; a lease that was ended so holds the moment of its end, below zero."""
    held: dict[int, list[int]] = {}
    expired = {}
    for found in tx.all(_LEASED_BY, {"worker": worker_id}):
        study_id, number = found.study_id, found.number
        if study_id not in expired:
            expired[study_id] = expired_before(tx, study_id)
        row = row_of(tx, study_id, number)
        if row is None or (row.state, row.fence) != (RUNNING, found.fence):
            continue  # ended, or taken over, since it was looked at
        if row.lease_until_us > expired[study_id]:
            end_us = -min(tx.now_us, row.lease_until_us)
            tx.later(_RENEW, {"study": study_id, "n": number, "lease_until_us": end_us})
            held.setdefault(study_id, []).append(number)
    for study_id, numbers in held.items():
        head = head_of(tx, study_id)
        head.write(tx, "forfeit", worker=worker_id, why=clean_text(why), trials=numbers)
    return [number for numbers in held.values() for number in numbers]
