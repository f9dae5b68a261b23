"""The versions that proposals depend on: Modelwright's, and those of the libraries that compute them."""

from __future__ import annotations

import sys
from importlib import import_module

from modelwright import __version__

__all__ = ["other_versions", "versions_here"]

_LIBRARIES = ("numpy", "scipy")
_LONGEST = 64  # what the ledger's column holds


def versions_here() -> str:
    """Return Modelwright's version and those of the numerical libraries that are loaded by now.

    Examples
    --------
    >>> import numpy
    >>> versions_here().split()[1:3] == ["numpy", numpy.__version__]
    True
    """
    words = [__version__]
    for name in _LIBRARIES:
        if (module := sys.modules.get(name)) is not None:
            words += [name, _version(module)]
    return " ".join(words)[:_LONGEST]


def other_versions(then: str) -> str:
    """Return in words which versions of `then`, written by `versions_here`, are others here; "" if none is.

    Examples
    --------
    >>> other_versions(versions_here())
    ''
    >>> other_versions("0.0 numpy 0.0").split(", ")[0].startswith("modelwright 0.0 then and ")
    True
    """
    first, *words = then.split() or [__version__]
    found = [] if first == __version__ else [f"modelwright {first} then and {__version__} here"]
    for name, version in zip(words[::2], words[1::2], strict=False):
        # Text of a ledger names what is imported here, so only these names are taken.
        if name in _LIBRARIES and (here := _version(import_module(name))) != version:
            found.append(f"{name} {version} then and {here} here")
    return ", ".join(found)


def _version(module: object) -> str:
    return str(getattr(module, "__version__", "?"))
