"""Tables in, models out: the search for the best model and ensemble in the time at hand."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from modelwright._base.optional import require

if TYPE_CHECKING:
    from modelwright.automl.bundle.load import Bundle
    from modelwright.automl.estimators import TabularClassifier, TabularRegressor

__all__ = ["Bundle", "TabularClassifier", "TabularRegressor"]

_HOME = {
    "Bundle": "bundle.load",
    "TabularClassifier": "estimators",
    "TabularRegressor": "estimators",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for library in ("pandas", "sklearn", "lightgbm"):
        require(library, extra="tabular", feature="modelwright.automl")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
