"""The examples in docstrings run, and show what they say."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import modelwright

SOURCE = Path(modelwright.__file__).parent
WITH_EXAMPLES = sorted(
    ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in SOURCE.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # for those that write a file
    module = importlib.import_module(name)
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    found = [test for test in doctest.DocTestFinder().find(module) if test.examples]
    assert found, "the module holds '>>> ' but no docstring example: is it in a comment?"
    for test in found:
        runner.run(test, out=report.append)
    assert runner.failures == 0, "".join(report)
