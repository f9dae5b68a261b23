"""Room is made for the best: reports, artifacts and files of the others go, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from rich_study import everything

from modelwright import Float, Space, Study
from modelwright.errors import InputError
from modelwright.records import Artifact, Outcome, Proposal, Provenance, TrialState
from modelwright.storage import MemoryStorage
from modelwright.storage.base import Claim, Storage
from modelwright.transfer import copy_study, merge_studies, plan_trim, trim_study
from modelwright.transfer.files import inside, remove_files

Open = Callable[[str], Storage]


@pytest.fixture
def trained(sqlite: Open) -> Storage:
    """A study of five trials, of which the third is best, each with a report, a model and output."""
    storage = sqlite("hub")
    study = Study(Space(x=Float(0, 9)), storage=storage, name="s")
    folder = study.folder
    assert folder is not None
    for number, value in enumerate([3.0, 2.0, 1.0, 5.0, 4.0]):
        claim = storage.claim(study.record.id, "w", f"c{number}", 60)
        assert isinstance(claim, Claim)
        storage.propose(claim, Proposal({"x": value}), Provenance(), 0)
        trial = study.record.id, folder / "trials" / f"{number}-1"
        (trial[1] / "logs").mkdir(parents=True)
        (trial[1] / "logs" / "stdout.txt").write_text("x" * 100)
        (trial[1] / "model.bin").write_bytes(b"m" * 1000)
        digest = hashlib.sha256(b"m" * 1000).hexdigest()
        artifacts = (Artifact("model", f"trials/{number}-1/model.bin", digest, 1000),)
        outcome = Outcome(
            TrialState.COMPLETE, (value,), artifacts=artifacts, log_location=str(trial[1] / "logs")
        )
        study.storage.report(claim, [])
        assert storage.finish(claim, outcome, f"r{number}").value == "accepted"
    return storage


def files(storage: Storage, name: str) -> list[str]:
    folder = Study.load(name, storage=storage).folder
    assert folder is not None
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_the_best_keep_everything(trained: Storage) -> None:
    before = everything(trained, "s")
    plan = plan_trim(trained, "s", 2)
    assert plan == trim_study(trained, "s", 2)
    assert plan.numbers == (0, 3, 4)
    assert (plan.artifacts, plan.files, plan.size) == (3, 6, 3300)
    assert files(trained, "s") == [
        "trials/1-1/logs/stdout.txt", "trials/1-1/model.bin",
        "trials/2-1/logs/stdout.txt", "trials/2-1/model.bin",
    ]  # fmt: skip
    after = everything(trained, "s")
    assert [number for number, _ in after["artifacts"]] == [1, 2]
    assert {key: after[key] for key in ("trials", "order", "attempts")} == {
        key: before[key] for key in ("trials", "order", "attempts")
    }
    again = trim_study(trained, "s", 2)
    assert (again.artifacts, again.files, again.size) == (0, 0, 0)


def test_without_files(trained: Storage) -> None:
    assert trim_study(trained, "s", 0, files=False).files == 0
    assert len(files(trained, "s")) == 10
    assert everything(trained, "s")["artifacts"] == []


def test_reports_go(memory: MemoryStorage) -> None:
    study = Study(Space(x=Float(0, 9)), "maximize", storage=memory, name="s", seed=1)

    def objective(trial: object) -> float:
        trial.report(1.0, 0)  # type: ignore[attr-defined]
        return trial.params["x"]  # type: ignore[attr-defined, no-any-return]

    study.run(objective, trials=5, executor="inline")
    trim_study(memory, "s", 1)
    best = study.best_trial.number
    assert [len(memory.reports(study.record.id, number)) for number in range(5)] == [
        int(number == best) for number in range(5)
    ]
    study.run(objective, trials=12, executor="inline")
    assert len(study.trials) == 12


def test_several_objectives_keep_their_front(memory: MemoryStorage) -> None:
    study = Study(Space(x=Float(0, 9)), directions=["minimize", "minimize"], storage=memory, name="s")
    for values in [(1, 9), (9, 1), (9, 9), (5, 5), (6, 6)]:
        study.tell(study.ask(), values)
    assert plan_trim(memory, "s", 3).numbers == (2, 4)
    assert plan_trim(memory, "s", 4).numbers == (2,)


def test_unfinished_trials_are_left_alone(memory: MemoryStorage) -> None:
    study = Study(Space(x=Float(0, 9)), storage=memory, name="s")
    study.enqueue({"x": 1.0})
    study.ask()
    assert plan_trim(memory, "s", 0).numbers == ()


def test_nothing_outside_of_the_folder_goes(trained: Storage, tmp_path: Path) -> None:
    folder = Study.load("s", storage=trained).folder
    assert folder is not None
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "thesis.tex").write_text("mine")
    (folder / "trials/0-1/logs/link").symlink_to(outside / "thesis.tex")
    (folder / "trials/3-1/linked").symlink_to(outside)
    locations = ["../../outside/thesis.tex", str(outside / "thesis.tex"), "trials/3-1/linked/thesis.tex", ""]
    assert [inside(folder, location) for location in locations] == [None] * 4
    assert remove_files(folder, locations) == (0, 0)
    trim_study(trained, "s", 0)
    assert (outside / "thesis.tex").read_text() == "mine"
    assert files(trained, "s") == ["trials/0-1/logs/link"]  # a link to a file, which stays as it is


def test_files_on_a_server_go(trained: Storage, far: Storage, sqlite: Open) -> None:
    copy_study(trained, "s", far)
    assert len(files(sqlite("served"), "s")) == 5  # only artifacts are sent
    plan = plan_trim(far, "s", 1)
    assert plan == trim_study(far, "s", 1)
    assert (plan.files, plan.size) == (4, 4000)
    assert files(sqlite("served"), "s") == ["trials/2-1/model.bin"]


def test_trials_of_a_merged_study(trained: Storage) -> None:
    merge_studies([(trained, "s"), (trained, "s")], trained, "both", duplicates="keep")
    trim_study(trained, "both", 1)
    assert files(trained, "both") == ["trials/2-1/logs/stdout.txt", "trials/2-1/model.bin"]
    assert len(files(trained, "s")) == 10


@pytest.mark.parametrize("wrong", [-1, True, 1.5])
def test_how_many(memory: MemoryStorage, wrong: object) -> None:
    with pytest.raises(InputError, match="at least 0"):
        trim_study(memory, "s", wrong)  # type: ignore[arg-type]
