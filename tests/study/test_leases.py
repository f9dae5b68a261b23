"""Leases are kept alive beside the run, and what the ledger says meanwhile is passed on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from modelwright import Float, Space, Study
from modelwright.errors import StorageUnavailableError, StudyNotFoundError
from modelwright.execution import ThreadExecutor
from modelwright.records import StudyState, TrialState
from modelwright.storage import MemoryStorage, open_storage
from modelwright.storage.base import Claim, Controls
from modelwright.study import Callback, Runner, RunningTrial
from modelwright.study.leases import LeaseKeeper
from modelwright.study.worker import forfeit_dead_workers, retire, this_worker


class Ledger:
    """Answers `renew` as it is told, and counts."""

    def __init__(self) -> None:
        self.asked: list[list[Claim]] = []
        self.answers: list[Any] = []
        self.arrived = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def renew(self, claims: Sequence[Claim], lease_s: float) -> Controls:
        self.asked.append(list(claims))
        self.arrived.set()
        self.go_on.wait()
        answer = self.answers.pop(0) if self.answers else controls()
        if isinstance(answer, Exception):
            raise answer
        return answer


def controls(lost: Sequence[int] = (), stop: Sequence[int] = ()) -> Controls:
    return Controls(frozenset(lost), frozenset(stop), {1: StudyState.RUNNING})


def claim(number: int, fence: int = 1) -> Claim:
    return Claim(1, number, fence, f"{number}-{fence}", 1)


@pytest.fixture
def bench() -> Any:
    ledger, told = Ledger(), threading.Event()
    keeper = LeaseKeeper(ledger, 0.04, told.set)  # type: ignore[arg-type]
    yield ledger, keeper, told
    ledger.go_on.set()
    keeper.close()


def test_what_is_held_is_renewed_and_what_is_not_is_not(bench: Any, until: Callable[[Any], None]) -> None:
    ledger, keeper, _ = bench
    keeper.add(claim(1))
    keeper.add(claim(2))
    until(lambda: [claim(1), claim(2)] in ledger.asked)
    keeper.remove(1)
    until(lambda: ledger.asked[-1] == [claim(2)])
    keeper.remove(2)
    count = len(ledger.asked)
    keeper.close()
    assert len(ledger.asked) <= count + 1


def test_lost_and_stopped_trials_are_told_once(bench: Any) -> None:
    ledger, keeper, told = bench
    ledger.answers = [controls(lost=[1], stop=[2])]
    keeper.add(claim(1))
    keeper.add(claim(2))
    assert told.wait(30)
    heard = keeper.take()
    assert (heard.lost, heard.stop) == ({1}, {2})
    heard = keeper.take()
    assert (heard.lost, heard.stop) == (set(), set())


def test_a_storage_that_is_out_of_reach_is_asked_again(bench: Any, until: Callable[[Any], None]) -> None:
    ledger, keeper, told = bench
    ledger.answers = [StorageUnavailableError("locked"), controls(lost=[1])]
    keeper.add(claim(1))
    assert told.wait(30)
    assert len(ledger.asked) >= 2


def test_an_answer_about_an_older_claim_says_nothing_about_the_newer(bench: Any) -> None:
    ledger, keeper, told = bench
    ledger.answers = [controls(lost=[1], stop=[1]), controls(stop=[2])]
    ledger.go_on.clear()
    keeper.add(claim(1))
    assert ledger.arrived.wait(30)
    keeper.remove(1)  # given back and claimed anew while the ledger is being asked
    keeper.add(claim(1, fence=2))
    keeper.add(claim(2))
    ledger.go_on.set()
    told.wait(30)
    told.clear()
    assert keeper.take().lost == set()


def test_what_was_said_of_a_trial_that_is_gone_is_forgotten(bench: Any) -> None:
    ledger, keeper, told = bench
    ledger.answers = [controls(lost=[1])]
    keeper.add(claim(1))
    assert told.wait(30)
    keeper.remove(1)
    assert keeper.take().lost == set()


@pytest.mark.parametrize("state", [StudyState.PAUSED, StudyState.COMPLETE])
@pytest.mark.parametrize("abort", [False, True])
def test_a_study_that_moved_is_told(bench: Any, state: StudyState, abort: bool) -> None:
    ledger, keeper, told = bench
    moved = Controls(frozenset(), frozenset(), {1: state}, frozenset({1} if abort else ()))
    ledger.answers = [moved] * 1000
    keeper.add(claim(1))
    assert told.wait(30)
    heard = keeper.take()
    assert (heard.state, heard.abort, heard.deleted) == (state, abort, False)


def test_a_deleted_study_is_told_and_asked_about_no_more(bench: Any, until: Callable[[Any], None]) -> None:
    ledger, keeper, told = bench
    ledger.answers = [StudyNotFoundError("gone")]
    keeper.add(claim(1))
    assert told.wait(30)
    assert keeper.take().deleted
    assert keeper._thread is not None
    until(lambda: not keeper._thread.is_alive())
    assert len(ledger.asked) == 1


@pytest.mark.parametrize(("lease_s", "beat_s"), [(600.0, 2.0), (60.0, 2.0), (4.0, 1.0)])
def test_a_wish_is_heard_within_two_seconds(lease_s: float, beat_s: float) -> None:
    assert LeaseKeeper(MemoryStorage(), lease_s, lambda: None).beat_s == beat_s


# in a run ---------------------------------------------------------------------------------------------


def make(**options: Any) -> Study:
    return Study(Space(x=Float(0, 1)), seed=1, optimizer="random", **{"lease_s": 0.2, **options})


@pytest.mark.parametrize("executor", ["inline", "thread", "local"])
def test_a_trial_longer_than_its_lease_keeps_it(executor: str) -> None:
    import time

    study = make().run(lambda trial: time.sleep(0.6) or 1.0, trials=1, executor=executor)
    assert [(t.state, t.record.fence) for t in study.trials] == [(TrialState.COMPLETE, 1)]
    late = study.storage.claim(study.record.id, "other", "c", 1.0)
    assert not isinstance(late, Claim)


@pytest.mark.parametrize("executor", ["thread", "local"])
def test_a_trial_that_somebody_asks_to_stop_is_killed_and_the_study_goes_on(executor: str) -> None:
    import time

    class Stop(Callback):
        def on_trial_start(self, run: Runner, number: int) -> None:
            if number == 0:
                study.storage.kill(study.record.id, 0)

    def objective(trial: RunningTrial) -> float:
        while trial.number == 0:
            time.sleep(0.02)
            trial.report(1.0, 0)
        return 1.0

    study = make()
    study.run(objective, trials=2, executor=executor, callbacks=[Stop()])
    first, second = study.trials
    assert first.failure is not None
    assert first.failure.kind.value == "killed"
    assert second.state is TrialState.COMPLETE


@pytest.mark.parametrize("reproducible", [False, True])
def test_a_study_that_is_paused_ends_its_runs(reproducible: bool) -> None:
    import time

    class Pause(Callback):
        def on_trial_start(self, run: Runner, number: int) -> None:
            if number == 1:
                study.storage.set_state(study.record.id, StudyState.PAUSED)

    study = make(reproducible=reproducible)
    study.storage.set_window(study.record.id, 1)  # in lock-step mode the second slot waits
    study.run(
        lambda trial: time.sleep(0.3) or 1.0, trials=50, parallel=2, executor="thread", callbacks=[Pause()]
    )
    assert {t.state for t in study.trials} == {TrialState.COMPLETE}
    assert len(study.trials) <= 4
    assert study.state is StudyState.PAUSED


def test_a_trial_that_passed_to_another_worker_is_left_alone() -> None:
    """As after the sleep of a laptop: the lease ran out, and somebody else has the trial."""
    storage = MemoryStorage()
    release = threading.Event()
    theirs: list[Claim] = []

    class Overtake(Callback):
        def on_trial_start(self, run: Runner, number: int) -> None:
            if number == 0 and not theirs:
                storage.forfeit(run.worker_id, "asleep")
                taken = storage.claim(study.record.id, "other", "theirs", 60.0)
                assert isinstance(taken, Claim)
                theirs.append(taken)
                release.set()

    def objective(trial: RunningTrial) -> float:
        release.wait()
        return 1.0

    study = make(storage=storage, lease_s=60.0)
    study.enqueue({"x": 0.5})
    executor = ThreadExecutor(1)

    class Finish(Callback):
        def on_tick(self, run: Runner) -> None:
            if theirs and run.in_flight == 0:
                run.stop()

    study.run(objective, trials=1, executor=executor, callbacks=[Overtake(), Finish()])
    executor.close()
    (trial,) = study.trials
    assert (trial.state, trial.record.fence, trial.record.worker) == (TrialState.RUNNING, 2, "other")


def test_workers_of_this_machine_that_are_gone_lose_their_trials_at_once(tmp_path: Path) -> None:
    from dataclasses import replace

    storage = open_storage(tmp_path / "hub.db")
    study = make(storage=storage, lease_s=600.0)
    me = this_worker(storage)
    gone = {
        "reused pid": replace(me, id="a", process_started=me.process_started - 100.0),
        "no such pid": replace(me, id="b", pid=2**22 + 1),
        "before a boot": replace(me, id="c", boot_id="another"),
        "retired": this_worker(storage),
    }
    retire(gone["retired"].id)
    alive = {"elsewhere": replace(me, id="d", host="elsewhere", pid=1), "another run": this_worker(storage)}
    held = {}
    for name, worker in {**gone, **alive}.items():
        storage.register_worker(worker)
        taken = storage.claim(study.record.id, worker.id, worker.id, 600.0)
        assert isinstance(taken, Claim)
        held[name] = taken.number
    freed = forfeit_dead_workers(storage, study.record.id, me)
    assert sorted(freed) == sorted(held[name] for name in gone)
    for worker in (me, alive["another run"]):
        retire(worker.id)
    storage.close()


def test_a_trial_whose_lease_ran_out_here_goes_on_and_is_not_run_twice() -> None:
    storage = MemoryStorage()
    study = make(storage=storage, lease_s=60.0)
    called: list[int] = []
    begun, forfeited, moved_on = threading.Event(), threading.Event(), threading.Event()

    def objective(trial: RunningTrial) -> float:
        called.append(trial.number)
        if trial.number == 0:
            assert begun.wait(30)
            for worker in storage.workers():  # as if the machine had slept
                storage.forfeit(worker.id, "asleep")
            forfeited.set()
            assert moved_on.wait(30)
        elif trial.number == 1:
            begun.set()
            assert forfeited.wait(30)
        else:
            moved_on.set()
        return 0.5

    study.run(objective, trials=3, parallel=2, executor="thread")
    assert sorted(called) == [0, 1, 2]
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
