"""Partition states in the ledger: as the search sees them, also across sessions."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from modelwright import Study
from modelwright.automl.methods import load_methods
from modelwright.automl.partition_status import PartitionStatusCallback
from modelwright.automl.partitions import joint_space, partitions
from modelwright.automl.search import PartitionSearch
from modelwright.records import Objective
from modelwright.storage import MemoryStorage
from modelwright.storage.base import Partition


def study_of(codes: list[str]) -> tuple[Study, PartitionStatusCallback]:
    methods = load_methods(codes, "binary")
    space = joint_space(methods)
    storage = MemoryStorage()
    study = Study(space, "maximize", storage=storage, deterministic=True)
    storage.add_partitions(
        study.record.id,
        [
            Partition(part.index, part.method.name, part.categoricals, [], part.constants)
            for part in partitions(methods)
        ],
    )
    search = PartitionSearch(space, [Objective("value", "maximize")], deterministic=True, methods=methods)
    callback = PartitionStatusCallback(search, space)
    callback.on_start(as_run(study))
    return study, callback


def as_run(study: Study) -> Any:
    return SimpleNamespace(study=study)


def add(study: Study, configuration: dict[str, Any], value: float | None) -> None:
    study.enqueue(configuration)
    trial = study.ask()
    study.tell(trial, value) if value is not None else study.tell(trial, state="failed")


def statuses(study: Study) -> list[str]:
    return [partition.status for partition in study.storage.partitions(study.record.id)]


def tree(depth: int) -> dict[str, Any]:
    numbers = {"max_features": 1.0, "max_depth": depth, "min_samples_split": 2, "min_samples_leaf": 1}
    return {"method": "dt", "dt:criterion": "gini", **{f"dt:{name}": v for name, v in numbers.items()}}


def test_more_than_three_failures_give_a_partition_up() -> None:
    study, callback = study_of(["dt"])
    run = as_run(study)
    for depth in (2, 3, 4):
        add(study, tree(depth), None)
    add(study, tree(5), 0.7)
    callback.on_end(run, "")
    assert statuses(study) == ["incomplete", "incomplete"]
    add(study, tree(6), None)
    callback.on_end(run, "")
    assert statuses(study) == ["incomplete", "errored"]


def test_a_new_session_takes_over() -> None:
    study, callback = study_of(["dt"])
    for depth in (2, 3):
        add(study, tree(depth), None)
    callback.on_end(as_run(study), "")
    again = PartitionStatusCallback(callback._search, study.space)
    again.on_start(as_run(study))
    for depth in (4, 5):
        add(study, tree(depth), None)
    again.on_end(as_run(study), "")
    assert statuses(study) == ["incomplete", "errored"]
