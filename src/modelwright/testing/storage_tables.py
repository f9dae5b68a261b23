# ruff: noqa: D102  (the names of the tests say what holds)
"""Conformance of storages: the tables of AutoML."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from modelwright.errors import (
    InputError,
)
from modelwright.storage.base import (
    Dataset,
    EnsembleRecord,
    Partition,
    Storage,
)
from modelwright.testing.storage_suite import ManualClock, StorageSuite, make_spec

__all__ = ["TableTests"]


class TableTests(StorageSuite):
    """What holds of data sets, partitions and ensembles."""

    def test_data_sets(self, storage: Storage) -> None:
        dataset = Dataset(
            "iris",
            "/d/iris.csv",
            "class",
            150,
            3,
            4,
            1 / 3,
            5,
            "flowers",
            None,
            "f00",
            {"columns": ["a", "ß"]},
        )
        first = storage.add_dataset(dataset)
        second = storage.add_dataset(replace(dataset, test_path="/d/test.csv"))
        assert first != second
        assert storage.dataset(first) == replace(dataset, id=first)
        assert storage.dataset(second).test_path == "/d/test.csv"
        assert storage.create_study(make_spec(dataset_id=second)).spec.dataset_id == second
        with pytest.raises(KeyError):
            storage.dataset(second + 1)
        with pytest.raises(InputError, match="data set"):
            storage.create_study(make_spec("other", dataset_id=second + 1))

    def test_partitions(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        items = [
            Partition(i, "knn", {"weights": "uniform", "p": None}, [{"name": "k", "low": 1}], {"n_jobs": 1})
            for i in range(3)
        ]
        storage.add_partitions(study.id, items[:2])
        storage.set_partition_status(study.id, 1, "gridding_done")
        storage.add_partitions(study.id, [replace(item, method="svm") for item in items])
        stored = storage.partitions(study.id)
        assert stored == [
            items[0],
            replace(items[1], status="gridding_done"),
            replace(items[2], method="svm"),
        ]
        with pytest.raises(InputError, match="gridding_done"):
            storage.set_partition_status(study.id, 0, "finished")
        with pytest.raises(KeyError):
            storage.set_partition_status(study.id, 3, "errored")

    def test_one_worker_at_a_time_builds_ensembles(self, storage: Storage, clock: ManualClock) -> None:
        study = storage.create_study(make_spec())
        ensemble = EnsembleRecord(1, [(0, 0.75), (3, 0.25)], 0.9, "bundles/1", {"f1": 0.8}, 17)
        assert not storage.add_ensemble(study.id, "w1", ensemble)
        assert storage.lease_ensemble(study.id, "w1", self.lease_s)
        assert storage.lease_ensemble(study.id, "w1", self.lease_s)
        assert not storage.lease_ensemble(study.id, "w2", self.lease_s)
        assert storage.add_ensemble(study.id, "w1", ensemble)
        assert storage.add_ensemble(study.id, "w1", ensemble)
        clock.advance(2 * self.lease_s)
        assert storage.lease_ensemble(study.id, "w2", self.lease_s)
        assert not storage.add_ensemble(study.id, "w1", replace(ensemble, iteration=2))
        assert storage.add_ensemble(study.id, "w2", replace(ensemble, iteration=2, score=-math.inf))
        storage.release_ensemble(study.id, "w1")
        assert not storage.lease_ensemble(study.id, "w1", self.lease_s)
        storage.release_ensemble(study.id, "w2")
        assert storage.lease_ensemble(study.id, "w1", self.lease_s)
        assert storage.ensembles(study.id) == [ensemble, replace(ensemble, iteration=2, score=-math.inf)]
