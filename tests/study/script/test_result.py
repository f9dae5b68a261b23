from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from modelwright.errors import InputError
from modelwright.study import Result
from modelwright.study.script.result import read_result, result_form


def read(tmp_path: Path, text: str) -> Result | None:
    (tmp_path / "result").write_text(text)
    return read_result(tmp_path / "result")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.34\n", Result(0.34)),
        ("  3 ", Result(3)),
        ("[1, 2.5]", Result([1, 2.5])),
        ('{"value": 1}', Result(1)),
        ('{"values": {"a": 1}}', Result({"a": 1})),
        ('{"value": 1, "metrics": {"n": 2}, "cost": 3}', Result(1, {"n": 2}, 3)),
        ('{"state": "pruned"}', Result(None, pruned=True)),
        ('{"value": 1, "state": "pruned"}', Result(1, pruned=True)),
        ("true", Result(True)),
        ('"0.5"', Result("0.5")),
    ],
)
def test_forms(tmp_path: Path, text: str, expected: Result) -> None:
    assert read(tmp_path, text) == expected


@pytest.mark.parametrize("text", ["nan", "NaN", "Inf", "-inf", "Infinity"])
def test_what_is_no_number_stays_so(tmp_path: Path, text: str) -> None:
    result = read(tmp_path, text)
    assert result is not None
    assert not math.isfinite(result.values)


def test_nothing_is_no_result(tmp_path: Path) -> None:
    assert read_result(tmp_path / "nowhere") is None
    assert read(tmp_path, " \n") is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("loss: 0.3", "expected a number or JSON"),
        ('{"loss": 1}', "no field 'loss'"),
        ("{}", '"value" or "values"'),
        ('{"value": 1, "values": [1]}', '"value" or "values"'),
        ('{"value": 1, "values": [1], "state": "pruned"}', '"value" or "values"'),
        ('{"value": 1, "state": "done"}', "state"),
        ('{"value": 1, "metrics": 3}', "metrics"),
        ('{"value": 1, "cost": -3}', "cost"),
        ('{"value": 1, "cost": "much"}', "cost"),
    ],
)
def test_what_cannot_be_understood_is_said(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        read(tmp_path, text)


@pytest.mark.parametrize(
    "result", [Result(1.5), Result([1, 2], {"a": [1]}, 2.0), Result(None, pruned=True), Result({"a": 1})]
)
def test_what_is_written_is_read_again(tmp_path: Path, result: Result) -> None:
    import json

    form: dict[str, Any] = result_form(result)
    assert read(tmp_path, json.dumps(form)) == result
