"""Random walks through ledgers, beside one on paper."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from modelwright.storage import Claim, MemoryStorage, SQLStorage
from modelwright.testing.ledger_machine import Place, ledger_machine
from modelwright.testing.storage import ManualClock


def in_memory() -> Place:
    clock = ManualClock()
    storage = MemoryStorage(clock=clock.seconds, now_us=lambda: clock.us)
    return Place(lambda: storage, clock.advance)


def in_a_file() -> Place:
    clock = ManualClock()
    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name) / "ledger.db"
    return Place(
        lambda: SQLStorage(path, durability="process", clock=lambda: clock.us), clock.advance, folder.cleanup
    )


def walks(count: int, steps: int) -> settings:
    return settings(
        max_examples=count,
        stateful_step_count=steps,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )


class Careless(MemoryStorage):
    """A ledger that takes back what is somebody else's by now, or so it says."""

    def release(self, claim: Claim, why: str, *, close: bool = False) -> bool:
        super().release(claim, why, close=close)
        return True


def test_a_careless_ledger_is_found() -> None:
    def careless() -> Place:
        clock = ManualClock()
        storage = Careless(clock=clock.seconds, now_us=lambda: clock.us)
        return Place(lambda: storage, clock.advance)

    quick = settings(walks(300, 40), phases=[Phase.generate], database=None, report_multiple_bugs=False)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(ledger_machine(careless), settings=quick)


def test_walks_in_memory() -> None:
    run_state_machine_as_test(ledger_machine(in_memory), settings=walks(150, 50))


def test_walks_in_a_file() -> None:
    run_state_machine_as_test(ledger_machine(in_a_file), settings=walks(15, 40))


@pytest.mark.slow
@pytest.mark.parametrize("place", [in_memory, in_a_file])
def test_long_walks(place: object) -> None:
    run_state_machine_as_test(ledger_machine(place), settings=walks(100, 80))  # type: ignore[arg-type]
