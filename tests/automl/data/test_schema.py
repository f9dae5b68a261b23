"""A frame is made to fit its schema, or refused with the column's name."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from modelwright.automl.data import Column, Finding, Schema, infer_schema
from modelwright.errors import DataError, InputError

N = 40
TABLE = pd.DataFrame(
    {
        "size": np.linspace(0.5, 20, N),
        "colour": ["red", "green", "blue", "red"] * 10,
        "sold": ["t", "f"] * 20,
        "when": pd.date_range("2024-01-01", periods=N, freq="D").strftime("%d.%m.%Y"),
        "note": [f"a small note number {place}" for place in range(N)],
        "key": [f"k{place:03d}" for place in range(N)],
        "one": [1] * N,
        "y": ["no", "yes", "no", "no"] * 10,
    }
)
SCHEMA = infer_schema(TABLE, "y")


def codes(findings: list[Finding]) -> list[tuple[str, str | None]]:
    return [(finding.code, finding.column) for finding in findings]


def test_a_checked_frame_has_one_form() -> None:
    checked = SCHEMA.check(TABLE, "train")
    assert checked.columns.tolist() == [*SCHEMA.names, "y"]
    assert [str(checked[name].dtype) for name in ("size", "colour", "sold")] == [
        "float64",
        "category",
        "float64",
    ]
    assert checked["when"].iloc[1] == pd.Timestamp("2024-01-02")
    assert checked["sold"].tolist()[:2] == [1.0, 0.0]
    assert SCHEMA.check(TABLE).columns.tolist() == list(SCHEMA.names)


def test_checking_twice_and_from_text_gives_the_same() -> None:
    findings: list[Finding] = []
    once = SCHEMA.check(TABLE, "train", findings=findings)
    pd.testing.assert_frame_equal(SCHEMA.check(once, "train", findings=findings), once)
    as_text = SCHEMA.check(TABLE.astype(str), "train", findings=findings)
    pd.testing.assert_frame_equal(as_text.drop(columns="one"), once.drop(columns="one"), check_dtype=False)
    assert findings == []


def test_columns_are_matched_by_name_and_rows_keep_their_index() -> None:
    shuffled = TABLE[list(reversed(TABLE.columns))].iloc[[5, 3]]
    checked = SCHEMA.check(shuffled)
    assert checked.index.tolist() == [5, 3]
    assert checked["size"].tolist() == TABLE["size"].iloc[[5, 3]].tolist()


def test_the_frame_is_left_as_it_is() -> None:
    frame = TABLE.assign(size=[np.inf, *TABLE["size"][1:]], colour=["violet", *TABLE["colour"][1:]])
    before = frame.copy()
    SCHEMA.check(frame, "train")
    pd.testing.assert_frame_equal(frame, before)


def test_extra_columns_are_noted_and_the_target_is_none() -> None:
    findings: list[Finding] = []
    checked = SCHEMA.check(TABLE.assign(new=1), findings=findings)
    assert "new" not in checked
    assert codes(findings) == [("I_EXTRA_COLUMNS", None)]
    assert "'new'" in findings[0].message


@pytest.mark.parametrize("name", ["size", "colour", "sold", "when", "note"])
def test_a_missing_column_is_named(name: str) -> None:
    with pytest.raises(DataError, match=f"lacks the column '{name}'") as caught:
        SCHEMA.check(TABLE.drop(columns=name))
    assert caught.value.code == "E_SCHEMA_MISMATCH"


def test_a_renamed_column_is_guessed_and_unused_ones_may_be_missing() -> None:
    with pytest.raises(DataError, match="Did you mean 'colours'"):
        SCHEMA.check(TABLE.rename(columns={"colour": "colours"}))
    assert len(SCHEMA.check(TABLE.drop(columns=["key", "one", "y"]))) == N
    with pytest.raises(DataError, match="lacks the column 'y'"):
        SCHEMA.check(TABLE.drop(columns="y"), "train")
    with pytest.raises(DataError, match="2 columns: 'size', 'colour'"):
        SCHEMA.check(TABLE.drop(columns=["size", "colour"]))


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("size", "big", "numbers"),
        ("sold", "maybe", "true and false"),
        ("sold", 7, "true and false"),
        ("when", "soon", "dates"),
        ("colour", 3.7, "categories such as 'blue'"),
        ("colour", "3.7", "categories such as 'blue'"),
    ],
)
def test_a_retyped_column_is_named(name: str, values: Any, expected: str) -> None:
    with pytest.raises(
        DataError, match=rf"expected {expected}.*in the column '{name}'.*such as '{values}'"
    ) as caught:
        SCHEMA.check(TABLE.assign(**{name: values}))
    assert caught.value.code == "E_SCHEMA_MISMATCH"


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("size", "big", "W_NOT_NUMBER"),
        ("size", np.inf, "W_INFINITE"),
        ("size", "-1e999", "W_INFINITE"),
        ("sold", "maybe", "W_NOT_BOOLEAN"),
        ("when", "soon", "W_NOT_DATE"),
        ("when", "99.99.2024", "W_NOT_DATE"),
        ("colour", "violet", "W_UNSEEN"),
        ("colour", 3, "W_UNSEEN"),
    ],
)
def test_a_few_odd_cells_are_missing_and_told(name: str, value: Any, code: str) -> None:
    cells = TABLE[name].astype(object)
    cells.iloc[4] = value
    findings: list[Finding] = []
    checked = SCHEMA.check(TABLE.assign(**{name: cells}), findings=findings)
    assert checked[name].isna().tolist() == [place == 4 for place in range(N)]
    assert codes(findings) == [(code, name)]
    assert "1 of 40" in findings[0].message


def test_huge_numbers_stay_and_are_told() -> None:
    findings: list[Finding] = []
    checked = SCHEMA.check(TABLE.assign(size=[1e308, *TABLE["size"][1:]]), findings=findings)
    assert checked["size"].iloc[0] == 1e308
    assert codes(findings) == [("W_LARGE", "size")]


def test_rows_without_a_target_are_dropped_and_told() -> None:
    findings: list[Finding] = []
    y = TABLE["y"].astype(object)
    y.iloc[[0, 7]] = [None, ""]
    checked = SCHEMA.check(TABLE.assign(y=y), "train", findings=findings)
    assert len(checked) == N - 2
    assert codes(findings) == [("W_TARGET_MISSING", "y")]
    assert "2 of 40" in findings[0].message


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e308, "?"])
def test_values_that_cannot_be_learned_are_dropped(bad: Any) -> None:
    schema = infer_schema(TABLE.drop(columns="y").assign(y=np.linspace(0, 1, N)), "y")
    y = pd.Series(np.linspace(0, 1, N), dtype=object)
    y.iloc[3] = bad
    checked = schema.check(TABLE.assign(y=y), "train")
    assert len(checked) == N - 1
    assert checked["y"].dtype == np.float64


def test_an_unknown_label_is_refused() -> None:
    with pytest.raises(DataError, match=r"1 label.s. that are new: 'maybe'") as caught:
        SCHEMA.check(TABLE.assign(y=["maybe", *TABLE["y"][1:]]), "train")
    assert caught.value.code == "E_SCHEMA_MISMATCH"


@pytest.mark.parametrize(
    ("train", "later", "expected"),
    [
        ([0, 1], ["0", "1.0"], [0, 1]),
        (["0", "1"], [0.0, 1], [0, 1]),
        ([1.5, 2.0], ["1.50", "2"], [1.5, 2.0]),
        ([0, 1], ["0", "inf"], [0]),
        ([True, False], ["True", False], [True, False]),
        (["01", "1"], ["01", "1"], ["01", "1"]),
        (["None", "NA"], ["NA", "None"], ["NA", "None"]),
    ],
)
def test_labels_come_back_in_their_own_type(train: list[Any], later: list[Any], expected: list[Any]) -> None:
    schema = infer_schema({"x": np.arange(10) % 3, "y": train * 5}, "y")
    labels = schema.check({"x": [1, 2], "y": later}, "train")["y"].tolist()
    assert labels == expected
    assert [type(label) for label in labels] == [type(label) for label in expected]


def test_rows_and_arrays_are_taken() -> None:
    schema = Schema((Column("a", "number"), Column("b", "number")), "y", "binary", (0, 1))
    assert schema.check(pd.Series({"b": 2, "a": 1}, name="row"))["a"].tolist() == [1.0]
    assert schema.check(np.array([[1, 2], [3, 4]]))["b"].tolist() == [2.0, 4.0]
    assert schema.check(np.array([1, 2]))["b"].tolist() == [2.0]
    assert schema.check(np.array([[1, 2, 0]]), "train")["y"].tolist() == [0]
    with pytest.raises(DataError, match="expected 2 columns, got 4"):
        schema.check(np.zeros((3, 4)))
    with pytest.raises(DataError, match="got int"):
        schema.check(3)
    with pytest.raises(InputError, match="the purpose 'train' or 'predict'"):
        schema.check(TABLE, "test")  # type: ignore[arg-type]


def test_no_rows_are_no_error() -> None:
    assert len(SCHEMA.check(TABLE.iloc[:0])) == 0


def test_the_schema_survives_json() -> None:
    assert Schema.from_json(json.loads(json.dumps(SCHEMA.to_json()))) == SCHEMA
    typed = infer_schema({"x": np.arange(10) % 3, "y": [True, False] * 5}, "y")
    assert Schema.from_json(json.loads(json.dumps(typed.to_json()))).classes == (False, True)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"task": "clustering"},
        {"columns": [{"name": "x"}]},
        {"columns": [{"name": "x", "kind": "colour"}]},
        {"columns": [{"name": "x", "kind": "number", "size": 3}]},
        {"columns": None},
        {"more": 1},
    ],
)
def test_another_json_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(DataError) as caught:
        Schema.from_json({**SCHEMA.to_json(), **change})
    assert caught.value.code == "E_SCHEMA"
