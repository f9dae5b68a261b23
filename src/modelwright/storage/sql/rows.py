"""Records into rows and back.

Rows are dicts by column name on the way in and result rows on the way out. JSON columns hold valid JSON:
infinities and NaN, which JSON lacks, become ``{"$float": "inf"}``.

A row that somebody edited by hand does not take the study down: a trial that cannot be read is shown as
failed, with the reason.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row

from modelwright.errors import InputError
from modelwright.records import (
    Artifact,
    Component,
    Failure,
    FailureKind,
    Objective,
    Outcome,
    Proposal,
    Provenance,
    Report,
    SearchSettings,
    StudySpec,
    Trial,
    TrialState,
)
from modelwright.space import Space
from modelwright.storage.base import Dataset, EnsembleRecord, Event, Partition, WorkerInfo
from modelwright.storage.plain import clean_text, plain
from modelwright.storage.sql import schema

__all__ = [
    "TRIAL_COLUMNS",
    "artifact_from_row",
    "dataset_from_row",
    "dataset_to_row",
    "decode",
    "encode",
    "ensemble_from_row",
    "ensemble_to_row",
    "event_from_row",
    "failure_to_row",
    "finite",
    "new_trial_row",
    "outcome_to_row",
    "partition_from_row",
    "partition_to_row",
    "proposal_to_row",
    "report_from_row",
    "spec_from_row",
    "spec_to_row",
    "trial_from_row",
    "whole",
    "worker_from_row",
]

# JSON ---------------------------------------------------------------------------------------------------

# ASCII only, so that neither NUL nor half a surrogate pair ever reaches a database.
_strict = json.JSONEncoder(allow_nan=False, separators=(",", ":"))
_MARK = "$float"


def encode(value: Any) -> str:
    """Write a plain JSON value (see `modelwright.storage.plain`), infinities and NaN included."""
    try:
        return _strict.encode(value)
    except ValueError:
        return _strict.encode(_marked(value))


def _marked(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {_MARK: repr(value)}
    if isinstance(value, dict):
        return {key: _marked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_marked(item) for item in value]
    return value


def decode(text: str) -> Any:
    """Read what `encode` wrote; text that is not JSON raises ``ValueError``."""
    return json.loads(text, object_hook=_unmarked if _MARK in text else None)


def _unmarked(value: dict[str, Any]) -> Any:
    if len(value) == 1 and value.get(_MARK) in ("inf", "-inf", "nan"):
        return float(value[_MARK])
    return value


def finite(value: Any) -> float | None:
    """Return a number for a column of numbers; None for what such a column cannot hold."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


def whole(value: Any) -> int | None:
    """Return an integer for a column of integers; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63 else None


# studies ------------------------------------------------------------------------------------------------


def spec_to_row(spec: StudySpec) -> dict[str, Any]:
    """Return the fixed columns of a study."""
    search = spec.search
    return {
        "name": spec.name,
        "objectives": encode([[item.name, item.direction] for item in spec.objectives]),
        "optimizer": _component_text(spec.optimizer),
        "scheduler": None if spec.scheduler is None else _component_text(spec.scheduler),
        "seed": spec.seed,
        "deterministic": int(spec.deterministic),
        "reproducible": int(spec.reproducible),
        "lease_s": spec.lease_s,
        "max_attempts": spec.max_attempts,
        "priority": spec.priority,
        "objective_ref": clean_text(spec.objective_ref),
        "description": clean_text(spec.description),
        "dataset_id": spec.dataset_id,
        "selector": search.selector,
        "tuner": search.tuner,
        "k_window": search.k_window,
        "r_minimum": search.r_minimum,
        "gridding": search.gridding,
        "metric": search.metric,
        "score_target": search.score_target,
        "budget_type": search.budget_type,
    }


def _component_text(component: Component) -> str:
    return encode([component.name, plain(component.options, f"the options of {component.name!r}")])


def spec_from_row(row: Row[Any], space: str) -> StudySpec:
    """Return what is fixed about a study; `space` is version 0 of its space.

    Raises
    ------
    ValueError or TypeError
        The row does not make sense.
    """
    return StudySpec(
        name=row.name,
        space=Space.from_json(decode(space)),
        objectives=tuple(Objective(name, direction) for name, direction in decode(row.objectives)),
        optimizer=Component(*decode(row.optimizer)),
        scheduler=None if row.scheduler is None else Component(*decode(row.scheduler)),
        seed=row.seed,
        deterministic=bool(row.deterministic),
        reproducible=bool(row.reproducible),
        lease_s=row.lease_s,
        max_attempts=row.max_attempts,
        priority=row.priority,
        objective_ref=row.objective_ref,
        description=row.description,
        dataset_id=row.dataset_id,
        search=SearchSettings(
            row.selector,
            row.tuner,
            row.k_window,
            row.r_minimum,
            row.gridding,
            row.metric,
            row.score_target,
            row.budget_type,
        ),
    )


# trials -------------------------------------------------------------------------------------------------

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
            None if params is None else _mapping(params),
            tuple(map(float, decode(values))),
            failure,
            fidelity,
            parent,
            partition,
            fence,
            attempts,
            space_version,
            bool(enqueued),
            Provenance(optimizer, optimizer_version, reason, seen_revision),
            _mapping(user_attrs),
            _mapping(metrics),
            duration_s,
            revision,
            finished_revision,
            worker,
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
    return {
        "params": encode(plain(proposal.params, "params")),
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
    metrics = plain(outcome.metrics, "metrics") if outcome.metrics else {}
    values = [float(value) for value in outcome.values]
    return {
        "state": outcome.state.value,
        "value": finite(values[0]) if values else None,
        "values_json": encode(values),
        **failure_to_row(outcome.failure),
        "user_attrs": encode({**user_attrs, **plain(outcome.user_attrs, "user_attrs")}),
        "metrics": encode(metrics),
        "cv_mean": finite(metrics.get("cv_mean")),
        "cv_std": finite(metrics.get("cv_std")),
        "test_score": finite(metrics.get("test_score")),
        "model_location": _text(metrics.get("model_location")),
        "metrics_location": _text(metrics.get("metrics_location")),
        "duration_s": outcome.duration_s,
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


def _text(value: Any) -> str | None:
    return clean_text(value) if isinstance(value, str) else None


def report_from_row(row: Row[Any]) -> tuple[int, Report]:
    """Return (trial number, report) of a row with number, step, fold and values_json."""
    return row.number, Report(row.step, decode(row.values_json), row.fold)


def artifact_from_row(row: Row[Any]) -> tuple[int, Artifact]:
    """Return (trial number, artifact) of a row."""
    return row.number, Artifact(row.name, row.location, row.sha256, row.size, row.format)


def event_from_row(row: Row[Any]) -> Event:
    """Return the event of a row."""
    return Event(row.revision, row.kind, row.number, row.fence, decode(row.payload), row.at_us)


# workers and tables of AutoML ---------------------------------------------------------------------------


def worker_from_row(row: Row[Any]) -> WorkerInfo:
    """Return the worker of a row."""
    return WorkerInfo(row.id, row.host, row.pid, row.boot_id, row.process_started, row.version)


def dataset_to_row(dataset: Dataset) -> dict[str, Any]:
    """Return the columns of a data set, less its id."""
    if finite(dataset.majority) is None:
        raise InputError(f"expected the share of the majority class, got {dataset.majority!r}.")
    return {
        "name": clean_text(dataset.name),
        "description": clean_text(dataset.description),
        "train_path": clean_text(dataset.train_path),
        "test_path": _text(dataset.test_path),
        "class_column": clean_text(dataset.class_column),
        "n_examples": dataset.n_examples,
        "k_classes": dataset.k_classes,
        "d_features": dataset.d_features,
        "majority": float(dataset.majority),
        "size_kb": dataset.size_kb,
        "fingerprint": dataset.fingerprint,
        "metadata": encode(plain(dataset.metadata, "metadata")),
    }


def dataset_from_row(row: Row[Any]) -> Dataset:
    """Return the data set of a row."""
    return Dataset(
        name=row.name,
        train_path=row.train_path,
        class_column=row.class_column,
        n_examples=row.n_examples,
        k_classes=row.k_classes,
        d_features=row.d_features,
        majority=row.majority,
        size_kb=row.size_kb,
        description=row.description,
        test_path=row.test_path,
        fingerprint=row.fingerprint,
        metadata=decode(row.metadata),
        id=row.id,
    )


def partition_to_row(study_id: int, partition: Partition) -> dict[str, Any]:
    """Return the columns of a partition, less its id."""
    return {
        "study_id": study_id,
        "position": partition.index,
        "method": clean_text(partition.method),
        "categoricals": encode(plain(partition.categoricals, "categoricals")),
        "tunables": encode(plain(partition.tunables, "tunables")),
        "constants": encode(plain(partition.constants, "constants")),
        "status": partition.status,
    }


def partition_from_row(row: Row[Any]) -> Partition:
    """Return the partition of a row."""
    return Partition(
        row.position,
        row.method,
        decode(row.categoricals),
        decode(row.tunables),
        decode(row.constants),
        row.status,
    )


def ensemble_to_row(ensemble: EnsembleRecord) -> dict[str, Any]:
    """Return the columns of an ensemble."""
    members: Sequence[Any] = [[int(number), float(weight)] for number, weight in ensemble.members]
    return {
        "iteration": ensemble.iteration,
        "members": encode(list(members)),
        "score": encode(float(ensemble.score)),
        "location": clean_text(ensemble.location),
        "metrics": encode(plain(ensemble.metrics, "metrics")),
        "created_us": ensemble.created_us,
    }


def ensemble_from_row(row: Row[Any]) -> EnsembleRecord:
    """Return the ensemble of a row."""
    members = [(number, weight) for number, weight in decode(row.members)]
    return EnsembleRecord(
        row.iteration, members, decode(row.score), row.location, decode(row.metrics), row.created_us
    )
