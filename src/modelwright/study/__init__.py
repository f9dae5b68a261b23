"""Studies: the search over a function, and all that makes it run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelwright._base.lazy import lazy_names

if TYPE_CHECKING:
    from modelwright.study.callbacks import Callback
    from modelwright.study.logged import LoggedFile
    from modelwright.study.results import TrialResult
    from modelwright.study.runner import Runner
    from modelwright.study.script.current import ScriptTrial, current_trial
    from modelwright.study.script.script import Script
    from modelwright.study.study import Study
    from modelwright.study.trial import RunningTrial, TrialPruned
    from modelwright.study.values import Result

__all__ = [
    "Callback",
    "LoggedFile",
    "Result",
    "Runner",
    "RunningTrial",
    "Script",
    "ScriptTrial",
    "Study",
    "TrialPruned",
    "TrialResult",
    "current_trial",
]

# Loaded when first used: a trial's process needs no runner, and asking and telling needs no executor.
__getattr__ = lazy_names(
    __name__,
    {
        "Callback": "callbacks",
        "LoggedFile": "logged",
        "Result": "values",
        "Runner": "runner",
        "RunningTrial": "trial",
        "Script": "script.script",
        "ScriptTrial": "script.current",
        "Study": "study",
        "TrialPruned": "trial",
        "TrialResult": "results",
        "current_trial": "script.current",
    },
)
