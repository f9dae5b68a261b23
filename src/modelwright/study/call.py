"""The call of an objective in the process of its trial, and what its return means."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelwright.records import Failure, FailureKind, Objective
from modelwright.study.trial import RunningTrial, TrialPruned
from modelwright.study.values import Broken, Result, read_values

if TYPE_CHECKING:
    from modelwright.execution.base import Channel

__all__ = ["ObjectiveCall"]


class ObjectiveCall:
    """Calls the user's function inside the trial's process; the task function of every trial."""

    def __init__(self, function: Callable[[RunningTrial], Any], objectives: Sequence[Objective]) -> None:
        self.function = function
        self.objectives = tuple(objectives)

    def __call__(self, channel: Channel, argument: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``{"values": [...]}``, ``{"pruned": True}`` or ``{"failure": {...}}``, JSON all."""
        trial = RunningTrial(channel, argument)
        owner = os.getpid()
        try:
            returned = self.function(trial)
        except TrialPruned:
            return {"pruned": True}
        finally:
            if os.getpid() != owner:
                os._exit(0)  # a fork that came back from the objective: neither trial nor run are its own
            trial._close()
        if isinstance(returned, Broken):
            return returned.form()
        if inspect.isawaitable(returned):
            if inspect.iscoroutine(returned):
                returned.close()
            message = "the objective is asynchronous; expected a plain function that returns its value"
            return Broken(Failure(FailureKind.INVALID, message, "E_ASYNC")).form()
        extra: dict[str, Any] = {}
        if isinstance(returned, Result):
            extra = {"metrics": dict(returned.metrics)}
            if returned.cost is not None:
                extra["cost"] = float(returned.cost)
            if returned.pruned:
                extra["pruned"] = True
                if returned.values is None:
                    return extra
            returned = returned.values
        values = read_values(returned, self.objectives)
        if isinstance(values, Failure):
            return {**Broken(values).form(), **extra}
        return {"values": list(values), **extra}
