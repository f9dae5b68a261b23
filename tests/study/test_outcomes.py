"""From what an objective returns, and how its task ended, to what the ledger keeps."""

from __future__ import annotations

import decimal
import fractions
import math
from typing import Any

import numpy as np
import pytest

from modelwright.execution.base import End, EndKind, ErrorInfo
from modelwright.records import Failure, FailureKind, Objective, Outcome, Report, TrialState
from modelwright.study.outcomes import outcome_of
from modelwright.study.values import Result, last_values, read_values

ONE = [Objective()]
TWO = [Objective("loss"), Objective("score", "maximize")]


@pytest.mark.parametrize(
    ("returned", "expected"),
    [
        (1, (1.0,)),
        (0.5, (0.5,)),
        ([0.5], (0.5,)),
        ({"value": 0.5}, (0.5,)),
        (fractions.Fraction(1, 4), (0.25,)),
        (np.float32(0.5), (0.5,)),
        (np.int64(3), (3.0,)),
        (np.array(0.5), (0.5,)),
        (np.array([0.5]), (0.5,)),
    ],
)
def test_one_value(returned: Any, expected: tuple[float, ...]) -> None:
    values = read_values(returned, ONE)
    assert values == expected
    assert isinstance(values, tuple)
    assert all(type(value) is float for value in values)


@pytest.mark.parametrize(
    "returned", [(1, 2), [1, 2.0], np.array([1.0, 2.0]), {"score": 2, "loss": 1}, range(1, 3)]
)
def test_two_values(returned: Any) -> None:
    assert read_values(returned, TWO) == (1.0, 2.0)


@pytest.mark.parametrize(
    ("returned", "objectives", "kind", "words"),
    [
        (None, ONE, "invalid", "does the objective return"),
        (None, TWO, "invalid", "None"),
        (1.0, TWO, "invalid", "got one"),
        ((1.0,), TWO, "invalid", "got 1"),
        ((1.0, None), TWO, "invalid", "None"),
        ((), ONE, "invalid", "got 0"),
        ({"loss": 1.0}, TWO, "invalid", "score"),
        ({"loss": 1.0, "score": 1.0, 3: 1.0}, TWO, "invalid", "3"),
        ("1.0", ONE, "invalid", "text '1.0'"),
        (True, ONE, "invalid", "bool"),
        (np.True_, ONE, "invalid", "bool"),
        (1 + 0j, ONE, "invalid", "complex"),
        (decimal.Decimal(1), ONE, "invalid", "Decimal"),
        (np.zeros((2, 2)), ONE, "invalid", "ndarray"),
        (object, ONE, "invalid", "type"),
        ((value for value in (1.0,)), ONE, "invalid", "generator"),
        (math.nan, ONE, "nan", "nan"),
        ((1.0, math.inf), TWO, "nan", "inf"),
        (np.float64("nan"), ONE, "nan", "nan"),
        (10**400, ONE, "nan", "inf"),
    ],
)
def test_what_is_not_usable(returned: Any, objectives: list[Objective], kind: str, words: str) -> None:
    failure = read_values(returned, objectives)
    assert isinstance(failure, Failure)
    assert failure.kind.value == kind
    assert words in failure.message
    assert failure.code in ("E_TYPE", "E_NONFINITE")


def outcome(end: End, **options: Any) -> Outcome:
    given = {"pruned": False, "last_values": (), "user_attrs": {}, "log_location": ""}
    return outcome_of(end, **{**given, **options})


@pytest.mark.parametrize(
    ("end", "kind", "code"),
    [
        (EndKind.TIMEOUT, FailureKind.TIMEOUT, "E_TIMEOUT"),
        (EndKind.MEMORY, FailureKind.MEMORY, "E_MEMORY"),
        (EndKind.EXIT, FailureKind.ERROR, "E_EXIT"),
        (EndKind.SIGNAL, FailureKind.ERROR, "E_SIGNAL"),
        (EndKind.CANCELLED, FailureKind.KILLED, "E_KILLED"),
        (EndKind.LOST, FailureKind.LOST, "E_LOST"),
    ],
)
def test_each_end_without_a_result_is_a_failure_of_its_kind(
    end: EndKind, kind: FailureKind, code: str
) -> None:
    found = outcome(
        End(end, detail="why", wall_s=1.5, exit_code=-9, peak_memory_mb=12.0), log_location="here"
    )
    assert found.state is TrialState.FAILED
    assert found.failure == Failure(kind, "why", code)
    assert (found.duration_s, found.exit_code, found.peak_memory_mb) == (1.5, -9, 12.0)
    assert found.log_location == "here"


@pytest.mark.parametrize(
    ("types", "kind"),
    [
        (("builtins.ValueError", "builtins.Exception"), FailureKind.ERROR),
        (("numpy.ArrayMemoryError", "builtins.MemoryError"), FailureKind.MEMORY),
        ((), FailureKind.ERROR),
    ],
)
def test_an_exception_is_told_with_its_name(types: tuple[str, ...], kind: FailureKind) -> None:
    found = outcome(End(EndKind.ERROR, error=ErrorInfo(types, "broken", "the stack")))
    assert found.failure is not None
    assert found.failure.kind is kind
    name = types[0].removeprefix("builtins.") if types else "error"
    assert found.failure.message == f"{name}: broken"
    assert found.failure.traceback == "the stack"


def test_a_result_with_values_and_more() -> None:
    end = End(EndKind.RESULT, result={"values": [1.0], "metrics": {"rows": 3}})
    found = outcome(end, user_attrs={"a": 1})
    assert (found.state, found.values, found.failure) == (TrialState.COMPLETE, (1.0,), None)
    assert found.metrics == {"rows": 3}
    assert found.user_attrs == {"a": 1}


@pytest.mark.parametrize(
    ("result", "told_to_stop", "state", "values"),
    [
        ({"values": [1.0]}, True, TrialState.PRUNED, (1.0,)),
        ({"pruned": True}, False, TrialState.PRUNED, (7.0,)),
        ({"failure": {"kind": "invalid", "message": "None"}}, True, TrialState.PRUNED, (7.0,)),
        ({"failure": {"kind": "invalid", "message": "None"}}, False, TrialState.FAILED, ()),
    ],
)
def test_pruning(
    result: dict[str, Any], told_to_stop: bool, state: TrialState, values: tuple[float, ...]
) -> None:
    found = outcome(End(EndKind.RESULT, result=result), pruned=told_to_stop, last_values=(7.0,))
    assert (found.state, found.values) == (state, values)


def test_an_error_after_the_word_to_stop_is_an_error() -> None:
    end = End(EndKind.ERROR, error=ErrorInfo(("builtins.ValueError",), "broken"))
    assert outcome(end, pruned=True, last_values=(7.0,)).state is TrialState.FAILED


def test_the_last_report_stands_for_a_trial_only_if_it_is_whole() -> None:
    reports = [Report(0, {"loss": 1.0, "score": 2.0}), Report(1, {"loss": 0.5})]
    assert last_values(reports[:1], TWO) == (1.0, 2.0)
    assert last_values(reports, TWO) == ()
    assert last_values([], ONE) == ()


def test_a_result_holds_more_than_values() -> None:
    result = Result((1.0, 2.0), metrics={"rows": 3})
    assert read_values(result.values, TWO) == (1.0, 2.0)
    assert result.metrics == {"rows": 3}
