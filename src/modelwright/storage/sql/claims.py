"""The transaction that gives a trial out, within the budget.

Trials that may be taken are locked passing over what others hold. So a claim waits for the study's row only,
and may lock it before or after them: on a server it does so in the message that looks for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, bindparam, func, insert, literal, select

from modelwright.records import StudyState
from modelwright.storage.base import Claim, NoClaim
from modelwright.storage.ledger_rows import killed_failure, lost_failure
from modelwright.storage.sql import schema
from modelwright.storage.sql.attempts import (
    RUNNING,
    WAITING,
    fail,
    lease_cost,
    lose_attempt,
    set_columns,
    start_attempt,
)
from modelwright.storage.sql.candidates import find, look_query
from modelwright.storage.sql.encoding import decode
from modelwright.storage.sql.engine import Transaction
from modelwright.storage.sql.heads import Head, head_of, head_query
from modelwright.storage.sql.leases import expired_before
from modelwright.storage.sql.trial_rows import new_trial_row

__all__ = ["claim"]

_T = schema.trials.c
_RUNS = (_T.state == RUNNING, _T.study_id == bindparam("study"))
_LIVE = (*_RUNS, _T.lease_until_us > bindparam("expired"))
_ANY_OPEN = (
    select(literal(1))
    .where(_T.state.in_((RUNNING, WAITING)), _T.study_id == bindparam("study"))
    .limit(bindparam("one"))
)
_ANY_LIVE = select(literal(1)).where(*_LIVE).limit(bindparam("one"))
_COUNT_LIVE = select(func.count()).select_from(schema.trials).where(*_LIVE)
_GROWN = 320  # trials: from so many on a server tells a right index from a wrong one, and needs to
_ADD = insert(schema.trials).inline()
_TAKE = set_columns(
    "state", "fence", "attempts", "worker_id", "claim_id", "lease_until_us", "stop", "started_us", "revision"
)


@dataclass(slots=True)
class _Request:
    """Who asks, and what was found before the study was locked."""

    study_id: int
    worker_id: str
    claim_id: str
    lease_us: int
    expired_us: int
    ready: list[Row[Any]]  # may be given out
    ended: list[Row[Any]]  # their leases ran out, and no further attempt is due


def claim(tx: Transaction, study_id: int, worker_id: str, claim_id: str, lease_s: float) -> Claim | NoClaim:
    """See `Storage.claim`."""
    look = look_query(study_id, claim_id, tx.about_us)
    tx.expect(look, head_query(study_id))
    expired_us = expired_before(tx, study_id)
    known, rows = find(tx, look, expired_us)
    if known is not None:
        return _claim(study_id, claim_id, known.fence, known.attempts, known)
    head = head_of(tx, study_id)
    if head.state == StudyState.PAUSED.value:
        return NoClaim("paused")
    if head.state in (StudyState.COMPLETE.value, StudyState.FAILED.value):
        return NoClaim("complete")
    ended = [row for row in rows if row.state == RUNNING and (row.stop or row.attempts >= head.max_attempts)]
    ready = [row for row in rows if row not in ended]
    asked = _Request(study_id, worker_id, claim_id, int(lease_s * 1e6), expired_us, ready, ended)
    reason = _limit(tx, head, asked)
    if reason is None and ready:
        return _take(tx, head, asked)
    if (
        reason is None
        and not head.closed
        and (head.budget_trials is None or head.issued < head.budget_trials)
    ):
        return _issue(tx, head, asked)
    return _nothing(tx, head, asked, reason)


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


def _limit(tx: Transaction, head: Head, asked: _Request) -> NoClaim | None:
    """Return the part of the budget, but that of trials, that keeps everything from being given out."""
    key = {"study": asked.study_id, "expired": asked.expired_us}
    expired = [row for row in (*asked.ready, *asked.ended) if row.state == RUNNING]
    over = head.over(tx.now_us, sum(map(lease_cost, expired)))
    if over:
        return NoClaim("busy" if tx.first(_ANY_LIVE, {**key, "one": 1}) else over)
    if head.budget_parallel is not None and tx.all(_COUNT_LIVE, key)[0][0] >= head.budget_parallel:
        return NoClaim("busy")
    return None


def _nothing(tx: Transaction, head: Head, asked: _Request, reason: NoClaim | None) -> NoClaim:
    if asked.ended:
        _charge_ended(tx, head, asked)
        _fail_ended(tx, asked, head.write(tx, "lost", **_ended_form(asked.ended)))
    if reason is not None:
        return reason
    # Trials that wait, or whose lease has run out, count too: another claim holds them at this moment.
    if tx.first(_ANY_OPEN, {"study": asked.study_id, "one": 1}) is not None:
        return NoClaim("busy")
    return NoClaim("closed" if head.closed else "spent")


def _take(tx: Transaction, head: Head, asked: _Request) -> Claim:
    """Give out a trial that waits or whose lease has run out."""
    row = asked.ready[0]
    fence = (row.fence or head.fence_floor) + 1
    attempts = row.attempts + 1
    if row.state == RUNNING:
        lose_attempt(tx, head, row)
    revision = _write(tx, head, asked, row.number, fence, attempts)
    columns = _claimed(tx, asked, fence, attempts, revision)
    tx.later(_TAKE, {"study": asked.study_id, "n": row.number, **columns})
    return _claim(asked.study_id, asked.claim_id, fence, attempts, row)


def _issue(tx: Transaction, head: Head, asked: _Request) -> Claim:
    """Give out a new number."""
    number, fence = head.issued, head.fence_floor + 1
    head.issued += 1
    row = new_trial_row(asked.study_id, number, head.space_version, tx.now_us)
    revision = _write(tx, head, asked, number, fence, 1)
    row.update(_claimed(tx, asked, fence, 1, revision))
    tx.later(_ADD, row)
    if number == _GROWN:
        tx.look_at_growth()
    return Claim(asked.study_id, number, fence, asked.claim_id, 1, space_version=head.space_version)


def _claimed(tx: Transaction, asked: _Request, fence: int, attempts: int, revision: int) -> dict[str, Any]:
    return {
        "state": RUNNING,
        "fence": fence,
        "attempts": attempts,
        "worker_id": asked.worker_id,
        "claim_id": asked.claim_id,
        "lease_until_us": tx.now_us + asked.lease_us,
        "stop": 0,
        "started_us": tx.now_us,
        "revision": revision,
    }


def _write(tx: Transaction, head: Head, asked: _Request, number: int, fence: int, attempt: int) -> int:
    _charge_ended(tx, head, asked)
    extra = _ended_form(asked.ended)
    revision = head.write(tx, "claim", number, fence, worker=asked.worker_id, attempt=attempt, **extra)
    _fail_ended(tx, asked, revision)
    start_attempt(tx, asked.study_id, number, fence, asked.worker_id)
    return revision


def _charge_ended(tx: Transaction, head: Head, asked: _Request) -> None:
    for row in asked.ended:
        lose_attempt(tx, head, row)


def _fail_ended(tx: Transaction, asked: _Request, revision: int) -> None:
    for row in asked.ended:
        failure = killed_failure() if row.stop else lost_failure(row.attempts)
        fail(tx, asked.study_id, row.number, failure, revision)


def _ended_form(rows: Sequence[Row[Any]]) -> dict[str, Any]:
    """Return the part of an event's payload that names trials which ended because their lease ran out."""
    lost = [row.number for row in rows if not row.stop]
    killed = [row.number for row in rows if row.stop]
    return ({"lost": lost} if lost else {}) | ({"killed": killed} if killed else {})
