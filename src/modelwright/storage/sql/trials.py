"""Transactions by which a claim, or somebody outside, writes to one trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, insert

from modelwright.errors import StaleClaimError, StudyStateError
from modelwright.records import Artifact, Outcome, Proposal, Provenance, Report
from modelwright.storage.base import Claim, Finish
from modelwright.storage.plain import clean_text, merged, plain_reports
from modelwright.storage.sql import schema
from modelwright.storage.sql.attempts import RUNNING, end_attempt, is_held, row_of, set_columns
from modelwright.storage.sql.encoding import decode, encode
from modelwright.storage.sql.engine import Transaction
from modelwright.storage.sql.studies import head_of
from modelwright.storage.sql.trial_rows import outcome_to_row, proposal_to_row

__all__ = ["extend", "finish", "propose", "report", "request_stop", "set_trial_attrs"]

_FINISH = set_columns(
    "state", "claim_id", "lease_until_us", "result_id", "value", "values_json", "failure_kind",
    "failure_code", "failure_message", "failure_traceback", "user_attrs", "metrics", "cv_mean", "cv_std",
    "test_score", "model_location", "metrics_location", "duration_s", "ended_us", "revision",
    "finished_revision",
)  # fmt: skip
_PROPOSE = set_columns(
    "params", "fidelity", "parent", "partition_index", "optimizer", "optimizer_version", "reason",
    "seen_revision", "space_version", "revision",
)  # fmt: skip
_EXTEND = set_columns("params", "space_version", "revision")
_STOP = set_columns("stop", "revision")
_SAVE_ATTRS = set_columns("user_attrs", "revision")
_ADD_REPORT = insert(schema.reports)
_ADD_ARTIFACT = insert(schema.artifacts)


def _must_hold(tx: Transaction, held: Claim) -> Row[Any]:
    row = row_of(tx, held.study_id, held.number)
    if row is None or not is_held(row, held):
        raise StaleClaimError(f"trial {held.number} is not this worker's any more.")
    return row


def propose(
    tx: Transaction, held: Claim, proposal: Proposal, provenance: Provenance, space_version: int
) -> None:
    """See `Storage.propose`."""
    columns = proposal_to_row(proposal, provenance)
    head = head_of(tx, held.study_id)
    row = _must_hold(tx, held)
    if row.params is not None:
        if decode(row.params) == decode(columns["params"]):
            return  # the answer to the first call was lost
        raise StudyStateError(f"trial {held.number} has a configuration already; it is written once.")
    columns["space_version"] = space_version
    columns["revision"] = head.write(tx, "propose", held.number, held.fence)
    tx.run(_PROPOSE, {"study": held.study_id, "n": held.number, **columns})


def extend(tx: Transaction, held: Claim, params: Mapping[str, Any], space_version: int) -> None:
    """See `Storage.extend`."""
    head = head_of(tx, held.study_id)
    row = _must_hold(tx, held)
    wider = merged({} if row.params is None else decode(row.params), params, "params")
    columns = {
        "params": encode(wider),
        "space_version": space_version,
        "revision": head.write(tx, "extend", held.number, held.fence, names=list(params)),
    }
    tx.run(_EXTEND, {"study": held.study_id, "n": held.number, **columns})


def report(tx: Transaction, held: Claim, reports: Sequence[Report]) -> bool:
    """See `Storage.report`."""
    head = head_of(tx, held.study_id)
    if not is_held(row_of(tx, held.study_id, held.number), held):
        return False
    if not reports:
        return True
    head.report_revision = head.revision + 1
    revision = head.write(tx, "report", held.number, held.fence, count=len(reports))
    new = [
        {
            "study_id": held.study_id,
            "revision": revision,
            "position": position,
            "number": held.number,
            "fence": held.fence,
            "step": item.step,
            "fold": item.fold,
            "values_json": encode(item.values),
            "at_us": tx.now_us,
        }
        for position, item in enumerate(plain_reports(reports))
    ]
    tx.run_many(_ADD_REPORT, new)
    return True


def finish(tx: Transaction, held: Claim, outcome: Outcome, result_id: str) -> Finish:
    """See `Storage.finish`."""
    head = head_of(tx, held.study_id)
    row = row_of(tx, held.study_id, held.number)
    if row is None or not is_held(row, held):
        if row is not None and row.result_id == result_id:
            return Finish.DUPLICATE
        head.write(tx, "stale", held.number, held.fence, state=outcome.state.value)
        return Finish.STALE
    columns = outcome_to_row(outcome, decode(row.user_attrs))
    revision = head.write(tx, "finish", held.number, held.fence, state=outcome.state.value)
    columns |= {"claim_id": None, "lease_until_us": 0, "result_id": result_id, "ended_us": tx.now_us}
    columns |= {"revision": revision, "finished_revision": revision}
    tx.run(_FINISH, {"study": held.study_id, "n": held.number, **columns})
    end_attempt(tx, held.study_id, held.number, held.fence, outcome.state.value, outcome)
    tx.run_many(_ADD_ARTIFACT, [_artifact_row(held, item) for item in outcome.artifacts])
    return Finish.ACCEPTED


def _artifact_row(held: Claim, item: Artifact) -> dict[str, Any]:
    return {
        "study_id": held.study_id,
        "number": held.number,
        "fence": held.fence,
        "name": clean_text(item.name),
        "location": clean_text(item.location),
        "sha256": item.sha256,
        "size": item.size,
        "format": item.format,
    }


def request_stop(tx: Transaction, study_id: int, number: int) -> bool:
    """See `Storage.request_stop`."""
    head = head_of(tx, study_id)
    row = row_of(tx, study_id, number)
    if row is None or row.state != RUNNING:
        return False
    if not row.stop:
        revision = head.write(tx, "stop", number, row.fence)
        tx.run(_STOP, {"study": study_id, "n": number, "stop": 1, "revision": revision})
    return True


def set_trial_attrs(tx: Transaction, study_id: int, number: int, attrs: Mapping[str, Any]) -> None:
    """See `Storage.set_trial_attrs`."""
    head = head_of(tx, study_id)
    row = row_of(tx, study_id, number)
    if row is None:
        raise KeyError(f"the study has no trial {number}")
    text = encode(merged(decode(row.user_attrs), attrs, "user_attrs"))
    revision = head.write(tx, "trial_attrs", number, row.fence, names=list(attrs))
    tx.run(_SAVE_ATTRS, {"study": study_id, "n": number, "user_attrs": text, "revision": revision})
