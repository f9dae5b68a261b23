"""This process's copy of a study's ledger, and the histories that are cut from it.

Two cuts exist. Free-running: all that is known, in the order in which trials finished. Lock-step
(``reproducible=True``, window W): proposal k sees the results of trials up to k - W, in the order of their
numbers, and the configurations of the W - 1 trials after these as pending, whether they have finished or
not. The second depends on nothing but the trials themselves, so one process, two, or a killed and resumed
one see the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from modelwright.records import History, Report, Trial
from modelwright.space import Space
from modelwright.storage.base import Storage, StudyRecord

__all__ = ["LedgerView"]


class LedgerView:
    """A local copy, brought up to date by what changed.

    Parameters
    ----------
    storage : Storage
        The ledger.
    record : StudyRecord
        The study as it was last seen.
    space : Space
        The space with real choices, of the version in `record`.
    """

    def __init__(self, storage: Storage, record: StudyRecord, space: Space) -> None:
        self._storage = storage
        self.record = record
        self.space = space
        self.trials: dict[int, Trial] = {}
        self._revision = 0
        self._open: dict[int, Trial] = {}  # waiting or running, with or without a configuration
        self._reports: dict[int, list[Report]] = {}
        self._free = History(space, record.spec.objectives)
        self._locked = History(space, record.spec.objectives)
        self._locked_upto = 0  # the locked history holds exactly the trials below this number
        self._finished_prefix = 0  # all trials below this number are finished

    def refresh(self) -> None:
        """Read what moved since the last call."""
        changes = self._storage.changes(self.record.id, self._revision)
        self.record = changes.study
        self._revision = changes.revision
        finished = []
        for trial in changes.trials:
            known = self.trials.get(trial.number)
            self.trials[trial.number] = trial
            if trial.state.finished:
                self._open.pop(trial.number, None)
                if known is None or not known.state.finished:
                    finished.append(trial)
            else:
                self._open[trial.number] = trial
        # A number that was given back without ever having had a configuration is not a trial any more.
        for number in [number for number in self._open if number >= self.record.issued]:
            del self._open[number], self.trials[number]
        finished.sort(key=lambda trial: trial.finished_revision)
        # Reports first: who reads a finished trial may take all that it will ever report.
        for number, report in changes.reports:
            self._reports.setdefault(number, []).append(report)
        self._free.add_reports(changes.reports)
        self._free.add(finished)
        while (trial_ := self.trials.get(self._finished_prefix)) and trial_.state.finished:
            self._finished_prefix += 1

    @property
    def revision(self) -> int:
        """The revision that this copy shows."""
        return self._revision

    @property
    def history(self) -> History:
        """Everything known, finished trials in the order in which they finished."""
        return self._free

    def use_space(self, space: Space) -> None:
        """Go on with another version of the space."""
        if space != self.space:
            self.space = space
            self._free = self._free.respace(space)
            self._locked = self._locked.respace(space)

    def history_for(self, number: int) -> History | None:
        """Return what proposal `number` may know, or None while lock-step mode has to wait."""
        window = self.record.window
        if not self.record.spec.reproducible or window is None:
            self._free.set_pending(
                [(t.number, t.params) for t in self._open.values() if t.params is not None and t.number != number]
            )
            return self._free
        upto = max(0, number - window + 1)
        between = [self.trials.get(k) for k in range(upto, number)]
        if self._finished_prefix < upto or any(t is None or t.params is None for t in between):
            return None
        locked = self._locked_below(upto)
        locked.set_pending([(t.number, t.params) for t in between if t is not None and t.params is not None])
        return locked

    def decision_history(self, number: int) -> History:
        """Return what a scheduler may compare trial `number` with."""
        window = self.record.window
        if not self.record.spec.reproducible or window is None:
            return self._free
        return self._locked_below(max(0, number - window + 1))

    def space_names_for(self, number: int) -> Sequence[str] | None:
        """Return which added parameters proposal `number` may use in lock-step mode; None: all.

        A parameter that an objective added while it ran exists for proposal k once a trial up to k - W has
        it, so that the moment at which it was added plays no part.
        """
        window = self.record.window
        if not self.record.spec.reproducible or window is None:
            return None
        names: dict[str, None] = {}
        for k in range(max(0, number - window + 1)):
            trial = self.trials.get(k)
            names.update(dict.fromkeys(trial.params or () if trial else ()))
        return list(names)

    def _locked_below(self, upto: int) -> History:
        if upto < self._locked_upto:  # an older trial than the last one asked about, as after a retry
            self._locked = History(self.space, self.record.spec.objectives)
            self._locked_upto = 0
        for number in range(self._locked_upto, upto):
            self._locked.add_reports((number, report) for report in self._reports.get(number, ()))
            self._locked.add([self.trials[number]])
        self._locked_upto = upto
        return self._locked
