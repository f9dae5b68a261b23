"""A study whose optimizer proposes nothing runs what is enqueued, and waits for more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from modelwright import Float, Space, Study
from modelwright.errors import StudyStateError
from modelwright.records import StudyState, TrialState
from modelwright.storage import MemoryStorage
from modelwright.study.worker import this_worker

SPACE = Space(x=Float(0, 1))


def study_of(storage: object = None, **settings: object) -> Study:
    return Study(SPACE, storage=storage or MemoryStorage(), name="s", optimizer="manual", **settings)


def objective(trial):
    return trial.params["x"]


def until(met: Callable[[], bool], within_s: float = 20.0) -> None:
    end = time.monotonic() + within_s
    while not met():
        assert time.monotonic() < end
        time.sleep(0.01)


def in_background(run: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_what_is_enqueued_is_run_and_the_study_ends_with_its_budget() -> None:
    study = study_of()
    for x in (0.25, 0.5, 0.75):
        study.enqueue({"x": x})
    study.run(objective, trials=3, executor="inline")
    assert [trial.params["x"] for trial in study.trials] == [0.25, 0.5, 0.75]
    assert study.state is StudyState.COMPLETE
    assert study.record.issued == 3


@pytest.mark.parametrize("parallel", [1, 2])
def test_a_run_waits_for_more_until_the_budget_is_used(parallel) -> None:
    storage = MemoryStorage()
    study = study_of(storage)
    thread = in_background(lambda: study.run(objective, trials=4, executor="thread", parallel=parallel))
    other = Study(storage=storage, name="s", load_if_exists=True)
    for count in range(4):
        assert thread.is_alive()
        other.enqueue({"x": count / 4})
        until(lambda count=count: len(other.trials) == count + 1 and other.trials[-1].state.finished)
    thread.join(20)
    assert not thread.is_alive()
    assert [trial.params["x"] for trial in other.trials] == [0.0, 0.25, 0.5, 0.75]
    assert all(trial.state is TrialState.COMPLETE for trial in other.trials)
    assert other.record.budget.trials == 4
    assert other.state is StudyState.COMPLETE


def test_a_run_that_waits_takes_no_number_and_ends_when_its_time_is_over() -> None:
    study = study_of()
    study.run(objective, trials=3, timeout=0.4, executor="inline")
    assert study.record.issued == 0
    assert study.trials == []


def test_a_run_that_waits_can_be_stopped() -> None:
    storage = MemoryStorage()
    study = study_of(storage)
    thread = in_background(lambda: study.run(objective, trials=3, executor="thread"))
    other = Study(storage=storage, name="s", load_if_exists=True)
    until(lambda: other.state is StudyState.RUNNING)
    other.stop()
    thread.join(20)
    assert not thread.is_alive()


def test_a_number_without_a_configuration_does_not_stand_in_the_way() -> None:
    storage = MemoryStorage()
    study = study_of(storage)
    study_id = study.record.id
    storage.set_budget(study_id, 2)
    worker = this_worker(storage)
    storage.register_worker(worker)
    claim = storage.claim(study_id, worker.id, "c", 60.0)
    study.enqueue({"x": 0.5})
    storage.release(claim, "in between")  # number 0 waits, and number 1 behind it
    study.run(objective, trials=2, executor="inline")
    states = [(trial.number, trial.state) for trial in study.trials]
    assert states == [(0, TrialState.FAILED), (1, TrialState.COMPLETE)]
    assert study.state is StudyState.COMPLETE


def test_asking_gives_what_is_enqueued_and_says_that_nothing_is() -> None:
    study = study_of()
    with pytest.raises(StudyStateError, match="nothing is enqueued"):
        study.ask()
    study.enqueue({"x": 0.5})
    trial = study.ask()
    assert trial.params == {"x": 0.5}
    with pytest.raises(StudyStateError, match="nothing is enqueued"):
        study.ask()
    study.tell(trial, 1.0)
    assert study.record.issued == 1
