"""The attempts that a run holds, and what passes between their objectives and the ledger."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelwright._base.clock import Clock
from modelwright.errors import ModelwrightError, StorageUnavailableError
from modelwright.execution.base import Job
from modelwright.records import Objective, Report
from modelwright.schedulers import Decision, Scheduler, TrialView
from modelwright.storage.base import Claim, Storage
from modelwright.study.logged import LoggedFile
from modelwright.study.proposing import Proposer
from modelwright.study.publication import Publication
from modelwright.study.view import LedgerView

__all__ = ["Attempt", "Desk"]

_REPORT_PAUSE_S = 0.25  # reports are written in batches, at most this late


@dataclass(slots=True, eq=False)
class Attempt:
    """A claimed trial of this run.

    Attributes
    ----------
    params : dict, optional
        Real values, once proposed.
    reports, unwritten : list of Report
        All that it reported, and those of them that the ledger does not hold yet.
    earlier : sequence of Report
        What earlier attempts had reported, where this one goes on from their checkpoint.
    folder : Path, optional
        Where it leaves files.
    files : list of LoggedFile
        What it asked to keep.
    publication : Publication, optional
        What becomes of them, once it has ended.
    pruned : bool
        Whether the scheduler told it to stop.
    killed : bool
        Whether somebody asked to kill it.
    spoilt : bool
        Whether an outage of the ledger reached its objective, so that its result tells nothing.
    """

    claim: Claim
    params: dict[str, Any] | None = None
    job: Job | None = None
    attrs: dict[str, Any] = field(default_factory=dict)
    reports: list[Report] = field(default_factory=list)
    unwritten: list[Report] = field(default_factory=list)
    earlier: Sequence[Report] = ()
    unwritten_since: float = 0.0
    folder: Path | None = None
    files: list[LoggedFile] = field(default_factory=list)
    publication: Publication | None = None
    pruned: bool = False
    killed: bool = False
    spoilt: bool = False

    def curve(self, objective: Objective) -> list[tuple[float, float]]:
        """Return (step, loss) by step, folds averaged; the last report for a step counts.

        Of what earlier attempts have reported, the part before this one's newest step belongs to it.
        """
        last = max((report.step for report in self.reports), default=-math.inf)
        earlier = [report for report in self.earlier if report.step < last]
        newest = {(report.step, report.fold): report.values for report in [*earlier, *self.reports]}
        by_step: dict[float, list[float]] = {}
        for (step, _), values in newest.items():
            if objective.name in values:
                by_step.setdefault(step, []).append(values[objective.name] * objective.sign)
        return [(step, sum(losses) / len(losses)) for step, losses in sorted(by_step.items())]


class Desk:
    """Takes what running objectives say and answers what they ask.

    Parameters
    ----------
    storage, view, proposer
        The study's.
    scheduler : callable, optional
        Makes one that stops trials early; one is made for each history that decisions are taken by.
    clock : callable
        What the age of unwritten reports is measured by.

    Attributes
    ----------
    outage : StorageUnavailableError, optional
        Why the ledger cannot be asked any more; set when it first fails to answer.
    """

    def __init__(
        self,
        storage: Storage,
        view: LedgerView,
        proposer: Proposer,
        scheduler: Callable[[], Scheduler] | None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.outage: StorageUnavailableError | None = None
        self._storage = storage
        self._view = view
        self._proposer = proposer
        self._make_scheduler = scheduler
        self._schedulers: dict[int, Scheduler] = {}
        self._clock = clock
        self._unwritten: dict[Attempt, None] = {}  # those with unwritten reports, the oldest first

    def answer(self, attempt: Attempt, kind: str, payload: Any) -> Any:
        """Take one message of an objective, and return the answer to it."""
        if kind == "report":
            self._take_report(attempt, payload)
        elif kind == "attr":
            attempt.attrs.update(payload)
        elif kind == "artifact":
            assert attempt.folder is not None
            attempt.files.append(LoggedFile.load(payload, attempt.folder))
        elif self.outage is None:
            # What is raised here would reach the objective, which has no part in it.
            try:
                return self._consult(attempt, kind, payload)
            except StorageUnavailableError as outage:
                self.outage = outage
        if kind == "parameter":
            attempt.spoilt = True
            return {"error": "the ledger is out of reach, so the space cannot take the parameter."}
        return None

    def write_reports(self, attempt: Attempt) -> None:
        """Write what the attempt has reported since the last time."""
        if attempt.unwritten:
            self._storage.report(attempt.claim, attempt.unwritten)
            attempt.unwritten = []
            self._unwritten.pop(attempt, None)

    @property
    def due_s(self) -> float:
        """When `write_due` is next to be called; infinite while all reports are written."""
        return next((attempt.unwritten_since + _REPORT_PAUSE_S for attempt in self._unwritten), math.inf)

    def write_due(self, now_s: float) -> None:
        """Write the reports of the attempts that have waited with one for long enough."""
        while self.due_s <= now_s:
            self.write_reports(next(iter(self._unwritten)))

    def forget(self, attempt: Attempt) -> None:
        """Leave what an attempt has not written unwritten: it is over, or somebody else's."""
        self._unwritten.pop(attempt, None)

    def _take_report(self, attempt: Attempt, payload: Any) -> None:
        report = Report(payload["step"], payload["values"], payload["fold"])
        attempt.reports.append(report)
        if not attempt.unwritten:
            attempt.unwritten_since = self._clock()
            self._unwritten[attempt] = None
        attempt.unwritten.append(report)

    def _consult(self, attempt: Attempt, kind: str, payload: Any) -> Any:
        """Answer a question that needs the ledger."""
        if kind == "should_stop":
            return self._should_stop(attempt)
        if kind == "parameter":
            try:
                return {"value": self._proposer.suggest(attempt.claim, **payload)}
            except StorageUnavailableError:
                raise
            except ModelwrightError as error:
                return {"error": str(error)}
        return None

    def _should_stop(self, attempt: Attempt) -> bool:
        if self._make_scheduler is None or attempt.pruned:
            return attempt.pruned
        number = attempt.claim.number
        self.write_reports(attempt)
        self._view.refresh()
        lane = self._view.lane(number)
        if lane not in self._schedulers:
            self._schedulers[lane] = self._make_scheduler()
        trial = TrialView(number, attempt.curve(self._view.record.spec.objectives[0]))
        decision = self._schedulers[lane].decide(trial, self._view.decision_history(number))
        attempt.pruned = decision is Decision.STOP
        return attempt.pruned
