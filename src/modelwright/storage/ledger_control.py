"""What people, and tools that stand outside of a run, do to a study's trials in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from modelwright.errors import InputError, StudyStateError
from modelwright.records import StudyState, TrialState
from modelwright.storage.ledger_head import signed
from modelwright.storage.ledger_rows import (
    AttemptRow,
    TrialRow,
    above,
    clean_failure,
    killed_failure,
    lost_failure,
    silent_form,
)
from modelwright.storage.ledger_trials import LedgerTrials
from modelwright.storage.plain import clean_text, config_form, end_form, plain, plain_reports

if TYPE_CHECKING:
    from modelwright.storage.entries import AdoptedTrial

__all__ = ["LedgerControl"]


class LedgerControl(LedgerTrials):
    """Ending, enqueueing, killing, adopting and trimming; parameters as of `LedgerHead`."""

    def __init__(self, *args: Any) -> None:
        self._requests: dict[str, int] = {}
        super().__init__(*args)

    def set_state(
        self, state: StudyState, expected: StudyState | None, abort: bool, who: str, **more: Any
    ) -> None:
        """See `Storage.set_state`; a study that ends takes back what silent workers held."""
        ends = state is StudyState.COMPLETE and expected in (None, self.state)
        silent = self._expired(self._clock.tick()) if ends else []
        fates = silent_form(silent, self.spec.max_attempts)
        super().set_state(state, expected, abort, who, **fates, **more)
        for row in silent:
            self._lose_attempt(row)
            if row.number in fates.get("waiting", ()):
                self._put(row, TrialState.WAITING)
                self._touch(row)
            else:
                self._fail(row, killed_failure() if row.stop else lost_failure(row.attempts))

    def enqueue(
        self, params: Mapping[str, Any], user_attrs: Mapping[str, Any], request_id: str, who: str
    ) -> int:
        """See `Storage.enqueue`."""
        if request_id and request_id in self._requests:
            return self._requests[request_id]
        row = TrialRow(self.issued, self._clock.wall(), params=plain(params, "params"), enqueued=True)
        row.user_attrs = plain(user_attrs, "user_attrs")
        row.space_version = len(self._spaces) - 1
        key = self._key(self._add(row))
        self._raise_budget()
        self._reopen()
        extra = {"request_id": request_id} if request_id else {}
        if request_id:
            self._requests[request_id] = row.number
        self._move("enqueue", row, **config_form(key), **extra, **signed(who))
        return row.number

    def kill(self, number: int, who: str) -> TrialRow:
        """See `Storage.kill`."""
        row = self.row(number)
        if row.state.finished:
            return row
        if row.state is TrialState.RUNNING and row.lease_until > self._clock.tick():
            if not row.stop:
                row.stop = True
                self._move("kill", row, asked=True, **signed(who))
            return row
        if row.state is TrialState.RUNNING:
            self._lose_attempt(row)
        self._write("kill", number, row.fence, **signed(who))
        self._fail(row, killed_failure())
        return row

    def forfeit(self, worker: str, why: str) -> list[int]:
        """See `Storage.forfeit`."""
        numbers = self.held_by(worker)
        for number in numbers:
            self._lease(self.rows[number], self._clock.tick())
        if numbers:
            self._write("forfeit", worker=worker, why=clean_text(why), trials=numbers)
        return numbers

    def ask(self, worker: str, wish: str, who: str) -> None:
        """Leave an event about a wish for a worker that holds a trial here."""
        if self.held_by(worker):
            self._write("ask", worker=worker, wish=wish, **signed(who))

    def trim(self, numbers: Sequence[int], who: str) -> None:
        """See `Storage.trim`."""
        finished = (n for n in sorted(set(numbers)) if n in self.rows and self.rows[n].state.finished)
        gone = [n for n in finished if self._reports_of.get(n) or self._artifacts.get(n)]
        if not gone:
            return
        self._drop_reports(gone)
        for number in gone:
            self._artifacts.pop(number, None)
        self._write("trim", trials=gone, **signed(who))

    def adopt(self, trials: Sequence[AdoptedTrial], who: str) -> list[int]:
        """See `Storage.adopt`."""
        numbers = self._numbers_for(trials)
        # All that may be refused is read before anything is written.
        new = [self._adopted(item, number) for item, number in zip(trials, numbers, strict=True)]
        reports = [plain_reports(item.reports) for item in trials]
        for item, (row, attempts), copies in zip(trials, new, reports, strict=True):
            key = self._key(self._add(row))
            if row.failure is not None and not row.failure.kind.teaches:
                self._unkey(row)
            if attempts:
                self._attempts.setdefault(row.number, []).extend(attempts)
                self._cost += sum(attempt.cost or 0.0 for attempt in attempts)
            if item.artifacts:
                self._artifacts[row.number] = list(item.artifacts)
            self._raise_budget()
            if not row.state.finished:
                self._reopen()
            facts = config_form(key) if key else {}
            if row.state.finished:
                facts |= end_form(row.state, row.values, row.failure)
            self._move("adopt", row, **facts, **signed(who))
            self._add_reports(row.number, row.fence, copies)
            row.finished_revision = self._revision if row.state.finished else 0
        return numbers

    def _numbers_for(self, trials: Sequence[AdoptedTrial]) -> list[int]:
        """Return the number of each adopted trial; one that is taken raises."""
        following = self.issued
        numbers: dict[int, None] = {}  # in order
        for item in trials:
            number = following if item.number is None else item.number
            if isinstance(number, bool) or not isinstance(number, int) or number < 0:
                raise InputError(f"expected a trial number of at least 0, got {number!r}.")
            if number in self.rows or number in numbers:
                raise StudyStateError(
                    f"the study {self.spec.name!r} has a trial {number} already; nothing was taken in.",
                    hint="Give no numbers, so that the trials get the next free ones.",
                )
            numbers[number] = None
            following = max(following, number + 1)
        return list(numbers)

    def _adopted(self, item: AdoptedTrial, number: int) -> tuple[TrialRow, list[AttemptRow]]:
        """Return the row and the attempts of a trial from elsewhere."""
        # A number that was given back keeps those attempts.
        earlier = self._attempts.get(number)
        item = above(item, earlier[-1].fence if earlier else 0)
        trial, now = item.trial, self._clock.wall()
        ran = trial.state is TrialState.RUNNING
        done = trial.state.finished
        fence = max([trial.fence, *(attempt.fence for attempt in item.attempts)])
        row = TrialRow(
            number,
            now if trial.queued_us is None else trial.queued_us,
            trial.state if done else TrialState.WAITING,
            None if trial.params is None else plain(trial.params, "params"),
            tuple(map(float, trial.values)),
            clean_failure(trial.failure) if done else None,
            trial.fidelity,
            trial.parent,
            trial.partition,
            max(fence, self._fence_floor) if fence else 0,
            # Whoever ran it does not run it here.
            max(trial.attempts - ran, 0),
            trial.space_version,
            trial.enqueued,
            trial.provenance,
            plain(trial.user_attrs, "user_attrs"),
            plain(trial.metrics, "metrics"),
            trial.duration_s,
        )
        if done:
            row.worker, row.started_us = trial.worker, trial.started_us
            row.ended_us = now if trial.ended_us is None else trial.ended_us
        attempts = [_adopted_attempt(replace(attempt, number=number), now) for attempt in item.attempts]
        return row, sorted(attempts, key=lambda attempt: attempt.fence)


def _adopted_attempt(attempt: Any, now: int) -> AttemptRow:
    running = attempt.outcome == "running"
    return AttemptRow(
        attempt.number,
        attempt.fence,
        attempt.worker,
        attempt.started_us,
        0,
        "released" if running else attempt.outcome,
        now if running else attempt.ended_us,
        attempt.cost,
        attempt.duration_s,
        attempt.peak_memory_mb,
        attempt.exit_code,
        clean_text(attempt.log_location),
    )
