"""The examples run as they stand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name: str, folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_function(tmp_path: Path) -> None:
    first = run("01_function.py", tmp_path)
    assert first.startswith("40 trials; the best is number ")
    assert run("01_function.py", tmp_path) == first  # the second run finds all there


@pytest.mark.slow
def test_the_table(tmp_path: Path) -> None:
    ours, dummy = (float(line.split(":")[1]) for line in run("02_table.py", tmp_path, "20").splitlines()[-2:])
    assert ours > dummy + 0.3


def test_the_shell_script(tmp_path: Path) -> None:
    first, best = run("03_shell.py", tmp_path).splitlines()
    ended, stopped = int(first.split()[0]), int(first.split()[-4])
    assert ended + stopped == 15
    assert stopped > 0
    assert float(best.split()[-1]) < 0.1


def test_each_example_is_run_here() -> None:
    """The fourth is run by the tests of the trial handle, since it needs torch."""
    examples = {"01_function.py", "02_table.py", "03_shell.py", "03_shell.sh", "04_ddp.py"}
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} == examples
