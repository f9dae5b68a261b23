"""What a fit shows where there is no terminal."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest

from modelwright.automl.status import FitStatus
from modelwright.cli import progress

STATUS = FitStatus(
    "accuracy", 0.25, 15.0, 45.0, {"complete": 3, "running": 2, "failed": 0}, 0.9, "dt-1", 0.91
)


def test_a_log_gets_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock.now))
    with progress.make_progress(quiet=False) as lines:
        for clock.now in (1000.0, 1059.0, 1060.0, 1061.0, 1119.0):
            lines.update(STATUS)
        clock.now = 1120.0
        lines.update(dataclasses.replace(STATUS, counts={}, best_model="", best_score=None))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "25%, 3 complete, 2 running; accuracy: best 0.9 (dt-1), ensemble 0.91",
        "25%, starting; accuracy: no model yet",
    ]


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.make_progress(quiet=True) as silent:
        silent.note("a note")
        silent.update(STATUS)
    assert capsys.readouterr() == ("", "")
