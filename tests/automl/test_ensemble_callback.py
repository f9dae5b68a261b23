"""When ensembles are built beside a search, and by whom."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from modelwright import Float, Space, Study
from modelwright.automl.ensemble.callback import EnsembleCallback
from modelwright.automl.folder import RunFolder
from modelwright.execution import End, EndKind, ErrorInfo, Job, Task
from modelwright.storage.base import EnsembleRecord


class Run:
    """Stands for a runner whose helper slot answers at once."""

    def __init__(self, folder: Path) -> None:
        self.study = Study(Space(x=Float(0, 1)), "maximize")
        self.worker_id = "me"
        self.tasks: list[Task] = []
        self.end: End | None = None
        self.folder = folder

    def trial(self, value: float) -> None:
        self.study.tell(self.study.ask(), value)

    def submit_helper(self, task: Task) -> Job:
        self.tasks.append(task)
        best = max(-item["loss"] for item in task.argument["candidates"])
        result = {
            "members": [[0, 1.0]],
            "loss": -best,
            "score": best,
            "location": "bundles/1",
            "metrics": {"test_score": None},
        }
        (self.folder / "bundle").mkdir(exist_ok=True)
        return Job(task, end=self.end or End(EndKind.RESULT, result))

    def wait(self, job: Job, timeout_s: float) -> bool:
        return job.done

    def records(self) -> list[EnsembleRecord]:
        return self.study.storage.ensembles(self.study.record.id)


@pytest.fixture
def run(tmp_path: Path) -> Any:
    return Run(tmp_path)


def callback(run: Run) -> EnsembleCallback:
    prepared: Any = SimpleNamespace()
    made = EnsembleCallback(RunFolder(run.folder), prepared, memory_mb=100, until_s=None, seed=0)
    made.on_start(run)  # type: ignore[arg-type]
    return made


def test_the_end_builds_from_all_models_and_gives_the_right_back(run: Any) -> None:
    made = callback(run)
    for value in (0.5, 0.9, 0.7):
        run.trial(value)
    made.on_end(run, "spent")
    assert [item["number"] for item in run.tasks[-1].argument["candidates"]] == [0, 1, 2]
    assert made.score == 0.9
    assert [record.metrics["candidates"] for record in run.records()] == [3]
    assert run.study.storage.lease_ensemble(run.study.record.id, "another", 1.0)


def test_nothing_new_is_nothing_to_build(run: Any) -> None:
    made = callback(run)
    made.on_end(run, "spent")
    run.trial(0.5)
    made.on_end(run, "spent")
    made.on_end(run, "spent")
    callback(run).on_end(run, "spent")
    assert len(run.tasks) == 1


def test_an_interrupted_run_builds_no_more(run: Any) -> None:
    made = callback(run)
    run.trial(0.5)
    made.on_end(run, "interrupted")
    assert run.tasks == []


def test_while_another_builds_it_is_left_to_it(run: Any) -> None:
    made = callback(run)
    run.trial(0.5)
    run.study.storage.lease_ensemble(run.study.record.id, "another", 60.0)
    made.on_tick(run)
    assert run.tasks == []


def test_the_last_build_waits_for_the_lease_of_a_dead_process(run: Any) -> None:
    made = callback(run)
    run.trial(0.5)
    run.study.storage.lease_ensemble(run.study.record.id, "dead", 0.3)
    made.on_end(run, "spent")
    assert len(run.tasks) == 1


def test_what_another_has_published_is_the_mark_to_beat(run: Any) -> None:
    made = callback(run)
    run.trial(0.5)
    made.on_tick(run)
    made.on_tick(run)
    study_id, storage = run.study.record.id, run.study.storage
    storage.release_ensemble(study_id, "me")
    storage.lease_ensemble(study_id, "another", 0.0)
    storage.add_ensemble(study_id, "another", EnsembleRecord(2, [(0, 1.0)], 0.95, metrics={"candidates": 1}))
    run.trial(0.6)
    made.on_end(run, "spent")
    assert run.tasks[-1].argument["best_loss"] == -0.95


def test_a_build_that_keeps_failing_is_given_up_and_said(run: Any) -> None:
    made = callback(run)
    run.end = End(EndKind.ERROR, error=ErrorInfo(("builtins.OSError",), "no space left"))
    for value in range(6):
        run.trial(float(value))
        made.on_end(run, "spent")
    assert len(run.tasks) == 3
    assert made.trouble == "no space left"
    assert run.records() == []
