"""Tables that were exported are studies again, equal in all that a table holds."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelwright import Categorical, Float, Int, Space, Study
from modelwright.errors import InputError, SpaceError
from modelwright.records import Failure, FailureKind, Objective, StudySpec, Trial, TrialState
from modelwright.storage import MemoryStorage
from modelwright.storage.base import AdoptedTrial, Storage
from modelwright.testing.strategies import spaces
from modelwright.transfer import (
    StudySnapshot,
    export_study,
    import_study,
    is_exported_table,
    read_exported_table,
    read_snapshot,
    write_snapshot,
)
from modelwright.transfer.cells import cell_of, value_of
from modelwright.transfer.snapshot import in_order

KINDS = ["csv", "parquet"]

# Text that is read as something else unless somebody takes care, and any other.
_ODD = [
    *["", " ", "1", "-1", "1.", "1e5", "+3", "0x1", "9" * 40, "nan", "NaN", "inf", "-inf", "Infinity"],
    *["null", "None", "true", "TRUE", "False", '"', '"a"', "'", "'=1", "''", "=1+1", "@x", "\t", "\r", "\n"],
    *["a,b", '{"a": 1}', "[", "[1]", "{", "\ufeff", "\0", "\ud800", "ünï 💥", " a ", "2030-01-31T18:00"],
]
_TEXT = st.sampled_from(_ODD) | st.text(max_size=12)
_NUMBERS = st.floats() | st.integers(-(2**70), 2**70)
_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=5,
)
_ATTRS = st.dictionaries(_TEXT | st.sampled_from(["a", "b"]), _JSON, max_size=4)
_MOMENTS = st.none() | st.integers(0, 2**52)


@st.composite
def odd_spaces(draw: st.DrawFn) -> Space:
    """Spaces with conditions, and with choices that look like something else."""
    space = draw(spaces(most=3))
    labels = draw(st.lists(_TEXT.filter(lambda text: text.isprintable()), max_size=4, unique=True))
    return space.with_parameter("odd", Categorical([*labels, None, 1, 1.0, True])) if labels else space


@st.composite
def ledgers(draw: st.DrawFn) -> MemoryStorage:
    """A ledger with the study ``s``."""
    space = draw(odd_spaces())
    directions = draw(st.lists(st.sampled_from(["minimize", "maximize"]), min_size=1, max_size=3))
    size = len(directions)
    names = draw(st.lists(_TEXT, min_size=size, max_size=size, unique=True))
    spec = StudySpec("s", space, tuple(map(Objective, names, directions)))  # type: ignore[arg-type]
    numbers = sorted(draw(st.sets(st.integers(0, 20), max_size=5)))
    trials = [draw(finished_or_not(number, space, len(names))) for number in numbers]
    storage = MemoryStorage()
    whole = [AdoptedTrial(trial, trial.number) for trial in trials]
    write_snapshot(storage, StudySnapshot(spec, [space.to_json()], in_order(whole)))
    return storage


@st.composite
def finished_or_not(draw: st.DrawFn, number: int, space: Space, objectives: int) -> Trial:
    state = draw(st.sampled_from(TrialState))
    config = space.dump(space.sample(np.random.default_rng(draw(st.integers(0, 2**32)))))
    failed = state is TrialState.FAILED
    empty = not state.finished and draw(st.booleans())
    values: tuple[float, ...] = ()
    if state is TrialState.COMPLETE or (state is TrialState.PRUNED and draw(st.booleans())):
        values = tuple(draw(st.floats()) for _ in range(objectives))
    return Trial(
        number,
        state,
        None if empty else config,
        values,
        Failure(draw(st.sampled_from(FailureKind)), draw(_TEXT)) if failed else None,
        fidelity=draw(st.none() | st.floats(0, 100)),
        attempts=draw(st.integers(0, 5)),
        user_attrs=draw(_ATTRS),
        duration_s=draw(st.none() | st.floats(0, 1e9)),
        started_us=draw(_MOMENTS) if state.finished else None,
        ended_us=draw(st.integers(0, 2**52)) if state.finished else None,
    )


def told(trials: list[Trial]) -> str:
    """Return what a table says of trials; NaN is no number that equals itself, but its text does."""
    rows = [
        (
            trial.number,
            "waiting" if not trial.state.finished else trial.state.value,
            None if trial.params is None else comparable(trial.params),
            trial.values,
            None if trial.failure is None else (trial.failure.kind, trial.failure.message),
            trial.fidelity,
            max(0, trial.attempts - (trial.state is TrialState.RUNNING)),
            comparable(trial.user_attrs),
            trial.duration_s,
            trial.started_us,
            trial.ended_us,
        )
        for trial in sorted(trials, key=lambda trial: trial.number)
    ]
    return "\n".join(map(repr, rows))


def comparable(value: Any) -> Any:
    """Return a JSON value with mappings sorted, and whole floats as integers: a column has one type."""
    if isinstance(value, Mapping):
        return sorted((key, comparable(item)) for key, item in value.items())
    if isinstance(value, list):
        return [comparable(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ledger=ledgers())
def test_a_table_comes_back_equal(kind: str, ledger: MemoryStorage) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    before = read_snapshot(ledger, "s")
    trials = [item.trial for item in before.trials]
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"t.{kind}"
        assert export_study(ledger, "s", path) == len(trials)
        assert is_exported_table(path)
        back = read_exported_table(path, name="back")
    assert told([item.trial for item in back.trials]) == told(trials)
    if trials:
        assert back.spec.objectives == before.spec.objectives
    if len(back.spaces) == 1:
        for item in back.trials:
            if item.trial.params is not None and item.trial.values:
                back.spec.space.check(item.trial.params)
    second = MemoryStorage()
    key = import_study(second, back).study.id
    assert told(second.trials(key)) == told(trials)


@settings(max_examples=300, deadline=None)
@given(value=_JSON)
def test_a_cell_comes_back_equal(value: Any) -> None:
    assert repr(value_of(cell_of(value))) == repr(value)


@settings(max_examples=300, deadline=None)
@given(text=_TEXT)
def test_no_cell_is_a_formula(text: str) -> None:
    assert not cell_of(text).startswith(("=", "+", "-", "@", "\t", "\r"))


# one table at a time -------------------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path: Path, memory: MemoryStorage) -> Path:
    """An exported study with a conditional parameter."""
    space = Space(
        lr=Float(1e-4, 1, log=True), model=Categorical("svm", "1"), C=Int(1, 9, when={"model": "svm"})
    )
    study = Study(space, "maximize", storage=memory, name="s", seed=2, optimizer="random")
    study.run(lambda trial: trial.params["lr"], trials=8, executor="inline")
    export_study(memory, "s", tmp_path / "t.csv")
    return tmp_path / "t.csv"


def edited(path: Path, change: Callable[[list[list[str]]], None]) -> Path:
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    change(rows)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def put(rows: list[list[str]], line: int, column: str, cell: str) -> None:
    rows[line][rows[0].index(column)] = cell


def test_the_search_goes_on(table: Path, memory: MemoryStorage) -> None:
    snapshot = read_exported_table(table, name="again", log=["lr"])
    space = snapshot.spec.space
    assert (len(snapshot.spaces), space["C"].when) == (1, {"model": ("svm",)})
    assert space["lr"].to_json()["log"] is True
    assert any("ranges and choices are those" in note for note in snapshot.notes)
    import_study(memory, snapshot)
    again = Study.load("again", storage=memory)
    assert again.best_value == Study.load("s", storage=memory).best_value
    again.run(lambda trial: trial.params["lr"], more=4, executor="inline")
    assert len(again.trials) == 12


def test_a_given_space_is_kept(table: Path, memory: MemoryStorage) -> None:
    space = Study.load("s", storage=memory).space
    snapshot = read_exported_table(table, name="again", space=space)
    assert snapshot.spec.space == space
    assert not any("ranges and choices" in note for note in snapshot.notes)
    narrow = Space(lr=Float(0.9, 1), model=Categorical("svm", "1"), C=Int(1, 9, when={"model": "svm"}))
    with pytest.raises(InputError, match=r"bad row.*line 2: the parameter 'lr'"):
        read_exported_table(table, name="again", space=narrow)
    with pytest.raises(InputError, match="got both"):
        read_exported_table(table, name="again", space=space, log=["lr"])


def test_a_table_without_rows(tmp_path: Path, memory: MemoryStorage) -> None:
    for directions in (["maximize"], ["minimize", "maximize"]):
        study = Study(Space(x=Float(0, 1)), directions=directions, storage=memory, name=f"s{len(directions)}")
        for kind in KINDS:
            path = tmp_path / f"{study.name}.{kind}"
            export_study(memory, study.name, path)
            back = read_exported_table(path, name=f"{study.name} {kind}")
            assert (len(back.trials), len(back.spec.objectives)) == (0, len(directions))
            assert any("does not say the direction" in note for note in back.notes)
            sure = read_exported_table(path, name="x", directions=directions)
            assert [item.direction for item in sure.spec.objectives] == directions
            assert not any("direction" in note for note in sure.notes)
            import_study(memory, back)


def test_columns_of_somebody_are_user_attributes(table: Path) -> None:
    def add(rows: list[list[str]]) -> None:
        for i, row in enumerate(rows):
            row.insert(0, "comment" if i == 0 else f"row {i}" if i < 3 else "")

    snapshot = read_exported_table(edited(table, add), name="x")
    comments = [item.trial.user_attrs.get("comment") for item in snapshot.trials]
    assert comments == ["row 1", "row 2"] + [None] * 6


def test_a_direction_that_was_removed_is_a_guess(table: Path) -> None:
    def remove(rows: list[list[str]]) -> None:
        at = rows[0].index("directions_value")
        for row in rows:
            del row[at]

    snapshot = read_exported_table(edited(table, remove), name="x")
    assert snapshot.spec.objectives == (Objective("value", "minimize"),)
    assert "the file does not say the direction of 'value': taken for minimize" in snapshot.notes


def test_rows_that_were_removed_leave_gaps(table: Path, memory: MemoryStorage) -> None:
    snapshot = read_exported_table(edited(table, lambda rows: rows.__delitem__(slice(2, 5))), name="less")
    import_study(memory, snapshot)
    assert [trial.number for trial in Study.load("less", storage=memory).trials] == [0, 4, 5, 6, 7]


@pytest.mark.parametrize(
    ("column", "cell", "words"),
    [
        ("number", "-1", "expected a whole number as the number, got -1"),
        ("number", "", "expected a whole number as the number, got None"),
        ("number", "1", "the trial 1 is there twice"),
        ("state", "DONE", "expected the state to be one of WAITING, RUNNING"),
        ("value", "good", "'value': expected a number, got 'good'"),
        ("value", "", r"expected 1 value\(s\), got 0"),
        ("attempts", "1.5", "expected a whole number as the attempts"),
        ("datetime_start", "yesterday", "Invalid isoformat string"),
        ("datetime_start", "2030-01-31T18:00", "'datetime_start': expected a moment such as"),
        ("params_lr", '"0.5', "Unterminated string"),
    ],
)
def test_rows_that_make_no_sense_are_named(table: Path, column: str, cell: str, words: str) -> None:
    with pytest.raises(InputError, match=f"has 1 bad row.*line 4: {words}"):
        read_exported_table(edited(table, lambda rows: put(rows, 3, column, cell)), name="x")


def test_directions_that_differ(table: Path) -> None:
    edited(table, lambda rows: put(rows, 3, "directions_value", "minimize"))
    with pytest.raises(InputError, match="rows of different directions"):
        read_exported_table(table, name="x")
    snapshot = read_exported_table(table, name="x", directions=["maximize"])
    assert snapshot.spec.objectives == (Objective("value", "maximize"),)
    with pytest.raises(InputError, match=r"expected 1 direction\(s\), got 2"):
        read_exported_table(table, name="x", directions=["maximize", "minimize"])


def test_parameters_that_are_not_there(table: Path) -> None:
    with pytest.raises(InputError, match="no trial has a parameter 'rate'"):
        read_exported_table(table, name="x", log=["rate"])
    edited(table, lambda rows: put(rows, 1, "params_lr", "-0.5"))
    with pytest.raises(SpaceError, match="the parameter 'lr'"):
        read_exported_table(table, name="x", log=["lr"])


@pytest.mark.parametrize("kind", KINDS)
def test_tables_of_others_are_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"t.{kind}"
    if kind == "csv":
        path.write_text("x,loss\n1,2\n")
    else:
        pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pyarrow.table({"x": [1], "loss": [2.0]}), path)
    assert not is_exported_table(path)
    with pytest.raises(InputError, match="no table of trials of ours: it has no column 'number'"):
        read_exported_table(path, name="x")


def test_a_damaged_parquet_file(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and more")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        read_exported_table(tmp_path / "t.parquet", name="x")


def test_long_cells(tmp_path: Path, memory: MemoryStorage) -> None:
    limit = csv.field_size_limit()
    study = Study(Space(x=Float(0, 1)), storage=memory, name="s")
    study.enqueue({"x": 0.5}, {"text": "a," * 200_000})
    export_study(memory, "s", tmp_path / "t.csv")
    (item,) = read_exported_table(tmp_path / "t.csv", name="x").trials
    assert item.trial.user_attrs == {"text": "a," * 200_000}
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize("kind", KINDS)
def test_text_that_no_file_can_hold(kind: str, tmp_path: Path, memory: MemoryStorage) -> None:
    study = Study(Space(x=Float(0, 1)), storage=memory, name="s")
    attrs = {"half a pair: \ud800": "\ud800", "nothing": "\0", "empty": ""}
    study.enqueue({"x": 0.5}, attrs)
    export_study(memory, "s", tmp_path / f"t.{kind}")
    (item,) = read_exported_table(tmp_path / f"t.{kind}", name="x").trials
    assert item.trial.user_attrs == attrs


def test_whole_numbers_of_any_size(tmp_path: Path, memory: MemoryStorage) -> None:
    space = Space(k=Categorical(2**60, 2**60 + 1, 3))
    study = Study(space, storage=memory, name="s")
    for choice in (2**60, 2**60 + 1):
        study.enqueue({"k": choice})
    for kind in KINDS:
        export_study(memory, "s", tmp_path / f"t.{kind}")
        back = read_exported_table(tmp_path / f"t.{kind}", name="x")
        assert [(item.trial.params or {})["k"] for item in back.trials] == [2**60, 2**60 + 1]
        assert back.spec.space == Space(k=Categorical(2**60, 2**60 + 1))


def test_a_server_and_a_file_give_the_same_table(
    rich: Storage, far: Storage, tmp_path: Path, memory: MemoryStorage
) -> None:
    write_snapshot(far, read_snapshot(rich, "rich"))
    for name, storage in (("a", rich), ("b", far)):
        snapshot = read_exported_table(exported(storage, tmp_path / f"{name}.csv"), name=name)
        found = told([item.trial for item in snapshot.trials])
        assert found == told([shown(trial) for trial in rich.trials(rich.study("rich").id)])
        assert math.isinf(snapshot.trials[1].trial.values[1])


def exported(storage: Storage, path: Path) -> Path:
    export_study(storage, "rich", path)
    return path


def shown(trial: Trial) -> Trial:
    return trial if trial.state.finished else replace(trial, started_us=None)
