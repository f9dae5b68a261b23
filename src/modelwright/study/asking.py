"""Ask and tell: trials that somebody else evaluates."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelwright._base.seeds import generator, seed_for
from modelwright.errors import InputError, StudyStateError
from modelwright.records import (
    Exhausted,
    Failure,
    FailureKind,
    Outcome,
    Report,
    StudyState,
    Ticket,
    TrialState,
    Wait,
)
from modelwright.storage.base import Claim, Finish, NoClaim, Storage
from modelwright.study.leases import LeaseKeeper
from modelwright.study.proposing import Proposer
from modelwright.study.trial import RunningTrial
from modelwright.study.values import last_values, read_values
from modelwright.study.view import LedgerView
from modelwright.study.worker import retire, this_worker

if TYPE_CHECKING:
    from modelwright.execution.base import Resources

__all__ = ["AskedTrials"]

_WHY_NONE = {
    "spent": "the budget of {budget} trials is used up. Raise it with run(more=...).",
    "busy": "the budget of {budget} trials is used up, and the last ones still run elsewhere.",
    "closed": "nothing is left to try: {closed}.",
    "paused": "the study is paused.",
    "complete": "the study is complete.",
}


@dataclass(slots=True)
class _Asked:
    claim: Claim
    started: float
    attrs: dict[str, Any] = field(default_factory=dict)
    reports: list[Report] = field(default_factory=list)


class AskedTrials:
    """The trials of a study that were asked for and not told yet; their leases are kept alive here."""

    def __init__(self, storage: Storage, view: LedgerView, proposer: Proposer) -> None:
        self._storage = storage
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
            self._storage.release(claim, params.reason, close=isinstance(params, Exhausted))
            raise StudyStateError(f"there is no trial to ask for: {params.reason}.")
        attrs = {} if claim.params is None else dict(self._view.trials[claim.number].user_attrs)
        asked = self._open[claim.number] = _Asked(claim, time.monotonic(), attrs)
        assert self._leases is not None
        self._leases.add(claim)
        argument = {
            "number": claim.number,
            "params": params,
            "seed": seed_for(spec.seed, claim.number, "trial"),
            "attempt": claim.attempts,
            "fidelity": claim.fidelity,
            "user_attrs": asked.attrs,
            "objectives": [objective.name for objective in spec.objectives],
        }
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
        if asked.reports:
            self._storage.report(asked.claim, asked.reports)
        answer = self._storage.finish(asked.claim, outcome, asked.claim.claim_id)
        del self._open[number]
        assert self._leases is not None
        self._leases.remove(number)
        if answer is Finish.STALE:
            raise StudyStateError(f"trial {number} has passed to another worker; this result is not counted.")

    def close(self) -> None:
        """Give back what was not told."""
        if self._leases is None:
            return
        self._leases.close()
        self._leases = None
        for number in sorted(self._open, reverse=True):
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
        answer = self._storage.claim(record.id, self._worker_id, uuid.uuid4().hex, record.spec.lease_s)
        if isinstance(answer, NoClaim):
            self._view.refresh()
            record = self._view.record
            why = _WHY_NONE[answer.reason].format(budget=record.budget_trials, closed=record.closed)
            raise StudyStateError(f"there is no trial to ask for: {why}")
        return answer

    def _configuration(self, claim: Claim) -> dict[str, Any] | Wait | Exhausted:
        if claim.params is not None:
            return self._proposer.load(claim.params)
        rng = generator(self._view.record.spec.seed, claim.number)
        answer = self._proposer.ask(Ticket(claim.number, rng))
        return answer if isinstance(answer, (Wait, Exhausted)) else self._proposer.write(claim, answer)


@dataclass(slots=True)
class _Line:
    """The channel of an asked trial: its handle lives in this very process."""

    trials: AskedTrials
    asked: _Asked
    folder: Path | None = None

    @property
    def resources(self) -> Resources:
        from modelwright.execution.base import Resources

        return Resources()

    def send(self, kind: str, payload: Any) -> None:
        if kind == "report":
            self.asked.reports.append(Report(payload["step"], payload["values"], payload["fold"]))
        elif kind == "attr":
            self.asked.attrs.update(payload)

    def ask(self, kind: str, payload: Any) -> Any:
        if kind == "parameter":
            return {"value": self.trials._proposer.suggest(self.asked.claim, **payload)}
        return False

    def receive(self) -> list[tuple[str, Any]]:
        return []
