"""Transactions by which a claim writes to its trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, Select, and_, bindparam, insert, select

from modelwright.errors import StaleClaimError, StudyStateError
from modelwright.records import FailureKind, Outcome, Proposal, Provenance, Report, TrialState
from modelwright.storage.base import Claim, Finish
from modelwright.storage.plain import (
    config_form,
    config_key,
    end_form,
    failure_form,
    merged,
    plain_reports,
    result_form,
)
from modelwright.storage.sql import schema
from modelwright.storage.sql.attempts import (
    WAITING,
    count_outcomes,
    end_with_result,
    is_held,
    set_columns,
    trial_columns,
    was_accepted,
)
from modelwright.storage.sql.encoding import decode, encode
from modelwright.storage.sql.engine import Statement, Transaction
from modelwright.storage.sql.heads import Account, account_of, account_query
from modelwright.storage.sql.studies import spec_of
from modelwright.storage.sql.trial_rows import artifact_rows, outcome_to_row, proposal_to_row, report_rows

__all__ = ["ADD_ARTIFACT", "ADD_REPORT", "extend", "finish", "propose", "report"]

_FINISH = set_columns(
    "state", "claim_id", "lease_until_us", "result_id", "value", "values_json", "failure_kind",
    "failure_code", "failure_message", "failure_traceback", "user_attrs", "metrics", "cv_mean", "cv_std",
    "test_score", "model_location", "metrics_location", "duration_s", "ended_us", "revision",
    "finished_revision",
)  # fmt: skip
_PROPOSE = set_columns(
    "params", "fidelity", "parent", "partition_index", "optimizer", "optimizer_version", "reason",
    "seen_revision", "space_version", "config_key", "revision",
)  # fmt: skip
_EXTEND = set_columns("params", "config_key", "space_version", "revision")
_SEND_BACK = set_columns("state", "worker_id", "claim_id", "lease_until_us", "started_us", "revision")
ADD_REPORT = insert(schema.reports)
ADD_ARTIFACT = insert(schema.artifacts)

_T = schema.trials.c
_TO_PROPOSE = trial_columns(_T.state, _T.fence, _T.params)
_TO_EXTEND = trial_columns(_T.state, _T.fence, _T.params, _T.fidelity)
_TO_REPORT = trial_columns(_T.state, _T.fence)
_TO_FINISH = trial_columns(_T.state, _T.fence, _T.attempts, _T.user_attrs, _T.stop, _T.result_id)
_SILENT = tuple(kind.value for kind in FailureKind if not kind.teaches)
_SAME = (
    select(_T.number)
    .where(
        _T.study_id == bindparam("study"),
        _T.config_key == bindparam("key"),
        _T.number != bindparam("n"),
        # A trial that was lost or killed says nothing about its configuration.
        (_T.state != TrialState.FAILED.value) | and_(*(_T.failure_kind != kind for kind in _SILENT)),
    )
    # A sum, lest SQLite reads every trial in the order of an index on the number.
    .order_by(_T.number + 0)
    .limit(1)
)


def _lock(
    tx: Transaction, held: Claim, query: Select[Any], *more: Statement
) -> tuple[Row[Any] | None, Account]:
    """Lock the trial of a claim, and then its study; `more` queries come then."""
    query_row = query, {"study": held.study_id, "n": held.number}
    tx.expect(query_row, account_query(held.study_id), *more)
    return tx.first(*query_row), account_of(tx, held.study_id)


def _lock_held(
    tx: Transaction, held: Claim, query: Select[Any], *more: Statement
) -> tuple[Row[Any], Account]:
    """Do the same for a claim that must be the newest one."""
    row, account = _lock(tx, held, query, *more)
    if row is None or not is_held(row, held):
        raise StaleClaimError(f"trial {held.number} is not this worker's any more.")
    return row, account


def propose(
    tx: Transaction,
    held: Claim,
    proposal: Proposal,
    provenance: Provenance,
    space_version: int,
    unique: bool,
) -> int | None:
    """See `Storage.propose`."""
    columns = proposal_to_row(proposal, provenance)
    # The study is locked before, so that of two equal proposals the later one sees the earlier.
    same_query = _SAME, {"study": held.study_id, "key": columns["config_key"], "n": held.number}
    row, account = _lock_held(tx, held, _TO_PROPOSE, *([same_query] if unique else []))
    if row.params is not None:
        if decode(row.params) == decode(columns["params"]):
            return None  # the answer to the first call was lost
        raise StudyStateError(f"trial {held.number} has a configuration already; it is written once.")
    if unique and (same := tx.first(*same_query)) is not None:
        return int(same.number)
    columns["space_version"] = space_version
    facts = config_form(columns["config_key"], provenance.turn)
    columns["revision"] = account.write(tx, "propose", held.number, held.fence, **facts)
    tx.later(_PROPOSE, {"study": held.study_id, "n": held.number, **columns})
    return None


def extend(tx: Transaction, held: Claim, params: Mapping[str, Any], space_version: int) -> None:
    """See `Storage.extend`."""
    row, account = _lock_held(tx, held, _TO_EXTEND)
    wider = merged({} if row.params is None else decode(row.params), params, "params")
    key = config_key(wider, row.fidelity)
    facts = {"names": list(params), "space_version": space_version, **config_form(key)}
    columns = {
        "params": encode(wider),
        "config_key": key,
        "space_version": space_version,
        "revision": account.write(tx, "extend", held.number, held.fence, **facts),
    }
    tx.later(_EXTEND, {"study": held.study_id, "n": held.number, **columns})


def report(tx: Transaction, held: Claim, reports: Sequence[Report]) -> bool:
    """See `Storage.report`."""
    row, account = _lock(tx, held, _TO_REPORT)
    if not is_held(row, held):
        return False
    if not reports:
        return True
    copies = plain_reports(reports)
    account.report_revision = account.revision + 1
    revision = account.write(tx, "report", held.number, held.fence, count=len(copies))
    tx.run_many(ADD_REPORT, report_rows(held.study_id, held.number, held.fence, copies, revision, tx.now_us))
    return True


def finish(tx: Transaction, held: Claim, outcome: Outcome, result_id: str) -> Finish:
    """See `Storage.finish`."""
    row, account = _lock(tx, held, _TO_FINISH)
    if row is None or not is_held(row, held):
        known = row is not None and row.result_id == result_id
        if known or was_accepted(tx, held.study_id, held.number, result_id):
            return Finish.DUPLICATE
        account.write(tx, "stale", held.number, held.fence, **result_form(outcome, result_id))
        return Finish.STALE
    if _tries_again(tx, held, row, outcome):
        return _retry(tx, account, held, outcome, result_id)
    columns = outcome_to_row(outcome, decode(row.user_attrs))
    end_with_result(tx, account, held, outcome.state.value, outcome, result_id)
    facts = end_form(outcome.state, outcome.values, outcome.failure)
    revision = account.write(tx, "finish", held.number, held.fence, **facts)
    columns |= {"claim_id": None, "lease_until_us": 0, "result_id": result_id, "ended_us": tx.now_us}
    columns |= {"revision": revision, "finished_revision": revision}
    tx.later(_FINISH, {"study": held.study_id, "n": held.number, **columns})
    tx.run_many(ADD_ARTIFACT, artifact_rows(held.study_id, held.number, held.fence, outcome.artifacts))
    return Finish.ACCEPTED


def _tries_again(tx: Transaction, held: Claim, row: Row[Any], outcome: Outcome) -> bool:
    """Say whether a failed trial gets another attempt: not if somebody asked to kill it."""
    if outcome.failure is None or row.stop:
        return False
    spec, kind = spec_of(tx, held.study_id), outcome.failure.kind
    if kind is FailureKind.LOST:  # as when the lease had run out
        return bool(row.attempts < spec.max_attempts)
    allowed = int(spec.retry.get(kind.value, 0))
    return allowed > 0 and count_outcomes(tx, held.study_id, held.number, kind.value) < allowed


def _retry(tx: Transaction, account: Account, held: Claim, outcome: Outcome, result_id: str) -> Finish:
    """Send a trial that failed back; what the attempt left is in its event."""
    assert outcome.failure is not None
    end_with_result(tx, account, held, outcome.failure.kind.value, outcome, result_id)
    revision = account.write(tx, "retry", held.number, held.fence, failure=failure_form(outcome.failure))
    columns = {
        "state": WAITING,
        "worker_id": "",
        "claim_id": None,
        "lease_until_us": 0,
        "started_us": None,
        "revision": revision,
    }
    tx.later(_SEND_BACK, {"study": held.study_id, "n": held.number, **columns})
    return Finish.RETRY
