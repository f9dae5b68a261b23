"""Transactions by which people, and tools that stand outside of a run, act on trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, delete, insert, select

from modelwright.errors import InputError
from modelwright.records import Trial, TrialState
from modelwright.storage.ledger_head import signed
from modelwright.storage.ledger_rows import killed_failure
from modelwright.storage.plain import clean_text, config_form, config_key, merged, plain
from modelwright.storage.sql import reading, schema
from modelwright.storage.sql.attempts import RUNNING, fail, lose_attempt, row_and_head, set_columns
from modelwright.storage.sql.encoding import decode, encode
from modelwright.storage.sql.engine import Transaction
from modelwright.storage.sql.heads import head_of
from modelwright.storage.sql.leases import expired_before
from modelwright.storage.sql.trial_rows import new_trial_row

__all__ = ["enqueue", "kill", "set_trial_attrs", "trim"]

_T, _R, _F = schema.trials.c, schema.reports.c, schema.artifacts.c
_ADD = insert(schema.trials).inline()
_REQUESTED = select(_T.number).where(_T.study_id == bindparam("study"), _T.request_id == bindparam("request"))
_STOP = set_columns("stop", "revision")
_SAVE_ATTRS = set_columns("user_attrs", "revision")
_FINISHED = [state.value for state in TrialState if state.finished]
_LONGEST_REQUEST = 128
_PAGE = 500


def enqueue(
    tx: Transaction,
    study_id: int,
    params: Mapping[str, Any],
    user_attrs: Mapping[str, Any],
    request_id: str,
    who: str,
) -> int:
    """See `Storage.enqueue`."""
    if len(request_id) > _LONGEST_REQUEST:
        raise InputError(
            f"expected a request id of at most {_LONGEST_REQUEST} characters, got {len(request_id)}."
        )
    request_id = clean_text(request_id)
    head = head_of(tx, study_id)
    known = tx.first(_REQUESTED, {"study": study_id, "request": request_id}) if request_id else None
    if known is not None:
        return int(known.number)
    number = head.issued
    head.issued += 1
    head.hold_all()
    head.reopen(tx.now_us)
    params = plain(params, "params")
    row = new_trial_row(study_id, number, head.space_version, tx.now_us)
    row["params"] = encode(params)
    row["config_key"] = config_key(params, None)
    row["request_id"] = request_id or None
    row["user_attrs"] = encode(plain(user_attrs, "user_attrs"))
    row["enqueued"] = 1
    extra = {"request_id": request_id} if request_id else {}
    facts = config_form(row["config_key"])
    row["revision"] = head.write(tx, "enqueue", number, 0, **facts, **extra, **signed(who))
    tx.later(_ADD, row)
    return number


def kill(tx: Transaction, study_id: int, number: int, who: str) -> Trial:
    """See `Storage.kill`."""
    row, head = row_and_head(tx, study_id, number)
    if row is None or TrialState(row.state).finished:
        return reading.trial(tx, study_id, number)
    if row.state == RUNNING and row.lease_until_us > expired_before(tx, study_id):
        if not row.stop:
            revision = head.write(tx, "kill", number, row.fence, asked=True, **signed(who))
            tx.later(_STOP, {"study": study_id, "n": number, "stop": 1, "revision": revision})
    else:
        if row.state == RUNNING:
            lose_attempt(tx, head, row)
        revision = head.write(tx, "kill", number, row.fence, **signed(who))
        fail(tx, study_id, number, killed_failure(), revision)
    return reading.trial(tx, study_id, number)


def set_trial_attrs(tx: Transaction, study_id: int, number: int, attrs: Mapping[str, Any]) -> None:
    """See `Storage.set_trial_attrs`."""
    row, head = row_and_head(tx, study_id, number)
    if row is None:
        raise KeyError(f"the study has no trial {number}")
    text = encode(merged(decode(row.user_attrs), attrs, "user_attrs"))
    revision = head.write(tx, "trial_attrs", number, row.fence, names=list(attrs))
    tx.later(_SAVE_ATTRS, {"study": study_id, "n": number, "user_attrs": text, "revision": revision})


def trim(tx: Transaction, study_id: int, numbers: Sequence[int], who: str) -> None:
    """See `Storage.trim`."""
    head = head_of(tx, study_id)
    wanted = sorted(set(numbers))
    gone: set[int] = set()
    for start in range(0, len(wanted), _PAGE):  # databases take so many parameters
        page = {"study": study_id, "numbers": wanted[start : start + _PAGE]}
        finished = {"study": study_id, "numbers": [row.number for row in tx.all(_ENDED, page)]}
        for held, drop in _LEFT:
            found = {row.number for row in tx.all(held, finished)}
            if found:
                tx.run(drop, finished)
                gone |= found
    if gone:
        head.write(tx, "trim", trials=sorted(gone), **signed(who))


def _among(column: Any) -> Any:
    return column.in_(bindparam("numbers", expanding=True))


_ENDED = select(_T.number).where(
    _T.study_id == bindparam("study"), _T.state.in_(_FINISHED), _among(_T.number)
)
_LEFT = [
    (
        select(column.number).where(column.study_id == bindparam("study"), _among(column.number)).distinct(),
        delete(table).where(column.study_id == bindparam("study"), _among(column.number)),
    )
    for table, column in ((schema.reports, _R), (schema.artifacts, _F))
]
