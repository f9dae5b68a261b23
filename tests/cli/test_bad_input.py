"""Bad input to the command line: one clear error, exit code 2, no stack trace, nothing left behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

GOOD = "a,b,y\n" + "\n".join(f"{i},{i % 7},{'yes' if i % 2 else 'no'}" for i in range(40)) + "\n"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "modelwright", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def fit(folder: Path, *options: str, table: str = "t.csv") -> subprocess.CompletedProcess[str]:
    return run(folder, "fit", table, "--target", "y", "--trials", "1", *options)


def write(text: str | bytes) -> Callable[[Path], None]:
    def into(folder: Path) -> None:
        data = text.encode() if isinstance(text, str) else text
        (folder / "t.csv").write_bytes(data)

    return into


def a_folder(folder: Path) -> None:
    (folder / "t.csv").mkdir()


TABLES: dict[str, tuple[Callable[[Path], None], str]] = {
    "no such file": (lambda folder: None, "t.csv"),
    "empty file": (write(""), "empty"),
    "a directory": (a_folder, "t.csv"),
    "not a table": (write(bytes(range(256)) * 40), "t.csv"),
    "one column": (write("y\n" + "yes\nno\n" * 20), "column"),
    "missing target": (write(GOOD.replace("a,b,y", "a,b,yy")), "'yy'"),
    "target all missing": (write("a,b,y\n" + "1,2,\n" * 20), "'y'"),
    "target of one class": (write("a,b,y\n" + "1,2,yes\n" * 20), "class"),
    "two rows": (write("a,b,y\n1,2,yes\n3,4,no\n"), "rows"),
    "header with duplicates": (write(GOOD.replace("a,b,y", "a,a,y")), "'a'"),
    "ragged rows": (write(GOOD + "1,2,yes,4\n"), "line 42"),
    "NUL bytes": (write(GOOD.encode() + b"1,\x00,yes\n"), "NUL"),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_cannot_be_learned_from(tmp_path: Path, name: str) -> None:
    make, words = TABLES[name]
    make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    done = fit(tmp_path)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("error: ")
    assert [path for path in sorted(tmp_path.rglob("*")) if path.name != "runs"] == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--time", "0"], "--time"),
        (["--time", "banana"], "--time"),
        (["--time", "-5"], "--time"),
        (["--time", "nan"], "--time"),
        (["--trials", "0"], "--trials"),
        (["--trials", "1e3"], "--trials"),
        (["--trials", "٣"], "--trials"),
        (["--memory", "lots"], "--memory"),
        (["--holdout", "1"], "holdout"),
        (["--metric", "magic"], "magic"),
        (["--metric", "rmse"], "rmse"),
        (["--methods", "magic"], "magic"),
        (["--methods", ","], "method"),
        (["--selector", "magic"], "magic"),
        (["--tuner", "magic"], "magic"),
        (["--task", "magic"], "magic"),
        (["--test", "none.csv"], "none.csv"),
        (["--seed", "-1"], "seed"),
        (["--folds", "0"], "folds"),
        (["--storage", "banana"], "banana"),
        (["--storage", "oracle://x"], "oracle"),
    ],
)
def test_an_option_that_makes_no_sense(tmp_path: Path, options: list[str], words: str) -> None:
    write(GOOD)(tmp_path)
    done = fit(tmp_path, *options)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs" / "t").exists()


def test_an_unknown_option_or_command_names_the_nearest(tmp_path: Path) -> None:
    done = fit(tmp_path, "--tiem", "5")
    assert done.returncode == 2
    assert "--time" in done.stderr
    done = run(tmp_path, "predikt")
    assert done.returncode == 2
    assert "predict" in done.stderr


def test_debug_shows_the_stack(tmp_path: Path) -> None:
    done = fit(tmp_path, "--debug")
    assert done.returncode != 0
    assert "Traceback" in done.stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"this is not a database, whatever its name says " * 30, "database"),
        (None, "hub.db"),
    ],
)
def test_a_storage_that_is_none(tmp_path: Path, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / "hub.db").write_bytes(content)
    done = run(tmp_path, "studies", "list", "--storage", "sqlite:///hub.db")
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "hub.db").exists() == (content is not None)  # nothing is made by looking


@pytest.mark.parametrize(
    "command", [["leaderboard", "none"], ["report", "none"], ["predict", "none", "t.csv"]]
)
def test_a_run_that_is_not_there(tmp_path: Path, command: list[str]) -> None:
    write(GOOD)(tmp_path)
    done = run(tmp_path, *command)
    assert done.returncode == 2, done.stderr
    assert "none" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    code = f"{sys.executable} -m modelwright fit --help | head -1"
    done = subprocess.run(["bash", "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
