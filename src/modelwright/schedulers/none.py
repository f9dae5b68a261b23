"""No scheduling: each trial runs to its end, each free slot starts a new one."""

from __future__ import annotations

from collections.abc import Sequence

from modelwright.records import History, Objective
from modelwright.schedulers.base import Decision, New, TrialView

__all__ = ["RunToTheEnd"]


class RunToTheEnd:
    """Stops nothing.

    Parameters
    ----------
    objectives : sequence of Objective
        Any number; they are not looked at.
    """

    def __init__(self, objectives: Sequence[Objective]) -> None:
        pass

    def __repr__(self) -> str:
        return "RunToTheEnd()"

    def decide(self, trial: TrialView, history: History) -> Decision:
        """Return that the trial goes on."""
        return Decision.CONTINUE

    def next(self, history: History) -> New:
        """Return that a free slot starts a new trial."""
        return New()
