"""The ledger in a database: the contract, the views under ATM's names, and rows that were edited by hand."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.dialects import sqlite

from modelwright.errors import SchemaError
from modelwright.records import (
    Failure,
    FailureKind,
    Objective,
    Outcome,
    Proposal,
    Provenance,
    Report,
    SearchSettings,
    StudyState,
    TrialState,
)
from modelwright.storage import Claim, Dataset, Partition, SQLStorage, WorkerInfo
from modelwright.storage.sql import attempts, leases, reading
from modelwright.testing.storage import ManualClock, StorageContract, complete, make_spec


class TestSQLiteStorage(StorageContract):
    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def storage(self, clock: ManualClock, tmp_path: Path) -> Iterator[SQLStorage]:
        storage = SQLStorage(tmp_path / "ledger.db", durability="process", clock=lambda: clock.us)
        yield storage
        storage.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def storage(path: Path) -> Iterator[SQLStorage]:
    storage = SQLStorage(path, durability="process")
    yield storage
    storage.close()


def rows_of(path: Path, query: str) -> list[dict[str, Any]]:
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute(query)]
    finally:
        connection.close()


def edit(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        assert connection.execute(statement).rowcount == 1
    connection.close()


def take(storage: SQLStorage, study_id: int, claim_id: str) -> Claim:
    claim = storage.claim(study_id, "w1", claim_id, 60)
    assert isinstance(claim, Claim)
    return claim


def test_the_views_show_every_field_of_the_modelhub(storage: SQLStorage, path: Path) -> None:
    dataset_id = storage.add_dataset(
        Dataset("iris", "/d/train.csv", "class", 150, 3, 4, 0.25, 5, "flowers", "/d/test.csv")
    )
    search = SearchSettings("ucb1", "gp", 3, 2, 5, "f1", "cv", "walltime")
    study = storage.create_study(
        make_spec("run", dataset_id=dataset_id, description="first", priority=2, search=search)
    )
    storage.set_user_attrs(study.id, {"budget_s": 60.0, "deadline_us": 1_700_000_060_000_000})
    storage.set_state(study.id, StudyState.RUNNING)
    storage.register_worker(WorkerInfo("w1", "host-7", 1, "boot", 1.0))
    storage.add_partitions(study.id, [Partition(0, "knn", {"p": 1}, [["k", 1, 9]], {"jobs": 1})])
    claim = take(storage, study.id, "a")
    storage.propose(claim, Proposal({"x": 0.5}, partition=0), Provenance(), 0)
    metrics = {
        "cv_mean": 0.9,
        "cv_std": 0.1,
        "test_score": 0.8,
        "model_location": "m/0",
        "metrics_location": "m/0.json",
    }
    storage.finish(claim, complete(0.9, metrics=metrics), "a")
    storage.set_state(study.id, StudyState.COMPLETE)

    assert rows_of(path, "SELECT * FROM modelhub_datasets") == [
        {
            "dataset_id": dataset_id,
            "name": "iris",
            "description": "flowers",
            "train_path": "/d/train.csv",
            "test_path": "/d/test.csv",
            "class_column": "class",
            "n_examples": 150,
            "k_classes": 3,
            "d_features": 4,
            "majority": 0.25,
            "size_kb": 5,
        }
    ]
    (run,) = rows_of(path, "SELECT * FROM dataruns")
    assert run.pop("start_time") <= run.pop("end_time")
    assert run == {
        "datarun_id": study.id,
        "dataset_id": dataset_id,
        "description": "first",
        "selector": "ucb1",
        "k_window": 3,
        "tuner": "gp",
        "r_minimum": 2,
        "gridding": 5,
        "priority": 2,
        "budget_type": "walltime",
        "budget": 60.0,
        "deadline": "2023-11-14 22:14:20.000",
        "metric": "f1",
        "score_target": "cv",
        "status": "complete",
    }
    (partition,) = rows_of(path, "SELECT * FROM hyperpartitions")
    key = partition.pop("hyperpartition_id")
    assert partition == {
        "datarun_id": study.id,
        "method": "knn",
        "categoricals": '{"p":1}',
        "tunables": '[["k",1,9]]',
        "constants": '{"jobs":1}',
        "status": "incomplete",
    }
    (trial,) = rows_of(path, "SELECT * FROM classifiers")
    assert trial.pop("classifier_id") > 0
    assert trial.pop("start_time") <= trial.pop("end_time")
    assert trial == {
        "datarun_id": study.id,
        "hyperpartition_id": key,
        "host": "host-7",
        "model_location": "m/0",
        "metrics_location": "m/0.json",
        "cv_judgment_metric": 0.9,
        "cv_judgment_metric_stdev": 0.1,
        "test_judgment_metric": 0.8,
        "hyperparameters_values": '{"x":0.5}',
        "status": "complete",
        "error_message": None,
    }


def test_the_views_use_the_old_words_for_states(storage: SQLStorage, path: Path) -> None:
    study = storage.create_study(make_spec())
    for state, word in (
        ("pending", "pending"),
        ("running", "running"),
        ("paused", "running"),
        ("failed", "complete"),
    ):
        storage.set_state(study.id, StudyState(state))
        assert rows_of(path, "SELECT status, budget FROM dataruns") == [{"status": word, "budget": None}]
    storage.set_state(study.id, StudyState.RUNNING)
    error = Failure(FailureKind.ERROR, "division by zero", traceback="Traceback: ...")
    lost = Failure(FailureKind.LOST, "silent")
    outcomes = [
        Outcome(TrialState.PRUNED, (1.0,)),
        Outcome(TrialState.FAILED, failure=error),
        Outcome(TrialState.FAILED, failure=lost),
        complete(float("inf")),
    ]
    for i, outcome in enumerate(outcomes):
        storage.finish(take(storage, study.id, str(i)), outcome, str(i))
    take(storage, study.id, "still")
    found = rows_of(path, "SELECT status, error_message, cv_judgment_metric AS score FROM classifiers")
    assert [tuple(row.values()) for row in found] == [
        ("complete", None, 1.0),
        ("errored", "Traceback: ...", None),
        ("errored", "silent", None),
        ("complete", None, None),  # infinity is in `values_json`
        ("running", None, None),
    ]


def test_attempts_keep_what_each_cost(storage: SQLStorage, path: Path) -> None:
    study = storage.create_study(make_spec())
    storage.release(take(storage, study.id, "a"), "drained")
    storage.forfeit("w1", "dead")
    claim = take(storage, study.id, "b")
    storage.forfeit("w1", "dead")
    claim = take(storage, study.id, "c")
    outcome = complete(duration_s=2.5, peak_memory_mb=100.0, exit_code=-9, log_location="0-3")
    storage.finish(claim, outcome, "c")
    columns = "number, fence, outcome, duration_s, peak_memory_mb, exit_code, log_location"
    assert [tuple(row.values()) for row in rows_of(path, f"SELECT {columns} FROM attempts")] == [
        (0, 1, "released", None, None, None, ""),
        (0, 2, "lost", None, None, None, ""),
        (0, 3, "complete", 2.5, 100.0, -9, "0-3"),
    ]


@pytest.mark.parametrize(
    "change",
    [
        "params = '{broken'",
        "params = '[1]'",
        "values_json = '7'",
        "state = 'asleep'",
        "failure_kind = 'bored'",
        "metrics = ''",
        'user_attrs = \'{"$float": "inf"}\'',
    ],
)
def test_a_row_edited_by_hand_is_shown_as_failed(storage: SQLStorage, path: Path, change: str) -> None:
    study = storage.create_study(make_spec())
    for name in "ab":
        claim = take(storage, study.id, name)
        storage.propose(claim, Proposal({"x": 0.5}), Provenance(), 0)
        storage.finish(claim, complete(), name)
    edit(path, f"UPDATE trials SET {change} WHERE number = 1")
    good, bad = storage.trials(study.id)
    assert good.state is TrialState.COMPLETE
    assert bad.state is TrialState.FAILED
    assert bad.failure is not None
    assert bad.failure.kind is FailureKind.INVALID
    assert "trial 1" in bad.failure.message
    assert storage.changes(study.id, 0).trials == [good, bad]
    assert take(storage, study.id, "c").number == 2


def test_a_damaged_study_does_not_hide_the_others(storage: SQLStorage, path: Path) -> None:
    for name in ("good", "bad", "odd"):
        storage.create_study(make_spec(name))
    storage.close()
    edit(path, "UPDATE studies SET objectives = '[[1, \"sideways\"]]' WHERE name = 'bad'")
    edit(path, "UPDATE studies SET state = 'asleep' WHERE name = 'odd'")
    fresh = SQLStorage(path)
    with pytest.warns(UserWarning, match="left out"):
        assert [record.spec.name for record in fresh.studies()] == ["good"]
    for name in ("bad", "odd"):
        with pytest.raises(SchemaError, match=name):
            fresh.study(name)
        fresh.delete_study(name)
    assert [record.spec.name for record in fresh.studies()] == ["good"]
    fresh.close()


def test_objectives_keep_their_order(storage: SQLStorage) -> None:
    objectives = (Objective("z", "maximize"), Objective("a"))
    assert storage.create_study(make_spec(objectives=objectives)).spec.objectives == objectives


@pytest.mark.parametrize(
    "statement",
    [
        attempts._ROW,
        leases._CANDIDATES,
        leases._ANY_RUNNING,
        leases._LEASED_BY,
        reading._MOVED,
        reading._NEW_REPORTS,
        reading._REPORTS_OF,
    ],
)
def test_no_hot_statement_reads_a_whole_table(storage: SQLStorage, path: Path, statement: Any) -> None:
    study = storage.create_study(make_spec())
    storage.report(take(storage, study.id, "a"), [Report(1, {"value": 1.0})])
    compiled = statement.compile(dialect=sqlite.dialect())
    plan = rows_of_plan(path, str(compiled), len(compiled.positiontup))
    assert plan
    assert [line for line in plan if line.startswith(("SCAN trials", "SCAN reports"))] == []
    # The first of many waiting trials is found without sorting them.
    assert statement is not leases._CANDIDATES or not any("TEMP B-TREE" in line for line in plan)


def rows_of_plan(path: Path, query: str, parameters: int) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", [1] * parameters)]
    finally:
        connection.close()
