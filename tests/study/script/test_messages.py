"""What a Python objective's handle sends comes out of the protocol as it went in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from modelwright.errors import InputError
from modelwright.execution import Resources
from modelwright.study import RunningTrial
from modelwright.study.script.messages import obey, read_request, to_request

ARGUMENT: Mapping[str, Any] = {
    "study": "s",
    "number": 0,
    "params": {},
    "seed": 1,
    "attempt": 1,
    "fidelity": None,
    "objectives": [{"name": "value", "direction": "minimize"}],
    "folder": None,
    "resume_from": None,
    "own_process": False,
    "grace_s": 1.0,
}


class Line:
    """A channel that keeps what is said."""

    resources = Resources()

    def __init__(self, folder: Path | None = None, through: Callable[[str, Any], Any] | None = None) -> None:
        self.folder = folder
        self.said: list[tuple[str, Any]] = []
        self._through = through

    def send(self, kind: str, payload: Any) -> None:
        self.said.append((kind, payload))
        if self._through is not None:
            self._through(kind, payload)

    def ask(self, kind: str, payload: Any) -> Any:
        self.said.append((kind, payload))
        if self._through is not None:
            return self._through(kind, payload)
        return {"value": 0.5} if kind == "parameter" else False

    def receive(self) -> list[tuple[str, Any]]:
        return []


def test_the_handle_says_the_same_over_files(tmp_path: Path) -> None:
    """One trial speaks to another through requests; both have said the same in the end."""
    inner = Line(tmp_path)
    far = RunningTrial(inner, ARGUMENT)

    def through(kind: str, payload: Any) -> Any:
        line = json.dumps(to_request(kind, payload)).encode()
        answer = obey(far, read_request(line), tmp_path)
        return answer if kind == "parameter" else answer.get("stop")

    outer = Line(tmp_path, through)
    near = RunningTrial(outer, ARGUMENT)
    near.report(0.5, 3, fold=2)
    near.report({"value": 1.0, "other": 2.0}, 4)
    near.user_attrs["a"] = [1, "b"]
    (tmp_path / "model.txt").write_text("m")
    near.log_artifact(tmp_path / "model.txt", "m/1.txt")
    assert near.float("lr", 0.1, 1.0, log=True) == 0.5
    assert near.categorical("kind", "a", "b") == 0.5
    assert near.bool("flag") is True
    assert near.should_stop() is False
    # A report consults the scheduler there, so a question follows each.
    said = [message for message in inner.said if message[0] != "should_stop"]
    assert said == [message for message in outer.said if message[0] != "should_stop"]
    assert [kind for kind, _ in inner.said].count("should_stop") == 3


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"garbage", "one JSON object"),
        (b"[" * 100_000, "one JSON object"),
        (b"\xff\xfe", "one JSON object"),
        (b"3", "a JSON object"),
        (b"{}", "one of report"),
        (b'{"report": 1, "ask": "should_stop"}', "one of report"),
        (b'{"report": 1, "stepp": 1}', "takes no 'stepp'"),
        (b'{"report": 1}', '"step"'),
        (b'{"report": "1", "step": 1}', "numbers"),
        (b'{"report": true, "step": 1}', "numbers"),
        (b'{"report": {"a": null}, "step": 1}', "numbers"),
        (b'{"report": 1, "step": "1"}', "numbers"),
        (b'{"report": 1, "step": 1, "fold": 0.5}', "whole number"),
        (b'{"ask": "why"}', "should_stop"),
        (b'{"attr": 3}', "object of attributes"),
        (b'{"artifact": 3}', "path of a file"),
        (b'{"artifact": "nowhere.txt"}', "there is no file"),
        (b'{"parameter": {"name": "a"}}', "name, kind and options"),
        (b'{"parameter": {"name": "a", "kind": "x"}}', "the kind float, int"),
        (b'{"parameter": {"name": "a", "kind": "float"}}', "cannot be made of"),
        (b'{"parameter": {"name": "a", "kind": "float", "options": {"low": "x"}}}', "cannot be made of"),
        (b'{"parameter": {"name": 3, "kind": "bool"}}', "name and its options"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path: Path, line: bytes, why: str) -> None:
    trial = RunningTrial(Line(tmp_path), ARGUMENT)
    with pytest.raises(InputError, match=why):
        obey(trial, read_request(line), tmp_path)


def test_what_is_not_finite_is_left_out_of_a_report(tmp_path: Path) -> None:
    line = Line()
    obey(RunningTrial(line, ARGUMENT), read_request(b'{"report": NaN, "step": 1}'), tmp_path)
    assert line.said[0] == ("report", {"step": 1.0, "values": {}, "fold": None})
