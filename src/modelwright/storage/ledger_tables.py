"""A study's tables of AutoML in memory: partitions and ensembles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from modelwright.storage.ledger_head import LedgerHead
from modelwright.storage.ledger_rows import copy_partition

if TYPE_CHECKING:
    from modelwright.storage.entries import EnsembleRecord, Partition

__all__ = ["LedgerTables"]


class LedgerTables(LedgerHead):
    """Partitions, ensembles, and the right to build the latter; parameters as of `LedgerHead`."""

    def __init__(self, *args: Any) -> None:
        self.partitions: dict[int, Partition] = {}
        self.ensembles: dict[int, EnsembleRecord] = {}
        self._ensemble_lease: tuple[str, int] = ("", 0)
        super().__init__(*args)

    def add_partitions(self, partitions: Sequence[Partition]) -> None:
        """See `Storage.add_partitions`."""
        new = [item for item in partitions if item.index not in self.partitions]
        for item in new:
            self.partitions[item.index] = copy_partition(item)
        if new:
            self._write("partitions", count=len(new))

    def set_partition_status(self, index: int, status: Any) -> None:
        """See `Storage.set_partition_status`."""
        if self.partitions[index].status != status:
            self.partitions[index] = replace(self.partitions[index], status=status)
            self._write("partition", index=index, status=status)

    def lease_ensemble(self, worker: str, lease_us: int) -> bool:
        """See `Storage.lease_ensemble`."""
        owner, lease = self._ensemble_lease
        now = self._clock.tick()
        if owner not in ("", worker) and lease > now:
            return False
        self._ensemble_lease = worker, now + lease_us
        return True

    def release_ensemble(self, worker: str) -> None:
        """See `Storage.release_ensemble`."""
        if self._ensemble_lease[0] == worker:
            self._ensemble_lease = ("", 0)

    def add_ensemble(self, worker: str, ensemble: EnsembleRecord) -> bool:
        """See `Storage.add_ensemble`."""
        if self._ensemble_lease[0] != worker:
            return False
        self.ensembles[ensemble.iteration] = ensemble
        self._write("ensemble", iteration=ensemble.iteration)
        return True
