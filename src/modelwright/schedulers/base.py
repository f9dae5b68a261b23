"""The contract of schedulers: what to do with a trial that has reported, and with a free slot.

Like optimizers, schedulers are functions of the history: they keep only caches, and see neither clock nor
storage. The history that they are given holds finished trials and reports of those they may compare with
(in lock-step mode only trials far enough back), so equal histories give equal decisions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from modelwright.records import History, Wait

__all__ = ["Decision", "New", "Promote", "Scheduler", "TrialView"]


class Decision(StrEnum):
    """What a running trial should do."""

    CONTINUE = "continue"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class TrialView:
    """A running trial as a scheduler sees it: its number and its own (step, loss) so far, by step."""

    number: int
    reports: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class New:
    """Start a new trial, at this fidelity if it is given."""

    fidelity: float | None = None


@dataclass(frozen=True, slots=True)
class Promote:
    """Start a new trial with the configuration of `trial`, from its checkpoint, at a higher fidelity."""

    trial: int
    fidelity: float


class Scheduler(Protocol):
    """Stops trials early, and chooses what a free slot does.

    Implementations are built as ``Class(objectives, **options)``.
    """

    def decide(self, trial: TrialView, history: History) -> Decision:
        """Return whether a trial that has just reported goes on."""

    def next(self, history: History) -> Promote | New | Wait:
        """Return what a free slot should start."""
