# ruff: noqa: D102  (the names of the tests say what holds)
"""Conformance of storages: revisions, random walks, and threads."""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest

from modelwright.records import (
    Proposal,
    Provenance,
    TrialState,
)
from modelwright.storage.base import (
    NoClaim,
    Storage,
)
from modelwright.storage.memory import MemoryStorage
from modelwright.testing.audit import audit
from modelwright.testing.storage_suite import ManualClock, StorageSuite, complete, make_spec
from modelwright.testing.storage_walk import Mirror, Walk, snapshot

__all__ = ["OrderTests"]


class OrderTests(StorageSuite):
    """What holds of any order of calls."""

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
        model = MemoryStorage(clock=model_clock.seconds, now_us=lambda: model_clock.us)
        pair = [Mirror(storage, clock.advance), Mirror(model, model_clock.advance)]
        spec = make_spec(max_attempts=2, retry={"error": 1})
        ids = [mirror.storage.create_study(spec).id for mirror in pair]
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
        audit(storage, ids[0])

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
