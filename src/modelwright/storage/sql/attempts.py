"""What transactions on trials share: the row of one trial, and the rows of its attempts."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, Update, bindparam, insert, select, update

from modelwright.records import Outcome, TrialState
from modelwright.storage.base import Claim
from modelwright.storage.plain import clean_text
from modelwright.storage.sql import schema
from modelwright.storage.sql.engine import Transaction

__all__ = [
    "RUNNING",
    "THIS",
    "end_attempt",
    "is_held",
    "row_of",
    "set_columns",
    "start_attempt",
    "was_released",
]

_T, _A = schema.trials.c, schema.attempts.c
RUNNING = TrialState.RUNNING.value
THIS = (_T.study_id == bindparam("study"), _T.number == bindparam("n"))
"""The condition of statements on one trial."""

_ROW = select(
    _T.state, _T.fence, _T.attempts, _T.params, _T.user_attrs, _T.stop, _T.result_id, _T.failure_kind
).where(*THIS)
_START_ATTEMPT = insert(schema.attempts)
_END_ATTEMPT = (
    update(schema.attempts)
    .where(_A.study_id == bindparam("study"), _A.number == bindparam("n"), _A.fence == bindparam("f"))
    .values(
        {
            name: bindparam(name)
            for name in ("outcome", "ended_us", "duration_s", "peak_memory_mb", "exit_code", "log_location")
        }
    )
)
_ATTEMPT = select(_A.outcome).where(
    _A.study_id == bindparam("study"), _A.number == bindparam("n"), _A.fence == bindparam("f")
)


def set_columns(*names: str) -> Update:
    """Return an update of these columns of one trial, with parameters of the same names."""
    return update(schema.trials).where(*THIS).values({name: bindparam(name) for name in names})


def row_of(tx: Transaction, study_id: int, number: int) -> Row[Any] | None:
    """Return what moves of one trial, None if there is none."""
    return tx.first(_ROW, {"study": study_id, "n": number})


def is_held(row: Row[Any] | None, claim: Claim) -> bool:
    """Say whether a claim is the newest of its trial, and still open."""
    return row is not None and row.fence == claim.fence and row.state == RUNNING


def start_attempt(tx: Transaction, study_id: int, number: int, fence: int, worker: str) -> None:
    """Open the attempt that a claim begins."""
    columns = {
        "study_id": study_id,
        "number": number,
        "fence": fence,
        "worker_id": worker,
        "outcome": RUNNING,
        "started_us": tx.now_us,
        "log_location": "",
    }
    tx.run(_START_ATTEMPT, columns)


def end_attempt(
    tx: Transaction, study_id: int, number: int, fence: int, outcome: str, result: Outcome | None = None
) -> None:
    """Close an attempt; `outcome` is a final state, ``lost`` or ``released``."""
    columns = {
        "outcome": outcome,
        "ended_us": tx.now_us,
        "duration_s": result.duration_s if result else None,
        "peak_memory_mb": result.peak_memory_mb if result else None,
        "exit_code": result.exit_code if result else None,
        "log_location": clean_text(result.log_location) if result else "",
    }
    tx.run(_END_ATTEMPT, {"study": study_id, "n": number, "f": fence, **columns})


def was_released(tx: Transaction, claim: Claim) -> bool:
    """Say whether a claim ended by being given back."""
    row = tx.first(_ATTEMPT, {"study": claim.study_id, "n": claim.number, "f": claim.fence})
    return row is not None and row.outcome == "released"
