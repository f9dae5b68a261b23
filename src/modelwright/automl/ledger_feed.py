"""What has finished in a study since the last look, whoever ran it."""

from __future__ import annotations

from modelwright.records import Trial
from modelwright.storage import Storage

__all__ = ["FinishedTrials"]


class FinishedTrials:
    """Hands out each finished trial of a study once, in the order in which they finished.

    Parameters
    ----------
    storage : Storage
        The ledger; a look costs what has changed, not what exists.
    study_id : int
        The study.
    """

    def __init__(self, storage: Storage, study_id: int) -> None:
        self._storage = storage
        self._study_id = study_id
        self._revision = 0
        self._seen: set[int] = set()

    def take(self) -> list[Trial]:
        """Return those that have finished since the last call."""
        changes = self._storage.changes(self._study_id, self._revision)
        self._revision = changes.revision
        fresh = [trial for trial in changes.trials if trial.state.finished and trial.number not in self._seen]
        self._seen.update(trial.number for trial in fresh)
        return sorted(fresh, key=lambda trial: trial.finished_revision)
