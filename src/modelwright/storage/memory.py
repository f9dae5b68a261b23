"""The ledger in this process's memory: for studies that need not outlive it, and a model of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelwright.records import (
    Artifact,
    Outcome,
    Proposal,
    Provenance,
    Report,
    Trial,
    TrialState,
)
from modelwright.storage.answers import Changes, Claim, Controls, Event, Finish, NoClaim
from modelwright.storage.memory_studies import microseconds
from modelwright.storage.memory_tables import MemoryTables

if TYPE_CHECKING:
    from modelwright.storage.entries import AdoptedTrial, Attempt

__all__ = ["MemoryStorage"]


class MemoryStorage(MemoryTables):
    """A storage that lives and dies with the process; the contract is `modelwright.storage.Storage`.

    Each method takes one lock, and costs the same at any number of trials.

    Parameters
    ----------
    clock : callable, optional
        Seconds that only grow, for leases, durations and budgets of time; ``time.monotonic`` by default.
    now_us : callable, optional
        Microseconds since 1970, for moments and deadlines; the machine's clock by default.

    Examples
    --------
    >>> from modelwright.records import Outcome, Proposal, Provenance, StudySpec, TrialState
    >>> from modelwright.space import Float, Space
    >>> storage = MemoryStorage()
    >>> study = storage.create_study(StudySpec("demo", Space(x=Float(0, 1))))
    >>> claim = storage.claim(study.id, "me", "first", lease_s=60)
    >>> storage.propose(claim, Proposal({"x": 0.5}), Provenance(), 0)
    >>> storage.finish(claim, Outcome(TrialState.COMPLETE, (0.25,)), "first").value
    'accepted'
    >>> storage.trial(study.id, 0).values
    (0.25,)
    """

    def enqueue(
        self,
        study_id: int,
        params: Mapping[str, Any],
        user_attrs: Mapping[str, Any],
        *,
        request_id: str = "",
        who: str = "",
    ) -> int:
        """See `Storage.enqueue`."""
        with self._lock:
            return self._ledger(study_id).enqueue(params, user_attrs, request_id, who)

    def claim(self, study_id: int, worker_id: str, claim_id: str, lease_s: float) -> Claim | NoClaim:
        """See `Storage.claim`."""
        with self._lock:
            return self._ledger(study_id).claim(worker_id, claim_id, microseconds(lease_s))

    def release(self, claim: Claim, why: str, *, close: bool = False) -> bool:
        """See `Storage.release`."""
        with self._lock:
            return self._ledger(claim.study_id).release(claim, why, close)

    def renew(self, claims: Sequence[Claim], lease_s: float) -> Controls:
        """See `Storage.renew`."""
        lost, stop, abort, states = set(), set(), set(), {}
        lease_us = microseconds(lease_s)
        with self._lock:
            for claim in claims:
                ledger = self._ledgers.get(claim.study_id)
                if ledger is None:
                    lost.add(claim.number)
                    continue
                gone, asked = ledger.renew(claim, lease_us)
                if gone:
                    lost.add(claim.number)
                if asked:
                    stop.add(claim.number)
                if ledger.abort:
                    abort.add(claim.study_id)
                states[claim.study_id] = ledger.state
        return Controls(frozenset(lost), frozenset(stop), states, frozenset(abort))

    def propose(
        self,
        claim: Claim,
        proposal: Proposal,
        provenance: Provenance,
        space_version: int,
        *,
        unique: bool = False,
    ) -> int | None:
        """See `Storage.propose`."""
        with self._lock:
            ledger = self._ledger(claim.study_id)
            return ledger.propose(claim, proposal, provenance, space_version, unique)

    def extend(self, claim: Claim, params: Mapping[str, Any], space_version: int) -> None:
        """See `Storage.extend`."""
        with self._lock:
            self._ledger(claim.study_id).extend(claim, params, space_version)

    def report(self, claim: Claim, reports: Sequence[Report]) -> bool:
        """See `Storage.report`."""
        with self._lock:
            return self._ledger(claim.study_id).report(claim, reports)

    def finish(self, claim: Claim, outcome: Outcome, result_id: str) -> Finish:
        """See `Storage.finish`."""
        with self._lock:
            return self._ledger(claim.study_id).finish(claim, outcome, result_id)

    def kill(self, study_id: int, number: int, *, who: str = "") -> Trial:
        """See `Storage.kill`."""
        with self._lock:
            return self._ledger(study_id).kill(number, who).trial()

    def adopt(self, study_id: int, trials: Sequence[AdoptedTrial], *, who: str = "") -> list[int]:
        """See `Storage.adopt`."""
        with self._lock:
            return self._ledger(study_id).adopt(trials, who)

    def trial(self, study_id: int, number: int) -> Trial:
        """See `Storage.trial`."""
        with self._lock:
            return self._ledger(study_id).row(number).trial()

    def trials(self, study_id: int, states: Sequence[TrialState] | None = None) -> list[Trial]:
        """See `Storage.trials`."""
        with self._lock:
            rows = self._ledger(study_id).sorted_rows()
            return [row.trial() for row in rows if states is None or row.state in states]

    def reports(self, study_id: int, number: int) -> list[Report]:
        """See `Storage.reports`."""
        with self._lock:
            return self._ledger(study_id).reports(number)

    def attempts(self, study_id: int, number: int | None = None) -> list[Attempt]:
        """See `Storage.attempts`."""
        with self._lock:
            return [row.attempt() for row in self._ledger(study_id).attempts(number)]

    def counts(self, study_id: int) -> Mapping[TrialState, int]:
        """See `Storage.counts`."""
        with self._lock:
            return {state: count for state, count in self._ledger(study_id).counts.items() if count}

    def changes(self, study_id: int, since: int) -> Changes:
        """See `Storage.changes`."""
        with self._lock:
            return self._ledger(study_id).changes(since)

    def events(self, study_id: int, since: int = 0, limit: int = 1000) -> list[Event]:
        """See `Storage.events`."""
        with self._lock:
            return self._ledger(study_id).events(since, limit)

    def set_trial_attrs(self, study_id: int, number: int, attrs: Mapping[str, Any]) -> None:
        """See `Storage.set_trial_attrs`."""
        with self._lock:
            self._ledger(study_id).set_trial_attrs(number, attrs)

    def artifacts(self, study_id: int, number: int | None = None) -> list[tuple[int, Artifact]]:
        """See `Storage.artifacts`."""
        with self._lock:
            return self._ledger(study_id).artifacts(number)

    def trim(self, study_id: int, numbers: Sequence[int], *, who: str = "") -> None:
        """See `Storage.trim`."""
        with self._lock:
            self._ledger(study_id).trim(numbers, who)

    def close(self) -> None:
        """See `Storage.close`; there is nothing to give back."""
