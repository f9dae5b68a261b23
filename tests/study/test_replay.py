"""Replay: what a study tried is what its log gives, and what was changed by hand is named."""

from __future__ import annotations

import random
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dask_programs import DaskPrograms

from modelwright import Categorical, Float, Int, Space, Study
from modelwright.errors import InputError, StudyStateError, UnknownNameError
from modelwright.records import Component, Trial, TrialState
from modelwright.storage import MemoryStorage, open_storage
from modelwright.storage.base import AdoptedTrial
from modelwright.study import Callback, RunningTrial
from modelwright.study.replay import Replay
from modelwright.study.versions import versions_here

SPACE = Space(x=Float(-5, 5), n=Int(1, 9), k=Categorical("a", "b"))
OPTIMIZERS = [
    Component("tpe"),
    Component("random"),
    Component("quasirandom"),
    Component("grid", {"points": {"x": 12}}),
    Component("cmaes"),
    pytest.param(Component("gp"), marks=pytest.mark.slow),
    pytest.param(Component("forest"), marks=pytest.mark.slow),
]


def bumpy(trial: RunningTrial) -> float:
    """Fail now and then, for good or once."""
    if trial.number % 7 == 3 and trial.attempt == 1:
        raise ValueError("the first attempt fails")
    if trial.number % 11 == 5:
        raise ValueError("this one always fails")
    return float(trial.params["x"] ** 2 + trial.params["n"])


def plain(trial: RunningTrial) -> float:
    return float(trial.params["x"] ** 2 + trial.params["n"])


def proven(study: Study, recomputed: int) -> Replay:
    found = study.replay()
    assert found.equal, str(found.first)
    assert found.recomputed == recomputed
    return found


# runs of all kinds ------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda item: item.name)
def test_200_trials_on_4_slots(optimizer: Component, tmp_path: Path) -> None:
    study = Study(SPACE, storage=tmp_path / "hub.db", seed=3, optimizer=optimizer, retry={"error": 1})
    study.run(bumpy, trials=200, parallel=4)
    assert {trial.state.value for trial in study.trials} == {"complete", "failed"}
    assert any(trial.record.attempts == 2 and trial.values for trial in study.trials)
    found = proven(study, 200)
    assert {item.provenance.optimizer for item in found.proposals} == {optimizer.name}
    assert all(item.provenance.version.startswith(versions_here()[:5]) for item in found.proposals)
    study.close()


@pytest.mark.parametrize("trials", [60, pytest.param(200, marks=pytest.mark.slow)])
def test_4_slots_of_a_cluster(tmp_path: Path, dask_cluster: DaskPrograms, trials: int) -> None:
    study = Study(SPACE, storage=tmp_path / "hub.db", seed=3, optimizer="tpe", retry={"error": 1})
    study.run(bumpy, trials=trials, parallel=4, executor="dask", address=dask_cluster.address)
    assert any(trial.record.attempts == 2 and trial.values for trial in study.trials)
    proven(study, trials)
    study.close()


WORKER = """
import sys, time
from modelwright import Categorical, Float, Int, Space, Study

def objective(trial):
    time.sleep(0.01)
    if trial.number % 11 == 5:
        raise ValueError("some fail")
    return trial.params["x"] ** 2 + trial.params["n"]

study = Study(
    Space(x=Float(-5, 5), n=Int(1, 9), k=Categorical("a", "b")), storage="hub.db", name="s", seed=3,
    deterministic=True, lease_s=2, max_attempts=9, load_if_exists=True,
)
study.run(objective, trials=int(sys.argv[1]), parallel=int(sys.argv[2]), executor=sys.argv[3])
"""


def test_4_processes_on_one_file(tmp_path: Path, start_script: Callable[..., Any]) -> None:
    for run in [start_script(WORKER, 80, 1, "inline") for _ in range(4)]:
        _, errors = run.communicate(timeout=200)
        assert (run.returncode, errors) == (0, "")
    study = Study.load("s", storage=tmp_path / "hub.db")
    assert len({trial.record.worker for trial in study.trials}) > 1
    proven(study, 80)
    study.close()


def test_killed_and_resumed(
    tmp_path: Path, start_script: Callable[..., Any], until: Callable[[Any], None]
) -> None:
    for finished in (5, 25):
        run = start_script(WORKER, 60, 2, "local")
        until(lambda finished=finished: finished_in(tmp_path / "hub.db") >= finished)
        run.send_signal(signal.SIGKILL)
        run.communicate(timeout=100)
    run = start_script(WORKER, 60, 2, "local")
    _, errors = run.communicate(timeout=200)
    assert run.returncode == 0, errors
    study = Study.load("s", storage=tmp_path / "hub.db")
    assert any(trial.record.attempts > 1 for trial in study.trials)
    proven(study, 60)
    study.close()


def finished_in(path: Path) -> int:
    if not path.exists():
        return 0
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        try:
            return int(connection.execute("SELECT COUNT(*) FROM events WHERE kind = 'finish'").fetchone()[0])
        except sqlite3.OperationalError:  # its tables are still to come
            return 0


class Steer(Callback):
    """Does something to the study when a trial is over."""

    def __init__(self, study: Study, steps: dict[int, Callable[[Study], object]]) -> None:
        self._study = study
        self._steps = steps
        self._ended = 0

    def on_trial_end(self, run: Any, trial: Trial) -> None:
        self._ended += 1
        self._steps.get(self._ended, lambda study: None)(self._study)


@pytest.mark.parametrize("optimizer", ["tpe", "random"])
def test_a_space_that_is_edited_and_edited_back(optimizer: str) -> None:
    study = Study(SPACE, seed=3, optimizer=optimizer)
    narrow = SPACE.with_parameter("x", Float(-1, 1))
    steps = {15: lambda s: s.set_space(narrow), 30: lambda s: s.set_space(SPACE)}
    study.run(plain, trials=50, parallel=3, executor="thread", callbacks=[Steer(study, steps)])
    assert study.record.space_version == 2
    proven(study, 50)


def test_what_people_added_is_told_apart() -> None:
    study = Study(SPACE, seed=3)
    elsewhere = Trial(0, TrialState.COMPLETE, {"x": 2.0, "n": 3, "k": "b"}, (7.0,))
    steps = {
        5: lambda s: s.enqueue({"x": 0.5, "n": 2, "k": "a"}),
        9: lambda s: s.storage.adopt(s.record.id, [AdoptedTrial(elsewhere)]),
        20: lambda s: s.retry(3),
    }
    study.run(plain, trials=40, parallel=3, executor="thread", callbacks=[Steer(study, steps)])
    found = proven(study, 37)
    assert found.counts == {"proposed": 37, "enqueued": 2, "adopted": 1}
    assert str(found).endswith("37 proposed, 2 enqueued, 1 from elsewhere")


def test_parameters_that_an_objective_asks_for() -> None:
    def function(trial: RunningTrial) -> float:
        rate = trial.float("rate", 1e-5, 1, log=True)
        return rate + (trial.float("odd", 0, 1) if trial.number % 2 else trial.int("even", 0, 9))

    study = Study(seed=5)
    study.run(function, trials=40, parallel=3, executor="thread")
    proven(study, 40)


def test_who_was_refused_and_drew_again() -> None:
    """A small space without a promise to differ: two trials come to the same configuration all the time."""
    study = Study(Space(k=Categorical(*"abcdef")), seed=1, optimizer="tpe")
    study.run(lambda trial: float(ord(trial.params["k"])), trials=60, parallel=4, executor="thread")
    found = proven(study, 60)
    assert max(item.provenance.turn for item in found.proposals) >= 6


def test_a_study_over_methods() -> None:
    from modelwright.automl.methods import load_methods
    from modelwright.automl.partitions import joint_space

    methods = ["dt", "knn", "rf"]
    optimizer = Component("partitions", {"methods": methods, "task": "binary", "selector": "ucb1"})
    study = Study(joint_space(load_methods(methods, "binary")), "maximize", seed=2, optimizer=optimizer)
    study.run(lambda trial: len(str(trial.params)) / 500, trials=50, parallel=3, executor="thread")
    found = proven(study, 50)
    assert any("ucb1 chose" in item.provenance.reason for item in found.proposals)


@pytest.mark.parametrize("window", [1, 3])
def test_lock_step(window: int) -> None:
    study = Study(SPACE, seed=3, reproducible=True, scheduler="median")

    def function(trial: RunningTrial) -> float:
        for step in range(3):
            trial.report(trial.params["x"] ** 2 + step, step)
            if trial.should_stop():
                return float(trial.params["x"] ** 2 + step)
        return float(trial.params["x"] ** 2)

    study.run(function, trials=40, parallel=window, executor="thread")
    assert "pruned" in {trial.state.value for trial in study.trials}
    proven(study, 40)


def test_a_run_that_goes_on_can_be_checked() -> None:
    study = Study(SPACE, seed=3)
    asked = [study.ask() for _ in range(4)]
    study.tell(asked[2], 1.0)
    found = proven(study, 4)
    assert [item.origin for item in found.proposals] == ["proposed"] * 4
    study.storage.claim(study.record.id, "somebody", "claim", 60.0)
    assert proven(study, 4).counts == {"proposed": 4, "none": 1}
    study.close()


@pytest.mark.parametrize("seed", range(12))
def test_any_story_of_two_workers(seed: int) -> None:
    """Two copies of the ledger, steps drawn at random; each copy learns of the other's steps late."""
    rng = random.Random(seed)
    storage = MemoryStorage()
    optimizer = rng.choice(["tpe", "random", "quasirandom"])
    first = Study(SPACE, storage=storage, name="s", seed=seed, optimizer=optimizer, retry={"error": 1})
    workers = [first, Study.load("s", storage=storage)]
    asked: list[tuple[Study, RunningTrial]] = []
    for _ in range(150):
        worker = rng.choice(workers)
        step = rng.choices(["ask", "tell", "enqueue", "kill", "space", "read"], [8, 6, 1, 1, 0.4, 2])[0]
        if step == "ask" and len(asked) < 8:
            asked.append((worker, worker.ask()))
        elif step == "tell" and asked:
            owner, trial = asked.pop(rng.randrange(len(asked)))
            state = rng.choice(["complete", "complete", "pruned", "failed"])
            trial.report(rng.random(), 1)
            owner.tell(trial, None if state == "failed" else rng.random(), state=state)
        elif step == "enqueue":
            worker.enqueue({"x": 0.0, "n": rng.randint(1, 9), "k": "a"})
        elif step == "kill":
            waiting = [t.number for t in worker.trials if t.state is TrialState.WAITING]
            for number in waiting[:1]:
                worker.kill(number)
        elif step == "space":
            worker.set_space(SPACE.with_parameter("x", Float(-rng.choice([1, 5]), 5)))
        elif step == "read":
            assert set(worker.counts) <= set(TrialState)
    found = first.replay()
    assert found.equal, str(found.first)
    assert found.recomputed > 20
    for worker in workers:
        worker._asked.close()


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_on_servers(kind: str, new_database: Callable[[str], str]) -> None:
    study = Study(SPACE, storage=open_storage(new_database(kind)), name="s", seed=3, retry={"error": 1})
    study.run(bumpy, trials=30, parallel=3, executor="thread")
    proven(study, 30)
    study.close()


# what was changed --------------------------------------------------------------------------------------


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A study of 40 trials, the first of them enqueued."""
    path = tmp_path / "hub.db"
    study = Study(SPACE, storage=path, name="s", seed=3)
    study.enqueue({"x": 0.5, "n": 2, "k": "a"})
    study.run(bumpy, trials=40, executor="inline")
    study.close()
    return path


def edit(path: Path, statement: str) -> Replay:
    """Change the ledger by hand, and replay it."""
    with sqlite3.connect(path) as connection:
        assert connection.execute(statement).rowcount > 0
    connection.close()
    study = Study.load("s", storage=path)
    try:
        return study.replay()
    finally:
        study.close()


def test_nothing_was_changed(ledger: Path) -> None:
    assert edit(ledger, "UPDATE studies SET description = 'other words'").equal


def test_a_value_that_was_changed(ledger: Path) -> None:
    found = edit(ledger, "UPDATE trials SET values_json = '[0.125]', value = 0.125 WHERE number = 12")
    assert len(found.differences) == 1  # what others saw is known from the log
    [wrong] = found.differences
    assert (wrong.trial, wrong.what, wrong.ledger) == (12, "value", 0.125)
    assert wrong.expected != 0.125
    assert wrong.cause == "the row was changed after it was written"
    assert [item.trial for item in found.proposals if item.equal is False] == [12]


def test_a_parameter_that_was_changed(ledger: Path) -> None:
    before = Study.load("s", storage=ledger).trials[15].params["x"]
    found = edit(ledger, "UPDATE trials SET params = json_set(params, '$.x', 0.25) WHERE number = 15")
    [wrong] = found.differences
    assert (wrong.trial, wrong.what, wrong.ledger, wrong.expected) == (15, "x", 0.25, before)
    assert wrong.cause == "the row was changed after it was written"


@pytest.mark.parametrize(
    ("change", "trial", "what"),
    [
        ("UPDATE trials SET params = json_set(params, '$.n', 7) WHERE number = 0", 0, "configuration"),
        ("UPDATE trials SET params = json_remove(params, '$.n') WHERE number = 9", 9, "n"),
        ("UPDATE trials SET params = json_set(params, '$.x', 99) WHERE number = 9", 9, "x"),
        ("UPDATE trials SET params = json_set(params, '$.odd', 1) WHERE number = 9", 9, "odd"),
        ("UPDATE trials SET fidelity = 2.0 WHERE number = 9", 9, "fidelity"),
        ("UPDATE trials SET values_json = '[]' WHERE number = 9", 9, "values"),
        ('UPDATE trials SET values_json = \'[{"$float":"nan"}]\' WHERE number = 9', 9, "value"),
        ("UPDATE trials SET state = 'pruned' WHERE number = 9", 9, "state"),
        ("UPDATE trials SET failure_kind = 'lost' WHERE number = 5", 5, "failure"),
        (
            "UPDATE trials SET finished_revision = finished_revision + 40 WHERE number = 9",
            9,
            "finished_revision",
        ),
        ("UPDATE trials SET seen_revision = 9999 WHERE number = 9", 9, "seen_revision"),
        ("UPDATE trials SET params = 'nothing' WHERE number = 9", 9, "row"),
        ("DELETE FROM trials WHERE number = 9", 9, "row"),
        ("DELETE FROM events WHERE number = 9 AND kind = 'propose'", 9, "row"),
    ],
)
def test_the_first_difference_names_what_was_changed(
    ledger: Path, change: str, trial: int, what: str
) -> None:
    found = edit(ledger, change)
    assert found.first is not None
    assert (found.first.trial, found.first.what) == (trial, what)
    assert "row" in found.first.cause
    for later in found.differences[1:]:
        assert f"it saw trial {trial}" in later.cause


def test_another_seed(ledger: Path) -> None:
    found = edit(ledger, "UPDATE studies SET seed = seed + 1")
    assert found.first is not None
    assert found.first.trial < 12
    assert "the study's row" in found.first.cause


def test_another_version_is_a_likely_cause(ledger: Path) -> None:
    edit(ledger, "UPDATE trials SET optimizer_version = '0.0.1 numpy 1.0.0 zeus 3'")
    found = edit(ledger, "UPDATE studies SET seed = seed + 1")
    assert found.first is not None
    assert "modelwright 0.0.1 then" in found.first.cause
    assert "numpy 1.0.0 then" in found.first.cause
    assert "zeus" not in found.first.cause


def test_a_ledger_whose_events_know_less(ledger: Path) -> None:
    """Events of before, without keys and values: proposals are recomputed all the same."""
    less = "UPDATE events SET payload = '{}' WHERE kind IN ('propose', 'enqueue', 'finish')"
    found = edit(ledger, less)
    assert found.equal
    found = edit(ledger, "UPDATE trials SET params = json_set(params, '$.x', 0.25) WHERE number = 15")
    assert found.first is not None
    assert (found.first.trial, found.first.what, found.first.ledger) == (15, "x", 0.25)
    assert "a row was changed" in found.first.cause


def test_a_parameter_that_was_added_and_changed(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    study = Study(storage=path, name="s", seed=5)
    study.run(lambda trial: trial.float("rate", 0, 1), trials=20, executor="inline")
    study.close()
    found = edit(path, "UPDATE trials SET params = json_set(params, '$.rate', 0.25) WHERE number = 0")
    assert [(item.trial, item.what, item.ledger) for item in found.differences] == [(0, "rate", 0.25)]


# asking for less -------------------------------------------------------------------------------------------


def test_one_trial_only(ledger: Path) -> None:
    study = Study.load("s", storage=ledger)
    found = study.replay(trial=30)
    assert [(item.trial, item.equal) for item in found.proposals] == [(30, True)]
    with pytest.raises(InputError, match="no trial 77"):
        study.replay(trial=77)
    study.close()


def test_an_optimizer_that_is_not_here(ledger: Path) -> None:
    with pytest.raises(UnknownNameError, match="unheard"):
        edit(ledger, """UPDATE studies SET optimizer = '["unheard", {}]'""")


def test_a_study_without_trials() -> None:
    found = Study(SPACE, seed=1).replay()
    assert found.equal
    assert found.proposals == ()
    with pytest.raises(StudyStateError):
        Study(Space(), seed=1, reproducible=True).set_space(SPACE)
