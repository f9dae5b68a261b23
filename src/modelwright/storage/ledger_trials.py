"""A study's trials in memory: their rows, attempts and reports, and how they move between states."""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from modelwright.records import Artifact, Failure, Outcome, Report, TrialState
from modelwright.storage.base import Changes, Claim
from modelwright.storage.ledger_rows import AttemptRow, TrialRow, copy_report
from modelwright.storage.ledger_tables import LedgerTables
from modelwright.storage.plain import clean_text, merged, plain_key

__all__ = ["LedgerTrials"]

_NEVER = 2**63


class LedgerTrials(LedgerTables):
    """The rows of trials, and the moves that every verb is made of; parameters as of `LedgerHead`."""

    def __init__(self, *args: Any) -> None:
        self.rows: dict[int, TrialRow] = {}
        self.counts: Counter[TrialState] = Counter()
        self._attempts: dict[int, list[AttemptRow]] = {}
        self._artifacts: dict[int, list[Artifact]] = {}
        self._same: dict[str, set[int]] = {}  # numbers by the key of their configuration
        self._claims: dict[str, int] = {}
        self._fence_floor = 0  # a number that was given back starts above the fences it had
        self._waiting: list[int] = []  # a heap; numbers that moved on are dropped when they come up
        self._running: set[int] = set()
        self._earliest = _NEVER  # no lease runs out before this moment
        # The log that `changes` reads: which trial moved at which revision.
        self._moves: list[int] = []
        self._moved: list[int] = []
        self._report_revisions: list[int] = []
        self._reports: list[tuple[int, Report]] = []
        self._reports_of: dict[int, list[tuple[int, Report]]] = {}
        super().__init__(*args)

    # moves -------------------------------------------------------------------------------------------

    def _move(self, kind: str, row: TrialRow, **payload: Any) -> None:
        """Write an event about `row`, and mark it as moved."""
        self._write(kind, row.number, row.fence, **payload)
        self._touch(row)

    def _touch(self, row: TrialRow) -> None:
        row.revision = self._revision
        self._moves.append(self._revision)
        self._moved.append(row.number)

    def _add(self, row: TrialRow) -> TrialRow:
        self.rows[row.number] = row
        self.counts[row.state] += 1
        self.issued = max(self.issued, row.number + 1)
        if row.state is TrialState.WAITING:
            heapq.heappush(self._waiting, row.number)
        return row

    def _put(self, row: TrialRow, state: TrialState) -> None:
        """Move `row` to `state`; whoever had claimed it has it no more."""
        self.counts[row.state] -= 1
        self.counts[state] += 1
        row.state = state
        self._claims.pop(row.claim_id, None)
        row.claim_id = ""
        if state is TrialState.RUNNING:
            self._running.add(row.number)
        else:
            self._running.discard(row.number)
            row.lease_until = 0
        if state is TrialState.WAITING:
            row.worker, row.started_us = "", None
            heapq.heappush(self._waiting, row.number)

    def _drop(self, row: TrialRow) -> None:
        """Forget a trial whose number is given back."""
        self._put(row, TrialState.WAITING)
        self.counts[TrialState.WAITING] -= 1
        del self.rows[row.number]
        self.issued -= 1
        self._fence_floor = max(self._fence_floor, row.fence)
        self._drop_reports({row.number})

    def _fail(self, row: TrialRow, failure: Failure) -> None:
        """End a trial that leaves no result, as of the present revision."""
        self._put(row, TrialState.FAILED)
        self._unkey(row)  # what was lost or killed says nothing about its configuration
        row.failure, row.ended_us = failure, self._clock.wall()
        row.finished_revision = self._revision
        self._touch(row)

    def _lease(self, row: TrialRow, until: int) -> None:
        row.lease_until = until
        self._earliest = min(self._earliest, until)

    def _live(self, now: int) -> list[TrialRow]:
        """Return the rows with a lease, by number."""
        rows = (self.rows[n] for n in sorted(self._running))
        return [row for row in rows if row.lease_until > now]

    def _expired(self, now: int) -> list[TrialRow]:
        """Return the rows whose lease has run out, by number."""
        if now < self._earliest:
            return []
        rows = [self.rows[n] for n in sorted(self._running)]
        self._earliest = min((row.lease_until for row in rows), default=_NEVER)
        return [row for row in rows if row.lease_until <= now]

    def _holds(self, claim: Claim) -> TrialRow | None:
        """Return the row of a claim that is the newest and still open."""
        row = self.rows.get(claim.number)
        held = row is not None and row.fence == claim.fence and row.state is TrialState.RUNNING
        return row if held else None

    # configurations ----------------------------------------------------------------------------------

    def _key(self, row: TrialRow) -> str:
        """Note the configuration of `row` as used, and return its key; "" without one."""
        if row.params is None:
            return ""
        key = plain_key(row.params, row.fidelity)
        self._same.setdefault(key, set()).add(row.number)
        return key

    def _unkey(self, row: TrialRow) -> None:
        if row.params is not None:
            self._same.get(plain_key(row.params, row.fidelity), set()).discard(row.number)

    # attempts ----------------------------------------------------------------------------------------

    def _start_attempt(self, row: TrialRow, now: int) -> None:
        begun = AttemptRow(row.number, row.fence, row.worker, self._clock.wall(), now)
        self._attempts.setdefault(row.number, []).append(begun)

    def _lease_cost(self, row: TrialRow) -> float:
        """Return what the latest attempt costs if it is lost: from its start to the end of its lease."""
        return (row.lease_until - self._attempts[row.number][-1].began) / 1e6

    def _end_attempt(self, row: TrialRow, outcome: str, cost: float) -> AttemptRow:
        """Close the latest attempt at a trial, and charge the study for it."""
        latest = self._attempts[row.number][-1]
        latest.outcome, latest.cost, latest.ended_us = outcome, cost, self._clock.wall()
        self._cost += cost
        return latest

    def _lose_attempt(self, row: TrialRow) -> None:
        lost = self._end_attempt(row, "lost", self._lease_cost(row))
        lost.ended_us = lost.started_us + row.lease_until - lost.began

    def _end_with_result(self, row: TrialRow, name: str, outcome: Outcome, result_id: str) -> None:
        cost = outcome.duration_s if outcome.cost is None else outcome.cost
        latest = self._end_attempt(row, name, float(cost) if math.isfinite(cost) else 0.0)
        latest.duration_s, latest.peak_memory_mb = outcome.duration_s, outcome.peak_memory_mb
        latest.exit_code, latest.log_location = outcome.exit_code, clean_text(outcome.log_location)
        latest.result_id = result_id

    # reports and artifacts ---------------------------------------------------------------------------

    def _add_reports(self, number: int, fence: int, reports: Sequence[Report]) -> None:
        """Keep reports, which are copies already, as of the present revision."""
        self._report_revisions += [self._revision] * len(reports)
        self._reports += [(number, item) for item in reports]
        self._reports_of.setdefault(number, []).extend((fence, item) for item in reports)

    def _drop_reports(self, numbers: Iterable[int]) -> None:
        gone = {number for number in numbers if self._reports_of.pop(number, None) is not None}
        if gone:
            kept = [i for i, (owner, _) in enumerate(self._reports) if owner not in gone]
            self._reports = [self._reports[i] for i in kept]
            self._report_revisions = [self._report_revisions[i] for i in kept]

    # reading -----------------------------------------------------------------------------------------

    def row(self, number: int) -> TrialRow:
        """Return one row; `KeyError` if there is none."""
        if number not in self.rows:
            raise KeyError(f"the study {self.spec.name!r} has no trial {number}")
        return self.rows[number]

    def sorted_rows(self) -> list[TrialRow]:
        """Return all rows by number."""
        return [self.rows[n] for n in sorted(self.rows)]

    def reports(self, number: int) -> list[Report]:
        """See `Storage.reports`."""
        self.row(number)
        newest: dict[tuple[float, int], tuple[int, Report]] = {}
        for fence, report in self._reports_of.get(number, ()):
            key = report.step, -1 if report.fold is None else report.fold
            if key not in newest or newest[key][0] <= fence:
                newest[key] = fence, report
        return [copy_report(newest[key][1]) for key in sorted(newest)]

    def attempts(self, number: int | None) -> list[AttemptRow]:
        """See `Storage.attempts`; those of numbers that were given back are among all."""
        if number is not None:
            self.row(number)
            return self._attempts.get(number, [])
        return [row for n in sorted(self._attempts) for row in self._attempts[n]]

    def artifacts(self, number: int | None) -> list[tuple[int, Artifact]]:
        """See `Storage.artifacts`."""
        numbers = sorted(self._artifacts) if number is None else [number]
        found = [(n, item) for n in numbers for item in self._artifacts.get(n, ())]
        return sorted(found, key=lambda item: (item[0], item[1].name))

    def changes(self, since: int) -> Changes:
        """See `Storage.changes`."""
        # A trial that moved twice stands in the log twice, and one that was given back is not there any more.
        moved = {n for n in self._moved[bisect_right(self._moves, since) :] if n in self.rows}
        trials = sorted((self.rows[n] for n in moved), key=lambda row: (row.revision, row.number))
        start = bisect_right(self._report_revisions, since)
        reports = [(n, copy_report(report)) for n, report in self._reports[start:]]
        return Changes(
            self._revision, [row.trial() for row in trials if row.revision > since], reports, self.record()
        )

    def holders(self) -> set[str]:
        """Return the ids of the workers that have a lease on a trial."""
        now = self._clock.tick()
        return {row.worker for row in map(self.rows.__getitem__, self._running) if row.lease_until > now}

    def held_by(self, worker: str) -> list[int]:
        """Return the numbers of the trials that `worker` has a lease on."""
        return [row.number for row in self._live(self._clock.tick()) if row.worker == worker]

    def set_trial_attrs(self, number: int, attrs: Mapping[str, Any]) -> None:
        """See `Storage.set_trial_attrs`."""
        row = self.row(number)
        row.user_attrs = merged(row.user_attrs, attrs, "user_attrs")
        self._move("trial_attrs", row, names=list(attrs))
