# ruff: noqa: D102  (the names of the tests say what holds)
"""Conformance of storages: budgets of trials, time and cost, and attempts that count against them."""

from __future__ import annotations

import math
import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from modelwright.errors import InputError, StaleClaimError
from modelwright.records import (
    Budget,
    Failure,
    FailureKind,
    Outcome,
    Proposal,
    Provenance,
    StudyState,
    TrialState,
)
from modelwright.storage.base import Claim, Finish, NoClaim, Storage
from modelwright.storage.plain import failure_form
from modelwright.testing.audit import audit
from modelwright.testing.storage_suite import ManualClock, StorageSuite, complete, make_spec

__all__ = ["BudgetTests", "failed", "in_threads"]


def failed(kind: str = "error", **more: Any) -> Outcome:
    """Return the outcome of a trial that failed."""
    return Outcome(TrialState.FAILED, failure=Failure(FailureKind(kind), f"{kind}: words", "E_X"), **more)


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Call ``work(0)``, ``work(1)`` ... in threads of their own; the first error is raised here."""
    errors: list[BaseException] = []

    def run(index: int) -> None:
        try:
            work(index)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


class BudgetTests(StorageSuite):
    """What holds of budgets, and of attempts that are lost, given back or tried again."""

    # trials ------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("seed", [1, 2])
    def test_a_budget_is_exact_whatever_dies(self, storage: Storage, clock: ManualClock, seed: int) -> None:
        """Threads finish, give back, or fall silent; those that fell silent may come back too late."""
        study = storage.create_study(make_spec(max_attempts=100_000))
        storage.set_budget(study.id, 30)
        accepted: Counter[int] = Counter()
        lock = threading.Lock()

        def work(index: int) -> None:
            rng = random.Random(seed * 100 + index)
            late: list[Claim] = []
            for turn in range(1000):
                claim = storage.claim(study.id, f"w{index}", f"c{index}-{turn}", self.lease_s)
                if isinstance(claim, NoClaim):
                    if claim.reason == "spent":
                        return
                    assert claim.reason == "busy"
                    clock.advance(1.5 * self.lease_s)
                    continue
                if claim.params is None and rng.random() < 0.8:
                    try:
                        storage.propose(claim, Proposal({"x": rng.random()}), Provenance(), 0)
                    except StaleClaimError:
                        continue  # another thread let time pass, and another took over
                draw = rng.random()
                if draw < 0.2:
                    late.append(claim)
                elif draw < 0.35:
                    storage.release(claim, "drained")
                else:
                    late.append(claim)
                    claim = late.pop(rng.randrange(len(late)))
                    if storage.finish(claim, complete(), claim.claim_id) is Finish.ACCEPTED:
                        with lock:
                            accepted[claim.number] += 1

        in_threads(6, work)
        assert accepted == Counter(dict.fromkeys(range(30), 1)), accepted
        assert storage.counts(study.id) == {TrialState.COMPLETE: 30}
        assert storage.study("study").issued == 30
        audit(storage, study.id)

    def test_raising_and_lowering_a_budget(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        storage.set_budget(study.id, 2)
        for name in "ab":
            self.run_one(storage, study.id, name)
        assert storage.set_budget(study.id, 1).budget == Budget(1)
        assert self.why_not(storage, study.id) == "spent"
        storage.set_budget(study.id, 3)
        assert self.take(storage, study.id, "c").number == 2

    def test_parts_of_a_budget_are_set_apart(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        storage.set_budget(study.id, 7, time_s=1.5, who="ann")
        record = storage.set_budget(study.id, deadline_us=2**52, cost=2.5, parallel=3)
        assert record.budget == Budget(7, 1.5, 2**52, 2.5, 3)
        assert storage.set_budget(study.id).revision == record.revision
        assert storage.set_budget(study.id, 7, cost=2.5).revision == record.revision
        assert storage.set_budget(study.id, None, cost=None).budget == Budget(None, 1.5, 2**52, None, 3)
        assert storage.study("study").budget == Budget(None, 1.5, 2**52, None, 3)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"trials": -1},
            {"trials": 1.5},
            {"time_s": -0.1},
            {"cost": math.nan},
            {"parallel": 0},
            {"deadline_us": -1},
            {"deadline_us": 1.5},
        ],
    )
    def test_a_budget_that_is_none_is_refused(self, storage: Storage, wrong: Any) -> None:
        study = storage.create_study(make_spec())
        with pytest.raises(InputError):
            storage.set_budget(study.id, **wrong)
        assert storage.study("study") == study

    def test_any_part_that_grows_reopens_a_complete_study(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        storage.set_budget(study.id, time_s=10.0, cost=5.0, deadline_us=2**50, parallel=1)
        for more in ({"time_s": 11.0}, {"cost": 6.0}, {"deadline_us": 2**51}, {"cost": None}):
            storage.set_state(study.id, StudyState.COMPLETE)
            assert storage.set_budget(study.id, time_s=5.0).state is StudyState.COMPLETE
            assert storage.set_budget(study.id, parallel=2).state is StudyState.COMPLETE
            assert storage.set_budget(study.id, **more).state is StudyState.PENDING, more
            storage.set_budget(study.id, time_s=10.0, parallel=1)

    # time --------------------------------------------------------------------------------------------

    def test_time_counts_from_the_first_run(self, storage: Storage, clock: ManualClock) -> None:
        study = storage.create_study(make_spec())
        storage.set_budget(study.id, time_s=1.5 * self.lease_s)
        clock.advance(2 * self.lease_s)
        storage.set_state(study.id, StudyState.RUNNING)
        claim = self.take(storage, study.id, "a")
        storage.set_state(study.id, StudyState.PENDING)
        clock.advance(2 * self.lease_s)
        storage.set_state(study.id, StudyState.RUNNING)
        assert self.why_not(storage, study.id) == "deadline"
        assert storage.finish(claim, complete(), "a") is Finish.ACCEPTED
        assert self.why_not(storage, study.id) == "deadline"
        storage.set_budget(study.id, time_s=100 * self.lease_s)
        other = self.take(storage, study.id, "b")
        storage.set_budget(study.id, time_s=self.lease_s)
        assert self.why_not(storage, study.id) == "busy"
        assert self.take(storage, study.id, "b") == other  # what was given out stays given out
        storage.set_budget(study.id, time_s=None)
        assert self.take(storage, study.id, "c").number == 2

    def test_time_that_was_spent_elsewhere_counts(self, storage: Storage, clock: ManualClock) -> None:
        study = storage.create_study(make_spec())
        storage.set_budget(study.id, time_s=3 * self.lease_s)
        began_us = study.created_us - int(2 * self.lease_s * 1e6)
        assert storage.set_started(study.id, began_us).started_us == began_us
        revision = storage.study("study").revision
        assert storage.set_started(study.id, began_us + 1).started_us == began_us  # it is set once
        running = storage.set_state(study.id, StudyState.RUNNING)
        assert (running.started_us, running.revision) == (began_us, revision + 1)
        self.take(storage, study.id, "a")
        clock.advance(1.5 * self.lease_s)
        assert self.why_not(storage, study.id) == "deadline"

    def test_a_deadline_is_a_moment(self, storage: Storage, clock: ManualClock) -> None:
        study = storage.create_study(make_spec())
        storage.set_budget(study.id, deadline_us=study.created_us + int(2.5 * self.lease_s * 1e6))
        claim = self.take(storage, study.id, "a")
        storage.enqueue(study.id, {"x": 0.5}, {})
        clock.advance(3 * self.lease_s)
        assert self.why_not(storage, study.id) == "deadline"
        assert storage.trial(study.id, 1).state is TrialState.WAITING
        assert storage.finish(claim, complete(), "a") is Finish.ACCEPTED

    # cost --------------------------------------------------------------------------------------------

    def test_a_study_ends_with_the_attempt_that_crosses_its_cost(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        storage.set_budget(study.id, cost=5.0)
        first, second, third = (self.take(storage, study.id, name) for name in "abc")
        storage.finish(first, complete(duration_s=3.0), "a")
        assert storage.study("study").cost == 3.0
        storage.release(third, "not yet")
        storage.finish(second, complete(duration_s=50.0, cost=1.5), "b")
        third = self.take(storage, study.id, "d")
        fourth = self.take(storage, study.id, "e")
        storage.finish(third, failed(duration_s=0.5), "d")
        assert storage.study("study").cost == pytest.approx(5.0, abs=0.4 * self.lease_s)
        assert self.why_not(storage, study.id) == "busy"
        storage.finish(fourth, complete(duration_s=0.25), "e")
        assert self.why_not(storage, study.id) == "cost"
        costs = [item.cost for item in storage.attempts(study.id) if item.outcome != "released"]
        assert costs == [3.0, 1.5, 0.5, 0.25]
        storage.set_budget(study.id, cost=100.0 + self.lease_s)
        assert self.take(storage, study.id, "f").number == 4

    def test_lost_and_released_attempts_are_charged(self, storage: Storage, clock: ManualClock) -> None:
        study = storage.create_study(make_spec())
        self.take(storage, study.id, "a", "w1")
        clock.advance(3 * self.lease_s)
        claim = self.take(storage, study.id, "b", "w2")
        assert storage.study("study").cost == pytest.approx(self.lease_s, rel=0.01)
        clock.advance(0.25 * self.lease_s)
        storage.release(claim, "drained")
        lost, released = storage.attempts(study.id)
        assert (lost.outcome, lost.worker, released.outcome) == ("lost", "w1", "released")
        assert lost.cost == pytest.approx(self.lease_s, rel=0.01)
        assert lost.cost is not None
        assert released.cost is not None
        assert 0.24 * self.lease_s < released.cost < 3 * self.lease_s
        assert storage.study("study").cost == pytest.approx(lost.cost + released.cost)

    @pytest.mark.parametrize("cost", [math.inf, -math.inf, math.nan])
    def test_a_cost_that_is_no_number_is_none(self, storage: Storage, cost: float) -> None:
        study = storage.create_study(make_spec())
        claim = self.take(storage, study.id, "a")
        assert storage.finish(claim, complete(cost=cost), "a") is Finish.ACCEPTED
        assert storage.study("study").cost == 0.0
        assert [item.cost for item in storage.attempts(study.id)] == [0.0]
        audit(storage, study.id)

    def test_what_silent_workers_cost_counts_at_once(self, storage: Storage, clock: ManualClock) -> None:
        study = storage.create_study(make_spec())
        storage.set_budget(study.id, cost=self.lease_s / 2)
        claim = self.take(storage, study.id, "a")
        clock.advance(2 * self.lease_s)
        assert self.why_not(storage, study.id) == "cost"
        # Nobody replaced it, so its result is still welcome, and cheaper than its silence.
        assert storage.finish(claim, complete(duration_s=self.lease_s / 4), "a") is Finish.ACCEPTED
        assert storage.study("study").cost == self.lease_s / 4
        assert self.take(storage, study.id, "b").number == 1

    # at a time ---------------------------------------------------------------------------------------

    def test_so_many_run_at_a_time(self, storage: Storage, clock: ManualClock) -> None:
        study = storage.create_study(make_spec())
        storage.set_budget(study.id, parallel=2)
        first, second = (self.take(storage, study.id, name) for name in "ab")
        storage.enqueue(study.id, {"x": 0.5}, {})
        assert self.why_not(storage, study.id) == "busy"
        assert self.take(storage, study.id, "b") == second
        storage.release(first, "drained")
        again = self.take(storage, study.id, "c")
        assert again.number == 0
        storage.finish(second, complete(), "b")
        assert self.take(storage, study.id, "d").number == 2
        assert self.why_not(storage, study.id) == "busy"
        clock.advance(2 * self.lease_s)
        # Whoever is silent does not count as running.
        assert [self.take(storage, study.id, name).number for name in "ef"] == [0, 2]
        assert self.why_not(storage, study.id) == "busy"
        storage.set_budget(study.id, parallel=3)
        assert self.take(storage, study.id, "g").number == 3

    def test_threads_together_run_so_many_at_a_time(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        storage.set_budget(study.id, 40, parallel=3)
        lock = threading.Lock()
        running, most = 0, 0

        def work(index: int) -> None:
            nonlocal running, most
            for turn in range(5000):
                claim = storage.claim(study.id, f"w{index}", f"c{index}-{turn}", 600.0)
                if isinstance(claim, NoClaim):
                    if claim.reason == "spent":
                        return
                    continue
                with lock:
                    running += 1
                    most = max(most, running)
                with lock:
                    running -= 1
                storage.finish(claim, complete(), claim.claim_id)

        in_threads(6, work)
        assert most <= 3
        assert storage.counts(study.id) == {TrialState.COMPLETE: 40}

    # trying again ------------------------------------------------------------------------------------

    def test_a_failure_is_tried_again_as_often_as_its_kind_says(self, storage: Storage) -> None:
        study = storage.create_study(make_spec(retry={"error": 2, "timeout": 0}))
        storage.set_budget(study.id, 1)
        claim = self.take(storage, study.id, "a")
        storage.propose(claim, Proposal({"x": 0.5}, fidelity=3.0), Provenance(), 0)
        outcome = failed(duration_s=1.5, user_attrs={"note": 1}, exit_code=3, log_location="logs/0-1")
        assert storage.finish(claim, outcome, "r1") is Finish.RETRY
        trial = storage.trial(study.id, 0)
        assert (trial.state, trial.attempts, trial.failure) == (TrialState.WAITING, 1, None)
        assert (trial.worker, trial.finished_revision, trial.user_attrs) == ("", 0, {})
        event = storage.events(study.id)[-1]
        assert outcome.failure is not None
        assert (event.kind, event.payload["failure"]) == ("retry", failure_form(outcome.failure))
        revision = storage.study("study").revision
        assert storage.finish(claim, outcome, "r1") is Finish.DUPLICATE
        again = self.take(storage, study.id, "b")
        assert (again.number, again.fence, again.attempts) == (0, 2, 2)
        assert (again.params, again.fidelity) == ({"x": 0.5}, 3.0)
        assert storage.finish(claim, outcome, "r1") is Finish.DUPLICATE
        assert storage.study("study").revision == revision + 1
        assert storage.finish(again, failed(), "r2") is Finish.RETRY
        last = self.take(storage, study.id, "c")
        assert storage.finish(last, failed(), "r3") is Finish.ACCEPTED
        trial = storage.trial(study.id, 0)
        assert (trial.state, trial.attempts, trial.failure) == (TrialState.FAILED, 3, failed().failure)
        assert [item.outcome for item in storage.attempts(study.id, 0)] == ["error", "error", "failed"]
        first = storage.attempts(study.id, 0)[0]
        assert (first.duration_s, first.cost, first.exit_code, first.log_location) == (
            1.5,
            1.5,
            3,
            "logs/0-1",
        )
        for held, result_id in ((claim, "r1"), (again, "r2"), (last, "r3")):
            assert storage.finish(held, failed(), result_id) is Finish.DUPLICATE
        assert self.why_not(storage, study.id) == "spent"
        audit(storage, study.id)

    def test_each_kind_has_its_own_attempts(self, storage: Storage) -> None:
        study = storage.create_study(make_spec(retry={"error": 1, "memory": 1}))
        kinds = ["error", "memory", "error"]
        answers = []
        for turn, kind in enumerate(kinds):
            claim = self.take(storage, study.id, f"c{turn}")
            assert claim.number == 0
            answers.append(storage.finish(claim, failed(kind), f"c{turn}"))
        assert answers == [Finish.RETRY, Finish.RETRY, Finish.ACCEPTED]
        for turn, outcome in enumerate((failed("timeout"), Outcome(TrialState.PRUNED, (1.0,)), complete())):
            claim = self.take(storage, study.id, f"d{turn}")
            assert storage.finish(claim, outcome, f"d{turn}") is Finish.ACCEPTED

    def test_a_lost_attempt_is_tried_again_until_none_is_left(self, storage: Storage) -> None:
        study = storage.create_study(make_spec(max_attempts=3))
        storage.set_budget(study.id, 1)
        for turn, expected in enumerate((Finish.RETRY, Finish.RETRY, Finish.ACCEPTED)):
            claim = self.take(storage, study.id, f"c{turn}")
            assert storage.finish(claim, failed("lost"), f"c{turn}") is expected
        trial = storage.trial(study.id, 0)
        assert (trial.state, trial.attempts, trial.failure) == (TrialState.FAILED, 3, failed("lost").failure)
        assert [item.outcome for item in storage.attempts(study.id, 0)] == ["lost", "lost", "failed"]
        audit(storage, study.id)

    def test_a_retry_waits_while_the_study_rests(self, storage: Storage) -> None:
        study = storage.create_study(make_spec(retry={"error": 1}))
        claim = self.take(storage, study.id, "a")
        storage.set_state(study.id, StudyState.PAUSED)
        assert storage.finish(claim, failed(), "a") is Finish.RETRY
        assert self.why_not(storage, study.id) == "paused"
        storage.set_state(study.id, StudyState.PENDING)
        assert self.take(storage, study.id, "b").number == 0

    def test_only_the_last_result_leaves_files(self, storage: Storage, clock: ManualClock) -> None:
        study = storage.create_study(make_spec(retry={"error": 1}))
        claim = self.take(storage, study.id, "a")
        storage.finish(claim, failed(artifacts=(self.artifact("model", size=1),)), "a")
        assert storage.artifacts(study.id) == []
        again = self.take(storage, study.id, "b")
        storage.finish(again, complete(artifacts=(self.artifact("model"),)), "b")
        assert storage.artifacts(study.id) == [(0, self.artifact("model"))]
