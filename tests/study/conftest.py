"""Scripts of users, run as they would run them: as files, in processes that signals reach."""

from __future__ import annotations

import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start_script(tmp_path: Path, start_python: Start) -> Start:
    """Return a function that writes a script, starts it in `tmp_path` and returns its process."""

    def start(text: str, *arguments: object) -> subprocess.Popen[str]:
        path = tmp_path / "script.py"
        path.write_text(textwrap.dedent(text))
        return start_python(path, *arguments)

    return start
