"""Trials, and what they leave, into rows and back.

A row that somebody edited by hand does not take the study down: a trial that cannot be read is shown as
failed, with the reason, and a report is left out. Names that all trials share are interned: a hundred
thousand trials of ten parameters are a million strings otherwise.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from sys import intern
from typing import Any

from sqlalchemy import Row

from modelwright.records import (
    Artifact,
    Failure,
    FailureKind,
    Outcome,
    Proposal,
    Provenance,
    Report,
    Trial,
    TrialState,
)
from modelwright.storage.plain import clean_text, config_key, plain
from modelwright.storage.sql import schema
from modelwright.storage.sql.encoding import decode, encode, finite, text_or_none

__all__ = [
    "TRIAL_COLUMNS",
    "artifact_from_row",
    "artifact_rows",
    "failure_to_row",
    "new_trial_row",
    "outcome_to_row",
    "proposal_to_row",
    "report_rows",
    "reports_from_rows",
    "result_to_row",
    "trial_from_row",
]

_T = schema.trials.c
TRIAL_COLUMNS = (
    _T.number, _T.state, _T.params, _T.values_json, _T.failure_kind, _T.failure_message, _T.failure_code,
    _T.failure_traceback, _T.fidelity, _T.parent, _T.partition_index, _T.fence, _T.attempts, _T.space_version,
    _T.enqueued, _T.optimizer, _T.optimizer_version, _T.reason, _T.seen_revision, _T.user_attrs, _T.metrics,
    _T.duration_s, _T.revision, _T.finished_revision, _T.worker_id, _T.queued_us, _T.started_us, _T.ended_us,
)  # fmt: skip
"""What `trial_from_row` reads, in its order."""


def trial_from_row(row: Row[Any]) -> Trial:
    """Return the trial of a row of `TRIAL_COLUMNS`, failed with the reason if the row cannot be read."""
    (
        number, state, params, values, failure_kind, failure_message, failure_code,
        failure_traceback, fidelity, parent, partition, fence, attempts, space_version,
        enqueued, optimizer, optimizer_version, reason, seen_revision, user_attrs, metrics,
        duration_s, revision, finished_revision, worker, queued_us, started_us, ended_us,
    ) = tuple(row)  # fmt: skip
    try:
        failure = None
        if failure_kind is not None:
            failure = Failure(FailureKind(failure_kind), failure_message, failure_code, failure_traceback)
        return Trial(
            number,
            TrialState(state),
            None if params is None else {intern(name): value for name, value in _mapping(params).items()},
            tuple(map(float, decode(values))),
            failure,
            fidelity,
            parent,
            partition,
            fence,
            attempts,
            space_version,
            bool(enqueued),
            Provenance(intern(optimizer), intern(optimizer_version), intern(reason), seen_revision),
            _mapping(user_attrs),
            _mapping(metrics),
            duration_s,
            revision,
            finished_revision,
            intern(worker),
            queued_us,
            started_us,
            ended_us,
        )
    except (ValueError, TypeError) as error:
        broken = Failure(
            FailureKind.INVALID, f"the ledger's row of trial {number} cannot be read: {error}", "E_DB_ROW"
        )
        return Trial(
            number,
            TrialState.FAILED,
            failure=broken,
            revision=revision,
            finished_revision=finished_revision or revision,
        )


def _mapping(text: str) -> dict[str, Any]:
    if text == "{}":  # what most trials have, of which a study may have many
        return {}
    value = decode(text)
    if not isinstance(value, dict):
        raise ValueError(f"expected a JSON object, got {text[:40]!r}")
    return value


def new_trial_row(study_id: int, number: int, space_version: int, queued_us: int) -> dict[str, Any]:
    """Return the row of a trial of which nothing is known yet."""
    return {
        "study_id": study_id,
        "number": number,
        "state": TrialState.WAITING.value,
        "params": None,
        "space_version": space_version,
        "enqueued": 0,
        "optimizer": "",
        "optimizer_version": "",
        "reason": "",
        "seen_revision": 0,
        "fence": 0,
        "attempts": 0,
        "worker_id": "",
        "claim_id": None,
        "lease_until_us": 0,
        "stop": 0,
        "values_json": "[]",
        "failure_code": "",
        "failure_message": "",
        "failure_traceback": "",
        "user_attrs": "{}",
        "metrics": "{}",
        "revision": 0,
        "finished_revision": 0,
        "queued_us": queued_us,
        "started_us": None,
    }


def proposal_to_row(proposal: Proposal, provenance: Provenance) -> dict[str, Any]:
    """Return the columns that a proposal sets."""
    params = plain(proposal.params, "params")
    return {
        "params": encode(params),
        "config_key": config_key(params, proposal.fidelity),
        "fidelity": proposal.fidelity,
        "parent": proposal.parent,
        "partition_index": proposal.partition,
        "optimizer": clean_text(provenance.optimizer),
        "optimizer_version": clean_text(provenance.version),
        "reason": clean_text(provenance.reason),
        "seen_revision": provenance.revision,
    }


def outcome_to_row(outcome: Outcome, user_attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns that an accepted outcome sets; `user_attrs` are those of the trial so far."""
    return {
        "state": outcome.state.value,
        **failure_to_row(outcome.failure),
        **result_to_row(outcome.values, outcome.metrics),
        "user_attrs": encode({**user_attrs, **plain(outcome.user_attrs, "user_attrs")}),
        "duration_s": outcome.duration_s,
    }


def result_to_row(values: Sequence[float], metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of values and metrics, with what is shown of them."""
    values = [float(value) for value in values]
    metrics = plain(metrics, "metrics") if metrics else {}
    return {
        "value": finite(values[0]) if values else None,
        "values_json": encode(values),
        "metrics": encode(metrics),
        "cv_mean": finite(metrics.get("cv_mean")),
        "cv_std": finite(metrics.get("cv_std")),
        "test_score": finite(metrics.get("test_score")),
        "model_location": text_or_none(metrics.get("model_location")),
        "metrics_location": text_or_none(metrics.get("metrics_location")),
    }


def failure_to_row(failure: Failure | None) -> dict[str, Any]:
    """Return the columns of a failure, or of none."""
    if failure is None:
        return {"failure_kind": None, "failure_code": "", "failure_message": "", "failure_traceback": ""}
    return {
        "failure_kind": failure.kind.value,
        "failure_code": clean_text(failure.code),
        "failure_message": clean_text(failure.message),
        "failure_traceback": clean_text(failure.traceback),
    }


def report_rows(
    study_id: int, number: int, fence: int, reports: Sequence[Report], revision: int, at_us: int
) -> list[dict[str, Any]]:
    """Return the rows of reports, which are plain already."""
    return [
        {
            "study_id": study_id,
            "revision": revision,
            "position": position,
            "number": number,
            "fence": fence,
            "step": item.step,
            "fold": item.fold,
            "values_json": encode(item.values),
            "at_us": at_us,
        }
        for position, item in enumerate(reports)
    ]


def artifact_rows(
    study_id: int, number: int, fence: int, artifacts: Sequence[Artifact]
) -> list[dict[str, Any]]:
    """Return the rows of a trial's artifacts."""
    return [
        {
            "study_id": study_id,
            "number": number,
            "fence": fence,
            "name": clean_text(item.name),
            "location": clean_text(item.location),
            "sha256": item.sha256,
            "size": item.size,
            "format": item.format,
        }
        for item in artifacts
    ]


def reports_from_rows(rows: Iterable[Row[Any]]) -> list[tuple[int, Report]]:
    """Return (trial number, report) of each row with number, step, fold and values_json.

    One that cannot be read is left out with a warning.
    """
    found = []
    for row in rows:
        try:
            found.append((row.number, Report(row.step, _mapping(row.values_json), row.fold)))
        except (ValueError, TypeError) as error:
            warnings.warn(
                f"left out: a report of trial {row.number}, at step {row.step!r}, cannot be read: {error} "
                "(E_DB_ROW).",
                stacklevel=2,
            )
    return found


def artifact_from_row(row: Row[Any]) -> tuple[int, Artifact]:
    """Return (trial number, artifact) of a row."""
    return row.number, Artifact(row.name, row.location, row.sha256, row.size, row.format)
