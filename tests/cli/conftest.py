"""Commands run in this process where nothing but their answer matters, and one finished run for all."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from modelwright.cli.main import main

Start = Callable[..., "subprocess.Popen[str]"]

TABLE = "a,b,y\n" + "\n".join(f"{i},{i % 7},{'yes' if i % 2 else 'no'}" for i in range(40)) + "\n"


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    def refuses(self, words: str) -> None:
        """Check that it was one clear error: exit code 2, a first word that says so, no stack trace."""
        assert self.code == 2, self
        assert self.err.splitlines()[-1].startswith("error: "), self.err
        assert words in self.err
        assert "Traceback" not in self.err
        assert self.out == ""


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    """Return a function that runs one command in `tmp_path`, in this process."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Done:
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main(arguments)
        captured = capsys.readouterr()
        return Done(int(left.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., Done]:
    """Return a function that runs one command in `tmp_path`, in a process of its own."""

    def run(*arguments: str, before: Callable[[], None] | None = None) -> Done:
        done = subprocess.run(
            [sys.executable, "-m", "modelwright", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            preexec_fn=before,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def start(start_python: Start) -> Start:
    """Return a function that starts a command in `tmp_path` and returns its process."""
    return lambda *arguments: start_python("-m", "modelwright", *arguments)


@pytest.fixture
def table(tmp_path: Path) -> str:
    """Write a small table that can be learned from, and return its name."""
    (tmp_path / "t.csv").write_text(TABLE)
    return "t.csv"


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of ``t.csv`` and of the finished run ``runs/t``; not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "t.csv").write_text(TABLE)
    line = ["fit", "t.csv", "--target", "y", "--trials", "4", "--methods", "dt,knn"]
    subprocess.run(
        [sys.executable, "-m", "modelwright", *line],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    return folder
