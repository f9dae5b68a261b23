"""Public names that are loaded when they are first used, so that importing a package stays light."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["lazy_names"]


def lazy_names(
    package: str, home: Mapping[str, str], *, before: Callable[[], None] | None = None
) -> Callable[[str], Any]:
    """Return a ``__getattr__`` for the package (PEP 562).

    Parameters
    ----------
    package : str
        The package's ``__name__``.
    home : mapping of str to str
        Public name -> module that holds it, relative to the package.
    before : callable, optional
        Called before a module is loaded, such as to say which extra is missing.

    Examples
    --------
    >>> get = lazy_names("modelwright._base", {"digest": "jsonform"})
    >>> get("digest")([])[:8]
    '4f53cda1'
    """

    def load(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if before is not None:
            before()
        value = getattr(import_module(f"{package}.{home[name]}"), name)
        setattr(sys.modules[package], name, value)  # found without us from now on
        return value

    return load
