"""Command lines, names and surroundings that make no sense: one clear line, exit code 2, nothing written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelwright import Float, Space, Study
from modelwright.cli.console import clean
from modelwright.errors import InputError
from modelwright.storage import open_storage

URL = "sqlite:///hub.db"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hub") / "hub.db"
    storage = open_storage(path)
    study = Study(Space(x=Float(0, 1)), name="data", storage=storage, seed=1, optimizer="random")
    study.run(lambda trial: trial.params["x"], trials=3, executor="inline")
    storage.close()
    return path


@pytest.fixture
def hub(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(made, tmp_path / "hub.db"))


def studies(*words: str) -> list[str]:
    return ["studies", *words, "--storage", URL]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["studis"], "studies"),
        (["studies", "lst"], "list"),
        (["studies", "show", "data", "--jsn"], "--json"),
        (["studies", "show", "data", "--js"], "--json"),  # abbreviations are off
        (["studies", "show", "data", "--storage"], "--storage"),
        (["studies", "show"], "NAME"),
        (["studies", "show", "data", "extra"], "extra"),
        (["trials", "show", "data", "many"], "trial"),
    ],
)
def test_b41_lines_that_cannot_be_read(
    hub: Path, command: Callable[..., Any], words: list[str], told: str
) -> None:
    done = command(*words)
    assert done.code == 2
    assert told in done.err
    assert "Traceback" not in done.err
    assert done.out == ""


@pytest.mark.parametrize(
    "words",
    [
        ["studies", "list", "--storage", URL, "--storage", "sqlite:///other.db"],
        ["studies", "list", f"--storage={URL}", "--storage", URL],
        ["fit", "t.csv", "--target", "y", "--trials", "3", "--trials", "4"],
        ["predict", "run", "t.csv", "-o", "a.csv", "--output", "b.csv"],
    ],
)
def test_b41_an_option_given_twice(hub: Path, command: Callable[..., Any], words: list[str]) -> None:
    done = command(*words)
    done.refuses("given twice")
    assert "E_CONFLICT" in done.err
    assert [item.name for item in hub.parent.iterdir()] == ["hub.db"]


def test_b41_what_may_be_given_twice(hub: Path, command: Callable[..., Any]) -> None:
    assert command(*studies("list", "--json", "--json")).code == 0
    # The value of an option, and what follows two dashes, is no option.
    assert "given twice" not in command("fit", "--target", "--target", "--trials", "1", "--", "--trials").err
    done = command("worker", "--storage", URL, "--studies", "data", "--studies", "data")
    assert "given twice" not in done.err


COUNTS = ["-1", "0", "1e3", "nan", "٣", "1" + "0" * 30, "", " 5", "1.5", "0x10", "+7"]


@pytest.mark.parametrize("text", COUNTS)
def test_b42_counts_that_are_none(hub: Path, command: Callable[..., Any], text: str) -> None:
    before = open_storage(hub).study("data")
    done = command(*studies("budget", "data", "--trials", text))
    done.refuses("--trials")
    assert "E_RANGE" in done.err
    assert open_storage(hub).study("data") == before


NAMES = ["a/b", "a\nb", "a\x1b[31mb", "a\0b", "x" * 201, "x" * 1_000_000, ""]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: f"{name[:5]!r}-{len(name)}")
def test_b43_names_that_no_study_may_have(hub: Path, command: Callable[..., Any], name: str) -> None:
    done = command(*studies("rename", "data", name))
    done.refuses("study name")
    assert len(done.err) < 1000
    assert all(character.isprintable() for character in done.err.rstrip("\n"))
    with pytest.raises(InputError, match="study name"):
        Study(Space(x=Float(0, 1)), name=name, storage=hub)
    assert [record.spec.name for record in open_storage(hub).studies()] == ["data"]


@pytest.mark.parametrize("name", NAMES[:-1], ids=lambda name: f"{name[:5]!r}-{len(name)}")
def test_b43_names_that_no_study_has(hub: Path, command: Callable[..., Any], name: str) -> None:
    done = command(*studies("show", name))
    done.refuses("E_STUDY_NOT_FOUND")
    assert "\x1b" not in done.err
    assert "\0" not in done.err


def test_b43_output_holds_no_control_characters() -> None:
    assert clean("a\x1b[31mb\x9bc\u202ed\r\n\0") == "a [31mb c d   "


def run(folder: Path, *words: str, shell: str = "", **surroundings: str) -> subprocess.CompletedProcess[str]:
    line = f"exec {sys.executable} -m modelwright {' '.join(words)} {shell}"
    return subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1", **surroundings},
    )


@pytest.mark.parametrize(
    ("closed", "line", "code"),
    [(">&-", studies("list"), 0), ("<&- >&- 2>&-", studies("show", "none"), 2)],
)
def test_b44_streams_that_are_closed(hub: Path, closed: str, line: list[str], code: int) -> None:
    content = hub.read_bytes()
    done = run(hub.parent, *line, shell=closed)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert hub.read_bytes() == content  # no message went into the first file that was opened


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_b44_output_that_takes_nothing(hub: Path) -> None:
    done = run(hub.parent, *studies("list"), shell=">/dev/full")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


def test_b44_other_surroundings(hub: Path) -> None:
    storage = open_storage(hub)
    storage.rename_study(storage.study("data").id, "größe ☃")
    storage.close()
    nowhere = dict.fromkeys(("HOME", "TMPDIR", "XDG_STATE_HOME"), "/nonexistent")
    plain = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TERM": ""}
    done = run(hub.parent, *studies("list"), **nowhere, **plain)
    assert done.returncode == 0, done.stderr
    assert "complete" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("kind", ["file", "link", "dangling link", "folder"])
def test_b45_output_that_is_there_already(hub: Path, command: Callable[..., Any], kind: str) -> None:
    folder = hub.parent
    target, kept = folder / "out.csv", folder / "kept.csv"
    kept.write_text("mine")
    if kind == "file":
        target.write_text("mine")
    elif kind == "folder":
        target.mkdir()
    else:
        target.symlink_to(kept if kind == "link" else folder / "nowhere.csv")
    done = command(*studies("export", "data", "out.csv"))
    done.refuses("out.csv")
    assert kept.read_text() == "mine"
    assert not (folder / "nowhere.csv").exists()
    done = command(*studies("export", "data", "out.csv", "--force"))
    if kind == "folder":
        done.refuses("out.csv")
        return
    assert done.code == 0, done.err
    assert not target.is_symlink()
    assert target.read_text().startswith("number")
    assert kept.read_text() == "mine"
