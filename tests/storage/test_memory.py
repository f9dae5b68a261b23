"""The ledger in memory."""

from __future__ import annotations

import pytest

from modelwright.records import StudySpec
from modelwright.space import Float, Space
from modelwright.storage import MemoryStorage, Storage
from modelwright.testing.storage import ManualClock, StorageContract


class TestMemoryStorage(StorageContract):
    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def storage(self, clock: ManualClock) -> Storage:
        return MemoryStorage(clock=clock.seconds, now_us=lambda: clock.us)


def test_a_space_with_a_callable_constraint_stays_in_memory() -> None:
    space = Space({"x": Float(0, 1)}, constraints=[lambda x: x < 0.5])
    record = MemoryStorage().create_study(StudySpec("study", space))
    assert record.spec.space is space
    assert [entry["name"] for entry in record.space["parameters"]] == ["x"]
