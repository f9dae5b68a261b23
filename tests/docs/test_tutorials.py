"""The tutorials and how-to pages run as they stand, in an empty folder, and show what they say.

Blocks of ``python`` share one namespace, as if typed one after the other. In blocks of ``console`` each line
that begins with ``$ modelwright`` is run and has to succeed. A block of ``text`` titled "Output" right after
one of these is compared with what that one printed (``...`` stands for anything).
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(path for kind in ("tutorials", "how-to") for path in (DOCS / kind).glob("*.md"))
FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    """A fenced block: its language, its text, the output that is shown for it, and its line."""

    language: str
    text: str
    expected: str | None
    line: int


def test_there_are_pages() -> None:
    assert {path.stem for path in PAGES} >= {"first-study", "first-table"}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_page(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # As in an environment that is active: pages name the program by its name alone.
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    namespace: dict[str, Any] = {"__name__": "__main__"}  # as in a script: functions travel by value
    for block in blocks(path.read_text(encoding="utf-8")):
        where = f"{path.name}, line {block.line}"
        if block.language == "python":
            printed = run_python(block, path, namespace)
        else:
            printed = run_console(block, where)
        if block.expected is not None:
            same = doctest.OutputChecker().check_output(block.expected, printed, doctest.ELLIPSIS)
            assert same, f"{where} shows:\n{block.expected}\nbut it printed:\n{printed}"


def test_blocks_are_read_with_their_outputs() -> None:
    text = (
        '# T\n\n```python\nf()\n```\n\n```text title="Output"\n1\n```\n\n'
        "```console\n$ ls\n```\n```text\nno\n```\n"
    )
    assert blocks(text) == [Block("python", "f()\n", "1\n", 3), Block("console", "$ ls\n", None, 11)]


def blocks(text: str) -> list[Block]:
    """Return the blocks of a page that are run, each with the output shown for it."""
    result: list[Block] = []
    for match in FENCE.finditer(text):
        language, info, body = match.groups()
        line = text.count("\n", 0, match.start()) + 1
        if language in ("python", "console"):
            result.append(Block(language, body, None, line))
        elif language == "text" and 'title="Output"' in info:
            assert result, f"the output in line {line} follows no block that prints"
            assert result[-1].expected is None, f"the output in line {line} is the second for one block"
            result[-1] = result[-1]._replace(expected=body)
    return result


def run_python(block: Block, path: Path, namespace: dict[str, Any]) -> str:
    """Run one block, its lines numbered as on the page, and return what it printed."""
    printed = io.StringIO()
    code = compile("\n" * block.line + block.text, str(path), "exec")
    with contextlib.redirect_stdout(printed):
        exec(code, namespace)
    return printed.getvalue()


def run_console(block: Block, where: str) -> str:
    """Run the block's commands of ours, and return what they printed."""
    program = Path(sys.executable).with_name("modelwright")
    printed = []
    for line in block.text.splitlines():
        if line.startswith("$ modelwright"):
            words = [str(program), *shlex.split(line)[2:]]
            done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
            assert done.returncode == 0, f"{where}: {line}\n{done.stdout}\n{done.stderr}"
            printed.append(done.stdout)
    return "".join(printed)
