"""What may be an objective, and the name by which others find it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

from modelwright.errors import InputError

__all__ = ["check_objective", "reference_of"]


def check_objective(function: Any) -> None:
    """Refuse what cannot be an objective, before anything starts."""
    if not callable(function):
        raise InputError(f"expected a function that takes a trial, got {type(function).__name__}.")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise InputError(
            f"the objective {getattr(function, '__name__', '')!r} is `async`; expected a plain function.",
            hint="Call asyncio.run(...) inside a plain function.",
            code="E_ASYNC",
        )


def reference_of(objective: str | Callable[..., Any] | None) -> str:
    """Return ``module:function`` for what another process can import; empty where there is no such name.

    Examples
    --------
    >>> import math
    >>> reference_of(math.sqrt), reference_of("objectives.py:train"), reference_of(lambda trial: 0.0)
    ('math:sqrt', 'objectives.py:train', '')
    """
    if objective is None:
        return ""
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
