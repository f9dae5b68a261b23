"""Trials as files: columns, spreadsheets' formulas, and where files may be written."""

from __future__ import annotations

import csv
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from modelwright import Categorical, Float, Space, Study
from modelwright.errors import InputError
from modelwright.records import StudySpec
from modelwright.storage import MemoryStorage
from modelwright.storage.base import Storage
from modelwright.transfer import export_study
from modelwright.transfer.output import open_output

DANGEROUS = ["=1+1", "+1", "-2+3", "@SUM(A1)", "\tx", "\rx"]


def rows_in(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_csv_has_the_columns_of_the_data_frame(rich: Storage, tmp_path: Path) -> None:
    assert export_study(rich, "rich", tmp_path / "t.csv") == 5
    rows = rows_in(tmp_path / "t.csv")
    assert list(rows[0]) == [
        "number", "values_loss", "values_gain", "datetime_start", "datetime_complete", "duration", "fidelity",
        "params_lr", "params_layers", "params_kind", "params_C", "params_fast",
        "user_attrs_by", "user_attrs_=cmd", "user_attrs_tags", "directions_loss", "directions_gain",
        "failure", "failure_message", "attempts", "state",
    ]  # fmt: skip
    assert [row["state"] for row in rows] == ["FAIL", "COMPLETE", "PRUNED", "RUNNING", "WAITING"]
    first, second = rows[:2]
    assert (first["failure"], first["failure_message"]) == ("timeout", "timeout: 10 s")
    assert first["values_loss"] == ""
    assert (second["values_loss"], second["values_gain"], second["attempts"]) == ("0.25", "-inf", "2")
    assert (second["params_lr"], second["params_fast"], second["duration"]) == ("0.0001", "false", "1.5")
    assert datetime.fromisoformat(second["datetime_start"]).utcoffset() == timedelta(0)
    assert second["user_attrs_tags"] == '["a",{"b":null}]'


def test_formulas_are_kept_from_running(tmp_path: Path, memory: MemoryStorage) -> None:
    space = Space(k=Categorical(DANGEROUS), x=Float(-5, -1))
    study = Study(space, storage=memory, name="s", optimizer="random")
    for text in DANGEROUS:
        study.enqueue({"k": text, "x": -2.5}, {"=note": text, "plain": "a=b"})
        study.tell(study.ask(), -1.5)
    export_study(memory, "s", tmp_path / "t.csv")
    export_study(memory, "s", tmp_path / "raw.csv", raw=True)
    for row, raw, text in zip(
        rows_in(tmp_path / "t.csv"), rows_in(tmp_path / "raw.csv"), DANGEROUS, strict=True
    ):
        assert row["params_k"] == row["user_attrs_=note"] == f"'{text}"
        assert raw["params_k"] == text
        assert (row["params_x"], row["value"], row["user_attrs_plain"]) == ("-2.5", "-1.5", "a=b")


def test_a_failure_message_is_no_formula_either(tmp_path: Path, memory: MemoryStorage) -> None:
    study = Study(Space(x=Float(0, 1)), storage=memory, name="s")

    def fail(trial: Any) -> float:
        raise RuntimeError("x")

    study.run(fail, trials=1, executor="inline")
    assert study.trials[0].failure is not None
    export_study(memory, "s", tmp_path / "t.csv")
    assert rows_in(tmp_path / "t.csv")[0]["failure_message"] == "RuntimeError: x"


def test_parquet_has_types(rich: Storage, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    export_study(rich, "rich", tmp_path / "t.parquet")
    table = parquet.read_table(tmp_path / "t.parquet")
    types = {field.name: str(field.type) for field in table.schema}
    assert types["number"] == "int64"
    assert types["values_loss"] == types["params_lr"] == types["duration"] == "double"
    assert types["params_fast"] == "bool"
    assert types["datetime_start"] == "timestamp[us, tz=UTC]"
    assert types["params_kind"] == "string"  # texts, null and numbers together, as JSON
    assert table.column("params_kind").to_pylist() == ['"svm"', '"=tree"', "null", "3", '"=tree"']
    assert table.column("user_attrs_=cmd").to_pylist()[1] == "=1+1"


def test_parquet_agrees_with_the_data_frame(tmp_path: Path, memory: MemoryStorage) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    study = Study(Space(x=Float(0, 1), k=Categorical("a", "b")), storage=memory, name="s", seed=1)
    study.run(lambda trial: trial.params["x"], trials=5, executor="inline")
    export_study(memory, "s", tmp_path / "t.parquet")
    table, expected = pandas.read_parquet(tmp_path / "t.parquet"), study.trials_dataframe()
    for column in ("number", "value", "params_x", "params_k", "state"):
        assert table[column].tolist() == expected[column].tolist()
    assert (table["datetime_start"] == pandas.to_datetime(expected["datetime_start"], utc=True)).all()


def test_a_study_without_trials(tmp_path: Path, memory: MemoryStorage) -> None:
    memory.create_study(StudySpec("s", Space(x=Float(0, 1))))
    for name in ("t.csv", "t.jsonl"):
        assert export_study(memory, "s", tmp_path / name) == 0
    assert (tmp_path / "t.csv").read_text() == (
        "number,value,datetime_start,datetime_complete,duration,directions_value,failure,failure_message,attempts,state\n"
    )


def test_a_file_that_is_there_stays(rich: Storage, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("mine")
    with pytest.raises(InputError, match="there already") as caught:
        export_study(rich, "rich", path)
    assert caught.value.code == "E_EXISTS"
    assert path.read_text() == "mine"
    export_study(rich, "rich", path, force=True)
    assert len(rows_in(path)) == 5
    assert [item.name for item in tmp_path.iterdir() if item.name.startswith(".")] == []


def test_a_link_is_never_followed(rich: Storage, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    link = tmp_path / "t.csv"
    for target in ("precious", "nowhere"):
        link.symlink_to(target)
        with pytest.raises(InputError, match="a link"):
            export_study(rich, "rich", link)
        assert link.is_symlink()
        export_study(rich, "rich", link, force=True)
        assert not link.is_symlink()
        link.unlink()
    assert (tmp_path / "precious").read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()


def test_places_that_cannot_be_written(rich: Storage, tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(InputError, match="is a folder"):
        export_study(rich, "rich", tmp_path / "folder.csv", force=True)
    with pytest.raises(InputError, match="device or a pipe"):
        export_study(rich, "rich", tmp_path / "pipe.csv", force=True)
    with pytest.raises(InputError, match="there is no folder"):
        export_study(rich, "rich", tmp_path / "missing" / "t.csv")
    with pytest.raises(InputError, match="stands for no format"):
        export_study(rich, "rich", tmp_path / "t.xlsx")
    with pytest.raises(InputError, match="csv, parquet or jsonl"):
        export_study(rich, "rich", tmp_path / "t", format="xlsx")  # type: ignore[arg-type]


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    def write() -> None:
        with open_output(tmp_path / "t") as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_appears_meanwhile_wins(tmp_path: Path) -> None:
    def write() -> None:
        with open_output(tmp_path / "t") as file:
            file.write(b"ours")
            (tmp_path / "t").write_bytes(b"theirs")

    with pytest.raises(InputError, match="there already"):
        write()
    assert (tmp_path / "t").read_bytes() == b"theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["t"]
