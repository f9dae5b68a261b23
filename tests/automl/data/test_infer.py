"""Kinds of columns and the task are found, and a table that teaches nothing is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from modelwright.automl.data import infer_schema
from modelwright.errors import DataError, InputError

N = 60
RNG = np.random.default_rng(0)
Y = [0, 1] * (N // 2)


def kind_of(values: Any, name: str = "x") -> str:
    """Return the kind found for a column beside one that always varies."""
    table = pd.DataFrame({name: values, "other": RNG.normal(size=len(values)), "y": Y[: len(values)]})
    return infer_schema(table, "y").columns[0].kind


def cycle(*values: Any) -> list[Any]:
    return [values[place % len(values)] for place in range(N)]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (cycle(1, 2), "number"),
        (cycle("1", "2"), "number"),
        (cycle("0.5", "?", " 7 ", "-1e3", "NA"), "number"),
        (cycle("1e999", "inf", "3"), "number"),
        (cycle(1.5, None), "number"),
        (["oops", "n. a."] + ["4"] * 29 + ["5"] * 29, "number"),
        (["oops"] * 10 + ["4"] * 50, "category"),
        (cycle("007", "013", "100"), "category"),
        ([f"{place:05d}" for place in range(N)], "id"),
        (cycle("t", "f"), "boolean"),
        (cycle("Yes", "No", ""), "boolean"),
        (cycle(True, False), "boolean"),
        (cycle("TRUE", "FALSE"), "boolean"),
        (cycle("yes", "f"), "category"),
        (cycle("a", "b", None), "category"),
        (cycle("a", ""), "category"),
        (pd.Categorical(cycle(3, 4)), "category"),
        (cycle(1, "a"), "category"),
        (cycle("2024-01-05", "2023-12-31"), "date"),
        (cycle("2024-01-05T10:30:00Z", "2024-02-05 10:30"), "date"),
        (cycle("31.12.2023", "01.02.2024"), "date"),
        (cycle("12/31/2023", "1/2/2024"), "date"),
        (cycle("31/12/2023 14:05", "1/2/2024 00:00", "?"), "date"),
        (cycle("5 Mar 2024", "17 Apr 2023"), "date"),
        (pd.date_range("2024-01-01", periods=N, freq="h"), "date"),
        (pd.date_range("2024-01-01", periods=N, freq="h", tz="Europe/Rome"), "date"),
        (pd.period_range("2024-01", periods=N, freq="M"), "date"),
        (pd.to_timedelta(cycle(1, 5), unit="h"), "number"),
        ([f"user-{place}" for place in range(N)], "id"),
        ([f"about {place} words and {place * 7} more" for place in range(N)], "text"),
        (cycle(5), "constant"),
        (cycle("x"), "constant"),
        (cycle("", "NA", None), "constant"),
        (cycle(None), "constant"),
        (cycle(np.nan), "constant"),
        (cycle(pd.Timestamp("2024-01-01")), "constant"),
        (list(range(N)), "id"),
        ([str(place + 100) for place in range(N)], "id"),
        (RNG.permutation(N * 3)[:N], "number"),
    ],
)
def test_kinds(values: Any, kind: str) -> None:
    assert kind_of(values) == kind


@pytest.mark.parametrize("name", ["id", "customer_id", "Patient ID", "Unnamed: 0", "row.no"])
def test_different_whole_numbers_named_like_an_id_are_one(name: str) -> None:
    assert kind_of(RNG.permutation(10_000)[:N], name) == "id"
    assert kind_of(cycle(1, 2, 3), name) == "number"


def test_a_column_named_width_is_no_id() -> None:
    assert kind_of(RNG.permutation(10_000)[:N], "grid") == "number"


def test_text_and_typed_columns_are_of_one_kind() -> None:
    typed = pd.DataFrame(
        {
            "n": RNG.normal(size=N),
            "i": RNG.integers(0, 4, N),
            "b": RNG.integers(0, 2, N).astype(bool),
            "c": cycle("u", "v", "w"),
            "d": pd.date_range("2024-01-01", periods=N),
            "y": cycle("no", "yes"),
        }
    )
    from_types, from_text = infer_schema(typed, "y"), infer_schema(typed.astype(str), "y")
    assert [column.kind for column in from_types.columns] == [
        "number",
        "number",
        "boolean",
        "category",
        "date",
    ]
    assert [column.kind for column in from_text.columns] == [column.kind for column in from_types.columns]
    assert from_text.classes == from_types.classes


def test_hints_decide() -> None:
    table = {
        "a": cycle(1, 2),
        "b": list(range(N)),
        "c": cycle("1", "2"),
        "d": cycle("2024-01-05", "x"),
        "y": Y,
    }
    hints: Any = {"a": "category", "b": "number", "c": "text", "d": "id"}
    schema = infer_schema(table, "y", hints=hints)
    assert [column.kind for column in schema.columns] == ["category", "number", "text", "id"]
    assert schema.columns[0].categories == ("1", "2")
    with pytest.raises(DataError, match=r"no such column. Did you mean"):
        infer_schema({**table, "colour": Y}, "y", hints={"color": "text"})
    with pytest.raises(InputError, match="a kind out of"):
        infer_schema(table, "y", hints={"a": "constant"})
    with pytest.raises(DataError, match="expected dates in 'a'"):
        infer_schema(table, "y", hints={"a": "date"})
    with pytest.raises(DataError, match="boolean; it has 60"):
        infer_schema(table, "y", hints={"b": "boolean"})


# the task ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "task", "classes"),
    [
        (cycle(0, 1), "binary", (0, 1)),
        (cycle("1", "0"), "binary", (0, 1)),
        (cycle(True, False), "binary", (False, True)),
        (cycle("True", "False"), "binary", ("False", "True")),
        (cycle(2.5, 7.5), "binary", (2.5, 7.5)),
        (cycle(1.0, 2.0, 3.0), "multiclass", (1.0, 2.0, 3.0)),
        (cycle(3, 10, 2), "multiclass", (2, 3, 10)),
        (cycle("3", "10", "2"), "multiclass", (2, 3, 10)),
        (cycle("03", "10", "2"), "multiclass", ("03", "10", "2")),
        (cycle("b", "a", "c"), "multiclass", ("a", "b", "c")),
        (cycle("None", "NA", "sick"), "multiclass", ("NA", "None", "sick")),
        (cycle("None", "sick", "well", ""), "multiclass", ("None", "sick", "well")),
        (cycle("0", "1", "NA", "None", "?"), "binary", (0, 1)),
        (cycle("u", None, "v", np.nan), "binary", ("u", "v")),
        (cycle(1, "a"), "binary", ("1", "a")),
        (cycle("1", "1.0", "2"), "binary", (1.0, 2.0)),
        (cycle("1", "2", "1e999"), "binary", (1.0, 2.0)),
        (pd.array(cycle(1, 2, None), dtype="Int64"), "binary", (1, 2)),
        (pd.array(cycle(True, False, None), dtype="boolean"), "binary", (False, True)),
        (pd.Series(cycle("a\udc80", "b"), dtype=object), "binary", ("a?", "b")),
        (pd.Categorical(cycle("u", "v")), "binary", ("u", "v")),
        (cycle(0.5, 1.5, 2.25), "regression", ()),
        (cycle("0.5", "1.5", "2.25", "NA"), "regression", ()),
        (list(range(N)), "regression", ()),
        (cycle(*range(20)), "multiclass", tuple(range(20))),
        (cycle(*range(21)), "regression", ()),
    ],
)
def test_task_and_classes(target: Any, task: str, classes: tuple[Any, ...]) -> None:
    schema = infer_schema({"x": RNG.normal(size=N), "y": target}, "y")
    assert (schema.task, schema.classes) == (task, classes)
    assert [type(label) for label in schema.classes] == [type(label) for label in classes]


def test_a_task_that_is_said_is_taken() -> None:
    table = {"x": RNG.normal(size=N), "y": cycle(*range(30))}
    assert infer_schema(table, "y", task="classification").task == "multiclass"
    assert infer_schema({**table, "y": cycle(1, 2, 3)}, "y", task="regression").task == "regression"
    with pytest.raises(DataError, match=r"expected two classes in the target 'y'.*it has 30"):
        infer_schema(table, "y", task="binary")
    with pytest.raises(InputError, match="got 'clustering'"):
        infer_schema(table, "y", task="clustering")
    with pytest.raises(DataError, match="such as 'a'") as caught:
        infer_schema({**table, "y": cycle("a", "b")}, "y", task="regression")
    assert caught.value.code == "E_TARGET_TYPE"


# refusals ------------------------------------------------------------------------------------------------


def refused(y: Sequence[Any], *, x: Any = None, target: str = "y", task: str | None = None) -> DataError:
    table = pd.DataFrame({"x": RNG.normal(size=len(y)) if x is None else x, "y": y})
    with pytest.raises(DataError) as caught:
        infer_schema(table, target, task=task)
    return caught.value


def test_a_missing_target_is_refused_with_the_nearest_names() -> None:
    table = {"price": Y, "Class": Y}
    with pytest.raises(DataError, match=r"no column 'clas' to predict. Did you mean 'Class'") as caught:
        infer_schema(table, "clas")
    assert caught.value.code == "E_TARGET_MISSING"


@pytest.mark.parametrize(
    ("y", "task", "code", "figure"),
    [
        (cycle(None), None, "E_TARGET_EMPTY", "60"),
        (cycle("", "?"), None, "E_TARGET_EMPTY", "60"),
        (cycle(None), "regression", "E_TARGET_EMPTY", ""),
        (cycle("only"), None, "E_TARGET_ONE_CLASS", "'only'"),
        (cycle("only", ""), None, "E_TARGET_ONE_CLASS", "30"),
        (cycle(4.5), "regression", "E_TARGET_ONE_CLASS", "60"),
        ([f"row {place}" for place in range(N)], None, "E_TARGET_CLASSES", "60"),
        ([f"row {place % 40}" for place in range(N)], None, "E_TARGET_CLASSES", "40 in 60"),
        ([f"c{place % 10_000}" for place in range(40_000)], None, "E_TARGET_CLASSES", "10,000 in 40,000"),
        ([0, 1], None, "E_TOO_FEW_ROWS", "2"),
        ([0, 1] + [None] * 50, None, "E_TOO_FEW_ROWS", "2"),
        ([1.5], None, "E_TOO_FEW_ROWS", "1"),
    ],
)
def test_a_target_that_teaches_nothing_is_refused(
    y: list[Any], task: str | None, code: str, figure: str
) -> None:
    error = refused(y, task=task)
    assert error.code == code
    assert figure in str(error)


@pytest.mark.parametrize("x", [cycle(1), cycle("same"), cycle(None), [f"key-{place}" for place in range(N)]])
def test_a_table_without_a_column_that_varies_is_refused(x: list[Any]) -> None:
    assert refused(Y, x=x).code == "E_NO_FEATURES"


def test_a_table_of_one_column_is_refused() -> None:
    with pytest.raises(DataError, match="the table has only the target") as caught:
        infer_schema({"y": Y}, "y")
    assert caught.value.code == "E_NO_FEATURES"


@pytest.mark.parametrize("cell", [[1, 2], {"a": 1}, (1, 2), b"raw", 1j])
def test_cells_that_are_no_plain_values_are_refused(cell: Any) -> None:
    column = pd.Series([cell] * N, dtype=None if isinstance(cell, complex) else object)
    for error in (refused(Y, x=column), refused(Y, x=column, target="x")):
        assert error.code == "E_COLUMN_TYPE"
        assert "'x'" in str(error)


def test_a_class_seen_once_is_allowed() -> None:
    schema = infer_schema({"x": RNG.normal(size=N), "y": ["rare", *cycle("a", "b")[1:]]}, "y")
    assert schema.classes == ("a", "b", "rare")
