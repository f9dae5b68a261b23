"""Names into classes: ours, installed plug-ins', and the user's own files."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any

from modelwright.errors import UnknownNameError

__all__ = ["Registry", "load_object", "nearest"]


def nearest(name: str, known: list[str]) -> str:
    """Return a phrase with the names closest to `name`, for error messages."""
    import difflib  # for errors alone

    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if close:
        return "Did you mean " + " or ".join(repr(item) for item in close) + "?"
    return "Known: " + ", ".join(sorted(known)) + "."


def load_object(reference: str) -> Any:
    """Return what ``"package.module:name"`` or ``"path/to/file.py:name"`` points to.

    Raises
    ------
    UnknownNameError
        The module, the file or the name in it does not exist.
    """
    place, _, attribute = reference.rpartition(":")
    if not place or not attribute:
        raise UnknownNameError(f"expected 'module:name' or 'path/to/file.py:name', got {reference!r}.")
    try:
        module = _load_file(place) if place.endswith(".py") else importlib.import_module(place)
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise UnknownNameError(f"cannot load {reference!r}: {error}.") from error
    target: Any = module
    for part in attribute.split("."):
        if not hasattr(target, part):
            public = [name for name in dir(target) if not name.startswith("_")]
            raise UnknownNameError(
                f"{place!r} has no {attribute!r}.", hint=nearest(part, public) if public else ""
            )
        target = getattr(target, part)
    return target


def _load_file(place: str) -> Any:
    import importlib.util  # for the user's own files alone
    from pathlib import Path

    path = Path(place)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r}")
    # A name made of the whole path keeps two files of one name apart.
    name = "modelwright_user_" + "_".join(path.resolve().with_suffix("").parts[1:])
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


class Registry:
    """The classes of one kind by name.

    Parameters
    ----------
    kind : str
        What they are called in messages, such as ``"optimizer"``.
    builtin : mapping of str to str
        Our own: name -> ``"module:Class"``, imported only when asked for.
    group : str
        The entry-point group in which plug-ins register theirs.
    """

    def __init__(self, kind: str, builtin: Mapping[str, str], group: str) -> None:
        self.kind = kind
        self.group = group
        self._builtin = dict(builtin)

    def names(self) -> list[str]:
        """Return all known names, ours first."""
        from importlib.metadata import entry_points  # slow to load, and seldom needed

        plugins = [point.name for point in entry_points(group=self.group)]
        return list(self._builtin) + sorted(set(plugins) - set(self._builtin))

    def synonyms(self) -> dict[str, list[str]]:
        """Return the first name of each of ours, with its other names.

        Examples
        --------
        >>> Registry("number", {"one": "m:One", "two": "m:Two", "single": "m:One"}, "numbers").synonyms()
        {'one': ['single'], 'two': []}
        """
        first: dict[str, str] = {}
        others: dict[str, list[str]] = {}
        for name, target in self._builtin.items():
            if target in first:
                others[first[target]].append(name)
            else:
                first[target] = name
                others[name] = []
        return others

    def get(self, name: str) -> Any:
        """Return the class called `name`, or the one at ``"path/to/file.py:Class"``.

        Raises
        ------
        UnknownNameError
            Nothing of that name; the message lists the nearest ones.
        """
        if name in self._builtin:
            return load_object(self._builtin[name])
        if ":" in name:
            return load_object(name)
        from importlib.metadata import entry_points

        for point in entry_points(group=self.group, name=name):
            return point.load()
        raise UnknownNameError(f"no {self.kind} is called {name!r}.", hint=nearest(name, self.names()))
