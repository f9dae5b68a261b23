"""What a claim finds: an earlier claim of its id, and trials that may be taken.

Looking reads an index only and locks nothing, since there is mostly nothing to find. What is found is then
locked, passing over what other claims hold. So nobody waits for a trial here, and this may come before the
study is locked or after.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import CompoundSelect, Row, Select, bindparam, literal, select, union_all

from modelwright.storage.sql import schema
from modelwright.storage.sql.attempts import RUNNING, WAITING
from modelwright.storage.sql.engine import Statement, Transaction

__all__ = ["find", "look_query"]

_T = schema.trials.c
# How many are looked at: not all after a great loss, lest one claim holds them; of those that wait as many as
# there may be claims at one moment.
_MOST_EXPIRED, _MOST_WAITING = 32, 64


def _numbers(state: str, until: Any, most: int) -> Select[Any]:
    """Return the query for trials in a state, those with the earliest lease first; it reads an index only."""
    chosen = (
        select(_T.number, _T.state, _T.lease_until_us)
        .where(_T.state == state, _T.study_id == bindparam("study"), until)
        .order_by(_T.lease_until_us, _T.number)
        .limit(most)
        .subquery()
    )
    return select(chosen)


_KNOWN = "known"
_OF_CLAIM = (_T.study_id == bindparam("study"), _T.claim_id == bindparam("claim"))
_LOOK: CompoundSelect[Any] = union_all(
    select(_T.number, literal(_KNOWN).label("state"), _T.lease_until_us).where(*_OF_CLAIM),
    _numbers(WAITING, _T.lease_until_us == 0, _MOST_WAITING),
    _numbers(RUNNING, _T.lease_until_us <= bindparam("expired"), _MOST_EXPIRED),
)
# Rows are locked by their numbers, as everywhere: MariaDB locks what it reads of an index too, and two
# transactions that come to one row by different indexes may wait for each other.
_COLUMNS = (
    _T.number, _T.state, _T.fence, _T.attempts, _T.claim_id, _T.lease_until_us, _T.stop, _T.started_us,
    _T.params, _T.space_version, _T.fidelity, _T.parent, _T.partition_index,
)  # fmt: skip
_CLAIMED = select(*_COLUMNS).where(*_OF_CLAIM)
_LOCK = (
    select(*_COLUMNS)
    .where(_T.study_id == bindparam("study"), _T.number.in_(bindparam("numbers", expanding=True)))
    .order_by(_T.number)
    .with_for_update(skip_locked=True)
)
_LOCK_FIRST = _LOCK.limit(1)


def look_query(study_id: int, claim_id: str, expired_us: int) -> Statement:
    """Return the query by which `find` begins, for `Transaction.expect`.

    `expired_us` may be an estimate; it should not be too early.
    """
    return _LOOK, {"study": study_id, "claim": claim_id, "expired": expired_us}


def find(tx: Transaction, look: Statement, expired_us: int) -> tuple[Row[Any] | None, list[Row[Any]]]:
    """Return the trial that was claimed under this id before, or else those that may be taken, by number.

    These are the first one that waits and those whose lease ran out before `expired_us`, all of them locked.
    """
    query, key = look
    found = tx.all(query, key)
    if key["expired"] < expired_us:
        found = tx.all(query, {**key, "expired": expired_us})
    if any(row.state == _KNOWN for row in found):
        known = tx.first(_CLAIMED, {"study": key["study"], "claim": key["claim"]})
        if known is not None:
            return known, []
    takeable = [row for row in found if row.state == WAITING or row.lease_until_us <= expired_us]
    return None, _lock_takeable(tx, key["study"], expired_us, takeable)


def _lock_takeable(
    tx: Transaction, study_id: int, expired_us: int, found: Sequence[Row[Any]]
) -> list[Row[Any]]:
    """Lock the first trial that waits, and those whose lease has run out; return their rows by number."""
    rows: list[Row[Any]] = []
    expired = [row.number for row in found if row.state == RUNNING]
    if expired:
        locked = tx.all(_LOCK, {"study": study_id, "numbers": expired})
        rows += (row for row in locked if row.state == RUNNING and row.lease_until_us <= expired_us)
    waiting = [row.number for row in found if row.state == WAITING]
    while waiting:
        first = tx.first(_LOCK_FIRST, {"study": study_id, "numbers": waiting})
        if first is None:  # other claims hold them all
            break
        if first.state == WAITING:
            rows.append(first)
            break
        waiting = [number for number in waiting if number > first.number]  # taken since it was looked at
    return sorted(rows, key=lambda row: row.number)
