"""Transactions on the tables of AutoML: data sets, partitions, ensembles."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, insert, select, update

from modelwright.storage.base import Dataset, EnsembleRecord, Partition
from modelwright.storage.sql import rows, schema
from modelwright.storage.sql.engine import Transaction
from modelwright.storage.sql.heads import created, head_of, one_by_one
from modelwright.storage.sql.studies import study_by_id

__all__ = [
    "add_dataset",
    "add_ensemble",
    "add_partitions",
    "dataset",
    "ensembles",
    "lease_ensemble",
    "partitions",
    "release_ensemble",
    "set_partition_status",
]

_S = schema.studies.c
_D, _P, _E = schema.datasets.c, schema.partitions.c, schema.ensembles.c

_DATASET = select(schema.datasets).where(_D.id == bindparam("id"))
_CREATED = select(_D.id).where(_D.id == bindparam("id"), _D.created_us == bindparam("at"))
_PARTITIONS = select(schema.partitions).where(_P.study_id == bindparam("study")).order_by(_P.position)
_ADD_PARTITION = insert(schema.partitions).inline()
_SET_PARTITION = (
    update(schema.partitions)
    .where(_P.study_id == bindparam("study"), _P.position == bindparam("n"))
    .values(status=bindparam("to"))
)
_LEASE = select(_S.ensemble_worker, _S.ensemble_lease_us).where(_S.id == bindparam("id"))
_SET_LEASE = (
    update(schema.studies)
    .where(_S.id == bindparam("key"))
    .values(ensemble_worker=bindparam("worker"), ensemble_lease_us=bindparam("until"))
)
_ENSEMBLES = select(schema.ensembles).where(_E.study_id == bindparam("study")).order_by(_E.iteration)
_DROP_ENSEMBLE = delete(schema.ensembles).where(
    _E.study_id == bindparam("study"), _E.iteration == bindparam("n")
)
_ADD_ENSEMBLE = insert(schema.ensembles)


# data sets ----------------------------------------------------------------------------------------------


def add_dataset(tx: Transaction, dataset: Dataset) -> int:
    """See `Storage.add_dataset`."""
    one_by_one(tx)
    columns = {**rows.dataset_to_row(dataset), "created_us": tx.now_us}
    (key,) = tx.run(insert(schema.datasets), columns).inserted_primary_key or (0,)
    tx.mark = created(_CREATED, key, tx.now_us)
    return int(key)


def dataset(tx: Transaction, dataset_id: int) -> Dataset:
    """See `Storage.dataset`."""
    row = tx.first(_DATASET, {"id": dataset_id})
    if row is None:
        raise KeyError(f"there is no data set {dataset_id}")
    return rows.dataset_from_row(row)


# partitions ---------------------------------------------------------------------------------------------


def add_partitions(tx: Transaction, study_id: int, partitions: Sequence[Partition]) -> None:
    """See `Storage.add_partitions`."""
    head = head_of(tx, study_id)
    known = {row.position for row in tx.all(_PARTITIONS, {"study": study_id})}
    new = [rows.partition_to_row(study_id, item) for item in partitions if item.index not in known]
    if new:
        tx.run_many(_ADD_PARTITION, new)
        head.write(tx, "partitions", count=len(new))


def partitions(tx: Transaction, study_id: int) -> list[Partition]:
    """See `Storage.partitions`."""
    study_by_id(tx, study_id)
    return [rows.partition_from_row(row) for row in tx.all(_PARTITIONS, {"study": study_id})]


def set_partition_status(tx: Transaction, study_id: int, index: int, status: str) -> None:
    """See `Storage.set_partition_status`."""
    head = head_of(tx, study_id)
    known = {row.position: row.status for row in tx.all(_PARTITIONS, {"study": study_id})}
    if index not in known:
        raise KeyError(f"the study has no partition {index}")
    if known[index] != status:
        tx.later(_SET_PARTITION, {"study": study_id, "n": index, "to": status})
        head.write(tx, "partition", index=index, status=status)


# ensembles ----------------------------------------------------------------------------------------------


def lease_ensemble(tx: Transaction, study_id: int, worker_id: str, lease_s: float) -> bool:
    """See `Storage.lease_ensemble`."""
    head_of(tx, study_id)
    row = tx.first(_LEASE, {"id": study_id})
    assert row is not None
    if row.ensemble_worker not in ("", worker_id) and row.ensemble_lease_us > tx.now_us:
        return False
    tx.later(_SET_LEASE, {"key": study_id, "worker": worker_id, "until": tx.now_us + int(lease_s * 1e6)})
    return True


def release_ensemble(tx: Transaction, study_id: int, worker_id: str) -> None:
    """See `Storage.release_ensemble`."""
    head_of(tx, study_id)
    if _ensemble_owner(tx, study_id) == worker_id:
        tx.later(_SET_LEASE, {"key": study_id, "worker": "", "until": 0})


def _ensemble_owner(tx: Transaction, study_id: int) -> str:
    row = tx.first(_LEASE, {"id": study_id})
    assert row is not None
    return str(row.ensemble_worker)


def add_ensemble(tx: Transaction, study_id: int, worker_id: str, ensemble: EnsembleRecord) -> bool:
    """See `Storage.add_ensemble`."""
    head = head_of(tx, study_id)
    if _ensemble_owner(tx, study_id) != worker_id:
        return False
    columns = {"study_id": study_id, "worker_id": worker_id, **rows.ensemble_to_row(ensemble)}
    key = {"study": study_id, "n": ensemble.iteration}
    tx.later(_DROP_ENSEMBLE, key)  # a repeated call replaces what it wrote
    tx.later(_ADD_ENSEMBLE, columns)
    head.write(tx, "ensemble", iteration=ensemble.iteration)
    return True


def ensembles(tx: Transaction, study_id: int) -> list[EnsembleRecord]:
    """See `Storage.ensembles`."""
    study_by_id(tx, study_id)
    return [rows.ensemble_from_row(row) for row in tx.all(_ENSEMBLES, {"study": study_id})]
