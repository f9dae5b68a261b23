"""Studies: the search over a function, and all that makes it run."""

from modelwright.study.callbacks import Callback
from modelwright.study.outcomes import Result
from modelwright.study.results import TrialResult
from modelwright.study.runner import Runner
from modelwright.study.study import Study
from modelwright.study.trial import RunningTrial, TrialPruned

__all__ = ["Callback", "Result", "Runner", "RunningTrial", "Study", "TrialPruned", "TrialResult"]
