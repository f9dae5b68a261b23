"""Whether a study has used up what it may spend, by the ledger's own numbers."""

from __future__ import annotations

from modelwright.storage.base import StudyRecord

__all__ = ["is_over"]


def is_over(record: StudyRecord, unfinished: int, now_us: int) -> bool:
    """Return whether no trial of the study will ever be given out again as its budget stands.

    Parameters
    ----------
    record : StudyRecord
        The study.
    unfinished : int
        How many of its trials wait or run.
    now_us : int
        The time on the ledger's clock.
    """
    budget = record.budget
    if budget.cost is not None and record.cost >= budget.cost:
        return True
    ends_us = [] if budget.deadline_us is None else [budget.deadline_us]
    if budget.time_s is not None and record.started_us is not None:
        ends_us.append(record.started_us + int(budget.time_s * 1e6))
    if any(now_us >= end_us for end_us in ends_us):
        return True
    used_up = budget.trials is not None and record.issued >= budget.trials
    return (used_up or bool(record.closed)) and not unfinished
