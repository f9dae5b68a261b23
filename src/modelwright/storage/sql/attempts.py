"""What transactions on trials share: the row of one trial, the rows of its attempts, and what these cost."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Row, Select, Update, bindparam, func, insert, select, update

from modelwright.records import Failure, Outcome, TrialState
from modelwright.storage.base import Attempt, Claim
from modelwright.storage.plain import clean_text
from modelwright.storage.sql import schema
from modelwright.storage.sql.encoding import finite
from modelwright.storage.sql.engine import Statement, Transaction
from modelwright.storage.sql.heads import Account, Head, head_of, head_query
from modelwright.storage.sql.trial_rows import failure_to_row

__all__ = [
    "RUNNING",
    "THIS",
    "WAITING",
    "attempts",
    "count_outcomes",
    "end_with_result",
    "fail",
    "is_held",
    "lease_cost",
    "lose_attempt",
    "release_attempt",
    "row_and_head",
    "row_of",
    "set_columns",
    "start_attempt",
    "trial_columns",
    "was_accepted",
    "was_lost",
    "was_released",
]

_T, _A = schema.trials.c, schema.attempts.c
RUNNING, WAITING = TrialState.RUNNING.value, TrialState.WAITING.value
THIS = (_T.study_id == bindparam("study"), _T.number == bindparam("n"))
"""The condition of statements on one trial."""


def set_columns(*names: str) -> Update:
    """Return an update of these columns of one trial, with parameters of the same names."""
    return update(schema.trials).where(*THIS).values({name: bindparam(name) for name in names})


def trial_columns(*columns: ColumnElement[Any]) -> Select[Any]:
    """Return a query that locks one trial and reads these columns of it."""
    return select(*columns).where(*THIS).with_for_update()


_ROW = trial_columns(
    _T.state, _T.fence, _T.attempts, _T.params, _T.user_attrs, _T.stop, _T.started_us, _T.lease_until_us,
    _T.number,
)  # fmt: skip
_FAIL = set_columns(
    "state", "claim_id", "lease_until_us", "failure_kind", "failure_code", "failure_message",
    "failure_traceback", "ended_us", "revision", "finished_revision",
)  # fmt: skip
_START = insert(schema.attempts)
_OF_TRIAL = (_A.study_id == bindparam("study"), _A.number == bindparam("n"))
_THIS_ATTEMPT = (*_OF_TRIAL, _A.fence == bindparam("f"))
_END = (
    update(schema.attempts)
    .where(*_THIS_ATTEMPT)
    .values({name: bindparam(name) for name in ("outcome", "ended_us", "cost")})
)
_RESULT = (
    update(schema.attempts)
    .where(*_THIS_ATTEMPT)
    .values(
        {
            name: bindparam(name)
            for name in (
                "outcome", "ended_us", "cost", "duration_s", "peak_memory_mb", "exit_code", "log_location",
                "result_id",
            )
        }
    )
)  # fmt: skip
_OUTCOME = select(_A.outcome).where(*_THIS_ATTEMPT)
_ACCEPTED = select(_A.fence).where(*_OF_TRIAL, _A.result_id == bindparam("result"))
_TRIED = select(func.count()).where(*_OF_TRIAL, _A.outcome == bindparam("outcome"))
_SHOWN = select(
    _A.number, _A.fence, _A.worker_id, _A.outcome, _A.started_us, _A.ended_us, _A.cost, _A.duration_s,
    _A.peak_memory_mb, _A.exit_code, _A.log_location,
).order_by(_A.number, _A.fence)  # fmt: skip
_ALL = _SHOWN.where(_A.study_id == bindparam("study"))
_SOME = _SHOWN.where(*_OF_TRIAL)


def row_of(tx: Transaction, study_id: int, number: int) -> Row[Any] | None:
    """Lock one trial and return what moves of it, None if there is none.

    It comes before `head_of`: trials are locked before their study.
    """
    return tx.first(*_row_query(study_id, number))


def _row_query(study_id: int, number: int) -> Statement:
    return _ROW, {"study": study_id, "n": number}


def row_and_head(tx: Transaction, study_id: int, number: int) -> tuple[Row[Any] | None, Head]:
    """Lock one trial, and then its study."""
    tx.expect(_row_query(study_id, number), head_query(study_id))
    return row_of(tx, study_id, number), head_of(tx, study_id)


def is_held(row: Row[Any] | None, claim: Claim) -> bool:
    """Say whether a claim is the newest of its trial, and still open."""
    return row is not None and row.fence == claim.fence and row.state == RUNNING


def fail(tx: Transaction, study_id: int, number: int, failure: Failure, revision: int) -> None:
    """End a trial that leaves no result."""
    columns = {
        "state": TrialState.FAILED.value,
        "claim_id": None,
        "lease_until_us": 0,
        "ended_us": tx.now_us,
        "revision": revision,
        "finished_revision": revision,
        **failure_to_row(failure),
    }
    tx.later(_FAIL, {"study": study_id, "n": number, **columns})


# the life of an attempt ---------------------------------------------------------------------------------
#
# Each function that ends an attempt charges the study's account for it, and so comes before that is written.


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
    tx.later(_START, columns)


def lease_cost(row: Row[Any]) -> float:
    """Return what the attempt at a running trial costs if it is lost: from its start to its lease's end."""
    return float((_lease_end(row) - row.started_us) / 1e6)


def _lease_end(row: Row[Any]) -> int:
    # A lease that was forfeited holds that moment below zero, see `leases.forfeit`.
    return abs(int(row.lease_until_us))


def lose_attempt(tx: Transaction, account: Account, row: Row[Any]) -> None:
    """End the attempt of a worker that fell silent."""
    _end(tx, account, row.number, row.fence, "lost", _lease_end(row), lease_cost(row))


def release_attempt(tx: Transaction, account: Account, row: Row[Any]) -> None:
    """End an attempt that was given back: the time is charged, though no attempt is spent."""
    _end(tx, account, row.number, row.fence, "released", tx.now_us, (tx.now_us - row.started_us) / 1e6)


def _end(
    tx: Transaction, account: Account, number: int, fence: int, outcome: str, ended_us: int, cost: float
) -> None:
    account.cost += cost
    key = {"study": account.study_id, "n": number, "f": fence}
    tx.later(_END, {**key, "outcome": outcome, "ended_us": ended_us, "cost": cost})


def end_with_result(
    tx: Transaction, account: Account, held: Claim, name: str, outcome: Outcome, result_id: str
) -> None:
    """End an attempt with its result; `name` is a final state, or the kind of a failure to be tried again."""
    cost = finite(outcome.duration_s if outcome.cost is None else outcome.cost) or 0.0
    account.cost += cost
    columns = {
        "outcome": name,
        "ended_us": tx.now_us,
        "cost": cost,
        "duration_s": outcome.duration_s,
        "peak_memory_mb": outcome.peak_memory_mb,
        "exit_code": outcome.exit_code,
        "log_location": clean_text(outcome.log_location),
        "result_id": result_id,
    }
    tx.later(_RESULT, {"study": held.study_id, "n": held.number, "f": held.fence, **columns})


# reading ------------------------------------------------------------------------------------------------


def was_released(tx: Transaction, claim: Claim) -> bool:
    """Say whether a claim ended by being given back."""
    return _outcome(tx, claim) == "released"


def was_lost(tx: Transaction, claim: Claim) -> bool:
    """Say whether a claim ended because its worker fell silent."""
    return _outcome(tx, claim) == "lost"


def _outcome(tx: Transaction, claim: Claim) -> str:
    row = tx.first(_OUTCOME, {"study": claim.study_id, "n": claim.number, "f": claim.fence})
    return "" if row is None else str(row.outcome)


def was_accepted(tx: Transaction, study_id: int, number: int, result_id: str) -> bool:
    """Say whether an attempt at a trial ended with this result."""
    return tx.first(_ACCEPTED, {"study": study_id, "n": number, "result": result_id}) is not None


def count_outcomes(tx: Transaction, study_id: int, number: int, outcome: str) -> int:
    """Return how many attempts at a trial ended in this way."""
    (row,) = tx.all(_TRIED, {"study": study_id, "n": number, "outcome": outcome})
    return int(row[0])


def attempts(tx: Transaction, study_id: int, number: int | None) -> list[Attempt]:
    """Return the attempts at one trial, or all of a study, by number and fence."""
    found = (
        tx.all(_ALL, {"study": study_id})
        if number is None
        else tx.all(_SOME, {"study": study_id, "n": number})
    )
    return [Attempt(*tuple(row)) for row in found]
