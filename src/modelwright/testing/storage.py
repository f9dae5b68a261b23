# ruff: noqa: D102  (the names of the tests say what holds)
"""The conformance suite of storages: subclass `StorageContract`, give it a storage, run pytest.

::

    class TestMine(StorageContract):
        @pytest.fixture
        def clock(self) -> ManualClock:
            return ManualClock()

        @pytest.fixture
        def storage(self, clock: ManualClock) -> Iterator[Storage]:
            storage = MyStorage(now_us=lambda: clock.us)
            yield storage
            storage.close()

A storage whose clock cannot be set gives a `clock` whose `advance` sleeps, and sets `lease_s` small.
"""

from __future__ import annotations

import math
import random
import threading
from dataclasses import replace
from typing import Any

import pytest

from modelwright.errors import (
    InputError,
    StaleClaimError,
    StudyExistsError,
    StudyNotFoundError,
    StudyStateError,
)
from modelwright.records import (
    Artifact,
    Component,
    Failure,
    FailureKind,
    Objective,
    Outcome,
    Proposal,
    Provenance,
    Report,
    SearchSettings,
    StudySpec,
    StudyState,
    TrialState,
)
from modelwright.space import Categorical, Float, Int, Space
from modelwright.storage.base import (
    Claim,
    Dataset,
    EnsembleRecord,
    Finish,
    NoClaim,
    Partition,
    Storage,
    WorkerInfo,
)
from modelwright.storage.memory import MemoryStorage
from modelwright.testing.storage_walk import Mirror, Walk, snapshot

__all__ = ["ManualClock", "StorageContract", "complete", "make_spec"]

AWKWARD: dict[str, Any] = {
    "text": "naïve 漢字 🦜 ‮rtl",
    "nul": "a\0b",
    "half": "\ud800",
    "nested": {"list": [1, 2.5, None, True, {"deep": []}], "": "empty key"},
    "large": "x" * 200_000,
    "big": 2**60,
    "small": 5e-324,
    "inf": math.inf,
    "under": [-math.inf],
}
"""JSON values that get lost when a storage is careless."""


class ManualClock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.us = 1_700_000_000_000_000

    def seconds(self) -> float:
        """Return the time in seconds."""
        return self.us / 1e6

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.us += int(seconds * 1e6)


def make_spec(name: str = "study", **changes: Any) -> StudySpec:
    """Return the specification of a small study."""
    return StudySpec(name, Space(x=Float(0, 1), n=Int(1, 9), k=Categorical("a", "b")), **changes)


def complete(*values: float, **more: Any) -> Outcome:
    """Return the outcome of a trial that went well."""
    return Outcome(TrialState.COMPLETE, values or (0.5,), **more)


class StorageContract:
    """What holds of every storage; see the head of this module."""

    lease_s: float = 60.0

    @pytest.fixture
    def clock(self) -> ManualClock:
        """Return the clock of the storage's leases."""
        raise NotImplementedError("a subclass gives the fixture `clock`")

    @pytest.fixture
    def storage(self) -> Any:
        """Return an empty storage."""
        raise NotImplementedError("a subclass gives the fixture `storage`")

    # helpers -----------------------------------------------------------------------------------------

    def take(self, storage: Storage, study_id: int, claim_id: str, worker: str = "w1") -> Claim:
        """Claim a trial that must be there."""
        answer = storage.claim(study_id, worker, claim_id, self.lease_s)
        assert isinstance(answer, Claim), answer
        return answer

    def why_not(self, storage: Storage, study_id: int) -> str:
        """Claim where nothing can be claimed, and return the reason."""
        answer = storage.claim(study_id, "w9", "nothing", self.lease_s)
        assert isinstance(answer, NoClaim), answer
        return answer.reason

    def run_one(self, storage: Storage, study_id: int, claim_id: str, value: float = 0.5) -> Claim:
        """Claim, propose and finish."""
        claim = self.take(storage, study_id, claim_id)
        storage.propose(claim, Proposal({"x": value}), Provenance("random"), 0)
        assert storage.finish(claim, complete(value), claim_id) is Finish.ACCEPTED
        return claim

    # studies -----------------------------------------------------------------------------------------

    def test_a_study_comes_back_as_it_went_in(self, storage: Storage) -> None:
        spec = make_spec(
            "näme",
            objectives=(Objective("loss"), Objective("score", "maximize")),
            optimizer=Component("tpe", {"startup": 5, "nested": {"a": [1, None]}}),
            scheduler=Component("median"),
            seed=2**32 - 1,
            deterministic=True,
            reproducible=True,
            lease_s=12.5,
            max_attempts=7,
            priority=-2,
            objective_ref="module:function",
            description="words\nmore",
            search=SearchSettings("ucb1", "tpe", 3, 2, 0, "f1", "cv", "walltime"),
        )
        created = storage.create_study(spec)
        record = storage.study("näme")
        assert record == created
        assert replace(record.spec, space=spec.space) == spec
        assert record.spec.space.to_json() == record.space == spec.space.to_json()
        assert (record.state, record.issued, record.space_version, record.closed) == (
            StudyState.PENDING,
            0,
            0,
            "",
        )
        assert (record.budget_trials, record.window, record.started_us) == (None, None, None)
        assert record.created_us > 0

    def test_names_are_unique(self, storage: Storage) -> None:
        storage.create_study(make_spec("one"))
        storage.create_study(make_spec("One"))
        with pytest.raises(StudyExistsError, match="one"):
            storage.create_study(make_spec("one"))
        assert [record.spec.name for record in storage.studies()] == ["one", "One"]

    def test_an_unknown_name_is_told_with_the_nearest(self, storage: Storage) -> None:
        with pytest.raises(StudyNotFoundError, match="no study yet"):
            storage.study("first")
        storage.create_study(make_spec("first"))
        with pytest.raises(StudyNotFoundError, match="'first'"):
            storage.study("frist")
        with pytest.raises(StudyNotFoundError):
            storage.delete_study("frist")

    def test_deleting_takes_all_that_belongs_to_a_study(self, storage: Storage) -> None:
        gone = storage.create_study(make_spec("gone"))
        kept = storage.create_study(make_spec("kept"))
        for study in (gone, kept):
            claim = self.take(storage, study.id, "c")
            storage.propose(claim, Proposal({"x": 0.5}), Provenance(), 0)
            storage.report(claim, [Report(1, {"value": 1.0})])
            storage.add_partitions(study.id, [Partition(0, "knn", {}, [], {})])
        storage.delete_study("gone")
        again = storage.create_study(make_spec("gone"))
        assert again.id != gone.id
        assert storage.trials(again.id) == []
        assert storage.partitions(again.id) == []
        assert len(storage.reports(kept.id, 0)) == 1
        claims = [Claim(gone.id, 0, 1, "c", 1)]
        assert storage.renew(claims, 1).lost == {0}
        for call in (
            lambda: storage.changes(gone.id, 0),
            lambda: storage.trials(gone.id),
            lambda: storage.claim(gone.id, "w", "c2", 1),
            lambda: storage.finish(claims[0], complete(), "c"),
        ):
            with pytest.raises(StudyNotFoundError):
                call()

    def test_states_keep_their_moments(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        running = storage.set_state(study.id, StudyState.RUNNING)
        assert running.started_us is not None
        paused = storage.set_state(study.id, StudyState.PAUSED)
        assert (paused.started_us, paused.ended_us) == (running.started_us, None)
        ended = storage.set_state(study.id, StudyState.COMPLETE)
        assert ended.ended_us is not None
        assert storage.set_state(study.id, StudyState.COMPLETE).revision == ended.revision
        assert storage.set_state(study.id, StudyState.RUNNING).ended_us is None

    def test_a_larger_budget_reopens_a_complete_study(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        storage.set_budget(study.id, 2)
        storage.set_state(study.id, StudyState.COMPLETE)
        assert storage.set_budget(study.id, 1).state is StudyState.COMPLETE
        grown = storage.set_budget(study.id, 3)
        assert (grown.state, grown.budget_trials, grown.ended_us) == (StudyState.PENDING, 3, None)
        storage.set_state(study.id, StudyState.COMPLETE)
        assert storage.set_budget(study.id, None).state is StudyState.PENDING

    def test_the_window_is_set_once(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        assert storage.set_window(study.id, 4).window == 4
        assert storage.set_window(study.id, 2).window == 4

    def test_user_attrs_are_merged(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        storage.set_user_attrs(study.id, {"a": 1, "b": 2})
        assert storage.set_user_attrs(study.id, {"b": 3}).user_attrs == {"a": 1, "b": 3}
        storage.set_user_attrs(study.id, AWKWARD)
        assert storage.study("study").user_attrs == {"a": 1, "b": 3, **AWKWARD}

    def test_a_space_grows_by_versions(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        wider = study.spec.space.with_parameter("y", Float(0, 2)).to_json()
        grown = storage.add_space(study.id, wider, based_on=0)
        assert (grown.space_version, grown.space) == (1, wider)
        assert grown.spec.space.names == study.spec.space.names
        late = storage.add_space(study.id, study.space, based_on=0)
        assert (late.space_version, late.space, late.revision) == (1, wider, grown.revision)
        assert self.take(storage, study.id, "c").space_version == 1

    # claims ------------------------------------------------------------------------------------------

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
        assert (record.budget_trials, record.issued, record.state) == (2, 2, StudyState.PENDING)
        assert self.take(storage, study.id, "c1").number == 1

    # leases and fences -------------------------------------------------------------------------------

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

    # giving back -------------------------------------------------------------------------------------

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

    def test_stopping_is_asked_through_renew(self, storage: Storage, clock: ManualClock) -> None:
        study = storage.create_study(make_spec())
        claim = self.take(storage, study.id, "c1")
        assert storage.request_stop(study.id, 0)
        assert storage.request_stop(study.id, 0)
        assert not storage.request_stop(study.id, 7)
        assert storage.renew([claim], self.lease_s).stop == {0}
        clock.advance(2 * self.lease_s)
        again = self.take(storage, study.id, "c2")
        assert storage.renew([again], self.lease_s).stop == frozenset()
        storage.finish(again, complete(), "c2")
        assert not storage.request_stop(study.id, 0)

    def test_a_dead_worker_forfeits_its_trials(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        workers = [WorkerInfo(f"w{i}", "host", i, "boot", 1.5, "1") for i in (1, 2, 3)]
        for worker in reversed(workers):
            storage.register_worker(worker)
        assert storage.workers() == workers
        for name, worker_id in (("a", "w1"), ("b", "w2"), ("c", "w1")):
            self.take(storage, study.id, name, worker_id)
        assert storage.workers(study.id) == workers[:2]
        assert storage.forfeit("w1", "killed") == [0, 2]
        assert storage.forfeit("w1", "killed") == []
        assert storage.workers(study.id) == workers[1:2]
        again = [self.take(storage, study.id, name, "w2") for name in ("d", "e")]
        assert [(claim.number, claim.fence) for claim in again] == [(0, 2), (2, 2)]
        storage.register_worker(replace(workers[0], host="moved"))
        assert [worker.host for worker in storage.workers()] == ["moved", "host", "host"]

    # what trials leave -------------------------------------------------------------------------------

    def test_a_configuration_is_written_once(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        claim = self.take(storage, study.id, "c1")
        storage.propose(claim, Proposal({"x": 0.5}), Provenance(), 0)
        revision = storage.study("study").revision
        storage.propose(claim, Proposal({"x": 0.5}), Provenance(), 0)
        assert storage.study("study").revision == revision
        with pytest.raises(StudyStateError, match="once"):
            storage.propose(claim, Proposal({"x": 0.6}), Provenance(), 0)

    def test_an_objective_adds_parameters(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        claim = self.take(storage, study.id, "c1")
        storage.propose(claim, Proposal({"x": 0.5}), Provenance(), 0)
        storage.extend(claim, {"y": 2}, 1)
        trial = storage.trial(study.id, 0)
        assert (trial.params, trial.space_version) == ({"x": 0.5, "y": 2}, 1)

    def test_the_newest_fence_reports_last(self, storage: Storage, clock: ManualClock) -> None:
        study = storage.create_study(make_spec())
        old = self.take(storage, study.id, "c1")
        first = [Report(1, {"value": 1.0}), Report(2, {"value": 2.0}), Report(2, {"value": 2.5})]
        assert storage.report(old, first)
        assert storage.report(old, [])
        clock.advance(2 * self.lease_s)
        new = self.take(storage, study.id, "c2")
        assert not storage.report(old, [Report(3, {"value": 3.0})])
        since = storage.study("study").revision
        assert storage.report(new, [Report(1, {"value": 1.5}, fold=0), Report(1, {"value": 9.0})])
        assert storage.reports(study.id, 0) == [
            Report(1, {"value": 9.0}),
            Report(1, {"value": 1.5}, 0),
            Report(2, {"value": 2.5}),
        ]
        changes = storage.changes(study.id, since)
        assert changes.reports == [(0, Report(1, {"value": 1.5}, 0)), (0, Report(1, {"value": 9.0}))]
        assert changes.trials == []
        assert storage.study("study").revision == since + 1
        with pytest.raises(KeyError):
            storage.reports(study.id, 5)

    def test_numbers_beyond_json_are_kept(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        claim = self.take(storage, study.id, "c1")
        storage.report(claim, [Report(0.5, {"value": -math.inf, "other": 1})])
        storage.finish(claim, complete(math.inf, -math.inf, math.nan, 1e308), "c1")
        values = storage.trial(study.id, 0).values
        assert values[:2] == (math.inf, -math.inf)
        assert math.isnan(values[2])
        assert values[3] == 1e308
        assert storage.reports(study.id, 0) == [Report(0.5, {"value": -math.inf, "other": 1})]
        with pytest.raises(InputError, match="step"):
            storage.report(self.take(storage, study.id, "c2"), [Report(math.nan, {})])

    def test_a_failure_keeps_its_words(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        claim = self.take(storage, study.id, "c1")
        failure = Failure(FailureKind.MEMORY, "4.1 GB of 4 GB: ü", "E_MEMORY", "Traceback\n" + "x" * 100_000)
        storage.finish(claim, Outcome(TrialState.FAILED, failure=failure), "c1")
        assert storage.trial(study.id, 0).failure == failure
        claim = self.take(storage, study.id, "c2")
        odd = Failure(FailureKind.ERROR, "nul \0 and half \ud800")
        storage.finish(claim, Outcome(TrialState.FAILED, failure=odd), "c2")
        stored = storage.trial(study.id, 1).failure
        assert stored is not None
        assert stored.message.startswith("nul ")

    def test_attributes_are_any_json(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        claim = self.take(storage, study.id, "c1")
        storage.set_trial_attrs(study.id, 0, {"before": 1, "note": "old"})
        storage.finish(claim, complete(user_attrs={**AWKWARD, "note": "new"}, metrics=AWKWARD), "c1")
        storage.set_trial_attrs(study.id, 0, {"after": [1, (2, 3)]})
        trial = storage.trial(study.id, 0)
        assert trial.user_attrs == {"before": 1, "note": "new", "after": [1, [2, 3]], **AWKWARD}
        assert trial.metrics == AWKWARD
        with pytest.raises(KeyError):
            storage.set_trial_attrs(study.id, 3, {})

    @pytest.mark.parametrize("wrong", [{"a": object()}, {1: "a"}, {"a": {2}}, {"a": b"bytes"}])
    def test_what_is_not_json_is_refused(self, storage: Storage, wrong: Any) -> None:
        study = storage.create_study(make_spec())
        claim = self.take(storage, study.id, "c1")
        before = storage.study("study")
        for call in (
            lambda: storage.set_user_attrs(study.id, wrong),
            lambda: storage.set_trial_attrs(study.id, 0, wrong),
            lambda: storage.enqueue(study.id, wrong, {}),
            lambda: storage.propose(claim, Proposal(wrong), Provenance(), 0),
            lambda: storage.finish(claim, complete(user_attrs=wrong), "c1"),
            lambda: storage.finish(claim, complete(metrics=wrong), "c1"),
        ):
            with pytest.raises(InputError):
                call()
        assert storage.study("study") == before
        assert storage.trial(study.id, 0).state is TrialState.RUNNING

    def test_records_are_copies(self, storage: Storage) -> None:
        study = storage.create_study(make_spec(optimizer=Component("tpe", options := {"a": [1]})))
        options["a"].append(2)
        claim = self.take(storage, study.id, "c1")
        params = {"x": [1]}
        storage.propose(claim, Proposal(params), Provenance(), 0)
        params["x"].append(2)
        attrs = {"list": [1]}
        storage.finish(claim, complete(user_attrs=attrs), "c1")
        attrs["list"].append(2)
        for _ in range(2):
            for trial in (storage.trial(study.id, 0), storage.changes(study.id, 0).trials[0]):
                assert (trial.params, trial.user_attrs) == ({"x": [1]}, {"list": [1]})
                trial.params["x"].append(3)  # type: ignore[index]
                trial.user_attrs["list"].append(3)
        record = storage.study("study")
        record.user_attrs["mine"] = 1  # type: ignore[index]
        record.space["mine"] = 1  # type: ignore[index]
        assert storage.study("study").user_attrs == {}
        assert "mine" not in storage.study("study").space
        assert storage.study("study").spec.optimizer.options == {"a": [1]}

    def test_artifacts_count_with_an_accepted_result_only(self, storage: Storage, clock: ManualClock) -> None:
        study = storage.create_study(make_spec())
        model, oof = (Artifact(name, f"0-2/{name}", "ab" * 32, 2**40, "npy") for name in ("model", "oof"))
        old = self.take(storage, study.id, "c1")
        clock.advance(2 * self.lease_s)
        new = self.take(storage, study.id, "c2")
        storage.finish(old, complete(artifacts=(replace(oof, size=1),)), "c1")
        assert storage.artifacts(study.id) == []
        storage.finish(new, complete(artifacts=(oof, model)), "c2")
        assert storage.artifacts(study.id) == [(0, model), (0, oof)]
        assert storage.artifacts(study.id, 0) == [(0, model), (0, oof)]
        assert storage.artifacts(study.id, 1) == []

    # reading -----------------------------------------------------------------------------------------

    def test_trials_are_found_by_number_and_state(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        self.run_one(storage, study.id, "a")
        self.take(storage, study.id, "b")
        storage.enqueue(study.id, {"x": 0.1}, {})
        assert [trial.number for trial in storage.trials(study.id)] == [0, 1, 2]
        wanted = [TrialState.COMPLETE, TrialState.WAITING]
        assert [trial.number for trial in storage.trials(study.id, wanted)] == [0, 2]
        assert storage.trials(study.id, []) == []
        assert storage.trials(study.id, [TrialState.PRUNED]) == []
        with pytest.raises(KeyError):
            storage.trial(study.id, 3)

    def test_changes_are_what_moved(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        for name in "abc":
            self.run_one(storage, study.id, name)
        full = storage.changes(study.id, 0)
        assert [trial.number for trial in full.trials] == [0, 1, 2]
        assert full.revision == full.study.revision == storage.study("study").revision
        assert full.trials == storage.trials(study.id)
        nothing = storage.changes(study.id, full.revision)
        assert (nothing.trials, nothing.reports, nothing.revision) == ([], [], full.revision)
        storage.set_trial_attrs(study.id, 1, {"a": 1})
        storage.set_trial_attrs(study.id, 0, {"a": 1})
        storage.set_trial_attrs(study.id, 1, {"b": 1})
        moved = storage.changes(study.id, full.revision)
        assert [trial.number for trial in moved.trials] == [0, 1]
        assert moved.revision == full.revision + 3

    def test_each_write_is_one_revision_with_one_event(self, storage: Storage, clock: ManualClock) -> None:
        study = storage.create_study(make_spec())
        walk = Walk(random.Random(5), self.lease_s)
        for _ in range(80):
            before = storage.study("study").revision
            walk.step(Mirror(storage, clock.advance), study.id)
            events = storage.events(study.id, before)
            after = storage.study("study").revision
            assert [event.revision for event in events] == list(range(before + 1, after + 1))
            assert after - before <= 1
        events = storage.events(study.id)
        assert [event.revision for event in events] == list(range(1, len(events) + 1))
        assert [event.revision for event in storage.events(study.id, 3, 2)] == [4, 5]
        assert all(event.at_us > 0 for event in events)

    @pytest.mark.parametrize("seed", [1, 2, 3, 4])
    def test_a_random_walk_agrees_with_memory(self, storage: Storage, clock: ManualClock, seed: int) -> None:
        model_clock = ManualClock()
        model = MemoryStorage(clock=model_clock.seconds)
        pair = [Mirror(storage, clock.advance), Mirror(model, model_clock.advance)]
        ids = [mirror.storage.create_study(make_spec(max_attempts=2)).id for mirror in pair]
        walks = [Walk(random.Random(seed), self.lease_s) for _ in pair]
        known: dict[int, Any] = {}
        since = 0
        for step in range(300):
            answers = [walk.step(mirror, key) for walk, mirror, key in zip(walks, pair, ids, strict=True)]
            assert answers[0] == answers[1], f"step {step}"
            if step % 7 == 0:
                changes = storage.changes(ids[0], since)
                since = changes.revision
                known.update((trial.number, trial) for trial in changes.trials)
                known = {n: trial for n, trial in known.items() if n < changes.study.issued}
                assert known == {trial.number: trial for trial in storage.trials(ids[0])}
                assert snapshot(storage, ids[0]) == snapshot(model, ids[1]), f"step {step}"
        assert snapshot(storage, ids[0]) == snapshot(model, ids[1])

    def test_threads_share_a_storage(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        storage.set_budget(study.id, 40)
        failed: list[BaseException] = []

        def work(name: str) -> None:
            try:
                for i in range(100):
                    claim = storage.claim(study.id, name, f"{name}-{i}", self.lease_s)
                    if isinstance(claim, NoClaim):
                        return
                    storage.propose(claim, Proposal({"x": 0.5}), Provenance(), 0)
                    storage.finish(claim, complete(), claim.claim_id)
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=work, args=(f"t{i}",)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        trials = storage.trials(study.id)
        assert [(trial.number, trial.fence) for trial in trials] == [(i, 1) for i in range(40)]
        assert all(trial.state is TrialState.COMPLETE for trial in trials)

    # tables of AutoML --------------------------------------------------------------------------------

    def test_data_sets(self, storage: Storage) -> None:
        dataset = Dataset(
            "iris",
            "/d/iris.csv",
            "class",
            150,
            3,
            4,
            1 / 3,
            5,
            "flowers",
            None,
            "f00",
            {"columns": ["a", "ß"]},
        )
        first = storage.add_dataset(dataset)
        second = storage.add_dataset(replace(dataset, test_path="/d/test.csv"))
        assert first != second
        assert storage.dataset(first) == replace(dataset, id=first)
        assert storage.dataset(second).test_path == "/d/test.csv"
        assert storage.create_study(make_spec(dataset_id=second)).spec.dataset_id == second
        with pytest.raises(KeyError):
            storage.dataset(second + 1)
        with pytest.raises(InputError, match="data set"):
            storage.create_study(make_spec("other", dataset_id=second + 1))

    def test_partitions(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        items = [
            Partition(i, "knn", {"weights": "uniform", "p": None}, [{"name": "k", "low": 1}], {"n_jobs": 1})
            for i in range(3)
        ]
        storage.add_partitions(study.id, items[:2])
        storage.set_partition_status(study.id, 1, "gridding_done")
        storage.add_partitions(study.id, [replace(item, method="svm") for item in items])
        stored = storage.partitions(study.id)
        assert stored == [
            items[0],
            replace(items[1], status="gridding_done"),
            replace(items[2], method="svm"),
        ]
        with pytest.raises(InputError, match="gridding_done"):
            storage.set_partition_status(study.id, 0, "finished")
        with pytest.raises(KeyError):
            storage.set_partition_status(study.id, 3, "errored")

    def test_one_worker_at_a_time_builds_ensembles(self, storage: Storage, clock: ManualClock) -> None:
        study = storage.create_study(make_spec())
        ensemble = EnsembleRecord(1, [(0, 0.75), (3, 0.25)], 0.9, "bundles/1", {"f1": 0.8}, 17)
        assert not storage.add_ensemble(study.id, "w1", ensemble)
        assert storage.lease_ensemble(study.id, "w1", self.lease_s)
        assert storage.lease_ensemble(study.id, "w1", self.lease_s)
        assert not storage.lease_ensemble(study.id, "w2", self.lease_s)
        assert storage.add_ensemble(study.id, "w1", ensemble)
        assert storage.add_ensemble(study.id, "w1", ensemble)
        clock.advance(2 * self.lease_s)
        assert storage.lease_ensemble(study.id, "w2", self.lease_s)
        assert not storage.add_ensemble(study.id, "w1", replace(ensemble, iteration=2))
        assert storage.add_ensemble(study.id, "w2", replace(ensemble, iteration=2, score=-math.inf))
        storage.release_ensemble(study.id, "w1")
        assert not storage.lease_ensemble(study.id, "w1", self.lease_s)
        storage.release_ensemble(study.id, "w2")
        assert storage.lease_ensemble(study.id, "w1", self.lease_s)
        assert storage.ensembles(study.id) == [ensemble, replace(ensemble, iteration=2, score=-math.inf)]
