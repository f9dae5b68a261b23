"""The record of a table has ATM's fields, and its fingerprint is that of the contents."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd

from modelwright.automl.data import dataset_metadata, fingerprint, infer_schema

TABLE = pd.DataFrame(
    {
        "n": [0.5, 1.5, None, 2.5, 3.0, 4.0],
        "c": list("aabbcd"),
        "one": 1,
        "y": ["x", "x", "x", "y", "z", "y"],
    }
)


def test_the_fields_are_those_of_atm() -> None:
    schema = infer_schema(TABLE, "y")
    record = dataset_metadata(
        schema.check(TABLE, "train"),
        schema,
        train_path="some/place/pollution_1.csv.gz",
        test_path="test.csv",
        description="air",
    )
    assert record.name == "pollution_1"
    assert record.description == "air"
    assert record.train_path == "some/place/pollution_1.csv.gz"
    assert record.test_path == "test.csv"
    assert record.class_column == "y"
    assert record.n_examples == 6
    assert record.k_classes == 3
    assert record.d_features == 3 + 3  # the four labels of c take three columns more than one
    assert record.majority == 1.0  # three x against three others
    assert record.metadata["kinds"] == {"n": "number", "c": "category", "one": "constant"}


def test_regression_has_no_classes() -> None:
    table = TABLE.assign(y=[0.5, 1.5, 2.25, 3.5, 4.5, 5.5])
    schema = infer_schema(table, "y")
    record = dataset_metadata(schema.check(table, "train"), schema, name="mine")
    assert (record.name, record.k_classes, record.majority) == ("mine", 0, 0.0)


def test_the_size_is_that_of_the_cells() -> None:
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(1000, 4)), columns=list("abcy"))
    schema = infer_schema(table, "y")
    assert dataset_metadata(schema.check(table, "train"), schema).size_kb == 32


def test_the_fingerprint_follows_the_contents() -> None:
    base = fingerprint(TABLE)
    assert fingerprint(TABLE.copy()) == base
    assert fingerprint(TABLE.set_axis(range(5, 11), axis=0)) == base
    assert fingerprint(TABLE.rename(columns={"n": "m"})) != base
    assert fingerprint(TABLE.iloc[::-1]) != base
    assert fingerprint(TABLE[["c", "n", "one", "y"]]) != base
    assert fingerprint(TABLE.assign(c=list("aabbce"))) != base
    assert fingerprint(TABLE.assign(n=[0.5, 1.5, None, 2.5, 3.0, 4.0 + 1e-12])) != base


def test_the_fingerprint_is_the_same_in_another_process() -> None:
    code = (
        "import pandas as pd; from modelwright.automl.data import fingerprint;"
        "print(fingerprint(pd.DataFrame({'a': ['x', 'é', None], 'b': [1.0, None, 3.0]})))"
    )
    there = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()
    assert there == fingerprint(pd.DataFrame({"a": ["x", "é", None], "b": [1.0, None, 3.0]}))
