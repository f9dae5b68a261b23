"""What a package shows is what its `__all__` says, and every module can be imported."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import modelwright

SOURCE = Path(modelwright.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
PACKAGES = [path for path in FILES if path.name == "__init__.py"]
# Alembic runs these with a connection at hand; they are scripts, not modules. `__main__` runs the program.
SCRIPTS = [path for path in FILES if "migrations" in path.parts or path.name == "__main__.py"]


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("path", PACKAGES, ids=module_name)
def test_a_package_shows_what_its_all_says(path: Path) -> None:
    """Names of ours that `__init__` defines or imports, also lazily, are in `__all__`, and no others."""
    declared = getattr(importlib.import_module(module_name(path)), "__all__", [])
    assert len(declared) == len(set(declared)), "a name is listed twice"
    assert {name for name in declared if not name.startswith("_")} == shown_names(path)


@pytest.mark.parametrize("path", [path for path in FILES if path not in SCRIPTS], ids=module_name)
def test_each_name_in_all_is_there(path: Path) -> None:
    module = importlib.import_module(module_name(path))
    missing = [name for name in getattr(module, "__all__", []) if not hasattr(module, name)]
    assert not missing


def test_the_front_door_lists_its_names_before_they_are_loaded() -> None:
    assert set(dir(modelwright)) >= set(modelwright.__all__)


def test_the_front_door_refuses_other_names() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Studdy'"):
        _ = modelwright.Studdy


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {path.parent for path in FILES if path not in SCRIPTS}
    assert sorted(folder for folder in folders if not (folder / "__init__.py").is_file()) == []


def shown_names(path: Path) -> set[str]:
    """Return the public names that an `__init__` takes from its own package's modules, or defines itself."""
    package = module_name(path)
    tree = ast.parse(path.read_bytes())
    shown = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.level or f"{node.module}.".startswith(f"{package}.")):
            shown |= {alias.asname or alias.name for alias in node.names}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            shown.add(node.name)
        elif isinstance(node, ast.Assign):
            shown |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            shown.add(node.target.id)
    return {name for name in shown if not name.startswith("_")}
