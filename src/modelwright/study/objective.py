"""What may be an objective."""

from __future__ import annotations

import inspect
from typing import Any

from modelwright.errors import InputError

__all__ = ["check_objective"]


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
