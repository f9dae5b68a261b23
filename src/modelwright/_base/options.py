"""Options given by name, checked against what a class takes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from modelwright._base.registry import nearest
from modelwright.errors import InputError

__all__ = ["accepted_options", "check_options"]


def accepted_options(factory: Any) -> set[str] | None:
    """Return the names of the keyword-only arguments of `factory`; None if it takes any."""
    parameters = inspect.signature(factory).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return {parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}


def check_options(what: str, factory: Any, options: Mapping[str, Any]) -> None:
    """Refuse options that `factory` does not take.

    Parameters
    ----------
    what : str
        What is being built, for the message, such as ``"the optimizer 'tpe'"``.
    factory : callable
        Its keyword-only arguments are the options that it takes.
    options : mapping
        What was given.

    Raises
    ------
    InputError
        One is unknown; the message names the nearest that are known.
    """
    known = accepted_options(factory)
    if known is None:
        return
    for name in options:
        if name not in known:
            hint = nearest(name, sorted(known)) if known else "It takes none."
            raise InputError(f"{what} has no option {name!r}.", hint=hint)
