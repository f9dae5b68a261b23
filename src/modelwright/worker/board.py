"""Which studies have work, and which of them comes next."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any

from modelwright.records import StudyState
from modelwright.storage.base import StudyRecord
from modelwright.worker.options import WorkerOptions

__all__ = ["Board"]

_OPEN = (StudyState.PENDING, StudyState.RUNNING)
_BUSY_S = 1.0  # how long a study whose last trials run elsewhere is passed over for another


class Board:
    """What this worker knows of the studies of a ledger.

    Parameters
    ----------
    options : WorkerOptions
        Which studies, and how to choose among equals.
    seed : int, optional
        Of the random choice.

    Attributes
    ----------
    refused : dict of int to str
        Studies that this worker cannot run, with the reason.
    """

    def __init__(self, options: WorkerOptions, seed: int | None = None) -> None:
        self._options = options
        self._random = random.Random(seed)
        self._busy: dict[int, float] = {}
        self._done: dict[int, Any] = {}
        self.refused: dict[int, str] = {}

    def open_studies(self, records: Sequence[StudyRecord]) -> list[StudyRecord]:
        """Return those that have work, as far as their records tell, and that this worker may run."""
        return [
            record
            for record in records
            if record.state in _OPEN
            and record.id not in self.refused
            and self._options.wants(record.spec.name)
            and self._done.get(record.id) != _budget_of(record)
        ]

    def choose(self, records: Sequence[StudyRecord]) -> StudyRecord | None:
        """Return the study to work on now, from all of the ledger; None where there is none."""
        ready = self._most_urgent(self.open_studies(records))
        if not ready:
            return None
        if self._options.choose == "random":
            return self._random.choice(ready)
        return min(ready, key=lambda record: record.id)

    def keeps(self, study_id: int, records: Sequence[StudyRecord]) -> bool:
        """Whether to stay with this study for another turn.

        A random choice among equals is made anew each time.
        """
        ready = self._most_urgent(self.open_studies(records))
        if self._options.choose == "random":
            return [record.id for record in ready] == [study_id]
        return not ready or min(record.id for record in ready) == study_id

    def mark_busy(self, study_id: int) -> None:
        """Note that a study's trials are all in others' hands, so that another study goes first."""
        self._busy[study_id] = time.monotonic() + _BUSY_S

    def mark_done(self, record: StudyRecord) -> None:
        """Note that there was nothing to do in a study; it counts again when its budget has changed."""
        self._done[record.id] = _budget_of(record)

    def _most_urgent(self, ready: Sequence[StudyRecord]) -> list[StudyRecord]:
        now = time.monotonic()
        free = [record for record in ready if self._busy.get(record.id, 0.0) <= now] or list(ready)
        highest = max((record.spec.priority for record in free), default=0)
        return [record for record in free if record.spec.priority == highest]


def _budget_of(record: StudyRecord) -> Any:
    """Return what has to change for a study without work to have some again."""
    return record.budget, record.issued, record.closed, record.space_version
