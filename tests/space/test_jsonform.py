"""Spaces in JSON and TOML."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest

from modelwright.errors import SpaceError
from modelwright.space import Bool, Categorical, Constant, Float, Int, Ordinal, Space

SPACE = Space(
    {
        "lr": Float(1e-5, 0.1, log=True, default=0.01),
        "layers": Int(1, 3),
        "units": Int(16, 64, step=16),
        "optimizer": Categorical("adam", "sgd", None),
        "momentum": Float(0, 1, step=0.1, when={"optimizer": "sgd", "layers": [2, 3]}),
        "size": Ordinal("small", "large", default="large"),
        "nesterov": Bool(default=True, when={"optimizer": ["sgd", None]}),
        "epochs": Constant(10),
    },
    constraints=["lr * layers <= 0.1"],
)

TOML = """
constraints = ["lr * layers <= 0.1"]

[parameters]
lr = {type = "float", low = 1e-5, high = 0.1, log = true, default = 0.01}
layers = {type = "int", low = 1, high = 3}
units = {type = "int", low = 16, high = 64, step = 16}
optimizer = {type = "categorical", choices = ["adam", "sgd", {null = true}]}

[parameters.momentum]
type = "float"
low = 0
high = 1
step = 0.1
when = {optimizer = "sgd", layers = [2, 3]}

[parameters.size]
type = "ordinal"
choices = ["small", "large"]
default = "large"

[parameters.nesterov]
type = "bool"
default = true
when = {optimizer = ["sgd", {null = true}]}

[parameters.epochs]
type = "constant"
value = 10
"""


def test_json_form_is_what_it_says() -> None:
    assert SPACE.to_json()["parameters"][4] == {
        "name": "momentum",
        "type": "float",
        "low": 0.0,
        "high": 1.0,
        "step": 0.1,
        "when": {"optimizer": ["sgd"], "layers": [2, 3]},
    }
    assert SPACE.to_json()["constraints"] == ["lr * layers <= 0.1"]


def test_toml_means_the_same() -> None:
    assert Space.from_json(tomllib.loads(TOML)) == SPACE


def test_the_order_of_keys_does_not_matter_to_the_stored_form() -> None:
    stored = json.loads(json.dumps(SPACE.to_json(), sort_keys=True))
    assert Space.from_json(stored) == SPACE
    assert Space.from_json(stored).names == SPACE.names


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (3, "the space: expected a table, got 3"),
        ({"parameter": {}}, "unknown key 'parameter'.*'parameters'"),
        ({"parameters": 3}, "parameters: expected a table by name or a list"),
        ({"parameters": [3]}, r"parameters\[0\]: expected a table"),
        ({"parameters": [{"type": "bool"}]}, r"parameters\[0\].name: expected a text"),
        ({"parameters": [{"name": "a", "type": "bool"}] * 2}, "'a' is given twice"),
        ({"parameters": {"a": "float"}}, "parameters.a: expected a table"),
        ({"parameters": {"a": {"low": 1}}}, "no parameter type None"),
        ({"parameters": {"a": {"type": ["x"]}}}, "no parameter type"),
        ({"parameters": {"a": {"type": "flaot"}}}, "no parameter type 'flaot'.*'float'"),
        ({"parameters": {"a": {"type": "float", "low": 0}}}, "parameters.a: the key 'high' is missing"),
        (
            {"parameters": {"a": {"type": "float", "low": 0, "hi": 1}}},
            "parameters.a: unknown key 'hi'.*'high'",
        ),
        ({"parameters": {"a": {"type": "float", "low": 2, "high": 1}}}, "parameters.a: expected low < high"),
        (
            {"parameters": {"a": {"type": "int", "low": 0.5, "high": 1}}},
            "parameters.a: expected low to be a whole",
        ),
        (
            {"parameters": {"a": {"type": "float", "low": "0", "high": 1}}},
            "parameters.a: expected low to be a number",
        ),
        ({"parameters": {"a": {"type": "categorical"}}}, "'choices' is missing"),
        ({"parameters": {"a": {"type": "categorical", "choices": "ab"}}}, "choices to be a list"),
        ({"parameters": {"a": {"type": "categorical", "choices": [[1]]}}}, r"got \[1\]"),
        ({"parameters": {"a": {"type": "categorical", "choices": []}}}, "at least one choice"),
        ({"parameters": {"a": {"type": "categorical", "labels": [1]}}}, "label"),
        ({"parameters": {"a": {"type": "constant"}}}, "'value' is missing"),
        ({"parameters": {"a": {"type": "bool", "default": 3}}}, "default"),
        ({"parameters": {"a": {"type": "bool", "when": "x"}}}, "parameters.a.when: expected a table"),
        ({"parameters": {"a": {"type": "bool", "when": {"b": True}}}}, "unknown parameter"),
        ({"parameters": {"../x": {"type": "bool"}}}, "not allowed"),
        ({"parameters": {}, "constraints": "a > 1"}, "constraints: expected a list of texts"),
        ({"parameters": {"a": {"type": "bool"}}, "constraints": ["a >"]}, "cannot read the constraint"),
    ],
)
def test_bad_forms_are_refused_by_place(form: Any, message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        Space.from_json(form)


def test_labels_alone_exist_after_loading() -> None:
    space = Space(cls=Categorical(dict, list, default=list), n=Constant((1, 2)))
    loaded = Space.from_json(space.to_json())
    assert loaded == space
    assert loaded.default() == {"cls": "list", "n": "(1, 2)"}
    assert space.load(loaded.dump(loaded.default())) == {"cls": list, "n": (1, 2)}
