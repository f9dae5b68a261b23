"""Workers in processes of their own, killed, frozen and asked to go."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from typing import Any

import psutil
import pytest

from modelwright.records import StudyState, TrialState
from modelwright.worker import worker_rows


def test_three_workers_of_which_one_is_killed_and_one_gets_ctrl_c(
    ledger: Any, start_worker: Any, until: Any
) -> None:
    """The budget is met exactly, whatever dies."""
    ledger.make("s", "hang", trials=9)
    killed, interrupted, steady = (start_worker() for _ in range(3))
    until(lambda: len(ledger.started()) == 3)
    killed.kill()
    interrupted.send_signal(signal.SIGINT)
    _, told = interrupted.communicate(timeout=60)
    assert interrupted.returncode == 130, told
    killed.wait()
    states = {row.info.pid: row.state for row in ledger.read(lambda s: worker_rows(s, everything=True))}
    assert (states[killed.pid], states[interrupted.pid]) == ("dead", "left")
    assert "SIGINT: leaving within 5 s" in told
    (ledger.folder / "go").touch()
    out, told = steady.communicate(timeout=120)
    assert steady.returncode == 0, told
    assert out.splitlines()[-1] == "No studies with work found. Exiting."
    assert Counter(ledger.states("s")) == {TrialState.COMPLETE: 9}
    assert ledger.state("s") == "complete"
    # One attempt is spent by the worker that was killed, and none by the one that was asked to go.
    assert sorted(t.attempts for t in ledger.trials("s")) == [1] * 8 + [2]
    ledger.check("s")


def test_preemption_gives_the_trial_back_without_spending_an_attempt(
    ledger: Any, start_worker: Any, until: Any
) -> None:
    """SIGTERM, and the worker is gone before the five seconds are over in which clusters kill."""
    ledger.make("s", "hang", trials=2)
    worker = start_worker("--grace", "5s")
    until(ledger.started)
    sent = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    _, told = worker.communicate(timeout=60)
    assert worker.returncode == 0, told
    assert time.monotonic() - sent < 20
    [trial] = ledger.trials("s")
    assert (trial.state, trial.attempts) == (TrialState.WAITING, 0)
    assert trial.params is not None
    assert not [pid for pid in ledger.started() if psutil.pid_exists(pid)]
    ledger.check("s")

    (ledger.folder / "go").touch()  # and any other worker takes it up
    assert start_worker().wait(60) == 0
    assert ledger.states("s") == [TrialState.COMPLETE] * 2
    assert [t.attempts for t in ledger.trials("s")] == [1, 1]
    assert ledger.trials("s")[0].params == trial.params
    ledger.check("s")


def test_a_signal_to_every_process_of_a_job_fails_no_trial(
    ledger: Any, start_worker: Any, until: Any
) -> None:
    """As service managers and schedulers do it: the trial dies before its worker hears of it."""
    ledger.make("s", "hang", trials=2)
    worker = start_worker("--slots", "2")
    until(lambda: len(ledger.started()) == 2)
    parent = psutil.Process(worker.pid)
    for process in [*reversed(parent.children(recursive=True)), parent]:
        process.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    assert ledger.states("s") == [TrialState.WAITING] * 2
    assert [t.attempts for t in ledger.trials("s")] == [0, 0]
    ledger.check("s")


def test_a_slot_that_dies_is_started_again(ledger: Any, start_worker: Any, until: Any) -> None:
    ledger.make("s", "hang", trials=5)
    parent = start_worker("--slots", "2")
    until(lambda: len(ledger.started()) == 2)
    first = {row.pid for row in ledger.workers()}
    assert len({row.group for row in ledger.workers()}) == 1
    os.kill(min(first), signal.SIGKILL)
    until(lambda: len(ledger.workers()) == 3)
    (ledger.folder / "go").touch()
    out, told = parent.communicate(timeout=120)
    assert parent.returncode == 0, told
    assert "died of SIGKILL: another one starts" in told
    assert "[1] " in out
    assert "[2] " in out
    assert Counter(ledger.states("s")) == {TrialState.COMPLETE: 5}
    ledger.check("s")


def test_slots_leave_when_their_parent_is_gone(ledger: Any, start_worker: Any, until: Any) -> None:
    ledger.make("s", "hang", trials=4)
    parent = start_worker("--slots", "2", "--grace", "1s")
    until(lambda: len(ledger.started()) == 2)
    slots = psutil.Process(parent.pid).children()
    parent.kill()
    psutil.wait_procs(slots, timeout=60)
    assert not [slot for slot in slots if slot.is_running()]
    assert ledger.states("s") == [TrialState.WAITING] * 2
    assert [t.attempts for t in ledger.trials("s")] == [0, 0]
    ledger.check("s")


@pytest.mark.slow
def test_a_frozen_worker_loses_its_trial_and_goes_on_with_the_next(
    ledger: Any, start_worker: Any, until: Any
) -> None:
    """Stopped for three leases: its late result is refused, and it does not mind."""
    lease_s = 2.0
    ledger.make("s", "hang", trials=4, lease_s=lease_s)
    frozen = start_worker()
    until(ledger.started)
    family = [psutil.Process(frozen.pid), *psutil.Process(frozen.pid).children(recursive=True)]
    for process in family:
        process.suspend()
    (ledger.folder / "go").touch()
    assert start_worker().wait(120) == 0  # another one waits for the lease to run out, and does all there is
    assert ledger.states("s") == [TrialState.COMPLETE] * 4
    before = ledger.trials("s")
    assert (before[0].fence, before[0].attempts) == (2, 2)
    ledger.read(lambda storage: storage.set_budget(storage.study("s").id, 6))
    ledger.read(lambda storage: storage.set_state(storage.study("s").id, StudyState.PENDING))
    for process in reversed(family):
        process.resume()
    assert frozen.wait(120) == 0
    assert ledger.states("s") == [TrialState.COMPLETE] * 6
    assert ledger.trials("s")[0].values == before[0].values
    [mine] = [row.id for row in ledger.workers() if row.pid == frozen.pid]
    assert [trial.worker for trial in ledger.trials("s")[4:]] == [mine] * 2
    ledger.check("s")
