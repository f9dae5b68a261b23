"""What may be an objective, and the name by which others find it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modelwright._base.registry import load_object
from modelwright.errors import InputError
from modelwright.space import Space
from modelwright.study.script.script import PREFIX, Script

__all__ = ["check_objective", "load_objective", "reference_of"]

_DEFAULT_NAME = "objective"  # of the function in a file that is named without one


def check_objective(function: Any, space: Space | None = None, *, here: bool = True) -> None:
    """Refuse what cannot be an objective, before anything starts.

    Of a script, `space` has what its placeholders name, and `here` says whether its files have to be here.
    """
    if space is not None and isinstance(function, Script):
        function.check(space, here=here)
    if not callable(function):
        raise InputError(f"expected a function that takes a trial, got {type(function).__name__}.")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise InputError(
            f"the objective {getattr(function, '__name__', '')!r} is `async`; expected a plain function.",
            hint="Call asyncio.run(...) inside a plain function.",
            code="E_ASYNC",
        )


def reference_of(objective: str | Callable[..., Any] | None) -> str:
    """Return ``module:function`` for what another process can import, and ``script:`` with JSON for scripts.

    It is empty where there is no such name.

    Examples
    --------
    >>> import math
    >>> reference_of(math.sqrt), reference_of("objectives.py:train"), reference_of(lambda trial: 0.0)
    ('math:sqrt', 'objectives.py:train', '')
    """
    if objective is None:
        return ""
    if isinstance(objective, Script):
        return objective.reference()
    if isinstance(objective, str) and objective.startswith(PREFIX):
        return Script.from_reference(objective).reference()
    if isinstance(objective, str):
        place, _, name = objective.rpartition(":")
        if not place or not name:
            raise InputError(
                f"expected the objective as 'module:function' or 'path/to/file.py:function', "
                f"got {objective!r:.80}."
            )
        return objective
    check_objective(objective)
    module, name = getattr(objective, "__module__", None), getattr(objective, "__qualname__", "")
    if not module or module == "__main__" or "<" in name or module not in sys.modules:
        return ""
    # Files given by their path are modules here under a name that means nothing elsewhere.
    found: Any = None if module.startswith("modelwright_user_") else sys.modules[module]
    for part in name.split("."):
        found = getattr(found, part, None)
    return f"{module}:{name}" if found is objective else ""


def load_objective(reference: str) -> Callable[..., Any]:
    """Return the objective that a reference names: a function, or a script.

    Parameters
    ----------
    reference : str
        ``module:function``, ``path/to/file.py:function``, ``path/to/file.py`` (its function ``objective``),
        ``script:`` and a command, or the path of a script in another language.

    Raises
    ------
    UnknownNameError, InputError
        There is nothing of that name, or it cannot be an objective.
    """
    if reference.startswith(PREFIX):
        return Script.from_reference(reference)
    if not reference.endswith(".py") and Path(reference).is_file():
        return Script([reference])
    whole = f"{reference}:{_DEFAULT_NAME}" if reference.endswith(".py") else reference
    function: Callable[..., Any] = load_object(whole)
    check_objective(function)
    return function
