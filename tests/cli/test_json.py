"""The page about JSON names each key that commands print, and no other."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from rich_study import make_rich

from modelwright import Categorical, Float, Space, Study
from modelwright.cli.console import print_json
from modelwright.storage import open_storage

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "json.md"
STUDY, TRIAL = "A study", "A trial"


def documented() -> dict[str, dict[str, str]]:
    """Return what the page says of each key, by the headings of its sections."""
    sections = re.split(r"^## (.*)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {
        heading: dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", text, flags=re.MULTILINE))
        for heading, text in zip(sections[::2], sections[1::2], strict=True)
    }


def check_keys(form: Any, *headings: str, more: tuple[str, ...] = ()) -> None:
    """Compare the keys of a document, and of what lies in it, with those that the page names."""
    keys = {key: text for heading in headings for key, text in documented()[heading].items()}
    assert set(form) == {*keys, *more}
    for key, text in keys.items():
        inner = form[key][0] if isinstance(form[key], list) and form[key] else form[key]
        named = re.findall(r"`(\w+)`", text)
        if isinstance(inner, dict) and named:
            assert set(inner) <= {*named, "traceback"}, key
            assert set(named) <= set(inner), key


@pytest.fixture
def ask(command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return a function that returns what a command prints as JSON of a ledger with the study ``rich``."""
    monkeypatch.setenv("MODELWRIGHT_STORAGE", "sqlite:///hub.db")
    with closing(open_storage(tmp_path / "hub.db")) as storage:
        make_rich(storage)

    def run(*line: str) -> Any:
        done = command(*line, "--json")
        assert done.code == 0, done.err
        return json.loads(done.out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))

    return run


@pytest.mark.parametrize(
    "line", ["pause rich", "resume rich", "budget rich --trials 20", "priority rich 3", "stop rich --now"]
)
def test_verbs_of_studies(ask: Callable[..., Any], line: str) -> None:
    check_keys(ask("studies", *line.split()), STUDY)


def test_a_change_of_space(ask: Callable[..., Any], tmp_path: Path) -> None:
    with closing(open_storage(tmp_path / "hub.db")) as storage:
        Study(Space(x=Float(0, 1)), storage=storage, name="s")
    check_keys(ask("studies", "space", "s", "--range", "x=0:2"), STUDY)


def test_studies_shown_and_listed(ask: Callable[..., Any]) -> None:
    check_keys(ask("studies", "show", "rich"), STUDY, "studies show")
    more = ask("studies", "show", "rich", "--importances")
    check_keys(more, STUDY, "studies show", "studies show --importances")
    check_keys(ask("studies", "list")[0], "studies list")


def test_trials(ask: Callable[..., Any]) -> None:
    check_keys(ask("trials", "kill", "rich", "4"), TRIAL)
    check_keys(ask("trials", "retry", "rich", "0"), TRIAL)
    for trial in ask("trials", "list", "rich"):
        check_keys(trial, TRIAL, more=("note",))
    for number in range(2):
        shown = ask("trials", "show", "rich", str(number))
        check_keys(shown, TRIAL, "trials show")
        if shown["files"]:
            assert set(shown["files"][0]) == set(documented()["studies files"]) - {"trial"}


def test_files_and_workers_and_ledgers(ask: Callable[..., Any]) -> None:
    check_keys(ask("studies", "files", "rich")[0], "studies files")
    check_keys(ask("studies", "upgrade"), "studies upgrade")
    check_keys(ask("workers", "status"), "workers status")
    check_keys(ask("replay", "rich"), "replay")


def test_a_leaderboard(command: Callable[..., Any], finished: Path) -> None:
    done = command("leaderboard", str(finished / "runs" / "t"), "--json")
    check_keys(json.loads(done.out), "leaderboard")


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_text_that_the_output_cannot_hold(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    value = {"ünï 💥": "\ud800", "numbers": [float("nan"), float("inf"), 1.5]}
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    print_json(value)
    sys.stdout.flush()
    assert json.loads(written.getvalue()) == {"ünï 💥": "\ud800", "numbers": [None, None, 1.5]}


def test_odd_text_in_tables(command: Callable[..., Any], tmp_path: Path) -> None:
    with closing(open_storage(tmp_path / "modelwright.db")) as storage:
        study = Study(Space(k=Categorical("\x1b[31mred", "tab\tnew\nline")), storage=storage, name="ünï 💥")
        for choice in study.space["k"].choices:  # type: ignore[attr-defined]
            study.enqueue({"k": choice})
    done = command("trials", "list", "ünï 💥")
    assert (done.code, len(done.out.splitlines())) == (0, 3)
    assert "\x1b" not in done.out
