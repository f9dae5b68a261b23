"""Packages import in one direction: each import of ours is compared with the table of who may.

All imports count: those inside functions, and those for types only (`if TYPE_CHECKING`), because a package
that names another's types knows of it. Names in registries are text, not imports: that is how a lower
package reaches a higher one's classes, at the edge.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "modelwright"

# What each package needs besides `errors`, `_base` and the version, which are open to all.
_STUDY = "space records numerics execution optimizers schedulers storage analysis"
_TABLE: dict[str, str] = {
    "errors": "",
    "_base": "",
    "space": "",
    "numerics": "",
    "execution": "",
    "records": "space",
    "optimizers": "space records numerics",
    "schedulers": "records numerics",
    "storage": "space records",
    "analysis": "space records numerics",
    "study": _STUDY,
    "automl": f"study {_STUDY}",
    "nn": f"study {_STUDY}",
    "transfer": f"study {_STUDY}",
    "integrations": f"transfer study {_STUDY}",
    "experiment": f"automl study {_STUDY}",
    "visualization": "records analysis",
    "worker": f"automl study {_STUDY}",
    "server": f"study {_STUDY}",
    "dashboard": f"server visualization study {_STUDY}",
    "cli": "transfer automl nn integrations experiment visualization server dashboard compat worker study "
    + _STUDY,
    "compat": f"automl nn integrations experiment visualization server dashboard study {_STUDY}",
    # The contracts that have a conformance suite.
    "testing": "space records optimizers schedulers storage execution",
    "__main__": "cli",
    # The front door, modelwright/__init__.py, shows names of these, lazily.
    "": "space study",
}
ALLOWED = {package: frozenset(others.split()) | {"errors", "_base"} for package, others in _TABLE.items()}


class Import(NamedTuple):
    """One import of ours by ours: `importer` and `imported` are packages directly below modelwright."""

    importer: str
    imported: str
    where: str


def test_every_import_follows_the_table() -> None:
    found = [found for path in sorted(SOURCE.rglob("*.py")) for found in imports_of(path, SOURCE)]
    assert len(found) > 20, "the reader of imports found next to nothing: is the path still right?"
    wrong = [
        f"{item.importer or 'modelwright'} -> {item.imported or 'modelwright'}   {item.where}"
        for item in found
        if item.imported != item.importer and item.imported not in ALLOWED.get(item.importer, frozenset())
    ]
    assert not wrong, "imports that the table does not allow:\n" + "\n".join(wrong)


def test_every_package_has_a_row() -> None:
    packages = {package_of(path, SOURCE) for path in SOURCE.rglob("*.py")}
    assert packages <= set(ALLOWED)


def test_the_table_has_no_cycle() -> None:
    """An order exists in which each package needs only those before it."""
    placed: set[str] = set()
    rest = {package: others - {package} for package, others in ALLOWED.items()}
    rest["errors"], rest["_base"] = frozenset(), frozenset({"errors"})
    while rest:
        ready = [package for package, others in rest.items() if others <= placed]
        assert ready, f"these packages need each other: {sorted(rest)}"
        for package in ready:
            placed.add(package)
            del rest[package]


def test_no_module_needs_itself_to_be_imported() -> None:
    """Modules of one package do not import each other in a circle when they are loaded."""
    needs = {
        module_of(path, SOURCE): loaded_modules(path, SOURCE) - {module_of(path, SOURCE)}
        for path in SOURCE.rglob("*.py")
    }
    circle = find_circle(needs)
    assert not circle, "modules that import each other: " + " -> ".join(circle)


@pytest.mark.parametrize(
    ("package", "code", "expected"),
    [
        ("space", "from modelwright.study import Study", ["study"]),
        ("space", "import modelwright.study.engine as engine", ["study"]),
        ("space", "from modelwright import storage", ["storage"]),
        ("space", "from modelwright import Study", ["study"]),
        ("space", "def f():\n    from modelwright.study import Study", ["study"]),
        ("space", "if TYPE_CHECKING:\n    from modelwright.study import Study", ["study"]),
        ("space", "from ..study import Study", ["study"]),
        ("space", "from .. import study", ["study"]),
        ("space", "from . import codec", ["space"]),
        ("space", "from modelwright import __version__", []),
        ("space", "import numpy\nfrom modelwrights import study", []),
        ("space", "import modelwright", [""]),
        ("", "from modelwright.space import Float", ["space"]),
    ],
)
def test_the_reader_sees_each_form_of_import(
    tmp_path: Path, package: str, code: str, expected: list[str]
) -> None:
    source = tmp_path / "modelwright"
    for name in ("space", "storage", "study"):
        (source / name).mkdir(parents=True)
        (source / name / "__init__.py").touch()
    (source / "__init__.py").touch()
    path = source / package / "example.py"
    path.write_text(code, encoding="utf-8")
    assert [item.imported for item in imports_of(path, source)] == expected


def test_the_circle_finder_finds_a_circle() -> None:
    assert find_circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert find_circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


# reading ---------------------------------------------------------------------------------------------


def package_of(path: Path, source: Path) -> str:
    """Return the package directly below modelwright that `path` lies in; "" for the front door."""
    first = path.relative_to(source).parts[0]
    if not first.endswith(".py"):
        return first
    return "" if first == "__init__.py" else first.removesuffix(".py")


def module_of(path: Path, source: Path) -> str:
    """Return the dotted name of the module in `path`."""
    parts = path.relative_to(source.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path, source: Path) -> list[Import]:
    """Return all imports of ours in the file `path`, wherever in it they stand."""
    return [
        Import(package_of(path, source), _package_named(target, source), f"{path}:{line}")
        for target, line in _targets(ast.walk(ast.parse(path.read_bytes())), path, source)
    ]


def loaded_modules(path: Path, source: Path) -> set[str]:
    """Return our modules that the file `path` imports as it is loaded: not in functions, not for types."""
    targets = _targets(_loaded(ast.parse(path.read_bytes())), path, source)
    return {_module_named(target, source) for target, _ in targets}


def _targets(nodes: Iterable[ast.AST], path: Path, source: Path) -> list[tuple[str, int]]:
    found = []
    for node in nodes:
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, path, source)
            found += [(f"{base}.{alias.name}", node.lineno) for alias in node.names]
    ours = [(name, line) for name, line in found if name.split(".")[0] == "modelwright"]
    return [(name, line) for name, line in ours if name != "modelwright.__version__"]


def _absolute(node: ast.ImportFrom, path: Path, source: Path) -> str:
    if not node.level:
        return node.module or ""
    package = list(path.parent.relative_to(source.parent).parts)
    base = package[: len(package) - node.level + 1]
    return ".".join(base + ([node.module] if node.module else []))


def _package_named(target: str, source: Path) -> str:
    """Return the package of a dotted target such as "modelwright.study.engine" or "modelwright.Study"."""
    name = target.split(".")[1] if "." in target else ""
    if (name and (source / name).is_dir()) or (source / f"{name}.py").is_file():
        return name
    return {"": "", "Study": "study"}.get(name, "space")  # a name that the front door shows


def _module_named(target: str, source: Path) -> str:
    """Return the module that a dotted target such as "modelwright.records.Trial" is, or lies in."""
    path = source.parent.joinpath(*target.split("."))
    is_module = path.is_dir() or path.with_suffix(".py").is_file()
    return target if is_module else target.rpartition(".")[0]


def _loaded(tree: ast.Module) -> list[ast.stmt]:
    """Return the statements that run when the module is loaded."""
    result: list[ast.stmt] = []
    todo: list[ast.AST] = list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo += node.orelse
            continue
        if isinstance(node, ast.stmt):
            result.append(node)
        todo += ast.iter_child_nodes(node)
    return result


def find_circle(needs: dict[str, set[str]]) -> list[str]:
    """Return one circle in the graph `needs`, first and last the same, or nothing."""
    done: set[str] = set()
    for start in sorted(needs):
        trail: list[str] = []
        stack = [(start, iter(sorted(needs[start])))]
        while stack and start not in done:
            node, rest = stack[-1]
            if node not in trail:
                trail.append(node)
            following = next(rest, None)
            if following is None:
                done.add(trail.pop())
                stack.pop()
            elif following in trail:
                return [*trail[trail.index(following) :], following]
            elif following not in done and following in needs:
                stack.append((following, iter(sorted(needs[following]))))
    return []
