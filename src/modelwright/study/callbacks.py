"""Hooks on a run.

A callback is a plain function ``f(study, trial)``, called when a trial is over, or a `Callback` with any of
its methods overridden.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from modelwright.records import Failure, Trial

if TYPE_CHECKING:
    from modelwright.study.runner import Runner

__all__ = ["Callback", "FunctionCallback"]


class Callback:
    """Called by the run in the coordinator's thread; what it raises ends the run.

    Examples
    --------
    >>> class Count(Callback):
    ...     trials = 0
    ...     def on_trial_end(self, run, trial):
    ...         self.trials += 1
    """

    def on_start(self, run: Runner) -> None:
        """The run begins."""

    def on_trial_start(self, run: Runner, number: int) -> None:
        """A trial's task begins."""

    def on_trial_end(self, run: Runner, trial: Trial) -> None:
        """A trial of this run is over and written."""

    def on_trial_retry(self, run: Runner, trial: Trial, failure: Failure) -> None:
        """An attempt of this run has failed and is written; the trial waits for another one."""

    def on_tick(self, run: Runner) -> None:
        """Called between events, a few times a second at least while trials run in other processes."""

    def on_end(self, run: Runner, reason: str) -> None:
        """No trial runs any more; the executor is still there for helper tasks."""


class FunctionCallback(Callback):
    """Makes a callback of a function ``f(study, trial)``."""

    def __init__(self, function: Callable[[Any, Any], None]) -> None:
        self._function = function

    def on_trial_end(self, run: Runner, trial: Trial) -> None:
        """Call the function, with the trial as users read it."""
        self._function(run.study, run.study.result(trial))
