"""Who stops trials early, and what a free slot does: one rule per file, behind one small contract."""

from modelwright.schedulers.base import Decision, New, Promote, Scheduler, TrialView
from modelwright.schedulers.catalogue import SCHEDULERS, make_scheduler

__all__ = [
    "SCHEDULERS",
    "Decision",
    "New",
    "Promote",
    "Scheduler",
    "TrialView",
    "make_scheduler",
]
