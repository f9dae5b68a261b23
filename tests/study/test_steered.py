"""Runs that are paused, stopped, killed and fed at random lose nothing and end where they should."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelwright import Float, Space, Study
from modelwright.errors import StudyStateError
from modelwright.records import StudyState
from modelwright.storage import Storage, open_storage
from modelwright.study import RunningTrial

SPACE = Space(x=Float(0, 1))
TURNS = 40


def objective(trial: RunningTrial) -> float:
    time.sleep(0.02)
    if trial.number % 7 == 3 and trial.attempt == 1:
        raise ValueError("once")
    return float(trial.params["x"])


def work(storage: Storage, done: threading.Event) -> None:
    """Run the study again and again, as a worker would, until the test is over."""
    while not done.is_set():
        study = Study.load("s", storage=storage)
        with contextlib.suppress(StudyStateError):  # paused
            study.run(objective, parallel=2, executor="thread")
        time.sleep(0.01)


def steer(study: Study, rng: random.Random) -> None:
    verbs: list[Callable[[], Any]] = [
        lambda: study.pause(now=rng.random() < 0.5),
        lambda: study.stop(now=rng.random() < 0.5),
        study.resume,
        study.resume,
        lambda: study.kill(rng.randrange(study.record.issued)),
        lambda: study.retry(rng.randrange(study.record.issued)),
        lambda: study.enqueue({"x": rng.random()}),
        lambda: study.set_budget((study.budget.trials or 0) + 2),
        lambda: study.set_budget(parallel=rng.choice([None, 1, 3])),
        lambda: study.set_space(study.space.with_parameter("x", Float(0, rng.choice([1.0, 2.0])))),
    ]
    with contextlib.suppress(StudyStateError):  # a trial that is not finished is not tried again
        rng.choice(verbs)()


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_nothing_is_lost(tmp_path: Path, kind: str, seed: int) -> None:
    rng = random.Random(seed)
    storage = open_storage(None if kind == "memory" else tmp_path / "hub.db")
    study = Study(
        SPACE, storage=storage, name="s", seed=seed, optimizer="random", retry={"error": 1}, lease_s=2.0
    )
    study.enqueue({"x": 0.5})
    study.set_budget(10)
    done = threading.Event()
    workers = [threading.Thread(target=work, args=(storage, done)) for _ in range(3)]
    for worker in workers:
        worker.start()
    try:
        for _ in range(TURNS):
            steer(study, rng)
            time.sleep(rng.uniform(0, 0.05))
        study.set_budget((study.budget.trials or 0) + 1, parallel=None)
        end = time.monotonic() + 60
        while not (study.state is StudyState.COMPLETE and study._view.unfinished == 0):
            study.resume()
            assert time.monotonic() < end, (kind, seed, study.state, study.counts)
            time.sleep(0.05)
    finally:
        done.set()
        for worker in workers:
            worker.join()
    audit(study)
    study.close()


def audit(study: Study) -> None:
    trials, record = study.trials, study.record
    assert [trial.number for trial in trials] == list(range(record.issued))
    assert record.issued == record.budget.trials
    assert all(trial.state.finished for trial in trials)
    attempts = study.storage.attempts(record.id)
    assert "running" not in {attempt.outcome for attempt in attempts}
    for trial in trials:
        own = [attempt for attempt in attempts if attempt.number == trial.number]
        spent = [attempt for attempt in own if attempt.outcome != "released"]
        assert len(spent) == trial.record.attempts <= 2, trial
        accepted = [a for a in own if a.outcome == trial.state.value]
        assert len(accepted) <= 1
    finished = [t.record.finished_revision for t in trials]
    assert len(set(finished)) == len(finished)
