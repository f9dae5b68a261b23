"""Tables in, models out: the search for the best model and ensemble in the time at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelwright._base.lazy import lazy_names
from modelwright._base.optional import require

if TYPE_CHECKING:
    from modelwright.automl.bundle.load import Bundle
    from modelwright.automl.estimators import TabularClassifier, TabularRegressor

__all__ = ["Bundle", "TabularClassifier", "TabularRegressor"]


def _check_libraries() -> None:
    for library in ("pandas", "sklearn", "lightgbm"):
        require(library, extra="tabular", feature="modelwright.automl")


__getattr__ = lazy_names(
    __name__,
    {
        "Bundle": "bundle.load",
        "TabularClassifier": "estimators",
        "TabularRegressor": "estimators",
    },
    before=_check_libraries,
)
