# ruff: noqa: D102  (the names of the tests say what holds)
"""Conformance of storages: proposals that nobody else has made."""

from __future__ import annotations

import random
import threading
from dataclasses import replace
from typing import Any

import pytest

from modelwright.records import Failure, FailureKind, Outcome, Proposal, Provenance, TrialState
from modelwright.storage.base import AdoptedTrial, Claim, NoClaim, Storage
from modelwright.testing.audit import audit
from modelwright.testing.storage_budgets import failed, in_threads
from modelwright.testing.storage_suite import ManualClock, StorageSuite, complete, make_spec

__all__ = ["UniqueTests"]


class UniqueTests(StorageSuite):
    """What holds of proposals that are written only if no other trial has them."""

    def offer(
        self, storage: Storage, claim: Claim, fidelity: float | None = None, **params: Any
    ) -> int | None:
        """Propose `params` if no other trial has them."""
        return storage.propose(claim, Proposal(params, fidelity=fidelity), Provenance(), 0, unique=True)

    def test_what_another_trial_has_is_not_written(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        first, second = (self.take(storage, study.id, name) for name in "ab")
        assert self.offer(storage, first, x=0.5, k="a") is None
        revision = storage.study("study").revision
        assert self.offer(storage, second, k="a", x=0.5) == 0
        assert storage.study("study").revision == revision
        assert storage.trial(study.id, 1).params is None
        assert self.offer(storage, second, x=0.5, k="b") is None
        # The answer to the first call was lost.
        assert self.offer(storage, second, x=0.5, k="b") is None
        assert self.offer(storage, first, x=0.5, k="a") is None

    def test_without_the_wish_repeats_are_written(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        claims = [self.take(storage, study.id, name) for name in "abc"]
        for claim in claims[:2]:
            assert storage.propose(claim, Proposal({"x": 0.5}), Provenance(), 0) is None
        assert self.offer(storage, claims[2], x=0.5) == 0

    @pytest.mark.parametrize(
        ("one", "two", "same"),
        [
            ({"x": 1}, {"x": 1.0}, True),
            ({"x": 0.0}, {"x": -0.0}, True),
            ({"x": True}, {"x": 1}, False),
            ({"x": "1"}, {"x": 1}, False),
            ({"x": 0.1 + 0.2}, {"x": 0.3}, False),
            ({"x": float("inf")}, {"x": float("inf")}, True),
            ({"x": None}, {}, False),
            ({"x": [1, [2]], "k": "ü"}, {"k": "ü", "x": (1.0, (2,))}, True),
            ({}, {}, True),
        ],
    )
    def test_what_counts_as_the_same(self, storage: Storage, one: Any, two: Any, same: bool) -> None:
        study = storage.create_study(make_spec())
        first, second = (self.take(storage, study.id, name) for name in "ab")
        self.offer(storage, first, **one)
        assert self.offer(storage, second, **two) == (0 if same else None)

    def test_another_fidelity_is_another_trial(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        claims = [self.take(storage, study.id, name) for name in "abc"]
        assert self.offer(storage, claims[0], 3.0, x=0.5) is None
        assert self.offer(storage, claims[1], 9.0, x=0.5) is None
        assert self.offer(storage, claims[2], 3, x=0.5) == 0
        assert self.offer(storage, claims[2], x=0.5) is None

    @pytest.mark.parametrize(
        "outcome", [complete(), failed(), failed("timeout"), Outcome(TrialState.PRUNED, (1.0,))]
    )
    def test_finished_trials_have_their_configuration(self, storage: Storage, outcome: Outcome) -> None:
        study = storage.create_study(make_spec())
        claim = self.take(storage, study.id, "a")
        self.offer(storage, claim, x=0.5)
        storage.finish(claim, outcome, "a")
        assert self.offer(storage, self.take(storage, study.id, "b"), x=0.5) == 0

    def test_enqueued_and_adopted_trials_have_theirs(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        claim = self.take(storage, study.id, "a")
        storage.enqueue(study.id, {"x": 0.25}, {})
        done = storage.trial(study.id, 1)
        storage.adopt(study.id, [AdoptedTrial(done), AdoptedTrial(done)])
        lost = Failure(FailureKind.LOST, "words")
        failed_trial = replace(done, state=TrialState.FAILED, params={"x": 0.5}, failure=lost)
        storage.adopt(study.id, [AdoptedTrial(failed_trial)])
        assert self.offer(storage, claim, x=0.25) == 1
        assert self.offer(storage, claim, x=0.5) is None

    def test_lost_and_killed_trials_do_not_have_theirs(self, storage: Storage, clock: ManualClock) -> None:
        study = storage.create_study(make_spec(max_attempts=1))
        lost, killed = self.take(storage, study.id, "a"), self.take(storage, study.id, "b")
        self.offer(storage, lost, x=0.25)
        self.offer(storage, killed, x=0.5)
        storage.finish(killed, failed("killed"), "b")
        storage.kill(study.id, storage.enqueue(study.id, {"x": 0.75}, {}))
        clock.advance(2 * self.lease_s)
        for number, x in enumerate((0.25, 0.5, 0.75), 3):
            claim = self.take(storage, study.id, f"c{number}")
            assert (claim.number, self.offer(storage, claim, x=x)) == (number, None)
        assert storage.trial(study.id, 0).state is TrialState.FAILED

    def test_parameters_that_were_added_count(self, storage: Storage) -> None:
        study = storage.create_study(make_spec())
        first, second, third = (self.take(storage, study.id, name) for name in "abc")
        self.offer(storage, first, x=0.5)
        storage.extend(first, {"y": 1}, 0)
        assert self.offer(storage, second, x=0.5) is None
        assert self.offer(storage, third, x=0.5, y=1) == 0

    def test_of_those_who_race_for_one_configuration_one_gets_it(self, storage: Storage) -> None:
        study = storage.create_study(make_spec(deterministic=True))
        for turn in range(5):
            claims = [self.take(storage, study.id, f"c{turn}-{i}") for i in range(6)]
            answers: list[int | None] = [-1] * len(claims)
            start = threading.Barrier(len(claims))

            def work(
                i: int,
                turn: int = turn,
                claims: list[Claim] = claims,
                answers: list[int | None] = answers,
                start: threading.Barrier = start,
            ) -> None:
                start.wait()
                answers[i] = self.offer(storage, claims[i], x=turn / 8)

            in_threads(len(claims), work)
            winner = answers.index(None)
            assert answers.count(None) == 1
            assert {answer for answer in answers if answer is not None} == {claims[winner].number}
        audit(storage, study.id)

    @pytest.mark.parametrize("seed", [1, 2])
    def test_threads_never_get_the_same_proposal(self, storage: Storage, seed: int) -> None:
        study = storage.create_study(make_spec(deterministic=True))
        storage.set_budget(study.id, 36)

        def work(index: int) -> None:
            rng = random.Random(seed * 100 + index)
            for turn in range(5000):
                claim = storage.claim(study.id, f"w{index}", f"c{index}-{turn}", 600.0)
                if isinstance(claim, NoClaim):
                    if claim.reason == "spent":
                        return
                    continue  # somebody may give a trial back
                while claim.params is None and self.offer(storage, claim, n=rng.randrange(40)) is not None:
                    pass
                if rng.random() < 0.2:
                    storage.release(claim, "drained")
                else:
                    storage.finish(claim, complete(), claim.claim_id)

        in_threads(6, work)
        tried = [trial.params for trial in storage.trials(study.id)]
        assert len({params["n"] for params in tried if params is not None}) == 36
        audit(storage, study.id)
