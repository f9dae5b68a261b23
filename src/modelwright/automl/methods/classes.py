"""Which classes a method may name, and how they are found: nothing is imported before the check."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

from modelwright._base.registry import load_object
from modelwright.errors import InputError, UnknownNameError

__all__ = ["check_class", "find_class"]

_ALLOWED = ("sklearn", "lightgbm", "xgboost", "catboost", "modelwright.automl.models")
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def check_class(reference: Any, file: Path, *, own: bool) -> str:
    """Return the reference to a class in its full form, or refuse it; imports nothing.

    Parameters
    ----------
    reference : str
        ``package.module.Class`` of an allowed library, or ``path/to/file.py:Class``.
    file : Path
        The method file that names it; a path in `reference` may be relative to its folder.
    own : bool
        Whether the user named the method file by its path, and so vouches for the code that it names.

    Raises
    ------
    InputError
        Code ``E_METHOD_NOT_ALLOWED``: neither of the two.
    """
    text = str(reference)
    place, _, name = text.rpartition(":")
    if place.endswith(".py"):
        if own and name.isidentifier():
            return f"{(file.parent / place).resolve()}:{name}"
        raise _refused(text, "a class in a file of one's own needs a method file that is given by its path")
    if not _DOTTED.fullmatch(text):
        raise _refused(text, "expected package.module.Class")
    if not _is_allowed(text):
        raise _refused(text, "it belongs to none of " + ", ".join(_ALLOWED))
    return text


def find_class(reference: str) -> Any:
    """Import the class that `check_class` let pass.

    Raises
    ------
    InputError
        It does not exist, or has no ``fit`` and ``predict``.
    """
    module, _, name = reference.rpartition(".")
    try:
        found = load_object(reference) if ":" in reference else _import(module, name)
    except (ImportError, AttributeError, UnknownNameError) as error:
        raise _refused(reference, f"it cannot be imported ({error})") from error
    if not isinstance(found, type) or not (hasattr(found, "fit") and hasattr(found, "predict")):
        raise _refused(reference, "expected a class with the methods fit and predict")
    if ":" not in reference and not _is_allowed(found.__module__ + "."):
        raise _refused(reference, f"it is a class of {found.__module__!r} in truth")
    return found


def _import(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


def _is_allowed(text: str) -> bool:
    return any(text.startswith(f"{package}.") for package in _ALLOWED)


def _refused(reference: str, why: str) -> InputError:
    return InputError(
        f"the class {reference!r:.100} of a method cannot be used: {why}.",
        hint="Name a class of an allowed library, or 'file.py:Class' in a method file given by its path.",
        code="E_METHOD_NOT_ALLOWED",
    )
