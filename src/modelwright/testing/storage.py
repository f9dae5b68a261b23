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

from modelwright.testing.storage_adopt import AdoptTests
from modelwright.testing.storage_budgets import BudgetTests
from modelwright.testing.storage_claims import ClaimTests
from modelwright.testing.storage_control import ControlTests
from modelwright.testing.storage_order import OrderTests
from modelwright.testing.storage_results import ResultTests
from modelwright.testing.storage_studies import StudyTests
from modelwright.testing.storage_suite import ManualClock, complete, make_spec
from modelwright.testing.storage_tables import TableTests
from modelwright.testing.storage_unique import UniqueTests

__all__ = ["ManualClock", "StorageContract", "complete", "make_spec"]


class StorageContract(
    StudyTests,
    ClaimTests,
    BudgetTests,
    ResultTests,
    UniqueTests,
    ControlTests,
    AdoptTests,
    OrderTests,
    TableTests,
):
    """What holds of every storage; see the head of this module."""
