"""Predictions and models of trials that were made elsewhere, brought for the ensemble."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from modelwright import Float, Space, Study
from modelwright.automl.ensemble.callback import BUILT_FROM, EnsembleCallback
from modelwright.automl.ensemble.gathering import Gathering
from modelwright.automl.folder import RunFolder
from modelwright.execution import End, EndKind, Job, Task
from modelwright.records import Trial
from modelwright.storage import MemoryStorage
from modelwright.storage.artifacts import FolderStore
from modelwright.study import RunningTrial

FILES = ("oof.npy", "metrics.json", "models/fold-0/model.txt")


class Served(MemoryStorage):
    """A ledger whose server keeps files, and says which it was asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.fetched: list[str] = []

    def artifact_store(self, study_id: int) -> Any:
        store = FolderStore(self.folder)

        def get(artifact: Any, cache: Path) -> Path:
            self.fetched.append(artifact.location)
            target = cache / artifact.location
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(store.get(artifact, cache).read_bytes())
            return target

        return SimpleNamespace(put=store.put, get=get)


class World:
    """A study of which some trials are made elsewhere, and the run's folder here."""

    def __init__(self, folder: Path) -> None:
        self.storage = Served(folder / "served")
        self.study = Study(Space(x=Float(0, 1)), "maximize", storage=self.storage, seed=1)
        self.here = RunFolder(folder / "run")
        self.files = Gathering(self.storage, self.study.record.id, self.here)

    def add(self, names: tuple[str, ...] = FILES) -> Trial:
        def objective(trial: RunningTrial) -> float:
            assert trial.folder is not None
            for name in names:
                path = trial.folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(name)
                trial.log_artifact(path)
            return trial.number / 10

        self.study.run(objective, more=1, executor="inline")
        return self.study.trials[-1].record

    def local(self, trial: Trial) -> list[str]:
        place = self.here.trial(trial.number, trial.fence)
        return sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file())


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return World(tmp_path)


def test_predictions_come_first_and_models_when_asked_for(world: World, until: Callable[..., None]) -> None:
    trial = world.add()
    world.files.add([trial])
    until(lambda: not world.files.busy)
    assert world.files.take() == [trial]
    assert world.files.take() == []
    assert world.local(trial) == ["metrics.json", "oof.npy"]
    assert world.storage.fetched[-1] == "trials/0-1/oof.npy"  # last: where it is, the others are
    assert world.files.is_usable(trial)
    assert not world.files.has_models(trial)
    world.files.bring_models([trial.number])
    until(lambda: not world.files.bringing_models)
    assert world.files.has_models(trial)
    assert world.local(trial) == sorted(FILES)
    assert len(world.storage.fetched) == 3


def test_what_is_here_is_not_fetched(world: World, until: Callable[..., None]) -> None:
    trial = world.add()
    place = world.here.trial(trial.number, trial.fence)
    for name in FILES:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(name)
    world.files.add([trial])
    until(lambda: not world.files.busy)
    assert world.files.has_models(trial)
    assert world.storage.fetched == []


def test_trials_without_predictions_take_no_part(
    world: World, until: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    without, gone, whole = world.add(("metrics.json",)), world.add(), world.add()
    (world.storage.folder / "trials/1-1/oof.npy").unlink()
    world.files.add([without, gone, whole])
    until(lambda: not world.files.busy)
    assert [world.files.is_usable(trial) for trial in world.files.take()] == [False, False, True]
    assert "trial 0 takes no part in the ensemble: its predictions were not kept." in caplog.text
    assert "trial 1 takes no part in the ensemble: there is no file" in caplog.text


class Run:
    """Stands for a runner whose helper wants the best trial as the only member."""

    worker_id = "me"

    def __init__(self, world: World) -> None:
        self.study = world.study
        self.tasks: list[Task] = []
        self.world = world

    def submit_helper(self, task: Task) -> Job:
        self.tasks.append(task)
        best = min(task.argument["candidates"], key=lambda item: item["loss"])
        (self.world.here.path / "bundle").mkdir(exist_ok=True)
        result: dict[str, Any] = {
            "members": [[best["number"], 1.0]],
            "loss": best["loss"],
            "score": -best["loss"],
            "location": "bundles/1",
            "metrics": {},
        }
        return Job(
            task, end=End(EndKind.RESULT, result if best["has_models"] else {"missing": [best["number"]]})
        )

    def wait(self, job: Job, timeout_s: float) -> bool:
        return job.done


def test_the_models_of_a_member_are_brought_and_it_is_built_again(world: World) -> None:
    world.here.path.mkdir()
    run: Any = Run(world)
    made = EnsembleCallback(world.here, SimpleNamespace(), memory_mb=100, until_s=None, seed=0)  # type: ignore[arg-type]
    made.on_start(run)
    trials = [world.add(), world.add(("metrics.json",)), world.add()]
    made.on_end(run, "spent")
    assert [[item["number"] for item in task.argument["candidates"]] for task in run.tasks] == [[0, 2]] * 2
    assert world.local(trials[2]) == sorted(FILES)
    assert world.local(trials[0]) == ["metrics.json", "oof.npy"]
    [record] = world.storage.ensembles(world.study.record.id)
    assert record.members == [(2, 1.0)]
    assert record.metrics["candidates"] == 3  # it knows of the one that it cannot use
    assert world.study.user_attrs[BUILT_FROM] == 3
    made.on_end(run, "spent")
    assert len(run.tasks) == 2


def test_where_no_trial_can_be_used_nothing_is_built(world: World) -> None:
    world.here.path.mkdir()
    run: Any = Run(world)
    made = EnsembleCallback(world.here, SimpleNamespace(), memory_mb=100, until_s=None, seed=0)  # type: ignore[arg-type]
    made.on_start(run)
    world.add(("metrics.json",))
    made.on_end(run, "spent")
    assert run.tasks == []
    assert world.study.user_attrs[BUILT_FROM] == 1
