"""The JSON forms of records: what goes out comes back, and nothing else comes in."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from modelwright.errors import InputError, SpaceError
from modelwright.records import Budget, Objective, Outcome, Report, StudySpec, Trial, TrialState
from modelwright.space import Categorical, Float, Int, Space
from modelwright.storage import base
from modelwright.storage.base import Claim, Controls, Keep, NoClaim, StudyRecord
from modelwright.storage.jsontext import decode, decode_foreign, encode, encode_large
from modelwright.storage.wire import form_of, read, write

SPACES = [
    Space(),
    Space(x=Float(0, 1), n=Int(1, 9), k=Categorical("a", "b")),
    Space({"a": Float(1e-5, 1, log=True), "b": Float(0, 1, when={"k": 1}), "k": Categorical(1, None, 2.5)}),
    Space({"x": Int(1, 5), "y": Int(1, 5)}, constraints=["x <= y"]),
]
TEXT = st.text(st.characters(), max_size=6)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT | st.just("$float"), inner, max_size=3),
    max_leaves=6,
)


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for values of a type that records declare."""
    atoms: dict[Any, st.SearchStrategy[Any]] = {
        str: TEXT,
        bool: st.booleans(),
        int: st.integers(-(2**63), 2**63 - 1),
        float: st.floats(allow_nan=False) | st.integers(-(2**60), 2**60),
        Any: PLAIN,
        Space: st.sampled_from(SPACES),
        type(None): st.none(),
    }
    if kind in atoms:
        return atoms[kind]
    if dataclasses.is_dataclass(kind):
        return records(kind)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return st.sampled_from(list(kind))
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([values_of(item) for item in arguments if item is not Keep])
    if origin is tuple and arguments[-1] is not Ellipsis:
        return st.tuples(*map(values_of, arguments))
    inner = st.lists(values_of(arguments[0]), max_size=3)
    if origin is tuple:
        return inner.map(tuple)
    if origin is frozenset:
        return st.frozensets(values_of(arguments[0]), max_size=3)
    if origin is Sequence:
        return inner
    assert origin is Mapping, kind
    keys = st.integers(0, 10**17) if arguments[0] is int else values_of(arguments[0])
    return st.dictionaries(keys, values_of(arguments[1]), max_size=3)


@st.composite
def records(draw: st.DrawFn, kind: Any) -> Any:
    """Draw a record, whose own checks may refuse what was drawn."""
    hints = typing.get_type_hints(kind, localns={"Space": Space})
    drawn = {field.name: draw(values_of(hints[field.name])) for field in dataclasses.fields(kind)}
    if kind is StudySpec:
        drawn |= {"name": "study", "objectives": (Objective("a"), Objective("b", "maximize")), "retry": {}}
    if kind is Budget:
        drawn |= {name: None if drawn[name] is None else abs(drawn[name]) % 2**40 + 1 for name in drawn}
    if kind is Outcome:
        drawn["state"] = TrialState.COMPLETE if drawn["failure"] is None else TrialState.FAILED
    try:
        return kind(**drawn)
    except ValueError:
        assume(False)


CONTRACT = [
    item
    for name in base.__all__
    if dataclasses.is_dataclass(item := getattr(base, name)) and item is not Keep
]


@pytest.mark.parametrize(
    "kind", [*CONTRACT, Trial, Outcome, Report, StudySpec, Budget], ids=lambda k: k.__name__
)
@settings(max_examples=30, deadline=None)
@given(st.data())
def test_every_record_comes_back(kind: type, data: st.DataObject) -> None:
    value = data.draw(records(kind))
    form = write(kind, value)
    text = encode(form)
    assert text.isascii()
    json.loads(text, parse_constant=pytest.fail)
    assert read(kind, decode(text)) == value
    assert read(kind, decode_foreign(text)) == value


def test_records_are_declared_once() -> None:
    assert len(CONTRACT) > 10
    assert {StudyRecord, Claim, Controls} <= set(CONTRACT)


def test_numbers_beyond_json() -> None:
    outcome = Outcome(TrialState.COMPLETE, (math.inf, -math.inf, math.nan, 5e-324, 1e308))
    text = encode(write(Outcome, outcome))
    back = read(Outcome, decode(text))
    assert back.values[:2] == (math.inf, -math.inf)
    assert math.isnan(back.values[2])
    assert back.values[3:] == (5e-324, 1e308)


def test_one_of_two() -> None:
    kind = Claim | NoClaim
    claim = Claim(1, 2, 3, "c", 1)
    assert read(kind, write(kind, claim)) == claim
    assert write(kind, NoClaim("busy")) == {"noclaim": {"reason": "busy"}}
    with pytest.raises(InputError, match="expected"):
        read(kind, {"other": {}})


@pytest.mark.parametrize(
    ("kind", "form", "words"),
    [
        (Report, {"step": 1, "values": {"a": "b"}}, r"value\.values\['a'\]: expected a number, got 'b'"),
        (Report, {"step": True, "values": {}}, r"\.step: expected a number, got True"),
        (Report, {"step": 1, "values": {}, "fold": 1.5}, r"\.fold: expected a whole number"),
        (Report, {"step": 1}, "'values' is missing"),
        (Report, {"step": 1, "valeus": {}}, "unknown key 'valeus'. Did you mean 'values'"),
        (Report, [1], "expected an object, got a list of 1"),
        (Report, None, "expected an object, got None"),
        (
            Trial,
            {"number": 2**63, "state": "waiting"},
            r"\.number: expected a whole number of at most 64 bits",
        ),
        (Trial, {"number": 1, "state": "asleep"}, r"\.state: expected 'waiting' or"),
        (Trial, {"number": 1, "state": "waiting", "failure": {"kind": "x"}}, r"\.failure\.kind"),
        (Outcome, {"state": "complete", "values": [1, "2"]}, r"\.values\[1\]: expected a number"),
        (Outcome, {"state": "waiting"}, "an outcome is final"),
        (Outcome, {"state": "failed"}, "has a failure when"),
        (Controls, {"lost": [1], "stop": [], "state": {"x": "running"}}, "whole number as key"),
        (Controls, {"lost": ["1"], "stop": [], "state": {}}, r"\.lost\[0\]"),
        (Budget, {"trials": -1}, "trials"),
        (StudySpec, {"name": "a", "space": {"parameters": {"x": {"type": "odd"}}}}, "odd"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(kind: type, form: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read(kind, form)


def test_what_has_no_form_is_refused() -> None:
    with pytest.raises(InputError, match="JSON"):
        write(Trial, Trial(0, TrialState.WAITING, params={"a": object()}))
    with pytest.raises(SpaceError):
        write(StudySpec, StudySpec("a", Space({"x": Float(0, 1)}, constraints=[lambda x: x < 1])))
    with pytest.raises(TypeError):
        form_of(complex)


@pytest.mark.parametrize(
    "value",
    [
        {"$float": "inf"},
        {"$float": math.inf},
        {"$$float": "inf"},
        {"$float": "pi"},
        "$float",
        [{"$float": []}],
    ],
)
def test_values_that_look_like_marks(value: Any) -> None:
    assert decode(encode(value)) == value
    assert decode_foreign(encode(value)) == value


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a":1,"a":2}', "[" * 101 + "]" * 101, "[" * 10**6])
def test_json_that_is_not_taken(text: str) -> None:
    with pytest.raises(ValueError):
        decode_foreign(text)


@settings(max_examples=30, deadline=None)
@given(PLAIN)
def test_long_values_are_written_alike(value: Any) -> None:
    long = {"a": [value] * 450, "b": value, "$float": "inf"}
    for item in (long, long["a"], value):
        assert encode_large(item) == encode(item)


def test_brackets_in_text_are_not_depth() -> None:
    value = ["[" * 500 + '"' + "{" * 500]
    assert decode_foreign(json.dumps(value)) == value
