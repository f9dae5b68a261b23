"""What the parts of the conformance suite of storages share: a clock, small studies, and steps."""

from __future__ import annotations

import math
from typing import Any

import pytest

from modelwright.records import (
    Artifact,
    Outcome,
    Proposal,
    Provenance,
    StudySpec,
    TrialState,
)
from modelwright.space import Categorical, Float, Int, Space
from modelwright.storage.base import (
    Claim,
    Finish,
    NoClaim,
    Storage,
)

__all__ = ["AWKWARD", "ManualClock", "StorageSuite", "complete", "make_spec"]

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


class StorageSuite:
    """The fixtures that a subclass of `StorageContract` gives, and steps that many tests take."""

    lease_s: float = 60.0

    @pytest.fixture
    def clock(self) -> ManualClock:
        """Return the clock of the storage's leases."""
        raise NotImplementedError("a subclass gives the fixture `clock`")

    @pytest.fixture
    def storage(self) -> Any:
        """Return an empty storage."""
        raise NotImplementedError("a subclass gives the fixture `storage`")

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

    def artifact(self, name: str, size: int = 2**40) -> Artifact:
        """Return the record of a file."""
        return Artifact(name, f"0-2/{name}", "ab" * 32, size, "npy")

    def run_one(self, storage: Storage, study_id: int, claim_id: str, value: float = 0.5) -> Claim:
        """Claim, propose and finish."""
        claim = self.take(storage, study_id, claim_id)
        storage.propose(claim, Proposal({"x": value}), Provenance("random"), 0)
        assert storage.finish(claim, complete(value), claim_id) is Finish.ACCEPTED
        return claim
