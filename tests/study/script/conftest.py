"""Scripts that trials are, and what tests of them share."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Return a function that writes a script into the folder that is the current one then."""
    monkeypatch.chdir(tmp_path)

    def make(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(textwrap.dedent(text))
        return path

    return make


@pytest.fixture
def alive() -> Callable[[Path], list[int]]:
    """Return a function that gives those processes that still run, of the ids in the files of a folder."""

    def find(folder: Path) -> list[int]:
        pids = [int(text) for path in folder.glob("*.pid") if (text := path.read_text().strip())]
        return [pid for pid in pids if _runs(pid)]

    return find


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
