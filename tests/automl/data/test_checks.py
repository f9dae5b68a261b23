"""What is odd about a table is said, and what is not odd is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

from modelwright.automl.data import Finding, check_table, infer_schema

N = 200
RNG = np.random.default_rng(4)
X = RNG.normal(size=N)
Y = RNG.integers(0, 2, N)


def found(columns: dict[str, Any], y: Any = None) -> dict[str, Finding]:
    """Return the findings by code."""
    table = pd.DataFrame({"x": X, **columns, "y": Y if y is None else y})
    schema = infer_schema(table, "y")
    return {finding.code: finding for finding in check_table(schema.check(table, "train"), schema)}


def test_a_clean_table_gives_no_findings() -> None:
    assert found({"c": RNG.choice(list("abc"), N), "i": RNG.integers(0, 5, N)}) == {}


@pytest.mark.parametrize("load", [load_breast_cancer, load_wine, load_diabetes])
def test_honest_tables_have_no_leak(load: Any) -> None:
    table = load(as_frame=True).frame
    schema = infer_schema(table, "target")
    findings = check_table(schema.check(table, "train"), schema)
    assert [finding for finding in findings if finding.code == "W_LEAK"] == []


@pytest.mark.parametrize(
    "leak",
    [
        Y,
        1 - 3 * Y,
        np.where(Y, "sick", "well"),
        Y + RNG.uniform(-0.2, 0.2, N),
        np.where(Y, RNG.choice(["a", "b"], N), RNG.choice(["c", "d"], N)),
    ],
)
def test_a_column_that_gives_the_class_away_is_named(leak: Any) -> None:
    finding = found({"leak": leak})["W_LEAK"]
    assert (finding.level, finding.column) == ("warning", "leak")


def test_a_copy_of_the_values_is_named() -> None:
    y = RNG.normal(size=N)
    assert found({"leak": np.exp(y)}, y)["W_LEAK"].column == "leak"
    assert "W_LEAK" not in found({"good": y + RNG.normal(size=N) / 3}, y)


def test_the_largest_class_alone_is_no_leak() -> None:
    rare = (np.arange(2_000) == 7).astype(int)
    rare[[20, 300]] = 1
    table = pd.DataFrame({"x": RNG.normal(size=2_000), "c": RNG.choice(["a", "b"], 2_000), "y": rare})
    schema = infer_schema(table, "y")
    assert "W_LEAK" not in {finding.code for finding in check_table(schema.check(table, "train"), schema)}


def test_unused_columns_are_named() -> None:
    findings = found({"country": "NL", "key": [f"k{place}" for place in range(N)], "none": None})
    assert findings["I_ID"].message.startswith("200 values in 200 rows")
    table = pd.DataFrame({"x": X, "country": "NL", "none": "", "y": Y})
    schema = infer_schema(table, "y")
    messages = {f.column: f.message for f in check_table(schema.check(table, "train"), schema)}
    assert messages["country"] == "all 200 values are 'NL'; the column is not used."
    assert messages["none"] == "it is empty; the column is not used."


def test_repeated_rows_are_counted() -> None:
    table = pd.DataFrame({"x": [*X, *X[:50]], "y": [*Y, *Y[:50]]})
    schema = infer_schema(table, "y")
    (finding,) = check_table(schema.check(table, "train"), schema)
    assert (finding.code, finding.message[:15]) == ("W_DUPLICATE_ROWS", "50 of 250 rows ")
    table = pd.DataFrame({"x": [*X, X[0]], "y": [*Y, Y[0]]})
    (finding,) = check_table(schema.check(table, "train"), schema)
    assert finding.level == "info"


def test_columns_that_say_the_same_are_named() -> None:
    c = RNG.choice(list("abc"), N)
    findings = found({"first": c, "second": np.char.upper(c), "again": X, "free": RNG.normal(size=N)})
    assert findings["I_DUPLICATE_COLUMN"].column == "again"
    assert found({"first": c, "second": np.char.upper(c)})["I_DUPLICATE_COLUMN"].column == "second"
    assert "I_DUPLICATE_COLUMN" not in found({"free": RNG.normal(size=N)})


def test_small_classes_and_imbalance_are_told() -> None:
    y = np.array(["a"] * 190 + ["b"] * 9 + ["c"])
    findings = found({}, y)
    assert "'c' (1), 'b' (9)" in findings["W_TINY_CLASS"].message
    assert "'a' has 190 rows, 'c' 1" in findings["I_IMBALANCE"].message


def test_labels_that_may_mean_missing_are_told() -> None:
    findings = found({}, np.where(Y == 1, "None", "sick"))
    assert f"{Y.sum()} rows have the label 'None'" in findings["W_LABEL_WORD"].message


def test_gaps_are_told() -> None:
    half = np.where(np.arange(N) < 120, np.nan, X)
    assert found({"gappy": half})["I_MISSING"].message == "60.0% of its cells are missing."
    nearly = np.where(np.arange(N) < 196, np.nan, X)
    assert found({"gappy": nearly})["W_MISSING"].level == "warning"


def test_warnings_come_first() -> None:
    findings = list(found({"country": "NL", "leak": Y, "gappy": np.where(X > 0.1, X, np.nan)}).values())
    levels = [finding.level for finding in findings]
    assert levels == sorted(levels, key=["error", "warning", "info"].index)
