# ruff: noqa: D102  (the names of the tests say what holds)
"""Conformance of storages: trials that come from elsewhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from modelwright.errors import InputError, StudyStateError
from modelwright.records import (
    Failure,
    FailureKind,
    Proposal,
    Provenance,
    Report,
    StudyState,
    Trial,
    TrialState,
)
from modelwright.storage.base import AdoptedTrial, Attempt, Finish, Storage
from modelwright.testing.audit import audit
from modelwright.testing.storage_suite import ManualClock, StorageSuite, complete, make_spec

__all__ = ["AdoptTests", "adopted"]


def adopted(number: int | None = None, state: str = "complete", **changes: Any) -> AdoptedTrial:
    """Return a trial from elsewhere, finished well unless told otherwise."""
    values = (0.5,) if state == "complete" else ()
    failure = Failure(FailureKind.ERROR, "words", "E", "stack") if state == "failed" else None
    trial = Trial(
        99,
        TrialState(state),
        {"x": 0.25, "k": "a"},
        values,
        failure,
        3.0,
        7,
        1,
        2,
        2,
        0,
        True,
        Provenance("tpe", "1", "a guess", 5),
        {"note": [1]},
        {"cv_mean": 0.5},
        1.5,
        1234,
        1230 if TrialState(state).finished else 0,
        "w-elsewhere",
        1_600_000_000_000_000,
        1_600_000_000_000_100,
        1_600_000_000_000_200 if TrialState(state).finished else None,
    )
    return AdoptedTrial(trial, number, **changes)


class AdoptTests(StorageSuite):
    """What holds of trials that are taken in whole."""

    def test_a_finished_trial_comes_whole(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        reports = [Report(1, {"value": 2.0}), Report(2, {"value": float("inf")}, 1)]
        attempts = [
            Attempt(99, 1, "w1", "lost", 5, 6, 1.5),
            Attempt(99, 2, "w2", "complete", 7, 8, 2.5, 1.5, 10.0, 0, "logs"),
        ]
        artifacts = [self.artifact("model"), self.artifact("oof")]
        item = adopted(4, reports=reports, attempts=attempts, artifacts=artifacts)
        assert storage.adopt(study.id, [item]) == [4]
        revision = storage.study("study").revision
        trial = storage.trial(study.id, 4)
        assert trial == replace(item.trial, number=4, revision=revision, finished_revision=revision)
        assert storage.reports(study.id, 4) == reports
        assert storage.attempts(study.id, 4) == [replace(attempt, number=4) for attempt in attempts]
        assert storage.artifacts(study.id, 4) == [(4, artifact) for artifact in artifacts]
        assert storage.changes(study.id, 0).trials == [trial]
        assert storage.changes(study.id, 0).reports == [(4, report) for report in reports]
        assert storage.study("study").cost == 4.0
        audit(storage, study.id)

    def test_a_failed_trial_keeps_its_failure(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        storage.adopt(study.id, [adopted(state="failed")])
        assert storage.trial(study.id, 0).failure == Failure(FailureKind.ERROR, "words", "E", "stack")

    def test_numbers_are_kept_or_given(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        storage.set_budget(study.id, 1)
        self.run_one(storage, study.id, "a")
        items = [adopted(), adopted(5), adopted(), adopted(3)]
        assert storage.adopt(study.id, items) == [1, 5, 6, 3]
        record = storage.study("study")
        assert (record.issued, record.budget.trials) == (7, 7)
        assert [trial.number for trial in storage.trials(study.id)] == [0, 1, 3, 5, 6]
        assert storage.adopt(study.id, [adopted(4), adopted(2)]) == [4, 2]
        assert self.why_not(storage, study.id) == "spent"
        storage.set_budget(study.id, None)
        assert self.take(storage, study.id, "b").number == 7
        audit(storage, study.id)

    def test_they_finish_in_the_given_order(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        before = storage.study("study").revision
        storage.adopt(study.id, [adopted(number) for number in (2, 0, 3, 1)])
        trials = sorted(storage.trials(study.id), key=lambda trial: trial.finished_revision)
        assert [trial.number for trial in trials] == [2, 0, 3, 1]
        assert [trial.finished_revision - before for trial in trials] == [1, 2, 3, 4]
        events = storage.events(study.id, before)
        assert [(event.kind, event.number) for event in events] == [("adopt", n) for n in (2, 0, 3, 1)]
        assert all(event.payload["values"] == list(trials[0].values) for event in events)
        assert all("key" in event.payload for event in events)
        assert [trial.number for trial in storage.changes(study.id, before + 2).trials] == [3, 1]

    @pytest.mark.parametrize(
        ("items", "error"),
        [
            ([adopted(), adopted(0)], StudyStateError),
            ([adopted(5), adopted(5)], StudyStateError),
            ([adopted(), adopted(1)], StudyStateError),
            ([adopted(5), adopted(-1)], InputError),
            (
                [adopted(5), replace(adopted(6), trial=replace(adopted().trial, params={"x": b""}))],
                InputError,
            ),
        ],
    )
    def test_nothing_is_taken_in_if_one_is_refused(
        self, storage: Storage, items: list[AdoptedTrial], error: type[Exception]
    ) -> None:
        study = storage.create_study(make_spec())
        self.run_one(storage, study.id, "a")
        before = storage.study("study"), storage.trials(study.id), storage.attempts(study.id)
        with pytest.raises(error):
            storage.adopt(study.id, items)
        assert (storage.study("study"), storage.trials(study.id), storage.attempts(study.id)) == before
        assert storage.adopt(study.id, []) == []
        assert storage.study("study") == before[0]

    @pytest.mark.parametrize("state", ["waiting", "running", "paused"])
    def test_one_that_is_not_finished_waits(self, storage: Storage, clock: ManualClock, state: str) -> None:
        study = storage.create_study(make_spec())
        storage.set_state(study.id, StudyState.COMPLETE)
        outcomes = ["lost", "running" if state == "running" else "error"]
        attempts = [Attempt(0, fence, "w", outcome, 5) for fence, outcome in enumerate(outcomes, 1)]
        storage.adopt(study.id, [adopted(state=state, attempts=attempts)])
        assert storage.study("study").state is StudyState.PENDING
        trial = storage.trial(study.id, 0)
        assert (trial.state, trial.finished_revision, trial.worker) == (TrialState.WAITING, 0, "")
        assert (trial.fence, trial.attempts) == (2, 1 if state == "running" else 2)
        last = storage.attempts(study.id, 0)[-1]
        assert last.outcome == ("released" if state == "running" else "error")
        assert (last.ended_us is None) == (state != "running")
        claim = self.take(storage, study.id, "a")
        assert (claim.number, claim.fence, claim.params) == (0, 3, {"x": 0.25, "k": "a"})
        assert storage.finish(claim, complete(), "a") is Finish.ACCEPTED
        audit(storage, study.id)

    def test_finished_trials_leave_a_complete_study_so(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        storage.set_state(study.id, StudyState.COMPLETE)
        storage.adopt(study.id, [adopted()])
        assert storage.study("study").state is StudyState.COMPLETE

    def test_an_old_claim_of_a_number_that_was_taken_over_is_stale(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        old = []
        for name in "abc":
            old.append(self.take(storage, study.id, name))
            storage.release(old[-1], "given back")
        waiting = replace(adopted(0, "waiting"), trial=replace(adopted(0, "waiting").trial, fence=1))
        storage.adopt(study.id, [waiting])
        claim = self.take(storage, study.id, "d")
        assert claim.fence > max(item.fence for item in old)
        for item in old:
            assert storage.finish(item, complete(), item.claim_id) is Finish.STALE

    def test_attempts_follow_those_of_a_number_that_was_given_back(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        for name in "ab":
            storage.release(self.take(storage, study.id, name), "given back")
        attempts = [Attempt(0, fence, "w", "error", 5, 6, 0.5) for fence in (1, 2)]
        storage.adopt(study.id, [adopted(0, "waiting", attempts=attempts)])
        found = storage.attempts(study.id, 0)
        assert [(item.fence, item.outcome) for item in found] == [
            (1, "released"),
            (2, "released"),
            (3, "error"),
            (4, "error"),
        ]
        assert storage.trial(study.id, 0).fence == 4
        assert self.take(storage, study.id, "c").fence == 5
        audit(storage, study.id)

    def test_a_study_moves_between_storages(self, storage: Storage, clock: ManualClock) -> None:
        source = storage.create_study(make_spec("source", retry={"error": 1}))
        for turn in range(4):
            claim = self.take(storage, source.id, f"c{turn}")
            if claim.params is None:
                storage.propose(claim, Proposal({"x": turn / 8}), Provenance("random"), 0)
            storage.report(claim, [Report(turn, {"value": 1.0})])
            storage.finish(claim, complete(float(turn), artifacts=(self.artifact("model"),)), f"c{turn}")
        storage.enqueue(source.id, {"x": 0.9}, {})
        trials = storage.trials(source.id)
        ordered = sorted(trials, key=lambda trial: (not trial.finished_revision, trial.finished_revision))
        items = [
            AdoptedTrial(
                trial,
                trial.number,
                storage.reports(source.id, trial.number),
                storage.attempts(source.id, trial.number),
                [artifact for _, artifact in storage.artifacts(source.id, trial.number)],
            )
            for trial in ordered
        ]
        target = storage.create_study(make_spec("target"))
        storage.adopt(target.id, items)
        for read in (storage.attempts, storage.artifacts, storage.counts):
            assert read(target.id) == read(source.id)
        assert storage.study("target").cost == storage.study("source").cost
        unplaced = [
            [replace(trial, revision=0, finished_revision=0) for trial in storage.trials(study.id)]
            for study in (source, target)
        ]
        assert unplaced[0] == unplaced[1]
        audit(storage, target.id)
