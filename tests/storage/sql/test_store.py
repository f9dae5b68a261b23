"""The ledger in a database: the contract, the views under ATM's names, and rows that were edited by hand."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import IntegrityError

from modelwright.errors import SchemaError, StorageError, StudyStateError
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
from modelwright.storage.sql import (
    attempts,
    candidates,
    claims,
    leases,
    reading,
    store,
    trials,
    verbs,
)
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
    storage.set_budget(study.id, time_s=60.0, deadline_us=4_000_000_000_000_000)
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
        "deadline": "2096-10-02 07:06:40.000",
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
    study = storage.create_study(make_spec(max_attempts=1))
    for state, word in (
        ("pending", "pending"),
        ("running", "running"),
        ("paused", "running"),
        ("failed", "complete"),
    ):
        storage.set_state(study.id, StudyState.PENDING)
        storage.set_state(study.id, StudyState(state))
        assert rows_of(path, "SELECT status, budget FROM dataruns") == [{"status": word, "budget": None}]
    storage.set_state(study.id, StudyState.PENDING)
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


def test_a_budget_of_time_ends_at_a_moment_of_the_view(storage: SQLStorage, path: Path) -> None:
    study = storage.create_study(make_spec())
    storage.set_budget(study.id, time_s=90.5)
    assert rows_of(path, "SELECT deadline FROM dataruns") == [{"deadline": None}]
    storage.set_state(study.id, StudyState.RUNNING)
    edit(path, "UPDATE studies SET started_us = 1700000000000000")
    assert rows_of(path, "SELECT deadline FROM dataruns") == [{"deadline": "2023-11-14 22:14:50.500"}]


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
        attempts._ACCEPTED,
        attempts._TRIED,
        candidates._LOOK,
        candidates._CLAIMED,
        candidates._LOCK,
        claims._ANY_OPEN,
        claims._ANY_LIVE,
        claims._COUNT_LIVE,
        leases._LEASED_BY,
        trials._SAME,
        trials._TO_FINISH,
        verbs._REQUESTED,
        reading._COUNTS,
        reading._MOVED,
        reading._NEW_REPORTS,
        reading._REPORTS_OF,
    ],
)
def test_no_hot_statement_reads_a_whole_table(storage: SQLStorage, path: Path, statement: Any) -> None:
    study = storage.create_study(make_spec())
    storage.report(take(storage, study.id, "a"), [Report(1, {"value": 1.0})])
    plan = plan_of(path, statement)
    assert plan
    assert [line for line in plan if line.startswith(("SCAN trials", "SCAN reports"))] == []
    # The first of many waiting trials is found without sorting them.
    assert statement is not candidates._LOOK or not any("TEMP B-TREE" in line for line in plan)


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (claims._COUNT_LIVE, "COVERING INDEX ix_trials_lease (state=? AND study_id=? AND lease_until_us>?)"),
        (claims._ANY_LIVE, "COVERING INDEX ix_trials_lease (state=? AND study_id=? AND lease_until_us>?)"),
        (reading._COUNTS, "COVERING INDEX ix_trials_lease (state=? AND study_id=?)"),
        (trials._SAME, "INDEX ix_trials_config (study_id=? AND config_key=?)"),
    ],
)
def test_counting_and_comparing_reads_an_index(
    storage: SQLStorage, path: Path, statement: Any, index: str
) -> None:
    assert any(index in line for line in plan_of(path, statement))


def plan_of(path: Path, statement: Any) -> list[str]:
    """Return how SQLite would run a statement, line by line."""
    names = [name for name, value in statement.compile().params.items() if not value]
    compiled = statement.params({name: [1] if name == "numbers" else 1 for name in names}).compile(
        dialect=sqlite.dialect(paramstyle="qmark"), compile_kwargs={"render_postcompile": True}
    )
    values = [1] * len(compiled.positiontup)
    with closing(sqlite3.connect(path)) as connection:
        return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {compiled}", values)]


def test_a_trial_costs_three_transactions_of_few_statements(storage: SQLStorage) -> None:
    study = storage.create_study(make_spec(deterministic=True))
    storage.set_budget(study.id, 10, time_s=1e6, deadline_us=4_000_000_000_000_000, cost=1e6)
    seen: list[str] = []
    database: Any = storage._db

    @event.listens_for(database._engine, "before_cursor_execute")
    def note(connection: Any, cursor: Any, statement: str, *more: Any) -> None:
        if not statement.startswith("BEGIN"):
            seen.append(statement)

    claim = take(storage, study.id, "a")
    assert len(seen) == 6, seen  # candidates, study; study, event, attempt, trial
    storage.propose(claim, Proposal({"x": 0.5}), Provenance(), 0)
    assert len(seen) == 6 + 5, seen  # trial, study; study, event, trial
    storage.finish(claim, complete(), "a")
    assert len(seen) == 6 + 5 + 6, seen  # trial, study; attempt, study, event, trial
    storage.renew([claim], 60)
    assert len(seen) == 17 + 2, seen  # states, trial
    assert not any("studies" in line for line in seen[17:] if line.startswith("UPDATE"))


def test_a_trial_taken_since_it_was_looked_at_is_passed_over(storage: SQLStorage) -> None:
    study = storage.create_study(make_spec())
    for i in range(3):
        storage.enqueue(study.id, {"x": i / 4}, {})
    looked_at = [SimpleNamespace(number=number, state="waiting") for number in range(3)]
    running = [SimpleNamespace(number=1, state="running")]
    take(storage, study.id, "a")
    take(storage, study.id, "b")

    def find(found: Any) -> list[int]:
        work = candidates._lock_takeable, study.id, 1, found
        return [row.number for row in storage._db.write(*work)]

    assert find(looked_at) == [2]
    assert find(looked_at[:2]) == []
    assert find(running) == []  # its lease was prolonged


# after an outage ----------------------------------------------------------------------------------------


def after_outage(clock: ManualClock, tmp_path: Path) -> tuple[SQLStorage, int, Claim]:
    """Return a ledger that comes back after its only lease has run out."""
    storage = SQLStorage(tmp_path / "ledger.db", durability="process", clock=lambda: clock.us)
    study = storage.create_study(make_spec(lease_s=60.0, max_attempts=1))
    claim = take(storage, study.id, "a")
    clock.advance(600)
    storage._db._outage_end_us = clock.us
    return storage, study.id, claim


def test_after_an_outage_workers_get_time_to_renew(tmp_path: Path) -> None:
    clock = ManualClock()
    storage, study_id, claim = after_outage(clock, tmp_path)
    storage.register_worker(WorkerInfo("w1", "host", 1, "boot", 1.0))
    assert take(storage, study_id, "b").number == 1
    assert [worker.id for worker in storage.workers(study_id)] == ["w1"]
    with pytest.raises(StudyStateError, match="run at this moment"):
        storage.delete_study("study")
    assert storage.kill(study_id, 0).state is TrialState.RUNNING
    clock.advance(59)
    assert storage.renew([claim], 60).lost == frozenset()
    clock.advance(1)
    assert take(storage, study_id, "c").number == 2
    clock.advance(60)
    assert take(storage, study_id, "d").number == 3
    failure = storage.trial(study_id, 0).failure
    assert failure is not None
    assert failure.kind is FailureKind.KILLED
    storage.close()


def test_after_an_outage_a_silent_worker_loses_its_trial_one_lease_later(tmp_path: Path) -> None:
    clock = ManualClock()
    storage, study_id, claim = after_outage(clock, tmp_path)
    clock.advance(60)
    assert take(storage, study_id, "b").number == 1
    assert storage.renew([claim], 60).lost == {0}
    (lost,) = storage.attempts(study_id, 0)
    assert (lost.outcome, lost.cost) == ("lost", 60.0)
    storage.close()


def test_after_an_outage_a_dead_worker_is_not_waited_for(tmp_path: Path) -> None:
    clock = ManualClock()
    storage, study_id, _ = after_outage(clock, tmp_path)
    assert storage.forfeit("w1", "killed") == [0]
    assert storage.forfeit("w1", "killed") == []
    assert take(storage, study_id, "b").number == 1
    (lost,) = storage.attempts(study_id, 0)
    assert (lost.outcome, lost.cost) == ("lost", 60.0)
    storage.close()


def test_a_forfeited_lease_is_charged_until_then(tmp_path: Path) -> None:
    clock = ManualClock()
    storage = SQLStorage(tmp_path / "ledger.db", durability="process", clock=lambda: clock.us)
    study = storage.create_study(make_spec())
    take(storage, study.id, "a")
    clock.advance(7)
    storage.forfeit("w1", "killed")
    clock.advance(500)
    take(storage, study.id, "b")
    assert storage.study("study").cost == 7.0
    assert storage.attempts(study.id)[0].ended_us == clock.us - 500_000_000
    storage.close()


# names that are taken -----------------------------------------------------------------------------------


def test_a_name_taken_at_the_same_moment_is_looked_up_again() -> None:
    calls = []

    def work(number: int) -> int:
        calls.append(number)
        if len(calls) == 1:
            raise StorageError("taken") from IntegrityError("INSERT", {}, Exception())
        return number

    assert store._twice(work, 7) == 7
    assert calls == [7, 7]
    calls.clear()
    with pytest.raises(StorageError, match="other"):
        store._twice(fail)


def fail() -> None:
    """Raise another error than one about a name."""
    raise StorageError("other")
