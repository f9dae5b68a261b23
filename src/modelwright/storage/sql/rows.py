"""Studies, workers and the tables of AutoML into rows and back; trials are in `trial_rows`.

Rows are dicts by column name on the way in and result rows on the way out.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from modelwright.errors import InputError
from modelwright.records import Component, Objective, OutcomeConstraint, SearchSettings, StudySpec
from modelwright.space import Space
from modelwright.storage.base import Dataset, EnsembleRecord, Event, Partition, WorkerInfo
from modelwright.storage.plain import clean_text, plain
from modelwright.storage.sql.encoding import decode, encode, finite, text_or_none

__all__ = [
    "dataset_from_row",
    "dataset_to_row",
    "ensemble_from_row",
    "ensemble_to_row",
    "event_from_row",
    "partition_from_row",
    "partition_to_row",
    "spec_from_row",
    "spec_to_row",
    "worker_from_row",
]

# studies ------------------------------------------------------------------------------------------------


def spec_to_row(spec: StudySpec) -> dict[str, Any]:
    """Return the fixed columns of a study."""
    search = spec.search
    return {
        "name": spec.name,
        "objectives": _objectives_text(spec),
        "optimizer": _component_text(spec.optimizer),
        "scheduler": None if spec.scheduler is None else _component_text(spec.scheduler),
        "seed": spec.seed,
        "deterministic": int(spec.deterministic),
        "reproducible": int(spec.reproducible),
        "lease_s": spec.lease_s,
        "max_attempts": spec.max_attempts,
        "priority": spec.priority,
        "retry": encode(plain(spec.retry, "retry")) if spec.retry else None,
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


def _objectives_text(spec: StudySpec) -> str:
    """Return objectives as pairs, and after them outcome constraints as triples."""
    bounds = [[item.metric, item.relation, float(item.bound)] for item in spec.outcome_constraints or ()]
    return encode([*([item.name, item.direction] for item in spec.objectives), *bounds])


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
        objectives=tuple(Objective(*item) for item in decode(row.objectives) if len(item) == 2),
        outcome_constraints=tuple(
            OutcomeConstraint(*item) for item in decode(row.objectives) if len(item) != 2
        )
        or None,
        optimizer=Component(*decode(row.optimizer)),
        scheduler=None if row.scheduler is None else Component(*decode(row.scheduler)),
        seed=row.seed,
        deterministic=bool(row.deterministic),
        reproducible=bool(row.reproducible),
        lease_s=row.lease_s,
        max_attempts=row.max_attempts,
        retry={} if row.retry is None else decode(row.retry),
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


def event_from_row(row: Row[Any]) -> Event:
    """Return the event of a row; a payload that cannot be read is shown as such, with the reason."""
    try:
        payload = decode(row.payload)
        if not isinstance(payload, dict):
            raise ValueError("it is no JSON object")
    except (ValueError, TypeError) as error:
        payload = {"unreadable": str(error)}
    return Event(row.revision, row.kind, row.number, row.fence, payload, row.at_us)


# workers and tables of AutoML ---------------------------------------------------------------------------


def worker_from_row(row: Row[Any]) -> WorkerInfo:
    """Return the worker of a row."""
    return WorkerInfo(
        row.id,
        row.host,
        row.pid,
        row.boot_id,
        row.process_started,
        row.version,
        row.group_id,
        row.asked,
        row.registered_us,
        row.seen_us,
        row.left_us,
    )


def dataset_to_row(dataset: Dataset) -> dict[str, Any]:
    """Return the columns of a data set, less its id."""
    if finite(dataset.majority) is None:
        raise InputError(f"expected the share of the majority class, got {dataset.majority!r}.")
    return {
        "name": clean_text(dataset.name),
        "description": clean_text(dataset.description),
        "train_path": clean_text(dataset.train_path),
        "test_path": text_or_none(dataset.test_path),
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
    members = [[int(number), float(weight)] for number, weight in ensemble.members]
    return {
        "iteration": ensemble.iteration,
        "members": encode(members),
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
