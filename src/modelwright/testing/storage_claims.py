# ruff: noqa: D102  (the names of the tests say what holds)
"""Conformance of storages: claims, leases, fences, and giving back."""

from __future__ import annotations

import pytest

from modelwright.errors import (
    StaleClaimError,
)
from modelwright.records import (
    FailureKind,
    Proposal,
    Provenance,
    Report,
    StudyState,
    TrialState,
)
from modelwright.space import Float
from modelwright.storage.base import (
    Finish,
    Storage,
    WorkerInfo,
)
from modelwright.testing.storage_suite import ManualClock, StorageSuite, complete, make_spec

__all__ = ["ClaimTests"]


class ClaimTests(StorageSuite):
    """What holds of claims."""

    def test_a_trial_from_claim_to_result(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        claim = self.take(storage, study.id, "c1")
        assert (claim.number, claim.fence, claim.attempts, claim.params) == (0, 1, 1, None)
        running = storage.trial(study.id, 0)
        assert (running.state, running.worker, running.params) == (TrialState.RUNNING, "w1", None)
        seen = storage.study("study").revision
        proposal = Proposal({"x": 0.25, "k": "a"}, "a guess", 9.0, 3, 1)
        storage.propose(claim, proposal, Provenance("tpe", "1.0", "a guess", seen), 0)
        outcome = complete(
            0.5, user_attrs={"note": "ok"}, metrics={"cv_mean": 0.5, "folds": [0.4, 0.6]}, duration_s=1.5
        )
        assert storage.finish(claim, outcome, "r1") is Finish.ACCEPTED
        trial = storage.trial(study.id, 0)
        assert trial.state is TrialState.COMPLETE
        assert (trial.params, trial.values, trial.failure) == ({"x": 0.25, "k": "a"}, (0.5,), None)
        assert (trial.fidelity, trial.parent, trial.partition) == (9.0, 3, 1)
        assert trial.provenance == Provenance("tpe", "1.0", "a guess", seen)
        assert (trial.user_attrs, trial.metrics) == ({"note": "ok"}, outcome.metrics)
        assert (trial.duration_s, trial.worker, trial.fence) == (1.5, "w1", 1)
        assert trial.finished_revision == trial.revision == storage.study("study").revision
        assert trial.queued_us is not None
        assert trial.started_us is not None
        assert trial.ended_us is not None

    def test_a_budget_is_exact(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        storage.set_budget(study.id, 3)
        claims = [self.take(storage, study.id, f"c{i}") for i in range(3)]
        assert [claim.number for claim in claims] == [0, 1, 2]
        assert self.why_not(storage, study.id) == "busy"
        for claim in claims:
            storage.finish(claim, complete(), claim.claim_id)
        assert self.why_not(storage, study.id) == "spent"
        assert storage.study("study").issued == 3
        storage.set_budget(study.id, 4)
        assert self.take(storage, study.id, "c3").number == 3

    @pytest.mark.parametrize(
        ("state", "reason"),
        [(StudyState.PAUSED, "paused"), (StudyState.COMPLETE, "complete"), (StudyState.FAILED, "complete")],
    )
    def test_a_study_that_rests_gives_nothing_out(
        self, storage: Storage, state: StudyState, reason: str
    ) -> None:
        study = storage.create_study(make_spec())
        storage.set_state(study.id, state)
        assert self.why_not(storage, study.id) == reason

    def test_the_same_claim_is_answered_alike(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        first = self.take(storage, study.id, "c1")
        revision = storage.study("study").revision
        assert self.take(storage, study.id, "c1") == first
        assert storage.study("study").revision == revision
        storage.propose(first, Proposal({"x": 0.5}), Provenance(), 0)
        assert self.take(storage, study.id, "c1").params == {"x": 0.5}
        storage.set_state(study.id, StudyState.PAUSED)
        assert self.take(storage, study.id, "c1").number == 0

    def test_two_studies_may_use_one_claim_id(self, storage: Storage) -> None:
        one, two = (storage.create_study(make_spec(name)) for name in ("one", "two"))
        assert self.take(storage, one.id, "c").study_id == one.id
        assert self.take(storage, two.id, "c").study_id == two.id

    def test_enqueued_trials_come_first_and_in_order(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        storage.set_budget(study.id, 3)
        self.take(storage, study.id, "c0")
        assert [storage.enqueue(study.id, {"x": i / 4}, {"by": "me"}) for i in (1, 2)] == [1, 2]
        waiting = storage.trial(study.id, 1)
        assert (waiting.state, waiting.enqueued, waiting.fence) == (TrialState.WAITING, True, 0)
        claim = self.take(storage, study.id, "c1")
        assert (claim.number, claim.params, claim.fence) == (1, {"x": 0.25}, 1)
        assert storage.trial(study.id, 1).user_attrs == {"by": "me"}

    def test_enqueueing_beyond_the_budget_raises_it(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        storage.set_budget(study.id, 1)
        self.run_one(storage, study.id, "c0")
        storage.set_state(study.id, StudyState.COMPLETE)
        assert storage.enqueue(study.id, {"x": 0.5}, {}) == 1
        record = storage.study("study")
        assert (record.budget.trials, record.issued, record.state) == (2, 2, StudyState.PENDING)
        assert self.take(storage, study.id, "c1").number == 1

    def test_a_lease_that_ran_out_passes_the_trial_on(self, storage: Storage, clock: ManualClock) -> None:
        study = storage.create_study(make_spec())
        old = self.take(storage, study.id, "c1")
        storage.propose(old, Proposal({"x": 0.5}, fidelity=3.0), Provenance(), 0)
        clock.advance(2 * self.lease_s)
        new = self.take(storage, study.id, "c2", "w2")
        assert (new.number, new.fence, new.attempts) == (0, 2, 2)
        assert (new.params, new.fidelity) == ({"x": 0.5}, 3.0)
        before = storage.trial(study.id, 0)
        assert storage.finish(old, complete(9.0), "late") is Finish.STALE
        assert not storage.report(old, [Report(1, {"value": 1.0})])
        assert not storage.release(old, "late")
        with pytest.raises(StaleClaimError):
            storage.propose(old, Proposal({"x": 0.1}), Provenance(), 0)
        with pytest.raises(StaleClaimError):
            storage.extend(old, {"y": 1}, 0)
        assert storage.trial(study.id, 0) == before
        assert storage.events(study.id)[-1].kind == "stale"
        assert storage.renew([old], self.lease_s).lost == {0}
        assert storage.renew([new], self.lease_s).lost == frozenset()
        assert storage.finish(new, complete(0.5), "r2") is Finish.ACCEPTED
        assert storage.trial(study.id, 0).worker == "w2"

    def test_a_late_result_is_welcome_while_nobody_took_over(
        self, storage: Storage, clock: ManualClock
    ) -> None:
        study = storage.create_study(make_spec())
        claim = self.take(storage, study.id, "c1")
        clock.advance(10 * self.lease_s)
        assert storage.report(claim, [Report(1, {"value": 1.0})])
        assert storage.finish(claim, complete(0.5), "r1") is Finish.ACCEPTED

    def test_renewing_keeps_a_trial(self, storage: Storage, clock: ManualClock) -> None:
        study = storage.create_study(make_spec())
        claim = self.take(storage, study.id, "c1")
        for _ in range(3):
            clock.advance(0.75 * self.lease_s)
            controls = storage.renew([claim], self.lease_s)
            assert (controls.lost, controls.stop) == (frozenset(), frozenset())
        assert self.take(storage, study.id, "c2").number == 1
        assert controls.state == {study.id: StudyState.PENDING}

    def test_a_trial_without_attempts_left_is_lost(self, storage: Storage, clock: ManualClock) -> None:
        study = storage.create_study(make_spec(max_attempts=2))
        storage.set_budget(study.id, 2)
        self.take(storage, study.id, "a")
        self.take(storage, study.id, "b")
        clock.advance(2 * self.lease_s)
        again = [self.take(storage, study.id, name) for name in ("c", "d")]
        assert [(claim.number, claim.attempts) for claim in again] == [(0, 2), (1, 2)]
        clock.advance(2 * self.lease_s)
        assert self.why_not(storage, study.id) == "spent"
        for number in (0, 1):
            trial = storage.trial(study.id, number)
            assert trial.failure is not None
            assert (trial.state, trial.failure.kind) == (TrialState.FAILED, FailureKind.LOST)
            assert trial.finished_revision == storage.study("study").revision
            assert trial.ended_us is not None
        assert storage.finish(again[0], complete(), "d") is Finish.STALE
        assert storage.renew(again, 1).lost == {0, 1}

    def test_losing_one_trial_while_claiming_another(self, storage: Storage, clock: ManualClock) -> None:
        study = storage.create_study(make_spec(max_attempts=1))
        self.take(storage, study.id, "a")
        clock.advance(2 * self.lease_s)
        since = storage.study("study").revision
        assert self.take(storage, study.id, "b").number == 1
        changes = storage.changes(study.id, since)
        assert changes.revision == since + 1
        assert [(t.number, t.state) for t in changes.trials] == [
            (0, TrialState.FAILED),
            (1, TrialState.RUNNING),
        ]

    def test_the_lowest_of_waiting_and_expired_comes_first(
        self, storage: Storage, clock: ManualClock
    ) -> None:
        study = storage.create_study(make_spec())
        first = self.take(storage, study.id, "a")
        storage.enqueue(study.id, {"x": 0.5}, {})
        third = self.take(storage, study.id, "b")  # trial 1
        storage.enqueue(study.id, {"x": 0.6}, {})
        clock.advance(2 * self.lease_s)
        order = [self.take(storage, study.id, name).number for name in ("c", "d", "e", "f")]
        assert (first.number, third.number, order) == (0, 1, [0, 1, 2, 3])

    def test_a_result_counts_once(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        claim = self.take(storage, study.id, "c1")
        assert storage.finish(claim, complete(0.5), "r1") is Finish.ACCEPTED
        revision = storage.study("study").revision
        assert storage.finish(claim, complete(0.5), "r1") is Finish.DUPLICATE
        assert storage.study("study").revision == revision
        assert storage.finish(claim, complete(0.7), "r2") is Finish.STALE
        assert storage.trial(study.id, 0).values == (0.5,)
        assert storage.events(study.id)[-1].kind == "stale"
        # The claim did end the trial, so it was not lost to anybody.
        assert storage.renew([claim], 1).lost == frozenset()

    def test_a_released_trial_waits_and_spends_no_attempt(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        claim = self.take(storage, study.id, "c1")
        storage.propose(claim, Proposal({"x": 0.5}), Provenance(), 0)
        assert storage.release(claim, "drained")
        trial = storage.trial(study.id, 0)
        assert (trial.state, trial.attempts, trial.fence, trial.worker) == (TrialState.WAITING, 0, 1, "")
        assert storage.release(claim, "drained")  # the answer to the first call was lost
        assert storage.finish(claim, complete(), "c1") is Finish.STALE
        again = self.take(storage, study.id, "c2")
        assert (again.number, again.fence, again.attempts, again.params) == (0, 2, 1, {"x": 0.5})

    def test_the_highest_number_is_given_back(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        storage.set_budget(study.id, 2)
        first, second = self.take(storage, study.id, "a"), self.take(storage, study.id, "b")
        assert storage.report(second, [Report(1, {"value": 1.0})])
        assert storage.release(second, "nothing to propose")
        assert storage.changes(study.id, 0).reports == []
        assert storage.study("study").issued == 1
        assert [trial.number for trial in storage.trials(study.id)] == [0]
        with pytest.raises(KeyError):
            storage.trial(study.id, 1)
        again = self.take(storage, study.id, "c")
        assert again.number == 1
        assert again.fence > second.fence
        assert storage.reports(study.id, 1) == []
        assert storage.release(second, "nothing to propose")  # has no second effect
        assert storage.finish(second, complete(), "b") is Finish.STALE
        assert storage.trial(study.id, 1).state is TrialState.RUNNING
        assert storage.release(first, "not the highest")
        assert storage.trial(study.id, 0).state is TrialState.WAITING

    def test_an_exhausted_space_closes_the_study(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        one, two = self.take(storage, study.id, "a"), self.take(storage, study.id, "b")
        assert storage.release(two, "all 1 tried", close=True)
        assert storage.study("study").closed == "all 1 tried"
        assert self.why_not(storage, study.id) == "busy"
        storage.finish(one, complete(), "a")
        assert self.why_not(storage, study.id) == "closed"
        wider = study.spec.space.with_parameter("y", Float(0, 2)).to_json()
        assert storage.add_space(study.id, wider, 0).closed == ""
        assert self.take(storage, study.id, "c").number == 1

    def test_a_dead_worker_forfeits_its_trials(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        workers = [WorkerInfo(f"w{i}", "host", i, "boot", 1.5, "1") for i in (1, 2, 3)]
        for worker in reversed(workers):
            storage.register_worker(worker)
        assert [worker.id for worker in storage.workers()] == ["w1", "w2", "w3"]
        for name, worker_id in (("a", "w1"), ("b", "w2"), ("c", "w1")):
            self.take(storage, study.id, name, worker_id)
        assert [worker.id for worker in storage.workers(study.id)] == ["w1", "w2"]
        assert storage.forfeit("w1", "killed") == [0, 2]
        assert storage.forfeit("w1", "killed") == []
        assert [worker.id for worker in storage.workers(study.id)] == ["w2"]
        again = [self.take(storage, study.id, name, "w2") for name in ("d", "e")]
        assert [(claim.number, claim.fence) for claim in again] == [(0, 2), (2, 2)]
