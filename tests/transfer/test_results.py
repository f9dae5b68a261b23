"""A table of results as a study: roles of columns, types of cells, and rows that are wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelwright import Bool, Categorical, Constant, Float, Int, Ordinal, Space, Study
from modelwright.errors import InputError, SpaceError
from modelwright.records import FailureKind, TrialState
from modelwright.storage import MemoryStorage
from modelwright.transfer import export_study, import_study, read_results

TABLE = """lr,layers,kind,fast,epochs,note,loss,gain
0.1,2,svm,true,10,'=a,1.5,3
0.001,8,tree,False,10,,2,1e2
0.01,4,'+svm,TRUE,10,"two
lines",,1
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "results.csv"
    path.write_text(TABLE)
    return path


PARAMS = ["lr", "layers", "kind", "fast", "epochs"]


def test_types_and_ranges_come_from_the_data(table: Path) -> None:
    snapshot = read_results(table, name="s", values=["loss"], params=PARAMS, log=["lr"])
    assert snapshot.spec.space == Space(
        lr=Float(0.001, 0.1, log=True),
        layers=Int(2, 8),
        kind=Categorical("svm", "tree", "+svm"),
        fast=Bool(),
        epochs=Constant(10),
    )
    trials = [item.trial for item in snapshot.trials]
    assert [trial.state for trial in trials] == [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.FAILED]
    assert trials[0].params == {"lr": 0.1, "layers": 2, "kind": "svm", "fast": True, "epochs": 10}
    assert trials[0].user_attrs == {"note": "=a", "gain": "3"}
    assert trials[2].failure is not None
    assert trials[2].failure.kind is FailureKind.ERROR


def test_several_values(table: Path) -> None:
    snapshot = read_results(
        table, name="s", values=["loss", "gain"], directions=["minimize", "maximize"], params=PARAMS
    )
    assert [(item.name, item.direction) for item in snapshot.spec.objectives] == [
        ("loss", "minimize"), ("gain", "maximize")
    ]  # fmt: skip
    assert snapshot.trials[1].trial.values == (2.0, 100.0)


@pytest.mark.parametrize(
    ("missing", "states"),
    [("failed", ["complete", "complete", "failed"]), ("waiting", ["complete", "complete", "waiting"]),
     ("skip", ["complete", "complete"])],
)  # fmt: skip
def test_rows_without_a_result(table: Path, memory: MemoryStorage, missing: Any, states: list[str]) -> None:
    import_study(memory, read_results(table, name="s", values=["loss"], params=PARAMS, missing=missing))
    study = Study.load("s", storage=memory)
    assert [trial.state.value for trial in study.trials] == states
    assert study.best_value == 1.5
    if missing == "waiting":
        assert study.ask().params["kind"] == "+svm"


def test_the_search_goes_on_from_a_table(table: Path, memory: MemoryStorage) -> None:
    import_study(memory, read_results(table, name="s", values=["loss"], params=PARAMS, log=["lr"]))
    study = Study.load("s", storage=memory)
    study.run(lambda trial: trial.params["lr"], more=12, executor="inline")
    assert len(study.trials) == 15
    assert study.best_value < 0.1


def test_a_given_space_checks_the_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,kind,C,size,loss\n1,svm,0.5,s,1\n1.5,tree,,1,2\n")
    space = Space(
        x=Float(0, 2, step=0.5),
        kind=Categorical("svm", "tree"),
        C=Float(0, 1, when={"kind": "svm"}),
        size=Ordinal("s", 1.0, None),
    )
    snapshot = read_results(path, name="s", values=["loss"], space=space)
    assert [item.trial.params for item in snapshot.trials] == [
        {"x": 1.0, "kind": "svm", "C": 0.5, "size": "s"},
        {"x": 1.5, "kind": "tree", "size": 1.0},
    ]


def test_bad_rows_are_named_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('x,k,loss\n1,"a\nb",1\n3,a,1\n1,c,high\ny,a,1\n1,a,1\n')
    space = Space(x=Float(0, 2), k=Categorical("a", "c"))
    with pytest.raises(InputError) as caught:
        read_results(path, name="s", values=["loss"], space=space)
    message = str(caught.value)
    assert "has 4 bad row(s)" in message
    for words in (
        "line 3: 'k': expected one of ['a', 'c'], got 'a\\nb'",
        "to 2.0, got 3; line 5",
        "line 5: expected a number, got 'high'",
        "line 6: 'x': expected a number, got 'y'",
    ):
        assert words in message


def test_only_ten_bad_rows_are_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,loss\n" + ",1\n" * 30)
    with pytest.raises(InputError, match=r"has 30 bad row.*line 11: the parameter 'x' is empty; and 20 more"):
        read_results(path, name="s", values=["loss"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no table"),
        ("x,loss\n", "holds no table"),
        ("x,x,loss\n1,2,3\n", "two columns 'x'"),
        ("x,loss\n1\n1,2,3\n1,2\n", "line 2: expected 2 cells, got 1; line 3: expected 2 cells, got 3"),
        ('x,loss\n"1,2\n', "line 2"),
        ("loss\n1\n", "no column left"),
    ],
)
def test_tables_that_are_none(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=words):
        read_results(tmp_path / "t.csv", name="s", values=["loss"])


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"x,loss\n\xff,1\n")
    with pytest.raises(InputError, match="not UTF-8"):
        read_results(tmp_path / "t.csv", name="s", values=["loss"])
    with pytest.raises(InputError, match="there is no file"):
        read_results(tmp_path / "u.csv", name="s", values=["loss"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"values": ["los"]}, "no column 'los'.*Did you mean 'loss'"),
        ({"values": []}, "expected the column with the results"),
        ({"values": ["loss"], "params": ["lr", "loss"]}, "cannot be a value and a parameter"),
        ({"values": ["loss"], "directions": ["up"]}, "minimize"),
        ({"values": ["loss"], "directions": ["minimize", "maximize"]}, r"expected 1 direction\(s\)"),
        ({"values": ["loss"], "params": ["lr"], "log": ["kind"]}, "'kind' is no parameter"),
        ({"values": ["loss"], "params": ["kind"], "space": Space(k=Int(0, 1))}, "no parameter 'kind'"),
        ({"values": ["loss"], "params": ["lr"], "space": Space(lr=Float(0, 1)), "log": ["lr"]}, "got both"),
        ({"values": ["loss"], "missing": "perhaps"}, "failed, waiting or skip"),
    ],
)
def test_roles_that_make_no_sense(table: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_results(table, name="s", **options)


def test_a_logarithm_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,loss\n0,1\n1,2\n")
    with pytest.raises(SpaceError, match="the column 'x'"):
        read_results(tmp_path / "t.csv", name="s", values=["loss"], log=["x"])


def test_a_value_that_is_not_finite_teaches(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,loss\n0,inf\n1,2\n")
    first = read_results(tmp_path / "t.csv", name="s", values=["loss"]).trials[0].trial
    assert first.failure is not None
    assert first.failure.kind is FailureKind.NAN


def test_what_was_exported_can_be_read_as_a_table(tmp_path: Path, memory: MemoryStorage) -> None:
    study = Study(Space(x=Float(0, 1), k=Categorical("=a", "-b")), storage=memory, name="s", seed=1)
    study.run(lambda trial: trial.params["x"], trials=6, executor="inline")
    export_study(memory, "s", tmp_path / "t.csv")
    back = read_results(tmp_path / "t.csv", name="t", values=["value"], params=["params_x", "params_k"])
    assert [item.trial.params for item in back.trials] == [
        {"params_x": trial.params["x"], "params_k": trial.params["k"]} for trial in study.trials
    ]
