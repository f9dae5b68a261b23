"""The page about faults names tests that exist, has each row that it should, and each test of a row."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "survives.md").read_text(encoding="utf-8")
TABLE = [
    [cell.strip() for cell in line.split("|")[1:-1]]
    for line in PAGE.splitlines()
    if re.match(r"\| [GFB][0-9]", line)
]
GOALS = [*range(1, 9), *range(11, 16)]
FAULTS = [*range(1, 48), 49, 50]
INPUTS = [*range(29, 53), 56, 57, 64]


def test_each_row_is_there_once() -> None:
    goals = [f"G{number}" for number in GOALS]
    expected = [*goals, *(f"F{number:02}" for number in FAULTS), *(f"B{number:02}" for number in INPUTS)]
    assert [row for row, *_ in TABLE] == expected


def functions_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("cells", TABLE, ids=lambda cells: cells[0])
def test_its_tests_exist(cells: list[str]) -> None:
    _, fault, outcome, tests = cells
    assert fault
    assert outcome
    named = re.findall(r"`([^`]+)`", tests)
    assert named
    for name in named:
        path, _, function = name.partition("::")
        if path.startswith("benchmarks/"):
            assert (ROOT / path).is_file(), name
        else:
            assert function in functions_of(ROOT / "tests" / path), name


def test_each_test_that_is_named_after_a_row_is_in_it() -> None:
    rows = {cells[0].replace("0", ""): cells[-1] for cells in TABLE if cells[0][1] == "0"}
    rows |= {cells[0]: cells[-1] for cells in TABLE}
    for path in sorted((ROOT / "tests" / "faults").glob("test_*.py")):
        for function in functions_of(path):
            for row in re.findall(r"(?<=_)[fbg][0-9]+(?=_)", function):
                assert f"`faults/{path.name}::{function}`" in rows[row.upper()], row
