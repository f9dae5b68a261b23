"""Tells the ledger which partitions are done, and which are given up."""

from __future__ import annotations

import time

from modelwright.automl.ledger_feed import FinishedTrials
from modelwright.automl.search import PartitionSearch
from modelwright.records import History
from modelwright.space import Space
from modelwright.study import Callback, Runner

__all__ = ["PartitionStatusCallback"]

_LOOK_S = 1.0


class PartitionStatusCallback(Callback):
    """Moves partitions to ``errored`` and ``gridding_done`` as the search itself sees them.

    Parameters
    ----------
    search : PartitionSearch
        One of its own: what it answers follows from the finished trials alone.
    space : Space
        The joint space.
    """

    def __init__(self, search: PartitionSearch, space: Space) -> None:
        self._search = search
        self._history = History(space, search.objectives)
        self._next_look_s = 0.0

    def on_start(self, run: Runner) -> None:
        """Read what the ledger says so far."""
        self._storage = run.study.storage
        self._study_id = run.study.record.id
        self._finished = FinishedTrials(self._storage, self._study_id)
        self._known: list[str] = [partition.status for partition in self._storage.partitions(self._study_id)]

    def on_tick(self, run: Runner) -> None:
        """Look once a second."""
        now = time.monotonic()
        if now >= self._next_look_s:
            self._next_look_s = now + _LOOK_S
            self._look()

    def on_end(self, run: Runner, reason: str) -> None:
        """Look once more."""
        self._look()

    def _look(self) -> None:
        finished = self._finished.take()
        if not finished:
            return
        self._history.add(finished)
        statuses = self._search.statuses(self._history)
        for index, status in enumerate(statuses):
            if status != self._known[index]:
                self._storage.set_partition_status(self._study_id, index, status)
        self._known = statuses
