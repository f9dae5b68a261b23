"""Settings and amounts that are refused or read, and how tables and progress look on a terminal."""

from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np
import pytest

from modelwright.automl import TabularClassifier
from modelwright.automl.settings import FitSettings
from modelwright.cli.amounts import parse_count, parse_megabytes, parse_seconds
from modelwright.cli.console import print_table
from modelwright.cli.progress import Live
from modelwright.errors import InputError


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("time_s", "time in seconds, more than 0"),
        ("memory_mb", "memory in megabytes, more than 0"),
        ("trial_timeout_s", "trial timeout in seconds, more than 0"),
        ("trials", "trials to be a whole number of at least 1"),
        ("folds", "folds to be a whole number of at least 1"),
        ("jobs", "jobs to be a whole number of at least 1"),
        ("seed", "seed to be a whole number from 0"),
        ("holdout", "holdout to be a share"),
    ],
)
@pytest.mark.parametrize("value", ["x", True, [1], 1j, float("nan"), -1], ids=repr)
def test_a_setting_that_is_no_such_number(name: str, words: str, value: Any) -> None:
    with pytest.raises(InputError) as caught:
        FitSettings(target="y", **{name: value})
    assert f"expected {words}" in str(caught.value)
    assert f"got {value!r}." in str(caught.value)


@pytest.mark.parametrize("name", ["trials", "folds", "jobs", "seed"])
def test_a_count_that_is_not_whole(name: str) -> None:
    with pytest.raises(InputError, match="whole number"):
        FitSettings(target="y", **{name: 1.5})


def test_an_estimator_refuses_a_time_in_words() -> None:
    X, y = np.arange(40.0).reshape(20, 2), np.arange(20) % 2
    with pytest.raises(InputError, match="expected time in seconds, more than 0, got 'x'"):
        TabularClassifier(time="x").fit(X, y)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["selector", "tuner"])
@pytest.mark.parametrize("value", ["grid", "Uniform", "", 3])
def test_a_name_that_there_is_not(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=f"expected the {name} to be one of .*file.py:Class"):
        FitSettings(target="y", **{name: value})


def test_settings_that_are_good() -> None:
    given = FitSettings(target="y", tuner="hyperopt", selector="own.py:Mine", time_s=np.float64(2), holdout=0)
    assert (given.tuner, given.selector, given.jobs) == ("hyperopt", "own.py:Mine", 0)


def test_amounts_as_people_type_them() -> None:
    assert [parse_seconds("--time", text) for text in ("90", "90s", "10m", "1.5h")] == [90, 90, 600, 5400]
    assert [parse_megabytes("--memory", text) for text in ("500", "500MB", "4GB")] == [500, 500, 4000]
    assert parse_count("--jobs", "2") == 2
    for text in ("0", "-1", "1.5", "two"):
        with pytest.raises(InputError, match="--jobs to be a whole number of at least 1"):
            parse_count("--jobs", text)


class Screen(io.StringIO):
    """A terminal that remembers."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"COLUMNS": "40", "LINES": "20", "TERM": "xterm", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("narrow")
def test_a_table_folds_its_last_column_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", screen := Screen())
    print_table(("model", "partition"), [("a model", "x" * 60)])
    lines = screen.getvalue().splitlines()
    assert sum("a model" in line for line in lines) == 1
    assert "".join(lines).count("x") == 60
    assert all(len(line) <= 40 for line in lines if "x" in line)


@pytest.mark.usefixtures("narrow")
def test_a_table_that_is_too_wide_is_shown_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", screen := Screen())
    columns = ("number", "state", "value", "duration", "params", "failure")
    rows = [(str(i), "complete", "0.5", "1.2 s", "{'lr': 0.1234567, 'layers': 3}", "") for i in range(2)]
    print_table(columns, rows, title="two trials")
    first, *more = screen.getvalue().split("\n\n")[1:3]
    assert first.splitlines() == [
        "number    0",
        "state     complete",
        "value     0.5",
        "duration  1.2 s",
        "params    {'lr': 0.1234567, 'layers': 3}",
        "failure",
    ]
    assert more[0].startswith("number    1\n")


@pytest.mark.parametrize("columns", ["60", "80", "200"])
def test_no_cell_of_a_table_is_cut(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(sys, "stdout", screen := Screen())
    rows = [("12345678", "x" * 70, "y" * 40, "complete")]
    print_table(("number", "params", "failure", "state"), rows)
    shown = screen.getvalue()
    assert (shown.count("x"), shown.count("y")) == (70, 40)
    assert "12345678" in shown
    assert "complete" in shown
    assert "…" not in shown


@pytest.mark.usefixtures("narrow")
def test_progress_says_something_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", screen := Screen())
    with Live():
        pass
    assert "getting ready" in screen.getvalue()
