from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import pytest

from modelwright import Categorical, Float, Script, Space
from modelwright.errors import InputError
from modelwright.study.objective import load_objective, reference_of
from modelwright.study.script.command import runnable

SPACE = Space(
    lr=Float(0, 1), kind=Categorical("a", "b"), rate=Float(0, 1, when={"kind": "a"}), **{"a.b": Float(0, 1)}
)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, mode in {"run.sh": 0o755, "plain.sh": 0o644, "data": 0o644, "train.py": 0o644}.items():
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(mode)
    (tmp_path / "folder").mkdir()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run.sh", "x"], ["{here}/run.sh", "x"]),
        (["./run.sh"], ["{here}/run.sh"]),
        (["plain.sh"], ["sh", "{here}/plain.sh"]),
        (["train.py", "-v"], [sys.executable, "{here}/train.py", "-v"]),
    ],
)
def test_what_runs_a_script(tmp_path: Path, words: list[str], expected: list[str]) -> None:
    expected = [word.replace("{here}", str(tmp_path)) for word in expected]
    assert runnable(words, tmp_path) == expected


def test_a_program_is_found_on_the_path(tmp_path: Path) -> None:
    assert runnable(["sh", "-c", "true"], tmp_path)[0].endswith("/sh")


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("./nowhere.sh", "does not exist"),
        ("nowhere.py", "does not exist"),
        ("./folder", "is a folder"),
        ("no-such-program", "no program 'no-such-program'"),
        ("data", "not executable"),
        ("run.sh {lrr}", r"\{lrr\}.*Did you mean 'lr'"),
        ("run.sh {trial.numbr}", "trial.number"),
        ("run.sh --rate {rate}", r"--rate=\{rate\}"),
    ],
)
def test_what_could_never_run_is_refused_up_front(command: str, why: str) -> None:
    with pytest.raises(InputError) as caught:
        Script(command).check(SPACE)
    import re

    assert re.search(why, str(caught.value), re.DOTALL)


def test_files_may_be_elsewhere() -> None:
    Script("./nowhere.sh {lr} {a.b} {trial.number} --rate={rate}").check(SPACE, here=False)
    with pytest.raises(InputError, match="lrr"):
        Script("./nowhere.sh {lrr}").check(SPACE, here=False)


def test_a_folder_that_is_not_there() -> None:
    Script("../run.sh", cwd="folder").check(SPACE)
    with pytest.raises(InputError, match=r"folder .* does not exist"):
        Script("run.sh", cwd="nowhere").check(SPACE)


@pytest.mark.parametrize(
    "arguments",
    [
        {"command": ""},
        {"command": []},
        {"command": 3},
        {"command": ["a", 3]},
        {"command": "it's"},
        {"command": "a\0b"},
        {"command": ["a"], "shell": True},
        {"command": "a", "cwd": 3},
        {"command": "a", "env": {"a=b": "c"}},
        {"command": "a", "env": {"a": None}},
        {"command": "a", "env": {"a": "\0"}},
    ],
)
def test_what_is_no_command_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"expected|command"):
        Script(**arguments)


@pytest.mark.parametrize(
    "script",
    [
        Script("./run.sh --lr {lr}"),
        Script(["a b", "c'd", "é{{}}"], cwd="folder", env={"A": "b c"}),
        Script("echo {lr} | cat", shell=True),
    ],
)
def test_a_reference_makes_the_script_again(script: Script) -> None:
    again = load_objective(reference_of(script))
    assert isinstance(again, Script)
    assert (again, hash(again)) == (script, hash(script))
    assert vars(again) == vars(pickle.loads(pickle.dumps(script))) == vars(script)
    assert reference_of(reference_of(script)) == reference_of(script)


def test_references_that_people_write() -> None:
    assert load_objective("script:train.py --lr {lr}") == Script(["train.py", "--lr", "{lr}"])
    assert load_objective("run.sh") == Script(["run.sh"])
    assert load_objective("./run.sh") == Script(["./run.sh"])
    for wrong in ("script:", 'script:{"a": 1}', 'script:{"command"', 'script:{"command": 3}'):
        with pytest.raises(InputError):
            load_objective(wrong)
