from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from modelwright import Float, Int, Space, Study
from modelwright.records import Objective, StudySpec
from modelwright.storage import open_storage
from modelwright.storage.base import Storage


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    monkeypatch.setenv("MODELWRIGHT_STORAGE", "sqlite:///hub.db")
    with closing(open_storage(tmp_path / "hub.db")) as opened:
        yield opened


def searched(storage: Storage, trials: int) -> None:
    """A study of 0.9 at the most, which grows with the rate alone."""
    space = Space(lr=Float(1e-5, 0.1, log=True), idle=Float(0, 1))
    study = Study(space, direction="maximize", name="s", storage=storage, optimizer="tpe", seed=1)
    study.run(lambda trial: 0.9 * trial.params["lr"], trials=trials, executor="inline")


def test_words_for_people(storage: Storage, command: Callable[..., Any]) -> None:
    searched(storage, 64)
    plain, shown = command("studies", "show", "s"), command("studies", "show", "s", "--importances")
    assert shown.code == 0, shown.err
    lines = shown.out.splitlines()
    at = lines.index("parameter\tshare of value")
    assert lines[at + 1].startswith("lr\t")
    assert lines[at + 2].startswith("idle\t")
    assert "have lr at the upper end, 0.1; widen to 0.3" in shown.out
    assert "to widen: modelwright studies space s --range lr=1e-05:0.3" in lines
    assert set(plain.out.splitlines()) < set(lines)
    assert "parameter" not in plain.out


def test_the_command_that_is_proposed_widens(storage: Storage, command: Callable[..., Any]) -> None:
    space = Space({"layers": Int(1, 9), "the rate": Float(1e-5, 0.1, log=True)})
    study = Study(space, name="my study", storage=storage, optimizer="tpe", direction="maximize", seed=1)
    study.run(lambda t: t.params["layers"] + 10 * t.params["the rate"], trials=60, executor="inline")
    shown = command("studies", "show", "my study", "--importances").out.splitlines()
    [line] = [line for line in shown if line.startswith("to widen: ")]
    assert command(*shlex.split(line)[3:]).code == 0
    widened = Study.load("my study", storage=storage).space
    assert (widened["layers"].high, widened["the rate"].high) == (13, 0.3)


def test_the_same_for_programs(storage: Storage, command: Callable[..., Any]) -> None:
    searched(storage, 64)
    form = json.loads(command("studies", "show", "s", "--importances", "--json").out)
    [found] = form["importances"]
    assert (found["objective"], found["trials"]) == ("value", 64)
    assert list(found["shares"]) == ["lr", "idle"]
    assert found["shares"]["lr"] > 0.8
    [edge] = form["edges"]
    assert (edge["name"], edge["end"], edge["proposal"]) == ("lr", "upper", [1e-5, 0.3])
    assert 0 <= form["stalled_trials"] < 64


def test_too_few_trials_are_said(storage: Storage, command: Callable[..., Any]) -> None:
    searched(storage, 3)
    done = command("studies", "show", "s", "--importances")
    assert done.code == 0, done.err
    assert "importances: expected at least 8 complete trials" in done.out
    assert json.loads(command("studies", "show", "s", "--importances", "--json").out)["importances"] == []


def test_a_study_without_trials(storage: Storage, command: Callable[..., Any]) -> None:
    storage.create_study(StudySpec("new", Space(x=Float(0, 1)), (Objective(),)))
    assert command("studies", "show", "new", "--importances").code == 0
