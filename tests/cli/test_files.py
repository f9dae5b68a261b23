"""Files of trials from a terminal: listed, fetched, shown, and gone with their study."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from modelwright import Float, Space, Study
from modelwright.study import RunningTrial

from .conftest import Done

Command = Callable[..., Done]


def objective(trial: RunningTrial) -> float:
    assert trial.folder is not None
    for name in ("model.txt", "plots/a.json"):
        path = trial.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{name} of {trial.number}")
        trial.log_artifact(path)
    if trial.number == 1:
        path.unlink()
    return 0.5


@pytest.fixture
def study(tmp_path: Path) -> Study:
    study = Study(Space(x=Float(0, 1)), storage=tmp_path / "modelwright.db", name="s", seed=1)
    study.run(objective, trials=2, executor="inline")
    study.close()
    return study


def test_files_are_listed(command: Command, study: Study) -> None:
    done = command("studies", "files", "s")
    assert done.code == 0, done.err
    rows = [line.split("\t")[:4] for line in done.out.splitlines()]
    assert rows == [
        ["trial", "file", "size", "format"],
        ["0", "model.txt", "14 B", "txt"],
        ["0", "plots/a.json", "17 B", "json"],
        ["1", "model.txt", "14 B", "txt"],
    ]
    form = json.loads(command("studies", "files", "s", "--trial", "0", "--json").out)
    assert [item["name"] for item in form] == ["model.txt", "plots/a.json"]
    assert form[0]["location"] == "trials/0-1/model.txt"
    assert len(form[0]["sha256"]) == 64
    command("studies", "files", "s", "--trial", "7").refuses("no trial 7")


def test_files_are_fetched(command: Command, study: Study, tmp_path: Path) -> None:
    for _ in range(2):  # what is there already is left alone
        done = command("studies", "files", "s", "--fetch", "got")
        assert (done.code, done.out) == (0, "3 files, 45 B, in got\n"), done.err
    assert (tmp_path / "got" / "0" / "plots" / "a.json").read_text() == "plots/a.json of 0"
    assert (tmp_path / "got" / "1" / "model.txt").read_text() == "model.txt of 1"
    (tmp_path / "got" / "1" / "model.txt").write_text("mine")
    command("studies", "files", "s", "--fetch", "got").refuses("is there already")
    [kept] = (tmp_path / "modelwright.files").rglob("0-1/model.txt")
    kept.unlink()
    done = command("studies", "files", "s", "--trial", "0", "--fetch", "other")
    assert done.code == 1
    assert done.out == "1 files, 17 B, in other\n"
    assert "trial 0, model.txt: there is no file" in done.err


def test_a_trial_is_shown_with_its_files_and_warnings(command: Command, study: Study) -> None:
    done = command("trials", "show", "s", "1")
    assert "model.txt\t14 B\ttxt" in done.out
    assert "warning: the file 'plots/a.json' was not kept" in done.out
    form = json.loads(command("trials", "show", "s", "1", "--json").out)
    assert [item["name"] for item in form["files"]] == ["model.txt"]
    assert len(form["metrics"]["warnings"]) == 1


def test_files_go_with_their_study(command: Command, study: Study, tmp_path: Path) -> None:
    done = command("studies", "delete", "s", "--yes")
    assert (done.code, done.out) == (0, "s deleted\n")
    assert not (tmp_path / "modelwright.files").exists()


def test_files_may_stay(command: Command, study: Study, tmp_path: Path) -> None:
    assert command("studies", "delete", "s", "--yes", "--keep-files").code == 0
    assert len([path for path in (tmp_path / "modelwright.files").rglob("*") if path.is_file()]) == 3


def test_files_of_other_trials_stay_when_a_study_is_trimmed(
    command: Command, study: Study, tmp_path: Path
) -> None:
    done = command("studies", "trim", "s", "--keep-best", "1", "--yes")
    assert done.code == 0, done.err
    left = {path.parent.name for path in (tmp_path / "modelwright.files").rglob("model.txt")}
    assert left == {"0-1"}
