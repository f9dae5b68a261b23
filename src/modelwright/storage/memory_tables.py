"""Workers and the tables of AutoML in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args

from modelwright.errors import InputError
from modelwright.storage.answers import WorkerInfo
from modelwright.storage.ledger_rows import copy_ensemble, copy_partition
from modelwright.storage.memory_studies import MemoryStudies, microseconds
from modelwright.storage.plain import PARTITION_STATES, plain

if TYPE_CHECKING:
    from modelwright.storage.entries import Dataset, EnsembleRecord, Partition

__all__ = ["MemoryTables"]

_Wish = Literal["", "drain", "now"]


class MemoryTables(MemoryStudies):
    """Workers, data sets, partitions and ensembles of a `modelwright.storage.MemoryStorage`."""

    # workers -----------------------------------------------------------------------------------------

    def register_worker(self, info: WorkerInfo) -> WorkerInfo:
        """See `Storage.register_worker`."""
        with self._lock:
            known = self._workers.get(info.id)
            now = self._clock.wall()
            row = replace(info, asked="", registered_us=now, seen_us=now, left_us=None)
            if known is not None:
                row = replace(row, asked=known.asked, registered_us=known.registered_us)
            self._workers[info.id] = row
            return row

    def workers(self, study_id: int | None = None) -> list[WorkerInfo]:
        """See `Storage.workers`."""
        with self._lock:
            if study_id is None:
                ids = sorted(self._workers)
            else:
                ids = sorted(self._ledger(study_id).holders() & self._workers.keys())
            return [self._workers[worker_id] for worker_id in ids]

    def ask_worker(self, worker_id: str, wish: _Wish, *, who: str = "") -> WorkerInfo:
        """See `Storage.ask_worker`."""
        if wish not in get_args(_Wish):
            raise InputError(f"expected '', 'drain' or 'now' as the wish for a worker, got {wish!r}.")
        with self._lock:
            if worker_id not in self._workers:
                raise KeyError(f"there is no worker {worker_id!r}")
            row = self._workers[worker_id]
            if wish != row.asked:
                row = self._workers[worker_id] = replace(row, asked=wish)
                for ledger in self._ledgers.values():
                    ledger.ask(worker_id, wish, who)
            return row

    def retire_worker(self, worker_id: str) -> None:
        """See `Storage.retire_worker`."""
        with self._lock:
            row = self._workers.get(worker_id)
            if row is not None and row.left_us is None:
                self._workers[worker_id] = replace(row, left_us=self._clock.wall())

    def forfeit(self, worker_id: str, why: str) -> list[int]:
        """See `Storage.forfeit`."""
        with self._lock:
            return [n for ledger in self._ledgers.values() for n in ledger.forfeit(worker_id, why)]

    # tables of AutoML --------------------------------------------------------------------------------

    def add_dataset(self, dataset: Dataset) -> int:
        """See `Storage.add_dataset`."""
        with self._lock:
            number = len(self._datasets) + 1
            self._datasets.append(replace(dataset, id=number, metadata=plain(dataset.metadata, "metadata")))
            return number

    def dataset(self, dataset_id: int) -> Dataset:
        """See `Storage.dataset`."""
        with self._lock:
            if not 1 <= dataset_id <= len(self._datasets):
                raise KeyError(f"there is no data set {dataset_id}")
            found = self._datasets[dataset_id - 1]
            return replace(found, metadata=plain(found.metadata))

    def add_partitions(self, study_id: int, partitions: Sequence[Partition]) -> None:
        """See `Storage.add_partitions`."""
        with self._lock:
            self._ledger(study_id).add_partitions(partitions)

    def partitions(self, study_id: int) -> list[Partition]:
        """See `Storage.partitions`."""
        with self._lock:
            return [copy_partition(item) for _, item in sorted(self._ledger(study_id).partitions.items())]

    def set_partition_status(self, study_id: int, index: int, status: str) -> None:
        """See `Storage.set_partition_status`."""
        if status not in PARTITION_STATES:
            raise InputError(
                f"expected one of {', '.join(PARTITION_STATES)} as a partition's status, got {status!r}."
            )
        with self._lock:
            ledger = self._ledger(study_id)
            if index not in ledger.partitions:
                raise KeyError(f"the study {ledger.spec.name!r} has no partition {index}")
            ledger.set_partition_status(index, status)

    def lease_ensemble(self, study_id: int, worker_id: str, lease_s: float) -> bool:
        """See `Storage.lease_ensemble`."""
        with self._lock:
            return self._ledger(study_id).lease_ensemble(worker_id, microseconds(lease_s))

    def release_ensemble(self, study_id: int, worker_id: str) -> None:
        """See `Storage.release_ensemble`."""
        with self._lock:
            self._ledger(study_id).release_ensemble(worker_id)

    def add_ensemble(self, study_id: int, worker_id: str, ensemble: EnsembleRecord) -> bool:
        """See `Storage.add_ensemble`."""
        with self._lock:
            return self._ledger(study_id).add_ensemble(worker_id, copy_ensemble(ensemble))

    def ensembles(self, study_id: int) -> list[EnsembleRecord]:
        """See `Storage.ensembles`."""
        with self._lock:
            return [copy_ensemble(item) for _, item in sorted(self._ledger(study_id).ensembles.items())]
