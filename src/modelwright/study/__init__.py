"""Studies: the search over a function, and all that makes it run."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelwright.study.callbacks import Callback
    from modelwright.study.outcomes import Result
    from modelwright.study.results import TrialResult
    from modelwright.study.runner import Runner
    from modelwright.study.study import Study
    from modelwright.study.trial import RunningTrial, TrialPruned

__all__ = ["Callback", "Result", "Runner", "RunningTrial", "Study", "TrialPruned", "TrialResult"]

# Loaded when first used: a trial's process needs no runner, and asking and telling needs no executor.
_HOME = {
    "Callback": "callbacks",
    "Result": "outcomes",
    "Runner": "runner",
    "RunningTrial": "trial",
    "Study": "study",
    "TrialPruned": "trial",
    "TrialResult": "results",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
