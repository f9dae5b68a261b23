"""The ledger as it was: what a copy of it would have read at an earlier revision."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from modelwright.records import Failure, FailureKind, Report, Trial, TrialState
from modelwright.storage.answers import Changes
from modelwright.study.replay.story import Story

__all__ = ["PastLedger"]


class PastLedger:
    """Answers `changes` as the ledger would have at `revision`, which is moved forward only.

    How trials ended is what the log tells of it, so a result that was changed later does not count here.

    Parameters
    ----------
    story : Story
        The study's rows and log.

    Attributes
    ----------
    revision : int
        The moment.
    params : dict of int to mapping
        The configurations by trial; a changed one may be put right before it is read.
    """

    def __init__(self, story: Story) -> None:
        self.revision = 0
        self.params: dict[int, Mapping[str, Any]] = {
            number: trial.params for number, trial in story.trials.items() if trial.params is not None
        }
        self._story = story
        self._moves = sorted(_moves(story))
        self._move_revisions = [revision for revision, _ in self._moves]
        self._report_revisions = [revision for revision, _, _ in story.reports]

    def changes(self, study_id: int, since: int) -> Changes:
        """See `Storage.changes`."""
        moved = self._moves[
            bisect_right(self._move_revisions, since) : bisect_right(self._move_revisions, self.revision)
        ]
        last = {number: revision for revision, number in moved}
        trials = [self._trial(n) for n in sorted(last, key=lambda number: (last[number], number))]
        return Changes(self.revision, trials, self._reports(since), self._story.record_at(self.revision))

    def _reports(self, since: int) -> list[tuple[int, Report]]:
        first = bisect_right(self._report_revisions, since)
        upto = bisect_right(self._report_revisions, self.revision)
        return [(number, report) for _, number, report in self._story.reports[first:upto]]

    def _trial(self, number: int) -> Trial:
        row, life = self._story.trials[number], self._story.life(number)
        params = self.params.get(number)
        if params is not None and (later := life.added_after(self.revision)):
            params = {name: value for name, value in params.items() if name not in later}
        ended = life.ended or row.finished_revision
        if not ended or ended > self.revision:
            return replace(
                row,
                state=TrialState.WAITING,
                params=params,
                values=(),
                failure=None,
                revision=self.revision,
                finished_revision=0,
            )
        state, values, failure = _end(row, life.end)
        return replace(
            row,
            state=state,
            params=params,
            values=values,
            failure=failure,
            revision=self.revision,
            finished_revision=ended,
        )


def _moves(story: Story) -> Iterator[tuple[int, int]]:
    """Yield (revision, trial) for each moment at which something that proposals depend on became known."""
    for number, row in story.trials.items():
        life = story.life(number)
        if life.written:
            yield life.written, number
        for addition in life.additions:
            yield addition.revision, number
        if ended := life.ended or row.finished_revision:
            yield ended, number


def _end(row: Trial, told: Mapping[str, Any]) -> tuple[TrialState, tuple[float, ...], Failure | None]:
    """Return how a trial ended, by its log where that tells, or else by its row."""
    if not told:
        return row.state, row.values, row.failure
    failure = row.failure
    kind = told.get("failure")
    if kind is None:
        failure = None
    elif failure is None or failure.kind.value != kind:
        failure = Failure(FailureKind(kind), "")
    return TrialState(told["state"]), tuple(told["values"]), failure
