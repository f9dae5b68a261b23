"""Libraries that only some features need."""

from __future__ import annotations

import importlib
from types import ModuleType

from modelwright.errors import MissingDependencyError

__all__ = ["require"]


def require(module: str, *, extra: str, feature: str) -> ModuleType:
    """Import `module`, or say which extra brings it and what asked for it.

    Raises
    ------
    MissingDependencyError
        The library is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != module.partition(".")[0]:
            raise  # the library is there, but something that it needs itself is not
        raise MissingDependencyError(
            f"{feature} needs the library {module.partition('.')[0]!r}, which is not installed.",
            hint=f'Install it with: pip install "modelwright[{extra}]"',
        ) from None
