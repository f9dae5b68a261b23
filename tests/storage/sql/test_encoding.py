"""What columns hold."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwright.storage.sql.encoding import decode, encode, finite

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
    max_leaves=20,
)


def same(left: Any, right: Any) -> bool:
    """Compare with NaN equal to itself, and 1 different from 1.0 and True."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float) and math.isnan(left):
        return isinstance(right, float) and math.isnan(right)
    return type(left) is type(right) and bool(left == right)


@given(VALUES)
def test_any_value_comes_back(value: Any) -> None:
    text = encode(value)
    assert text.isascii()
    assert "\0" not in text
    json.loads(text, parse_constant=pytest.fail)  # valid JSON: neither NaN nor Infinity
    assert same(decode(text), value)


@pytest.mark.parametrize("value", [{"$float": "pi"}, {"$float": "inf", "more": 1}, "$float"])
def test_values_that_look_like_marks_come_back(value: Any) -> None:
    assert decode(encode(value)) == value


@pytest.mark.parametrize(
    ("value", "number"), [(1, 1.0), (0.5, 0.5), (True, None), ("1", None), (math.inf, None), (math.nan, None)]
)
def test_columns_of_numbers_hold_finite_numbers(value: Any, number: float | None) -> None:
    assert finite(value) == number
