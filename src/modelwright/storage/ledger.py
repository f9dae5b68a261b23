"""One study's ledger in memory: its rows, and the moves between their states.

Nothing here locks or copies spaces: `modelwright.storage.memory.MemoryStorage` does, and hands each call the
time. Every move ends in `_write`, which raises the revision and leaves the event.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from modelwright._base.clock import now_us
from modelwright.errors import StaleClaimError, StudyStateError
from modelwright.records import (
    Artifact,
    FailureKind,
    Outcome,
    Proposal,
    Provenance,
    Report,
    StudySpec,
    StudyState,
    TrialState,
)
from modelwright.storage.base import (
    Changes,
    Claim,
    EnsembleRecord,
    Event,
    Finish,
    NoClaim,
    Partition,
    StudyRecord,
)
from modelwright.storage.ledger_rows import TrialRow, clean_failure, copy_partition, copy_report, lost_failure
from modelwright.storage.plain import clean_text, merged, plain, plain_reports

__all__ = ["StudyLedger"]

_NEVER = float("inf")

_NEVER = float("inf")


class StudyLedger:
    """The rows of one study.

    Parameters
    ----------
    study_id : int
        Key in its storage.
    spec : StudySpec
        What is fixed about it.
    space : Mapping
        JSON form of version 0 of the space.
    """

    def __init__(self, study_id: int, spec: StudySpec, space: Mapping[str, Any]) -> None:
        self.id = study_id
        self.spec = spec
        self.rows: list[TrialRow] = []
        self.events: list[Event] = []
        self.partitions: dict[int, Partition] = {}
        self.ensembles: dict[int, EnsembleRecord] = {}
        self.artifacts: list[tuple[int, Artifact]] = []
        self._state = StudyState.PENDING
        self._revision = 0
        self._budget: int | None = None
        self._window: int | None = None
        self._spaces = [dict(space)]
        self._closed = ""
        self._attrs: dict[str, Any] = {}
        self._created_us = now_us()
        self._started_us: int | None = None
        self._ended_us: int | None = None
        self._fence_floor = 0  # a number that was given back starts above the fences it had
        self._given_back: set[tuple[int, int]] = set()
        self._claims: dict[str, int] = {}
        self._waiting: list[int] = []  # a heap; numbers that moved on are dropped when they come up
        self._running: set[int] = set()
        self._earliest = _NEVER  # no lease runs out before this moment
        # The log that `changes` reads: which trial moved at which revision.
        self._moves: list[int] = []
        self._moved: list[int] = []
        self._report_revisions: list[int] = []
        self._reports: list[tuple[int, Report]] = []
        self._reports_of: dict[int, list[tuple[int, Report]]] = {}
        self._ensemble_lease: tuple[str, float] = ("", 0.0)
        self._write("create")

    def _write(self, kind: str, number: int | None = None, fence: int | None = None, **payload: Any) -> int:
        """Raise the revision, leave the event, and return the revision."""
        self._revision += 1
        self.events.append(Event(self._revision, kind, number, fence, payload, now_us()))
        return self._revision

    def _move(self, kind: str, row: TrialRow, **payload: Any) -> None:
        """Write an event about `row`, and mark it as moved."""
        self._write(kind, row.number, row.fence, **payload)
        self._touch(row)

    def _touch(self, row: TrialRow) -> None:
        row.revision = self._revision
        self._moves.append(self._revision)
        self._moved.append(row.number)

    # the study itself --------------------------------------------------------------------------------

    def record(self) -> StudyRecord:
        """Return the study as it is now."""
        return StudyRecord(
            self.id,
            self.spec,
            self._state,
            self._revision,
            self._budget,
            len(self.rows),
            self._window,
            len(self._spaces) - 1,
            dict(self._spaces[-1]),
            self._closed,
            plain(self._attrs) if self._attrs else {},
            self._created_us,
            self._started_us,
            self._ended_us,
        )

    @property
    def state(self) -> StudyState:
        """Where the study stands."""
        return self._state

    def set_state(self, state: StudyState) -> None:
        """See `Storage.set_state`."""
        if state is not self._state:
            self._move_to(state)
            self._write("state", state=state.value)

    def _move_to(self, state: StudyState) -> None:
        self._state = state
        if state is StudyState.RUNNING and self._started_us is None:
            self._started_us = now_us()
        self._ended_us = now_us() if state in (StudyState.COMPLETE, StudyState.FAILED) else None

    def set_budget(self, trials: int | None) -> None:
        """See `Storage.set_budget`."""
        if trials == self._budget:
            return
        grows = self._budget is not None and (trials is None or trials > self._budget)
        self._budget = trials
        if grows and self._state is StudyState.COMPLETE:
            self._move_to(StudyState.PENDING)
        self._write("budget", trials=trials)

    def set_window(self, window: int) -> None:
        """See `Storage.set_window`."""
        if self._window is None:
            self._window = window
            self._write("window", window=window)

    def set_user_attrs(self, attrs: Mapping[str, Any]) -> None:
        """See `Storage.set_user_attrs`."""
        self._attrs = merged(self._attrs, attrs, "user_attrs")
        self._write("attrs", names=list(attrs))

    def add_space(self, space: Mapping[str, Any], based_on: int) -> None:
        """See `Storage.add_space`."""
        if based_on == len(self._spaces) - 1:
            self._spaces.append(plain(space, "the space"))
            self._closed = ""  # a wider space holds configurations that nobody has tried
            self._write("space", version=len(self._spaces) - 1)

    # trials: waiting and claimed ---------------------------------------------------------------------

    def enqueue(self, params: Mapping[str, Any], user_attrs: Mapping[str, Any]) -> int:
        """See `Storage.enqueue`."""
        row = TrialRow(len(self.rows), now_us(), params=plain(params, "params"), enqueued=True)
        row.user_attrs = plain(user_attrs, "user_attrs")
        row.space_version = len(self._spaces) - 1
        self.rows.append(row)
        heapq.heappush(self._waiting, row.number)
        if self._budget is not None:
            self._budget = max(self._budget, len(self.rows))
        if self._state is StudyState.COMPLETE:
            self._move_to(StudyState.PENDING)
        self._move("enqueue", row)
        return row.number

    def claim(self, worker: str, claim_id: str, lease_s: float, now: float) -> Claim | NoClaim:
        """See `Storage.claim`."""
        known = self._claims.get(claim_id)
        if known is not None:
            return self._claim_of(self.rows[known])
        if self._state in (StudyState.PAUSED, StudyState.COMPLETE, StudyState.FAILED):
            return NoClaim("paused" if self._state is StudyState.PAUSED else "complete")
        expired, lost = self._expired(now)
        row = self._next_waiting(expired) or self._new_row()
        if row is None:
            if lost:
                self._write("lost", trials=[item.number for item in lost])
                self._end_lost(lost)
            if self._running:
                return NoClaim("busy")
            return NoClaim("closed" if self._closed else "spent")
        self._claims.pop(row.claim_id, None)
        row.state = TrialState.RUNNING
        row.fence = (row.fence or self._fence_floor) + 1
        row.attempts += 1
        row.worker, row.claim_id, row.stop = worker, claim_id, False
        row.started_us = now_us()
        self._claims[claim_id] = row.number
        self._running.add(row.number)
        self._lease(row, now + lease_s)
        extra = {"lost": [item.number for item in lost]} if lost else {}
        self._move("claim", row, worker=worker, attempt=row.attempts, **extra)
        self._end_lost(lost)
        return self._claim_of(row)

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

    def _lease(self, row: TrialRow, until: float) -> None:
        row.lease_until = until
        self._earliest = min(self._earliest, until)

    def _expired(self, now: float) -> tuple[TrialRow | None, list[TrialRow]]:
        """Return, of the trials whose lease has run out, the first with attempts left and all without."""
        if now < self._earliest:
            return None, []
        rows = [self.rows[n] for n in sorted(self._running)]
        self._earliest = min((row.lease_until for row in rows), default=_NEVER)
        over = [row for row in rows if row.lease_until <= now]
        most = self.spec.max_attempts
        first = next((row for row in over if row.attempts < most), None)
        return first, [row for row in over if row.attempts >= most]

    def _end_lost(self, lost: Sequence[TrialRow]) -> None:
        for row in lost:
            self._leave(row, TrialState.FAILED)
            row.failure, row.ended_us = lost_failure(row.attempts), now_us()
            row.finished_revision = self._revision
            self._touch(row)

    def _leave(self, row: TrialRow, state: TrialState) -> None:
        row.state = state
        self._running.discard(row.number)
        self._claims.pop(row.claim_id, None)
        row.claim_id = ""

    def _next_waiting(self, expired: TrialRow | None) -> TrialRow | None:
        """Return the lowest of the waiting trials and `expired`."""
        heap = self._waiting
        while heap and (heap[0] >= len(self.rows) or self.rows[heap[0]].state is not TrialState.WAITING):
            heapq.heappop(heap)
        if heap and (expired is None or heap[0] < expired.number):
            return self.rows[heapq.heappop(heap)]
        return expired

    def _new_row(self) -> TrialRow | None:
        number = len(self.rows)
        if self._closed or (self._budget is not None and number >= self._budget):
            return None
        row = TrialRow(number, now_us(), space_version=len(self._spaces) - 1)
        self.rows.append(row)
        return row

    def _holds(self, claim: Claim) -> TrialRow | None:
        """Return the row of a claim that is the newest and still open."""
        if claim.number >= len(self.rows):
            return None
        row = self.rows[claim.number]
        return row if row.fence == claim.fence and row.state is TrialState.RUNNING else None

    def release(self, claim: Claim, why: str, close: bool) -> bool:
        """See `Storage.release`."""
        row = self._holds(claim)
        if row is None:
            return (claim.number, claim.fence) in self._given_back
        self._given_back.add((claim.number, claim.fence))
        self._leave(row, TrialState.WAITING)
        row.attempts -= 1
        row.worker, row.started_us = "", None
        if close:
            self._closed = clean_text(why)
        if row.params is None and row.number == len(self.rows) - 1:
            self.rows.pop()
            self._drop_reports(row.number)
            self._fence_floor = max(self._fence_floor, row.fence)
            self._write("release", row.number, row.fence, why=clean_text(why), given_back=True)
        else:
            heapq.heappush(self._waiting, row.number)
            self._move("release", row, why=clean_text(why))
        return True

    def _drop_reports(self, number: int) -> None:
        if self._reports_of.pop(number, None) is None:
            return
        kept = [i for i, (owner, _) in enumerate(self._reports) if owner != number]
        self._reports = [self._reports[i] for i in kept]
        self._report_revisions = [self._report_revisions[i] for i in kept]

    def renew(self, claim: Claim, until: float) -> tuple[bool, bool]:
        """Prolong one lease; return whether the claim is lost, and whether somebody asked to stop it."""
        row = self._holds(claim)
        if row is not None:
            row.lease_until = until
            return False, row.stop
        row = self.rows[claim.number] if claim.number < len(self.rows) else None
        overtaken = row is not None and row.fence != claim.fence
        given_up = row is not None and row.failure is not None and row.failure.kind is FailureKind.LOST
        return overtaken or given_up, False

    # trials: what a claim may write ------------------------------------------------------------------

    def _must_hold(self, claim: Claim) -> TrialRow:
        row = self._holds(claim)
        if row is None:
            raise StaleClaimError(
                f"trial {claim.number} of the study {self.spec.name!r} is not this worker's any more."
            )
        return row

    def propose(self, claim: Claim, proposal: Proposal, provenance: Provenance, space_version: int) -> None:
        """See `Storage.propose`."""
        row = self._must_hold(claim)
        params = plain(proposal.params, "params")
        if row.params is not None:
            if row.params == params:
                return  # the answer to the first call was lost
            raise StudyStateError(f"trial {claim.number} has a configuration already; it is written once.")
        row.params = params
        row.fidelity, row.parent, row.partition = proposal.fidelity, proposal.parent, proposal.partition
        row.provenance, row.space_version = provenance, space_version
        self._move("propose", row)

    def extend(self, claim: Claim, params: Mapping[str, Any], space_version: int) -> None:
        """See `Storage.extend`."""
        row = self._must_hold(claim)
        row.params = merged(row.params or {}, params, "params")
        row.space_version = space_version
        self._move("extend", row, names=list(params))

    def report(self, claim: Claim, reports: Sequence[Report]) -> bool:
        """See `Storage.report`."""
        row = self._holds(claim)
        if row is None:
            return False
        if not reports:
            return True
        copies = plain_reports(reports)
        revision = self._write("report", row.number, row.fence, count=len(copies))
        self._report_revisions += [revision] * len(copies)
        self._reports += [(row.number, item) for item in copies]
        self._reports_of.setdefault(row.number, []).extend((row.fence, item) for item in copies)
        return True

    def finish(self, claim: Claim, outcome: Outcome, result_id: str) -> Finish:
        """See `Storage.finish`."""
        row = self._holds(claim)
        if row is None:
            if claim.number < len(self.rows) and self.rows[claim.number].result_id == result_id:
                return Finish.DUPLICATE
            self._write("stale", claim.number, claim.fence, state=outcome.state.value)
            return Finish.STALE
        user_attrs = merged(row.user_attrs, outcome.user_attrs, "user_attrs")
        row.metrics = plain(outcome.metrics, "metrics") if outcome.metrics else {}
        row.user_attrs = user_attrs
        self._leave(row, outcome.state)
        row.values = tuple(map(float, outcome.values))
        row.failure = clean_failure(outcome.failure)
        row.duration_s, row.result_id, row.ended_us = outcome.duration_s, result_id, now_us()
        self.artifacts += [(row.number, item) for item in outcome.artifacts]
        self._move("finish", row, state=outcome.state.value)
        row.finished_revision = self._revision
        return Finish.ACCEPTED

    def request_stop(self, number: int) -> bool:
        """See `Storage.request_stop`."""
        if not 0 <= number < len(self.rows) or self.rows[number].state is not TrialState.RUNNING:
            return False
        if not self.rows[number].stop:
            self.rows[number].stop = True
            self._move("stop", self.rows[number])
        return True

    def forfeit(self, worker: str, why: str, now: float) -> list[int]:
        """See `Storage.forfeit`."""
        numbers = self.held_by(worker, now)
        for number in numbers:
            self._lease(self.rows[number], now)
        if numbers:
            self._write("forfeit", worker=worker, why=clean_text(why), trials=numbers)
        return numbers

    def held_by(self, worker: str, now: float) -> list[int]:
        """Return the numbers of the trials that `worker` has a lease on."""
        rows = (self.rows[n] for n in sorted(self._running))
        return [row.number for row in rows if row.worker == worker and row.lease_until > now]

    def holders(self, now: float) -> set[str]:
        """Return the ids of the workers that have a lease on a trial."""
        return {self.rows[n].worker for n in self._running if self.rows[n].lease_until > now}

    def set_trial_attrs(self, number: int, attrs: Mapping[str, Any]) -> None:
        """See `Storage.set_trial_attrs`."""
        row = self.row(number)
        row.user_attrs = merged(row.user_attrs, attrs, "user_attrs")
        self._move("trial_attrs", row, names=list(attrs))

    # reading -----------------------------------------------------------------------------------------

    def row(self, number: int) -> TrialRow:
        """Return one row; `KeyError` if there is none."""
        if not 0 <= number < len(self.rows):
            raise KeyError(f"the study {self.spec.name!r} has no trial {number}")
        return self.rows[number]

    def reports(self, number: int) -> list[Report]:
        """See `Storage.reports`."""
        self.row(number)
        newest: dict[tuple[float, int], tuple[int, Report]] = {}
        for fence, report in self._reports_of.get(number, ()):
            key = report.step, -1 if report.fold is None else report.fold
            if key not in newest or newest[key][0] <= fence:
                newest[key] = fence, report
        return [copy_report(newest[key][1]) for key in sorted(newest)]

    def changes(self, since: int) -> Changes:
        """See `Storage.changes`."""
        rows = self.rows
        # A trial that moved twice stands in the log twice, and one that was given back is not there any more.
        moved = {n for n in self._moved[bisect_right(self._moves, since) :] if n < len(rows)}
        trials = sorted((rows[n] for n in moved), key=lambda row: (row.revision, row.number))
        start = bisect_right(self._report_revisions, since)
        reports = [(n, copy_report(report)) for n, report in self._reports[start:]]
        return Changes(
            self._revision, [row.trial() for row in trials if row.revision > since], reports, self.record()
        )

    def events_since(self, since: int, limit: int) -> list[Event]:
        """See `Storage.events`; the event of revision r is at position r - 1."""
        return self.events[max(since, 0) : max(since, 0) + limit]

    # tables of AutoML --------------------------------------------------------------------------------

    def add_partitions(self, partitions: Sequence[Partition]) -> None:
        """See `Storage.add_partitions`."""
        new = [item for item in partitions if item.index not in self.partitions]
        for item in new:
            self.partitions[item.index] = copy_partition(item)
        if new:
            self._write("partitions", count=len(new))

    def set_partition_status(self, index: int, status: Any) -> None:
        """See `Storage.set_partition_status`."""
        if self.partitions[index].status != status:
            self.partitions[index] = replace(self.partitions[index], status=status)
            self._write("partition", index=index, status=status)

    def lease_ensemble(self, worker: str, until: float, now: float) -> bool:
        """See `Storage.lease_ensemble`."""
        owner, lease = self._ensemble_lease
        if owner not in ("", worker) and lease > now:
            return False
        self._ensemble_lease = worker, until
        return True

    def release_ensemble(self, worker: str) -> None:
        """See `Storage.release_ensemble`."""
        if self._ensemble_lease[0] == worker:
            self._ensemble_lease = ("", 0.0)

    def add_ensemble(self, worker: str, ensemble: EnsembleRecord) -> bool:
        """See `Storage.add_ensemble`."""
        if self._ensemble_lease[0] != worker:
            return False
        self.ensembles[ensemble.iteration] = ensemble
        self._write("ensemble", iteration=ensemble.iteration)
        return True
