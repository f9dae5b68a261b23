"""One study's ledger in memory: trials that are claimed, proposed, reported on and finished.

Nothing here locks or copies spaces: `modelwright.storage.memory.MemoryStorage` does.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, cast

from modelwright.errors import StaleClaimError, StudyStateError
from modelwright.records import FailureKind, Outcome, Proposal, Provenance, Report, StudyState, TrialState
from modelwright.storage.answers import Claim, Finish, NoClaim
from modelwright.storage.ledger_control import LedgerControl
from modelwright.storage.ledger_rows import TrialRow, clean_failure, killed_failure, lost_failure
from modelwright.storage.plain import (
    clean_text,
    config_form,
    end_form,
    failure_form,
    merged,
    plain,
    plain_key,
    plain_reports,
    result_form,
)

__all__ = ["StudyLedger"]

_Limit = Literal["deadline", "cost"]


class StudyLedger(LedgerControl):
    """The ledger of one study; parameters as of `LedgerHead`."""

    # claims ------------------------------------------------------------------------------------------

    def claim(self, worker: str, claim_id: str, lease_us: int) -> Claim | NoClaim:
        """See `Storage.claim`."""
        known = self._claims.get(claim_id)
        if known is not None:
            return self._claim_of(self.rows[known])
        if self.state is StudyState.PAUSED:
            return NoClaim("paused")
        if self.state in (StudyState.COMPLETE, StudyState.FAILED):
            return NoClaim("complete")
        now = self._clock.tick()
        expired = self._expired(now)
        ended = [row for row in expired if row.stop or row.attempts >= self.spec.max_attempts]
        answer = self._pick(now, expired, [row for row in expired if row not in ended])
        if isinstance(answer, NoClaim):
            if ended:
                self._write("lost", **_ended_form(ended))
                self._end_expired(ended)
            return answer
        self._take(answer, worker, claim_id, now, lease_us)
        self._move("claim", answer, worker=worker, attempt=answer.attempts, **_ended_form(ended))
        self._end_expired(ended)
        return self._claim_of(answer)

    def _pick(self, now: int, expired: Sequence[TrialRow], again: Sequence[TrialRow]) -> TrialRow | NoClaim:
        """Return the row to give out; `again` are those of the expired ones that may have another attempt."""
        live = len(self._running) - len(expired)
        over = self._over(now, sum(map(self._lease_cost, expired)))
        if over:
            return NoClaim("busy" if live else cast(_Limit, over))
        if self._budget.parallel is not None and live >= self._budget.parallel:
            return NoClaim("busy")
        row = self._next_waiting(again[0] if again else None) or self._new_row()
        if row is not None:
            return row
        return NoClaim("busy" if live else "closed" if self._closed else "spent")

    def _next_waiting(self, expired: TrialRow | None) -> TrialRow | None:
        """Return the lowest of the waiting trials and `expired`."""
        heap = self._waiting
        while heap and (heap[0] not in self.rows or self.rows[heap[0]].state is not TrialState.WAITING):
            heapq.heappop(heap)
        if heap and (expired is None or heap[0] < expired.number):
            return self.rows[heap[0]]
        return expired

    def _new_row(self) -> TrialRow | None:
        if self._closed or (self._budget.trials is not None and self.issued >= self._budget.trials):
            return None
        return self._add(TrialRow(self.issued, self._clock.wall(), space_version=len(self._spaces) - 1))

    def _take(self, row: TrialRow, worker: str, claim_id: str, now: int, lease_us: int) -> None:
        """Begin another attempt at a trial that waits or whose lease has run out."""
        if row.state is TrialState.RUNNING:
            self._lose_attempt(row)
        self._put(row, TrialState.RUNNING)
        row.fence = (row.fence or self._fence_floor) + 1
        row.attempts += 1
        row.worker, row.claim_id, row.started_us = worker, claim_id, self._clock.wall()
        self._claims[claim_id] = row.number
        self._lease(row, now + lease_us)
        self._start_attempt(row, now)

    def _end_expired(self, rows: Sequence[TrialRow]) -> None:
        for row in rows:
            self._lose_attempt(row)
            self._fail(row, killed_failure() if row.stop else lost_failure(row.attempts))

    def _claim_of(self, row: TrialRow) -> Claim:
        return Claim(
            self.id,
            row.number,
            row.fence,
            row.claim_id,
            row.attempts,
            None if row.params is None else plain(row.params),
            row.space_version,
            row.fidelity,
            row.parent,
            row.partition,
        )

    def release(self, claim: Claim, why: str, close: bool) -> bool:
        """See `Storage.release`."""
        row = self._holds(claim)
        if row is None:
            known = self._attempts.get(claim.number, ())
            return any(item.fence == claim.fence and item.outcome == "released" for item in known)
        spent = (self._clock.tick() - self._attempts[row.number][-1].began) / 1e6
        self._end_attempt(row, "released", spent)
        row.attempts -= 1
        why = clean_text(why)
        if close:
            self._closed = why
        if row.stop:  # the wish to kill it outlives the worker that was asked
            self._write("release", row.number, row.fence, why=why, killed=True)
            self._fail(row, killed_failure())
        elif row.params is None and row.number == self.issued - 1:
            self._drop(row)
            self._write("release", row.number, row.fence, why=why, given_back=True)
        else:
            self._put(row, TrialState.WAITING)
            self._move("release", row, why=why)
        return True

    def renew(self, claim: Claim, lease_us: int) -> tuple[bool, bool]:
        """Prolong one lease; return whether the claim is lost, and whether somebody asked to kill it."""
        row = self._holds(claim)
        if row is not None:
            row.lease_until = self._clock.tick() + lease_us
            return False, row.stop
        row = self.rows.get(claim.number)
        if row is None:
            return False, False
        ended = row.state is TrialState.FAILED and row.result_id is None
        lost = self._attempts[row.number][-1].outcome == "lost"
        return row.fence != claim.fence or ended or lost, False

    # what a claim may write --------------------------------------------------------------------------

    def _must_hold(self, claim: Claim) -> TrialRow:
        row = self._holds(claim)
        if row is None:
            raise StaleClaimError(
                f"trial {claim.number} of the study {self.spec.name!r} is not this worker's any more."
            )
        return row

    def propose(
        self, claim: Claim, proposal: Proposal, provenance: Provenance, space_version: int, unique: bool
    ) -> int | None:
        """See `Storage.propose`."""
        row = self._must_hold(claim)
        params = plain(proposal.params, "params")
        if row.params is not None:
            if row.params == params:
                return None  # the answer to the first call was lost
            raise StudyStateError(f"trial {claim.number} has a configuration already; it is written once.")
        key = plain_key(params, proposal.fidelity)
        if unique and self._same.get(key):
            return min(self._same[key])
        row.params = params
        row.fidelity, row.parent, row.partition = proposal.fidelity, proposal.parent, proposal.partition
        # The turn is kept in the event.
        row.provenance = replace(provenance, turn=0) if provenance.turn else provenance
        row.space_version = space_version
        self._same.setdefault(key, set()).add(row.number)
        self._move("propose", row, **config_form(key, provenance.turn))
        return None

    def extend(self, claim: Claim, params: Mapping[str, Any], space_version: int) -> None:
        """See `Storage.extend`."""
        row = self._must_hold(claim)
        wider = merged(row.params or {}, params, "params")
        self._unkey(row)
        row.params, row.space_version = wider, space_version
        key = self._key(row)
        self._move("extend", row, names=list(params), space_version=space_version, **config_form(key))

    def report(self, claim: Claim, reports: Sequence[Report]) -> bool:
        """See `Storage.report`."""
        row = self._holds(claim)
        if row is None:
            return False
        if reports:
            copies = plain_reports(reports)
            self._write("report", row.number, row.fence, count=len(copies))
            self._add_reports(row.number, row.fence, copies)
        return True

    def finish(self, claim: Claim, outcome: Outcome, result_id: str) -> Finish:
        """See `Storage.finish`."""
        row = self._holds(claim)
        if row is None:
            if any(item.result_id == result_id for item in self._attempts.get(claim.number, ())):
                return Finish.DUPLICATE
            self._write("stale", claim.number, claim.fence, **result_form(outcome, result_id))
            return Finish.STALE
        if self._tries_again(row, outcome):
            return self._retry(row, outcome, result_id)
        metrics = plain(outcome.metrics, "metrics") if outcome.metrics else {}
        row.user_attrs = merged(row.user_attrs, outcome.user_attrs, "user_attrs")
        row.metrics = metrics
        row.values = tuple(map(float, outcome.values))
        row.failure = clean_failure(outcome.failure)
        row.duration_s, row.result_id, row.ended_us = outcome.duration_s, result_id, self._clock.wall()
        self._end_with_result(row, outcome.state.value, outcome, result_id)
        self._put(row, outcome.state)
        if outcome.artifacts:
            self._artifacts[row.number] = list(outcome.artifacts)
        if row.failure is not None and not row.failure.kind.teaches:
            self._unkey(row)
        self._move("finish", row, **end_form(outcome.state, row.values, row.failure))
        row.finished_revision = self._revision
        return Finish.ACCEPTED

    def _tries_again(self, row: TrialRow, outcome: Outcome) -> bool:
        if outcome.failure is None or row.stop:
            return False
        kind = outcome.failure.kind.value
        if outcome.failure.kind is FailureKind.LOST:  # as when the lease had run out
            return row.attempts < self.spec.max_attempts
        tried = sum(item.outcome == kind for item in self._attempts[row.number])
        return tried < self.spec.retry.get(kind, 0)

    def _retry(self, row: TrialRow, outcome: Outcome, result_id: str) -> Finish:
        """Send a trial that failed back for another attempt."""
        assert outcome.failure is not None
        self._end_with_result(row, outcome.failure.kind.value, outcome, result_id)
        self._put(row, TrialState.WAITING)
        self._move("retry", row, failure=failure_form(outcome.failure))
        return Finish.RETRY


def _ended_form(rows: Sequence[TrialRow]) -> dict[str, Any]:
    """Return the part of an event's payload that names trials which ended because their lease ran out."""
    lost = [row.number for row in rows if not row.stop]
    killed = [row.number for row in rows if row.stop]
    return ({"lost": lost} if lost else {}) | ({"killed": killed} if killed else {})
