"""Ask and tell: trials that somebody else evaluates."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from modelwright.errors import InputError, StudyNotFoundError, StudyStateError
from modelwright.records import (
    Exhausted,
    Failure,
    FailureKind,
    Outcome,
    Report,
    StudyState,
    TrialState,
    Wait,
)
from modelwright.storage.base import Claim, Finish, NoClaim, Storage, StudyRecord
from modelwright.study.argument import trial_argument
from modelwright.study.enqueued import give_number_back
from modelwright.study.leases import LeaseKeeper
from modelwright.study.outcomes import measured
from modelwright.study.proposing import Proposer
from modelwright.study.trial import RunningTrial
from modelwright.study.values import last_values, read_values
from modelwright.study.view import LedgerView
from modelwright.study.worker import retire, this_worker

if TYPE_CHECKING:
    from pathlib import Path

    from modelwright.execution.base import Resources
    from modelwright.study.publishing import TrialFiles

__all__ = ["AskedTrials"]

_WHY_NONE = {
    "spent": "the budget of {budget} trials is used up.",
    "deadline": "the study's time is over. Give it more with set_budget(time_s=..., deadline=...).",
    "cost": "the study's cost of {cost:g} is used up. Raise it with set_budget(cost=...).",
    "busy": "the budget of {budget} trials is used up, and the last ones are not over yet.",
    "closed": "nothing is left to try: {closed}.",
    "paused": "the study is paused.",
    "complete": "the study is complete.",
}
_MORE = "enqueue(params) adds a trial to ask for; run(f, more=10) adds 10 and runs them."


@dataclass(slots=True)
class _Asked:
    """A trial that is out, with what its caller said of it so far."""

    claim: Claim
    started: float
    attrs: dict[str, Any] = field(default_factory=dict)
    reports: list[Report] = field(default_factory=list)
    files: list[Mapping[str, str]] = field(default_factory=list)


class AskedTrials:
    """The trials of a study that were asked for and not told yet; their leases are kept alive here."""

    def __init__(
        self, storage: Storage, view: LedgerView, proposer: Proposer, folder: Path | None = None
    ) -> None:
        self._storage = storage
        self._folder = folder
        self._files: TrialFiles | None = None
        self._view = view
        self._proposer = proposer
        self._open: dict[int, _Asked] = {}
        self._worker_id = ""
        self._leases: LeaseKeeper | None = None

    def ask(self) -> RunningTrial:
        """Claim the next trial, with a configuration."""
        claim = self._claim()
        spec = self._view.record.spec
        try:
            params = self._configuration(claim)
        except BaseException:
            self._storage.release(claim, "it could not be proposed")
            raise
        if isinstance(params, (Wait, Exhausted)):
            if self._proposer.proposes:
                self._storage.release(claim, params.reason, close=isinstance(params, Exhausted))
            else:
                give_number_back(self._storage, self._view, claim, params.reason)
            raise StudyStateError(f"there is no trial to ask for: {params.reason}.")
        attrs = {} if claim.params is None else dict(self._view.trials[claim.number].user_attrs)
        asked = self._open[claim.number] = _Asked(claim, time.monotonic(), attrs)
        assert self._leases is not None
        self._leases.add(claim)
        resumed = None if self._folder is None else self.files.resume(claim, 0)
        argument = trial_argument(spec, claim, params, asked.attrs, resume_from=resumed)
        return RunningTrial(_Line(self, asked), argument)

    def tell(self, number: int, values: Any, state: TrialState) -> None:
        """Finish a trial that was asked for.

        Raises
        ------
        InputError
            The state is not one that a trial can end in.
        StudyStateError
            The trial is not ours to tell.
        """
        if not state.finished:
            raise InputError(f"expected the state complete, pruned or failed, got {state.value!r}.")
        asked = self._open.get(number)
        if asked is None:
            raise StudyStateError(
                f"trial {number} was not asked for by this study object, or is told already.",
                hint=f"Open ones: {sorted(self._open) or 'none'}.",
            )
        result: tuple[float, ...] = ()
        failure: Failure | None = None
        if state is TrialState.FAILED:
            failure = Failure(FailureKind.ERROR, "told as failed", "E_TOLD")
        elif values is not None or state is TrialState.COMPLETE:
            read = read_values(values, self._view.record.spec.objectives)
            if isinstance(read, Failure):
                failure, state = read, TrialState.FAILED
            else:
                result = read
        elif asked.reports:  # pruned without a word: its last report stands for it, as in a run
            result = last_values(asked.reports, self._view.record.spec.objectives)
        outcome = Outcome(
            state, result, failure, user_attrs=asked.attrs, duration_s=time.monotonic() - asked.started
        )
        outcome = measured(outcome, self._view.record.spec)
        if asked.reports:
            self._storage.report(asked.claim, asked.reports)
        if asked.files:
            outcome = self._published(asked, outcome)
        answer = self._storage.finish(asked.claim, outcome, asked.claim.claim_id)
        del self._open[number]
        assert self._leases is not None
        self._leases.remove(number)
        if self._files is not None:
            self._files.clear(asked.claim)
        if answer is Finish.STALE:
            raise StudyStateError(f"trial {number} has passed to another worker; this result is not counted.")

    @property
    def files(self) -> TrialFiles:
        """Where open trials keep files."""
        if self._files is None:
            from modelwright.study.publishing import TrialFiles  # most trials have none

            self._files = TrialFiles(self._storage, self._view.record.id, self._folder)
        return self._files

    def _published(self, asked: _Asked, outcome: Outcome) -> Outcome:
        """Publish what the trial logged; return the outcome with it."""
        from modelwright.study.logged import LoggedFile
        from modelwright.study.publishing import published

        folder = self.files.place(asked.claim)
        assert folder is not None
        logged = [LoggedFile.load(item, folder) for item in asked.files]
        return published(self.files, asked.claim, logged, outcome)

    def close(self) -> None:
        """Give back what was not told."""
        if self._files is not None:
            self._files.close()
        if self._leases is None:
            return
        self._leases.close()
        self._leases = None
        for number in sorted(self._open, reverse=True):
            with contextlib.suppress(StudyNotFoundError):  # deleted meanwhile, and its trials with it
                self._storage.release(self._open.pop(number).claim, "closed")
        retire(self._worker_id)

    def _claim(self) -> Claim:
        record = self._view.record
        if self._leases is None:
            worker = this_worker(self._storage)
            self._storage.register_worker(worker)
            self._worker_id = worker.id
            self._leases = LeaseKeeper(self._storage, record.spec.lease_s, lambda: None)
            if record.spec.reproducible:
                self._storage.set_window(record.id, 1)
            if record.state is StudyState.PENDING:
                self._storage.set_state(record.id, StudyState.RUNNING)
        answer = self._storage.claim(record.id, self._worker_id, secrets.token_hex(16), record.spec.lease_s)
        if isinstance(answer, NoClaim):
            self._view.refresh()
            record = self._view.record
            reason: str = answer.reason
            if reason == "complete" and (record.closed or record.budget.trials is not None):
                reason = "closed" if record.closed else "spent"  # what made it complete says more
            raise StudyStateError(
                f"there is no trial to ask for: {_why_none(reason, record)}",
                hint=_MORE if reason in ("spent", "complete") or _is_used_up(record) else "",
            )
        return answer

    def _configuration(self, claim: Claim) -> dict[str, Any] | Wait | Exhausted:
        if claim.params is not None:
            return self._proposer.load(claim.params)
        return self._proposer.propose(claim)


def _why_none(reason: str, record: StudyRecord) -> str:
    budget = record.budget
    if reason == "busy" and not _is_used_up(record):
        most = f" (at most {budget.parallel} at a time)" if budget.parallel is not None else ""
        return f"others still run{most}."
    return _WHY_NONE[reason].format(budget=budget.trials, cost=budget.cost or 0.0, closed=record.closed)


def _is_used_up(record: StudyRecord) -> bool:
    return record.budget.trials is not None and record.issued >= record.budget.trials


@dataclass(slots=True)
class _Line:
    """The channel of an asked trial: its handle lives in this very process."""

    trials: AskedTrials
    asked: _Asked

    @property
    def folder(self) -> Path | None:
        return self.trials.files.place(self.asked.claim)

    @property
    def resources(self) -> Resources:
        from modelwright.execution.base import Resources

        return Resources()

    def send(self, kind: str, payload: Any) -> None:
        if kind == "report":
            self.asked.reports.append(Report(payload["step"], payload["values"], payload["fold"]))
        elif kind == "attr":
            self.asked.attrs.update(payload)
        elif kind == "artifact":
            self.asked.files.append(payload)

    def ask(self, kind: str, payload: Any) -> Any:
        if kind == "parameter":
            return {"value": self.trials._proposer.suggest(self.asked.claim, **payload)}
        return False

    def receive(self) -> list[tuple[str, Any]]:
        return []
