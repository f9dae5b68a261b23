"""AutoML and hyperparameter search on one engine.

The public names are loaded when they are first used, so that ``import modelwright`` stays light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelwright._base.lazy import lazy_names as _lazy_names

if TYPE_CHECKING:
    from modelwright.space import Bool, Categorical, Constant, Float, Int, Near, Ordinal, Space
    from modelwright.study import Script, Study, current_trial

__version__ = "0.1.0"

__all__ = [
    "Bool",
    "Categorical",
    "Constant",
    "Float",
    "Int",
    "Near",
    "Ordinal",
    "Script",
    "Space",
    "Study",
    "__version__",
    "current_trial",
]

__getattr__ = _lazy_names(
    __name__,
    {
        **dict.fromkeys(
            ("Bool", "Categorical", "Constant", "Float", "Int", "Near", "Ordinal", "Space"), "space"
        ),
        **dict.fromkeys(("Script", "Study", "current_trial"), "study"),
    },
)


def __dir__() -> list[str]:
    return __all__
