"""The copy of a study's ledger that this process holds, and the histories that are cut from it.

Two cuts exist. Free-running: all that is known, in the order in which trials finished. Lock-step
(``reproducible=True``, window W): proposal k sees the results of trials up to k - W, in the order of their
numbers, and the configurations of the W - 1 trials after these as pending, whether they have finished or
not. The second depends on nothing but the trials themselves, so one process, two, or a killed and resumed
one see the same.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from modelwright.records import History, Report, Trial, TrialState, TrialTable
from modelwright.records.outcomes import meets_all
from modelwright.space import Space
from modelwright.storage.base import Storage, StudyRecord
from modelwright.study.spaces import SpaceVersions

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
        Version 0 of its space, with real choices.

    Attributes
    ----------
    spaces : SpaceVersions
        The versions of the space.
    space : Space
        The version that optimizers propose from.
    trials : TrialTable
        All trials by number, in no order.
    counts : dict of TrialState to int
        How many trials are in each state.
    """

    def __init__(self, storage: Storage, record: StudyRecord, space: Space) -> None:
        self._storage = storage
        self.record = record
        self.space = space
        self.spaces = SpaceVersions(space)
        self.trials = TrialTable()
        self.counts: dict[TrialState, int] = {}
        self._base = space
        self._revision = 0
        self._space_version = 0
        self._reading = threading.RLock()
        self._open: dict[int, Trial] = {}  # waiting or running, with or without a configuration
        self._top = 0  # above all numbers that were issued
        self._reports: dict[int, list[Report]] = {}
        self._free = self._new_history(space)
        self._proposing = _Prefix(self._new_history(space))
        self._deciding: dict[int, _Prefix] = {}
        self._finished_prefix = 0  # all trials below this number are finished
        self._first_with: dict[str, int] = {}  # parameter: the first of these trials that has it
        self._best: tuple[float, int] | None = None  # (loss, number) by the first objective

    def refresh(self) -> None:
        """Read what moved since the last call; one thread at a time."""
        with self._reading:
            self._refresh()

    def still(self) -> AbstractContextManager[object]:
        """Keep other threads from moving this copy, for as long as an optimizer looks at it."""
        return self._reading

    def _refresh(self) -> None:
        changes = self._storage.changes(self.record.id, self._revision)
        self.record = changes.study
        self._revision = changes.revision
        self.spaces.update(self.record)
        if self.spaces.version != self._space_version:
            self._space_version = self.spaces.version
            if self._upto(0) is None:
                self.use_space(self.spaces.newest)
        finished = []
        for trial in changes.trials:
            known = self.trials.state(trial.number)
            self.trials[trial.number] = trial
            self._count(known, trial.state)
            if trial.state.finished:
                self._open.pop(trial.number, None)
                if known is None or not known.finished:
                    finished.append(trial)
            else:
                self._open[trial.number] = trial
        # A number that was given back without ever having had a configuration is not a trial any more.
        for number in range(self.record.issued, self._top):
            if number in self._open:
                self._count(self._open.pop(number).state, None)
                del self.trials[number]
        self._top = self.record.issued
        finished.sort(key=_order)
        # Reports first: who reads a finished trial may take all that it will ever report.
        for number, report in changes.reports:
            self._reports.setdefault(number, []).append(report)
        self._free.add_reports(changes.reports)
        self._free.add(trial for trial in finished if self._fits(trial))
        self._note_best(finished)
        while (state := self.trials.state(self._finished_prefix)) and state.finished:
            names = self.trials.names(self._finished_prefix)
            for name in sorted(set(names).difference(self._first_with)):
                self._first_with[name] = self._finished_prefix
            self._finished_prefix += 1

    @property
    def revision(self) -> int:
        """The revision that this copy shows."""
        return self._revision

    @property
    def history(self) -> History:
        """Everything known, finished trials in the order in which they finished."""
        return self._free

    @property
    def best(self) -> Trial | None:
        """The complete trial that is best by the first objective, the first of equals; None without any.

        Those that break an outcome constraint do not count.
        """
        return None if self._best is None else self.trials[self._best[1]]

    def reports(self, number: int) -> tuple[Report, ...]:
        """Return what a trial has reported, in all its attempts, as last seen."""
        return tuple(self._reports.get(number, ()))

    @property
    def unfinished(self) -> int:
        """How many trials wait or run."""
        return len(self._open)

    def others_run(self) -> bool:
        """Whether some trial runs at this moment, after a look at the ledger."""
        self.refresh()
        return any(trial.state is TrialState.RUNNING for trial in self._open.values())

    def any_waits(self) -> bool:
        """Whether some trial waits for a worker."""
        return any(trial.state is TrialState.WAITING for trial in self._open.values())

    def use_space(self, space: Space) -> None:
        """Propose from this version of the space from now on."""
        if space != self.space:
            self.space = space
            # From all trials: those that lay outside of the last version may lie within this one.
            self._free = self._rebuilt(space)
            self._proposing.history = self._proposing.history.respace(space)

    def _rebuilt(self, space: Space) -> History:
        """Return the history under another version of the space: what lies outside of it is left out."""
        history = self._new_history(space)
        for number, reports in self._reports.items():
            history.add_reports((number, report) for report in reports)
        finished = [t for t in self.trials.values() if t.state.finished and self._fits(t)]
        history.add(sorted(finished, key=_order))
        return history

    def _fits(self, trial: Trial) -> bool:
        return not self.spaces.changed or trial.params is None or self.spaces.fits(trial.params)

    def _new_history(self, space: Space) -> History:
        spec = self.record.spec
        return History(space, spec.objectives, spec.outcome_constraints, self.trials)

    def _count(self, before: TrialState | None, now: TrialState | None) -> None:
        if before is not None:
            self.counts[before] -= 1
        if now is not None:
            self.counts[now] = self.counts.get(now, 0) + 1

    def _note_best(self, finished: Iterable[Trial]) -> None:
        spec = self.record.spec
        sign, bounds = spec.objectives[0].sign, spec.outcome_constraints or ()
        complete = (t for t in finished if t.state is TrialState.COMPLETE and t.values)
        complete = (t for t in complete if meets_all(t, spec.objectives, bounds))
        found = [(trial.values[0] * sign, trial.number) for trial in complete]
        if self._best is not None:
            found.append(self._best)
        self._best = min(found, default=None)

    # what a trial may know ---------------------------------------------------------------------------

    def settled(self, number: int) -> bool:
        """Whether all results that trial `number` may know are there; in lock-step mode it waits for them."""
        upto = self._upto(number)
        return upto is None or self._finished_prefix >= upto

    def ready(self, number: int) -> bool:
        """Whether trial `number` can be proposed: in lock-step mode also those just before it have to be."""
        upto = self._upto(number)
        if upto is None:
            return True
        # A trial that was lost before it had a configuration will never have one.
        between = (self.trials.get(k) for k in range(upto, number))
        return self.settled(number) and all(
            t is not None and (t.params is not None or t.state.finished) for t in between
        )

    def history_for(self, number: int) -> History:
        """Return what proposal `number` may know, once it is `ready`."""
        upto = self._upto(number)
        if upto is None:
            self._free.set_pending(lambda: self._others(number))  # few look, and there may be thousands
            return self._free
        between = [self.trials[k] for k in range(upto, number)]
        locked = self._extended(self._proposing, upto)
        locked.set_pending([(t.number, self._as_proposed(t)) for t in between if t.params is not None])
        return locked

    def _others(self, number: int) -> list[tuple[int, Mapping[str, Any]]]:
        """Return the open trials but `number` that have a configuration."""
        others = [t for t in self._open.values() if t.number != number and self._fits(t)]
        return [(t.number, t.params) for t in others if t.params is not None]

    def decision_history(self, number: int) -> History:
        """Return what a scheduler may compare trial `number` with."""
        upto = self._upto(number)
        if upto is None:
            return self._free
        lane = self._deciding.setdefault(self.lane(number), _Prefix(self._new_history(self._base)))
        return self._extended(lane, upto)

    def lane(self, number: int) -> int:
        """Return which of the histories that only ever grow `decision_history` takes for trial `number`.

        In lock-step mode trials k and k + W never run at the same time, so W histories serve all.
        """
        return 0 if self._upto(number) is None else number % (self.record.window or 1)

    def names_for(self, number: int) -> list[str] | None:
        """Return which added parameters proposal `number` may use in lock-step mode; None: all.

        A parameter that an objective added while it ran exists for proposal k once a trial up to k - W has
        it. So neither which there are nor their order depends on the moments at which they were added.
        """
        upto = self._upto(number)
        if upto is None:
            return None
        return [name for name, first in self._first_with.items() if first < upto and name not in self._base]

    def _upto(self, number: int) -> int | None:
        """Return the number below which trial `number` may know results; None: it may know all."""
        window = self.record.window
        if not self.record.spec.reproducible or window is None:
            return None
        return max(0, number - window + 1)

    def _as_proposed(self, trial: Trial) -> Mapping[str, Any]:
        """Return a configuration without what its objective added: when it did is a matter of timing."""
        params = trial.params or {}
        if self.record.space_version == 0:
            return params
        known = {*self._base.names, *(self.names_for(trial.number) or ())}
        return {name: value for name, value in params.items() if name in known}

    def _extended(self, prefix: _Prefix, upto: int) -> History:
        if upto < prefix.upto:  # an older trial than the last one asked about, as after a retry
            prefix.history, prefix.upto = self._new_history(prefix.history.space), 0
        for number in range(prefix.upto, upto):
            prefix.history.add_reports((number, report) for report in self._reports.get(number, ()))
            prefix.history.add([self.trials[number]])
        prefix.upto = upto
        return prefix.history


def _order(trial: Trial) -> tuple[int, int]:
    """Return the place of a finished trial: several that were lost may end by the same revision."""
    return trial.finished_revision, trial.number


class _Prefix:
    """The history of exactly the trials below `upto`, by number."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.upto = 0
