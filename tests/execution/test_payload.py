"""What may pass between a task and its coordinator, and what is said about the rest."""

from __future__ import annotations

import pytest

from modelwright.errors import ExecutionError, InputError
from modelwright.execution._payload import MAX_BYTES, decode, describe, encode


@pytest.mark.parametrize("value", [None, True, 0, -1.5, "ü\ud800", [], {"a": [1, {"b": None}]}, 10**400])
def test_json_values_come_back_as_they_were(value):
    assert decode(encode(value, "it")) == value


class Odd:
    pass


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (Odd(), "it holds a .*Odd"),
        ({"a": [1, {"b": {1, 2}}]}, r"it holds a set at \['a'\]\[1\]\['b'\]"),
        ([0.5, float("inf")], r"it holds inf at \[1\]"),
        ({(1, 2): 3}, "it holds a key of type tuple"),
        (b"bytes", "it holds a bytes"),
        (1j, "it holds a complex"),
    ],
)
def test_what_is_no_json_value_is_named_with_its_place(value, named):
    with pytest.raises(InputError, match=f"the result must be a JSON value.*{named}") as caught:
        encode(value, "the result")
    assert caught.value.code == "E_NOT_JSON"


def test_endless_nesting_is_refused():
    endless = []
    endless.append(endless)
    with pytest.raises(InputError, match="nested too deeply"):
        encode(endless, "the result")


def test_the_size_is_bounded():
    assert len(encode("x" * (MAX_BYTES - 2), "it")) == MAX_BYTES
    with pytest.raises(ExecutionError, match=r"the result is 16\.8 MB of JSON, and at most 16\.8 MB"):
        encode("x" * (MAX_BYTES - 1), "the result")


def test_an_exception_is_described_by_its_classes_text_and_traceback():
    try:
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise ConnectionResetError("outer") from inner
    except ConnectionResetError as error:
        info = describe(error)
    assert info.types[:3] == ("builtins.ConnectionResetError", "builtins.ConnectionError", "builtins.OSError")
    assert info.message == "outer"
    assert "KeyError: 'inner'" in info.traceback


def test_descriptions_are_bounded():
    info = describe(ValueError("x" * 1_000_000))
    assert len(info.message) == 10_000
    assert len(info.traceback) == 64_000
