"""A Python program that is a trial has the handle that an objective has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import modelwright
from modelwright import Float, Script, Space, Study
from modelwright.errors import InputError, StudyStateError
from modelwright.records import TrialState
from modelwright.study import RunningTrial

Write = Callable[[str, str], Path]
SPACE = Space(x=Float(0, 1))


def test_outside_of_a_trial_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODELWRIGHT_TRIAL", raising=False)
    with pytest.raises(StudyStateError, match="was not started by a study") as caught:
        modelwright.current_trial()
    assert "Script" in str(caught.value)


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"protocol": 99}'])
def test_a_description_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    path = tmp_path / "trial.json"
    if text is not None:
        path.write_text(text)
    monkeypatch.setenv("MODELWRIGHT_TRIAL", str(path))
    with pytest.raises(StudyStateError, match=r"cannot be read|speaks version 99"):
        modelwright.current_trial()


@pytest.mark.parametrize("executor", ["inline", "local"])
def test_the_same_handle(write: Write, executor: str) -> None:
    write(
        "train.py",
        """
        import modelwright
        from pathlib import Path

        trial = modelwright.current_trial()
        assert trial is modelwright.current_trial()
        trial.user_attrs["name"] = type(trial).__mro__[1].__name__
        trial.user_attrs["seed"] = trial.seed
        trial.user_attrs["draw"] = trial.rng.integers(1000).item()
        x, y = trial.params["x"], trial.float("y", 0.25, 0.75)
        assert trial.params["y"] == y
        for step in range(3):
            trial.report({"value": x}, step)
            assert not trial.should_stop()
        assert trial.resume_from is None
        (trial.checkpoint_dir / "state").write_text("s")
        Path("model.txt").write_text("m")
        trial.log_artifact("model.txt")
        (trial.folder / "own.txt").write_text("o")
        trial.log_artifact(trial.folder / "own.txt", "other.txt")
        try:
            trial.categorical("z", "a", "a")
        except Exception as error:
            trial.user_attrs["error"] = type(error).__name__
        trial.finish(x + y, metrics={"rows": 3}, cost=7.0)
        """,
    )
    study = Study(SPACE, storage="sqlite:///hub.db", seed=1)
    study.run(Script("train.py"), trials=1, executor=executor)
    (trial,) = study.trials
    assert trial.state is TrialState.COMPLETE, trial.record.failure
    assert trial.values == (trial.params["x"] + trial.params["y"],)
    assert trial.record.metrics["rows"] == 3
    assert (trial.user_attrs["name"], trial.user_attrs["error"]) == ("RunningTrial", "InputError")
    assert study.fetch_artifact(0, "model.txt").read_text() == "m"
    assert study.fetch_artifact(0, "other.txt").read_text() == "o"

    seen: dict[str, int] = {}

    def same(trial: RunningTrial) -> float:
        seen.update(seed=trial.seed, draw=trial.rng.integers(1000).item())
        return 1.0

    Study(SPACE, seed=1).run(same, trials=1, executor="inline")
    assert {name: trial.user_attrs[name] for name in seen} == seen


def test_what_is_no_result_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    description = {
        "protocol": 1,
        "study": "s",
        "number": 0,
        "attempt": 1,
        "seed": 1,
        "fidelity": None,
        "objectives": [{"name": "value", "direction": "minimize"}],
        "params": {"x": 1},
        "user_attrs": {},
        "folder": None,
        "checkpoint_dir": str(tmp_path / "checkpoint"),
        "resume_from": None,
    }
    (tmp_path / "trial.json").write_text(json.dumps(description))
    monkeypatch.setenv("MODELWRIGHT_TRIAL", str(tmp_path / "trial.json"))
    trial = modelwright.current_trial()
    for wrong in (None, object()):
        with pytest.raises(InputError):
            trial.finish(wrong)
    with pytest.raises(InputError):
        trial.user_attrs["a"] = float("nan")
    trial.finish(1.0)
    trial.finish(2.0)
    assert json.loads((tmp_path / "result.json").read_text()) == {"values": 2.0}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["result.json", "trial.json"]


def test_the_handle_loads_neither_storage_nor_executors(tmp_path: Path) -> None:
    code = (
        "import sys, modelwright; modelwright.current_trial; "
        "names = ('sqlalchemy', 'scipy', 'modelwright.storage', 'modelwright.study.runner', "
        "'modelwright.execution', 'typer', 'subprocess'); "
        "print([name for name in names if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.strip() == "[]"
