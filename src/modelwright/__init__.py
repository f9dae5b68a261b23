"""AutoML and hyperparameter search on one engine.

The public names are loaded when they are first used, so that ``import modelwright`` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelwright.space import Bool, Categorical, Constant, Float, Int, Ordinal, Space
    from modelwright.study import Study

__version__ = "0.1.0"

__all__ = [
    "Bool",
    "Categorical",
    "Constant",
    "Float",
    "Int",
    "Ordinal",
    "Space",
    "Study",
    "__version__",
]

_HOME = {
    **dict.fromkeys(
        ("Bool", "Categorical", "Constant", "Float", "Int", "Ordinal", "Space"), "modelwright.space"
    ),
    "Study": "modelwright.study",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'modelwright' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
