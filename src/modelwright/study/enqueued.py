"""Studies whose optimizer proposes nothing: what is enqueued is run, and nothing else gets a number.

A run of such a study claims a trial only when there may be one to run. Otherwise each look would take a new
number from the budget, for which no configuration would ever come.
"""

from __future__ import annotations

from modelwright.records import StudyState
from modelwright.storage.base import Claim, Storage
from modelwright.study.budgets import is_over
from modelwright.study.view import LedgerView
from modelwright.study.worker import ledger_now_us

__all__ = ["EnqueuedOnly", "give_number_back"]


class EnqueuedOnly:
    """When to claim, where only enqueued trials can run.

    Parameters
    ----------
    storage : Storage
        The ledger.
    view : LedgerView
        The run's copy of it.
    look_s : float
        How often to look for trials whose worker may be gone, while all that are left run.
    """

    def __init__(self, storage: Storage, view: LedgerView, look_s: float) -> None:
        self._storage = storage
        self._view = view
        self._look_s = look_s
        self._next_look_s: float | None = None

    def may_claim(self, now_s: float) -> bool:
        """Whether a claim may bring a trial, or the end of the study."""
        self._view.refresh()
        record = self._view.record
        if record.state not in (StudyState.PENDING, StudyState.RUNNING) or self._view.any_waits():
            return True
        timed = record.budget.time_s is not None or record.budget.deadline_us is not None
        now_us = ledger_now_us(self._storage) if timed else 0
        if is_over(record, self._view.unfinished, now_us):
            return True
        if self._next_look_s is None or not self._view.unfinished:
            self._next_look_s = now_s + self._look_s
        if now_s < self._next_look_s:
            return False
        self._next_look_s = now_s + self._look_s
        return True


def give_number_back(storage: Storage, view: LedgerView, claim: Claim, why: str) -> None:
    """Give back a trial for which no configuration will come.

    One with the highest number gives that back too. Another would be handed out again and again, before
    those that are enqueued behind it: it ends as killed.
    """
    view.refresh()
    if claim.number < view.record.issued - 1:
        storage.kill(claim.study_id, claim.number)
    storage.release(claim, why)
