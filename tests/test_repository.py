"""Files around the code agree with each other."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PINS = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def name_of(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found is not None
    return normal(found.group())


def test_what_tests_install_is_pinned() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = [
        *PROJECT["project"]["dependencies"],
        *extras["tabular"],
        *extras["plot"],
        *PROJECT["dependency-groups"]["dev"],
    ]
    assert {name_of(item) for item in wanted} - {normal(name) for name in PINS} == set()


def test_version_ranges_are_open_upwards() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = [*PROJECT["project"]["dependencies"], *(item for items in extras.values() for item in items)]
    assert [item for item in wanted if "<" in item or "==" in item or "~=" in item] == []


def test_every_extra_is_in_all() -> None:
    extras = dict(PROJECT["project"]["optional-dependencies"])
    (everything,) = extras.pop("all")
    assert set(everything.removeprefix("modelwright[").removesuffix("]").split(",")) == set(extras)


@pytest.mark.parametrize("path", sorted((ROOT / "changelog.d").glob("*.md")), ids=lambda path: path.name)
def test_fragments_are_named_as_the_change_log_needs(path: Path) -> None:
    config = tomllib.loads((ROOT / "towncrier.toml").read_text(encoding="utf-8"))
    kinds = "|".join(kind["directory"] for kind in config["tool"]["towncrier"]["type"])
    assert path.name == "README.md" or re.fullmatch(rf"(\d+|\+[\w-]+)\.({kinds})(\.\d+)?\.md", path.name)


def test_every_page_is_in_the_navigation() -> None:
    listed = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert pages == listed
