"""What goes into a ledger."""

from __future__ import annotations

import math
from collections import OrderedDict
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from modelwright.errors import InputError
from modelwright.records import Artifact, Failure, FailureKind, Outcome, Report, TrialState
from modelwright.storage.plain import clean_text, config_key, merged, plain, plain_reports, result_form


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


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ({"x": 1, "k": "a"}, {"k": "a", "x": 1.0}, True),
        ({"x": 0.0}, {"x": -0.0}, True),
        ({"x": 2**60}, {"x": float(2**60)}, True),
        ({"x": 2**60 + 1}, {"x": 2**60}, False),
        ({"x": 1e300}, {"x": 1e300}, True),
        ({"x": math.inf}, {"x": -math.inf}, False),
        ({"x": math.nan}, {"x": math.nan}, True),
        ({"x": True}, {"x": 1}, False),
        ({"x": "1"}, {"x": 1}, False),
        ({"x": None}, {}, False),
        ({"x": {"b": 1, "a": [2]}}, {"x": {"a": (2.0,), "b": 1}}, True),
        ({"x": "\ud800"}, {"x": "\ud801"}, False),
    ],
)
def test_equal_configurations_have_one_key(one: Any, two: Any, same: bool) -> None:
    assert (config_key(one, None) == config_key(two, None)) == same
    assert len(config_key(one, 0.5)) == 64


def test_a_key_depends_on_the_fidelity() -> None:
    keys = [config_key({"x": 1}, fidelity) for fidelity in (None, 0, 3, 3.0, 9)]
    assert (len(set(keys)), keys[2]) == (4, keys[3])


def test_a_key_does_not_change_between_versions() -> None:
    """It is written to ledgers, so what it is computed from must stay."""
    assert (
        config_key({"x": 0.5, "k": "ü"}, 3.0)
        == "8e7df20fb1fbdb30e3aac7d5753ca8595360ac383e818e000bb98f71315e4e82"
    )


def test_a_result_as_an_event_keeps_all() -> None:
    failure = Failure(FailureKind.ERROR, "nul \0", "E", "stack")
    artifact = Artifact("model", "m", "00", 1)
    outcome = Outcome(
        TrialState.FAILED, (1,), failure, {"a": 1}, {"b": (2,)}, (artifact,), 1.5, 2.5, 3, "logs", 4.5
    )
    assert result_form(outcome, "r") == {
        "result_id": "r",
        "state": "failed",
        "values": [1.0],
        "failure": {"kind": "error", "message": "nul \ufffd", "code": "E", "traceback": "stack"},
        "user_attrs": {"a": 1},
        "metrics": {"b": [2]},
        "artifacts": [{"name": "model", "location": "m", "sha256": "00", "size": 1, "format": ""}],
        "duration_s": 1.5,
        "peak_memory_mb": 2.5,
        "exit_code": 3,
        "log_location": "logs",
        "cost": 4.5,
    }
