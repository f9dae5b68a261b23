from __future__ import annotations

import sys
from pathlib import Path

import pytest

from modelwright import Float, Script, Space
from modelwright.records import Budget, StudySpec, StudyState
from modelwright.storage.base import StudyRecord
from modelwright.worker.objectives import NotRunnableError, Objectives


def record(reference: str) -> StudyRecord:
    spec = StudySpec("s", Space(x=Float(0, 1)), objective_ref=reference)
    return StudyRecord(1, spec, StudyState.PENDING, 0, Budget(1), 0, 0.0, None, 0, {})


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "found.py").write_text(
        "def objective(trial): return 1.0\ndef f(trial): return 2.0\nasync def g(trial): pass\nnumber = 3\n"
    )
    (tmp_path / "broken.py").write_text("raise ValueError('at import')")
    (tmp_path / "leaves.py").write_text("import sys; sys.exit(3)")
    monkeypatch.delitem(sys.modules, "found", raising=False)


@pytest.mark.parametrize(
    ("reference", "value"),
    [("found:f", 2.0), ("found.py:f", 2.0), ("found.py", 1.0), ("found:objective", 1.0)],
)
def test_what_can_be_found(reference: str, value: float) -> None:
    assert Objectives().find(record(reference))(None) == value


def test_an_objective_is_loaded_once() -> None:
    objectives = Objectives()
    assert objectives.find(record("found.py:f")) is objectives.find(record("found.py:f"))


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("", "does not say which function"),
        ("script:./nowhere.sh", "does not exist"),
        ("script:sh -c {y}", "no such parameter"),
        ('script:{"command"', "expected a script as JSON"),
        ("nowhere:f", "No module named 'nowhere'"),
        ("nowhere.py:f", "there is no file 'nowhere.py'"),
        ("found:h", "has no 'h'"),
        ("found:number", "expected a function"),
        ("found:g", "is `async`"),
        ("broken.py:f", "ValueError: at import"),
        ("leaves.py:f", "ends the program"),
    ],
)
def test_what_cannot_be_found_is_named_with_the_remedy(reference: str, why: str) -> None:
    with pytest.raises(NotRunnableError, match="--objective") as caught:
        Objectives().find(record(reference))
    assert why in str(caught.value)
    assert "'s'" in str(caught.value)


def test_a_given_objective_is_for_studies_that_have_none() -> None:
    objectives = Objectives("found.py:objective")
    assert objectives.find(record(""))(None) == 1.0
    assert objectives.find(record("nowhere:f"))(None) == 1.0
    assert objectives.find(record("found.py:f"))(None) == 2.0


def test_scripts_are_objectives_by_name_and_by_path(tmp_path: Path) -> None:
    (tmp_path / "train.sh").write_text("echo")
    script = Script("train.sh {x}")
    assert Objectives().find(record(script.reference())) == script
    assert Objectives("train.sh").find(record("")) == Script("train.sh")
    assert Objectives("train.sh").find(record("nowhere:f")) == Script("train.sh")
    assert Objectives("script:sh -c {x}").find(record("")) == Script("sh -c {x}")
