"""One sharp test for each guard that keeps workers apart: without it, the test fails.

`scripts/mutants.py` takes the guards out one by one and runs these tests.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from modelwright.errors import StorageUnavailableError
from modelwright.records import FailureKind, Outcome, Proposal, Provenance, TrialState
from modelwright.storage import Claim, open_storage
from modelwright.storage.sql import schema
from modelwright.testing.faults import open_clocked
from modelwright.testing.storage import ManualClock

ROOT = Path(__file__).parents[2]
OUTCOME = Outcome(TrialState.COMPLETE, (0.5,))


@pytest.mark.parametrize("address", ["postgresql", "mysql"], indirect=True)
def test_a_claim_passes_over_a_trial_that_another_one_holds(ledger: Any) -> None:
    ledger.create(trials=0)
    for i in range(3):
        ledger.storage.enqueue(ledger.id, {"x": i / 3}, {})
    claims: list[Any] = []

    def claim() -> None:
        with closing(open_storage(ledger.url, timeout_s=5)) as other:
            try:
                claims.append(other.claim(ledger.id, "w", "c", 60))
            except StorageUnavailableError as error:
                claims.append(error)

    def hold(tx: Any) -> None:
        # As a claim that has picked its trial and waits for the study.
        first = (schema.trials.c.study_id == ledger.id) & (schema.trials.c.number == 0)
        tx.run(select(schema.trials.c.number).where(first).with_for_update())
        thread = threading.Thread(target=claim)
        thread.start()
        thread.join(60)

    ledger.storage._db.write(hold)
    assert [getattr(answer, "number", answer) for answer in claims] == [1]


def test_a_superseded_worker_is_refused_while_its_successor_runs(ledger: Any) -> None:
    ledger.create(trials=1)
    clock = ManualClock()
    with closing(open_clocked(ledger.url, lambda: clock.us)) as storage:
        old = storage.claim(ledger.id, "old", "c1", 10)
        storage.propose(old, Proposal({"x": 0.5}), Provenance(), 0)
        clock.advance(11)
        new = storage.claim(ledger.id, "new", "c2", 10)
        assert (new.number, new.fence) == (old.number, old.fence + 1)
        assert storage.finish(old, OUTCOME, "old").value == "stale"
        assert storage.trial(ledger.id, 0).state is TrialState.RUNNING
        assert storage.renew([old], 10).lost == {0}
        assert storage.finish(new, OUTCOME, "new").value == "accepted"
    ledger.audit()


def test_a_write_takes_the_lock_before_it_reads(ledger: Any) -> None:
    begun: list[str] = []
    with closing(open_storage(ledger.url, timeout_s=0.2)) as other:

        def first(tx: Any) -> None:
            # Nothing has been written yet, and still nobody else may begin.
            with pytest.raises(StorageUnavailableError) as caught:
                other._db.write(lambda tx: begun.append("second"))
            assert caught.value.code == "E_DB_LOCKED"
            begun.append("first")

        ledger.storage._db.write(first)
    assert begun == ["first"]


@pytest.mark.parametrize("address", ["sqlite", "postgresql", "mysql"], indirect=True)
def test_a_lease_that_has_run_out_is_given_out_again(ledger: Any) -> None:
    ledger.create(trials=1, max_attempts=2)
    clock = ManualClock()
    with closing(open_clocked(ledger.url, lambda: clock.us)) as storage:
        for attempt in (1, 2):
            claim = storage.claim(ledger.id, "w", f"c{attempt}", 10)
            assert isinstance(claim, Claim)
            assert (claim.number, claim.attempts) == (0, attempt)
            clock.advance(9)
            assert storage.claim(ledger.id, "other", f"o{attempt}", 10).reason == "busy"
            clock.advance(1)
        assert storage.claim(ledger.id, "w", "c3", 10).reason == "spent"
        assert storage.trial(ledger.id, 0).failure.kind is FailureKind.LOST
    ledger.audit()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_each_mutant_is_killed() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "mutants.py")], capture_output=True, text=True, check=False
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
