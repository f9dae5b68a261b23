"""The audit finds what is wrong, and says what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from modelwright.records import Artifact, Budget, Proposal, Provenance, Report, TrialState
from modelwright.storage import Claim, MemoryStorage
from modelwright.testing.audit import audit
from modelwright.testing.storage import ManualClock, complete, make_spec


class Liar:
    """A storage whose answers to some methods are changed."""

    def __init__(self, storage: MemoryStorage, method: str, change: Callable[[Any], Any]) -> None:
        self._storage = storage
        self._method = method
        self._change = change

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._storage, name)
        if name != self._method:
            return method
        return lambda *args, **options: self._change(method(*args, **options))


def take(storage: MemoryStorage, name: str) -> Claim:
    claim = storage.claim(1, "w", name, 60.0)
    assert isinstance(claim, Claim)
    return claim


@pytest.fixture
def storage() -> MemoryStorage:
    """Return a study with a trial of three attempts, one that runs, and one that waits."""
    clock = ManualClock()
    storage = MemoryStorage(clock=clock.seconds, now_us=lambda: clock.us)
    study = storage.create_study(make_spec(deterministic=True))
    storage.set_budget(study.id, 5)
    first = take(storage, "a")
    storage.propose(first, Proposal({"x": 0.5}), Provenance(), 0)
    storage.report(first, [Report(1, {"value": 1.0})])
    storage.release(first, "drained")
    take(storage, "b")
    clock.advance(100)
    last = take(storage, "c")
    assert last.fence == 3
    storage.finish(first, complete(), "a")
    storage.finish(last, complete(duration_s=2.5, artifacts=(Artifact("model", "m", "00", 1),)), "c")
    given_back = take(storage, "d")
    storage.release(given_back, "nothing to propose")
    running = take(storage, "e")
    storage.propose(running, Proposal({"x": 0.75}), Provenance(), 0)
    storage.enqueue(study.id, {"x": 0.5}, {})
    return storage


def at(position: int, **changes: Any) -> Callable[[list[Any]], list[Any]]:
    """Return a change of one record of a list."""

    def change(items: list[Any]) -> list[Any]:
        items[position] = replace(items[position], **changes)
        return items

    return change


def without(position: int) -> Callable[[list[Any]], list[Any]]:
    return lambda items: [item for i, item in enumerate(items) if i != position]


def of_study(**changes: Any) -> Callable[[Any], Any]:
    return lambda found: replace(found, study=replace(found.study, **changes))


def test_a_sound_ledger_passes(storage: MemoryStorage) -> None:
    audit(storage, 1)


@pytest.mark.parametrize(
    ("method", "change", "words"),
    [
        ("trials", without(1), r"contiguous: of 3 these are missing: \[1\]"),
        ("trials", lambda items: [items[0], *items], r"unique: \[0\] are not"),
        ("trials", lambda items: items[::-1], "by number"),
        ("trials", at(2, number=9), "9 is not below 3"),
        ("changes", of_study(issued=4), "4 numbers are issued, and events tell of 3"),
        ("events", at(1, payload={"trials": 1}), "number 1 was issued beyond the budget of 1"),
        ("attempts", at(0, fence=2), r"fences only rise: \[2, 2, 3\]"),
        ("attempts", without(2), "complete by the result of an attempt"),
        ("attempts", without(1), "spent or released: 2 of"),
        ("attempts", at(0, outcome="lost"), "spent or released: 2 of"),
        ("attempts", at(1, outcome="complete"), "one result counts"),
        ("attempts", at(2, outcome="running"), "and yet an attempt runs"),
        ("attempts", at(4, outcome="lost"), "it runs, so its latest attempt does"),
        ("attempts", at(4, fence=9), "its fence is that of its latest attempt: 2, not 9"),
        ("attempts", at(1, cost=1.0), "the study costs what its attempts cost: 62.5, not 3.5"),
        ("trials", at(0, finished_revision=0), "finishing revision 0"),
        ("trials", at(0, finished_revision=99), "its revisions are 99"),
        ("trials", at(0, state=TrialState.FAILED), "failed with the failure None"),
        ("trials", at(1, state=TrialState.COMPLETE, finished_revision=10), "the same revision as trial 0"),
        ("events", without(3), "each revision has one event"),
        ("events", lambda items: [items[0], *items], "each revision has one event"),
        ("events", at(2, fence=8), "fence 8 is newer than trial 0's"),
        ("events", at(9, kind="stale"), "a stale result changed it"),
        ("events", at(4, kind="finish"), "trial 0: 2 results were accepted"),
        ("counts", lambda counts: {TrialState.COMPLETE: 2}, "counts are those"),
        ("artifacts", lambda items: [(1, items[0][1])], "the artifact 'model' without an accepted"),
        ("trials", at(1, params={"x": 0.5}), "trial 1: trial 0 has the same configuration"),
    ],
)
def test_what_is_broken_is_named(
    storage: MemoryStorage, method: str, change: Callable[[Any], Any], words: str
) -> None:
    once: list[bool] = []

    def first_page(found: Any) -> Any:
        """Change the first answer only, so that reading page by page comes to an end."""
        once.append(True)
        return change(found) if len(once) == 1 or method != "events" else found

    with pytest.raises(AssertionError, match=words):
        audit(Liar(storage, method, first_page), 1)  # type: ignore[arg-type]


def test_a_budget_that_was_lowered_later_was_not_broken(storage: MemoryStorage) -> None:
    assert storage.set_budget(1, 1).budget == Budget(1)
    audit(storage, 1)
