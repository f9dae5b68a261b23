"""A study whose trials are evaluated by programs elsewhere, which ask and tell over the network.

The lease of a trial is the program's own to keep; nothing here renews it. Proposals are made one after
another, in no transaction of the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from modelwright._base.clock import now_us
from modelwright._base.seeds import seed_for
from modelwright.errors import StaleClaimError
from modelwright.records import (
    Artifact,
    Exhausted,
    Failure,
    FailureKind,
    Outcome,
    Report,
    StudyState,
    Trial,
    TrialState,
    Wait,
)
from modelwright.storage.base import Claim, Controls, Finish, NoClaim, Storage, StudyRecord
from modelwright.study import Study
from modelwright.study.enqueued import give_number_back
from modelwright.study.outcomes import measured
from modelwright.study.values import last_values, read_values

__all__ = ["AskedTrial", "NoTrial", "RemoteStudy", "Told"]

_WORDS = {
    "spent": "the budget of trials is used up.",
    "deadline": "the study's time is over.",
    "cost": "the study's budget of cost is used up.",
    "busy": "others still run; ask again later.",
    "paused": "the study is paused; ask again later.",
    "complete": "the study is complete.",
}


@dataclass(frozen=True, slots=True)
class AskedTrial:
    """A trial to evaluate, and what has to be said when it is told."""

    study_id: int
    number: int
    fence: int
    claim_id: str
    attempt: int
    params: Mapping[str, Any]
    seed: int
    lease_s: float
    fidelity: float | None = None
    parent: int | None = None
    user_attrs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NoTrial:
    """Why there is none; ``over`` says whether it is of no use to ask again."""

    reason: Literal["spent", "deadline", "cost", "busy", "closed", "paused", "complete", "wait"]
    message: str
    over: bool


@dataclass(frozen=True, slots=True)
class Told:
    """How an attempt ended, as the program that ran it says.

    Attributes
    ----------
    fence : int
        Of the trial as it was asked for.
    values : object
        A number, a list in the order of the objectives, or an object by their names.
    state : {"complete", "pruned", "failed"}
        How it ended.
    kind, message, traceback
        Of a failure.
    result_id : str
        Names this result; the same one is counted once.
    duration_s : float, optional
        Since the trial was given out by default.
    """

    fence: int
    values: Any = None
    state: Literal["complete", "pruned", "failed"] = "complete"
    kind: Literal["error", "timeout", "memory", "nan", "invalid", "killed"] = "error"
    message: str = ""
    traceback: str = ""
    result_id: str = ""
    user_attrs: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    artifacts: Sequence[Artifact] = ()
    duration_s: float | None = None
    cost: float | None = None


class RemoteStudy(Study):
    """A study as the server holds it."""

    @classmethod
    def of(cls, storage: Storage, record: StudyRecord) -> RemoteStudy:
        """Return the study of a record that was just read; nothing else is read, and no folder looked for."""
        study = cls.__new__(cls)
        study._open(storage, record, record.spec.space, Path())
        return study

    def hand_out(
        self, record: StudyRecord, worker: str, claim_id: str, lease_s: float | None
    ) -> AskedTrial | NoTrial:
        """Claim the next trial and give it a configuration; the same `claim_id` gets the same trial."""
        if record.spec.reproducible and record.window is None:
            self._storage.set_window(record.id, 1)
        if record.state is StudyState.PENDING:
            self._storage.set_state(record.id, StudyState.RUNNING, expected=StudyState.PENDING)
        lease_s = record.spec.lease_s if lease_s is None else lease_s
        claim = self._storage.claim(record.id, worker, claim_id, lease_s)
        if isinstance(claim, NoClaim):
            return self._none(claim.reason)
        if claim.params is None:
            nothing = self._propose(claim)
            if nothing is not None:
                return nothing
        trial = self._storage.trial(record.id, claim.number)
        return AskedTrial(
            record.id,
            claim.number,
            claim.fence,
            claim.claim_id,
            claim.attempts,
            trial.params or {},
            seed_for(record.spec.seed, claim.number, "trial"),
            lease_s,
            trial.fidelity,
            trial.parent,
            trial.user_attrs,
        )

    def _propose(self, claim: Claim) -> NoTrial | None:
        try:
            answer = self._proposer.propose(claim)
        except BaseException:
            self._storage.release(claim, "it could not be proposed")
            raise
        if isinstance(answer, Wait):
            if self._proposer.proposes:
                self._storage.release(claim, answer.reason)
            else:
                give_number_back(self._storage, self._view, claim, answer.reason)
            return NoTrial("wait", answer.reason, over=False)
        if isinstance(answer, Exhausted):
            self._storage.release(claim, answer.reason, close=True)
            return NoTrial("closed", answer.reason, over=True)
        return None

    def _none(self, reason: Any) -> NoTrial:
        self._view.refresh()
        record = self._view.record
        over = reason not in ("busy", "paused")
        if over:  # nobody else may be there to see that the study has ended
            self._storage.set_state(record.id, StudyState.COMPLETE, expected=StudyState.RUNNING)
        closed = f"nothing is left to try: {record.closed}."
        return NoTrial(reason, _WORDS.get(reason, closed), over)

    def page(self, after: int, limit: int, state: TrialState | None) -> list[Trial]:
        """Return up to `limit` trials with numbers above `after`, by number."""
        self._view.refresh()
        found: list[Trial] = []
        for number in range(max(after + 1, 0), self._view.record.issued):
            found_state = self._view.trials.state(number)  # a trial from elsewhere may leave a gap before it
            if found_state is not None and state in (None, found_state):
                found.append(self._view.trials[number])
                if len(found) == limit:
                    break
        return found

    def take_in(self, number: int, told: Told, result_id: str) -> tuple[Finish, Trial]:
        """Write the result of a trial.

        Raises
        ------
        StaleClaimError
            The trial has passed to another worker, or has another result.
        """
        study_id = self._view.record.id
        trial = self._storage.trial(study_id, number)
        outcome = self._outcome(trial, told)
        name = result_id or f"told-{number}-{told.fence}"
        finish = self._storage.finish(self.claim_of(number, told.fence), outcome, name)
        if finish is Finish.STALE:
            raise StaleClaimError(
                f"trial {number} has passed to another worker, or has another result: this is not counted."
            )
        return finish, self._storage.trial(study_id, number)

    def _outcome(self, trial: Trial, told: Told) -> Outcome:
        state, failure = TrialState(told.state), None
        values: tuple[float, ...] = ()
        if state is TrialState.FAILED:
            kind = FailureKind(told.kind)
            failure = Failure(kind, told.message or "told as failed", "E_TOLD", told.traceback)
        elif told.values is not None or state is TrialState.COMPLETE:
            read = read_values(told.values, self.objectives)
            if isinstance(read, Failure):
                state, failure = TrialState.FAILED, read
            else:
                values = read
        else:  # pruned without a word: its last report stands for it, as in a run
            reports = self._storage.reports(self._view.record.id, trial.number)
            values = last_values(reports, self.objectives)
        since_us = trial.started_us or now_us()
        duration_s = max(0.0, (now_us() - since_us) / 1e6) if told.duration_s is None else told.duration_s
        outcome = Outcome(
            state,
            values,
            failure,
            told.user_attrs,
            told.metrics,
            tuple(told.artifacts),
            duration_s,
            cost=told.cost,
        )
        return measured(outcome, self.spec)

    def reported(self, number: int, fence: int, reports: Sequence[Report]) -> bool:
        """Write intermediate values; False if the trial has passed to another worker."""
        return self._storage.report(self.claim_of(number, fence), reports)

    def alive(self, number: int, fence: int, lease_s: float | None) -> Controls:
        """Prolong the lease of a trial, and say what was asked of it meanwhile."""
        lease_s = self.spec.lease_s if lease_s is None else lease_s
        return self._storage.renew([self.claim_of(number, fence)], lease_s)

    def give_back(self, number: int, fence: int, why: str) -> bool:
        """Give a trial back unspent; False if it has passed to another worker."""
        return self._storage.release(self.claim_of(number, fence), why)

    def claim_of(self, number: int, fence: int) -> Claim:
        """Return the right to a trial by what its program knows of it: the fence is what counts."""
        return Claim(self._view.record.id, number, fence, "", 0)
