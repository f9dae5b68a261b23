"""What goes into a ledger."""

from __future__ import annotations

import math
from collections import OrderedDict
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from modelwright.errors import InputError
from modelwright.records import Report
from modelwright.storage.plain import clean_text, merged, plain, plain_reports


def test_a_copy_is_deep_and_plain() -> None:
    value = {"a": (1, [2]), "b": MappingProxyType({"c": OrderedDict(d=None)})}
    copy = plain(value)
    assert copy == {"a": [1, [2]], "b": {"c": {"d": None}}}
    copy["a"][1].append(3)
    assert value["a"] == (1, [2])


def test_subclasses_become_plain_numbers() -> None:
    copy = plain({"x": np.float64(0.5), "flag": True, "s": np.str_("a")})
    assert copy == {"x": 0.5, "flag": True, "s": "a"}
    assert [type(item) for item in copy.values()] == [float, bool, str]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"a": {"b": [object()]}}, r"params\['a'\]\['b'\]\[0\].*got object"),
        (np.zeros(2), "got ndarray.*tolist"),
        ({1: 2}, "text keys, got the key 1"),
        (np.int64(3), "got int64"),
    ],
)
def test_what_has_no_json_form_is_named(value: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        plain(value, "params")


def test_merged_leaves_the_old_alone() -> None:
    old = {"a": 1}
    assert merged(old, {"b": 2}, "attrs") == {"a": 1, "b": 2}
    assert old == {"a": 1}


@pytest.mark.parametrize(
    ("text", "clean"), [("plain", "plain"), ("ünï 漢", "ünï 漢"), ("a\0b", "a\ufffdb"), ("a\ud800b", "a?b")]
)
def test_text_that_databases_refuse_is_replaced(text: str, clean: str) -> None:
    assert clean_text(text) == clean


@pytest.mark.parametrize("step", [math.nan, math.inf])
def test_steps_are_finite(step: float) -> None:
    with pytest.raises(InputError, match="finite"):
        plain_reports([Report(step, {})])
