"""Kill a run at any moment and run the same again: nothing is lost, nothing counts twice."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelwright import Categorical, Float, Int, Space, Study
from modelwright.errors import InputError, StorageUnavailableError
from modelwright.records import Proposal, Provenance, StudyState, Trial, TrialState
from modelwright.storage import MemoryStorage
from modelwright.storage.base import Claim
from modelwright.study import Callback, Runner, RunningTrial

SCRIPT = """
import sys, time
from modelwright import Float, Space, Study

def objective(trial):
    time.sleep(0.04)
    return trial.params["x"] ** 2

study = Study(Space(x=Float(-5, 5)), storage="hub.db", name="s", seed=1, load_if_exists=True)
study.run(objective, trials=int(sys.argv[1]), parallel=2, executor=sys.argv[2])
print(len(study.trials))
"""


def ledger(path: Path) -> list[Trial]:
    if not path.exists():
        return []
    try:
        study = Study.load("s", storage=path)
    except (KeyError, StorageUnavailableError):  # not created yet, or at this moment
        return []
    try:
        return [trial.record for trial in study.trials]
    finally:
        study.close()


@pytest.mark.parametrize("executor", ["local", "thread"])
def test_kill_three_times_and_run_again(
    tmp_path: Path, start_script: Callable[..., Any], until: Callable[[Any], None], executor: str
) -> None:
    path = tmp_path / "hub.db"
    finished: dict[int, Trial] = {}
    lost: set[tuple[int, int]] = set()  # attempts, since a run may be killed before it takes one up
    for least in (1, 9, 20):
        run = start_script(SCRIPT, 30, executor)
        until(lambda least=least: sum(t.state.finished for t in ledger(path)) >= least)
        run.send_signal(signal.SIGKILL)
        run.communicate(timeout=60)
        now = {trial.number: trial for trial in ledger(path)}
        assert all(now[number] == trial for number, trial in finished.items())  # to the last field
        finished = {number: trial for number, trial in now.items() if trial.state.finished}
        lost |= {(n, t.attempts) for n, t in now.items() if t.state is TrialState.RUNNING}
    run = start_script(SCRIPT, 30, executor)
    out, errors = run.communicate(timeout=100)
    assert (run.returncode, out) == (0, "30\n"), errors
    trials = ledger(path)
    assert [trial.number for trial in trials] == list(range(30))
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    assert [trials[number] for number in finished] == list(finished.values())
    assert {(t.number, attempt) for t in trials for attempt in range(1, t.attempts)} == lost


def test_two_processes_share_a_budget(tmp_path: Path, start_script: Callable[..., Any]) -> None:
    runs = [start_script(SCRIPT, 40, executor) for executor in ("local", "thread")]
    for run in runs:
        out, errors = run.communicate(timeout=100)
        assert (run.returncode, out) == (0, "40\n"), errors
    trials = ledger(tmp_path / "hub.db")
    assert [trial.number for trial in trials] == list(range(40))
    assert {(trial.state, trial.attempts) for trial in trials} == {(TrialState.COMPLETE, 1)}
    assert len({trial.worker for trial in trials}) == 2  # both took part
    study = Study.load("s", storage=tmp_path / "hub.db")
    assert study.state is StudyState.COMPLETE
    study.close()


def test_the_other_process_takes_over_what_a_killed_one_held(
    tmp_path: Path, start_script: Callable[..., Any], until: Callable[[Any], None]
) -> None:
    path = tmp_path / "hub.db"
    runs = [start_script(SCRIPT, 30, "local") for _ in range(2)]
    until(lambda: sum(t.state.finished for t in ledger(path)) >= 8)
    runs[0].kill()
    out, errors = runs[1].communicate(timeout=100)
    assert (runs[1].returncode, out) == (0, "30\n"), errors
    assert {trial.state for trial in ledger(path)} == {TrialState.COMPLETE}


def test_a_second_attempt_has_the_configuration_and_the_seed_of_the_first(tmp_path: Path) -> None:
    seen: list[tuple[dict[str, Any], int, int]] = []

    def objective(trial: RunningTrial) -> float:
        seen.append((trial.params | {"rate": trial.float("rate", 0, 1)}, trial.seed, trial.attempt))
        if len(seen) == 13:
            raise KeyboardInterrupt
        return 1.0

    path = tmp_path / "hub.db"
    study = Study(Space(x=Float(0, 1)), storage=path, name="s", seed=1)
    with pytest.raises(KeyboardInterrupt):
        study.run(objective, trials=20, executor="inline")
    study.close()
    again = Study.load("s", storage=path)  # which has seen nothing of the added parameter
    again.run(objective, trials=13, executor="inline")
    again.close()
    assert seen[13] == seen[12]
    assert len(seen) == 14


def test_a_trial_whose_worker_is_lost_too_often_fails(tmp_path: Path) -> None:
    study = Study(Space(x=Float(0, 1)), storage=tmp_path / "hub.db", seed=1, max_attempts=2)
    for attempt in range(2):
        study.storage.claim(study.record.id, "gone", f"claim {attempt}", lease_s=0.0)
    study.run(lambda trial: 1.0, trials=3, executor="inline")
    first, *others = study.trials
    assert first.failure is not None
    assert first.failure.kind.value == "lost"
    assert [t.state for t in others] == [TrialState.COMPLETE] * 2
    study.close()


def test_what_a_failed_run_of_this_process_held_is_free_at_once() -> None:
    study = Study(Space(x=Float(0, 1)), seed=1)
    release = study.storage.release

    def out_of_reach(*arguments: Any, **options: Any) -> bool:
        raise OSError("the disk is gone")

    def fail(study: Study, trial: object) -> None:
        raise RuntimeError("mine")

    study.storage.release = out_of_reach  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="mine"):
        study.run(lambda trial: 1.0, trials=4, parallel=3, executor="thread", callbacks=[fail])
    study.storage.release = release  # type: ignore[method-assign]
    study.run(lambda trial: 2.0, trials=4, executor="inline")  # its lease would be good for a minute
    assert {t.state for t in study.trials} == {TrialState.COMPLETE}


def test_an_exhausted_space_leaves_no_number_of_a_dead_worker() -> None:
    storage = MemoryStorage()
    space = Space(k=Categorical("a", "b"))
    study = Study(space, storage=storage, seed=1, deterministic=True)
    for k in range(5):  # five that were claimed and never proposed
        storage.claim(study.record.id, "gone", f"claim {k}", lease_s=600.0)
    storage.forfeit("gone", "it died")
    study.run(lambda trial: 1.0, trials=100, executor="inline")
    assert [(t.number, t.state) for t in study.trials] == [(0, TrialState.COMPLETE), (1, TrialState.COMPLETE)]
    assert study.state is StudyState.COMPLETE


@pytest.mark.parametrize("parallel", [3, 8])
def test_an_exhausted_space_ends_with_many_slots(parallel: int) -> None:
    space = Space(k=Categorical("a", "b"), n=Int(0, 2))
    study = Study(space, seed=1, deterministic=True)
    study.run(lambda trial: 1.0, trials=100, executor="thread", parallel=parallel)
    assert len(study.trials) == len({str(t.params) for t in study.trials}) == 6
    assert study.state is StudyState.COMPLETE


@pytest.mark.parametrize("reproducible", [False, True])
def test_what_everything_waits_for_is_taken_over_when_its_lease_runs_out(reproducible: bool) -> None:
    storage = MemoryStorage()
    space = Space(k=Categorical("a", "b"))
    study = Study(space, storage=storage, seed=1, deterministic=True, reproducible=reproducible)
    silent = storage.claim(study.record.id, "on another machine", "claim", lease_s=0.5)
    assert isinstance(silent, Claim)
    storage.propose(silent, Proposal({"k": "a"}), Provenance(), 0)
    study.run(lambda trial: 1.0, trials=2, executor="thread")
    assert [(t.params["k"], t.record.attempts) for t in study.trials] == [("a", 2), ("b", 1)]


def test_a_budget_that_was_raised_in_the_last_moment_keeps_the_study_open() -> None:
    study = Study(Space(x=Float(0, 1)), seed=1)

    class Raise(Callback):
        def on_end(self, run: Runner, reason: str) -> None:
            study.storage.set_budget(study.record.id, 5)

    study.run(lambda trial: 1.0, trials=3, executor="inline", callbacks=[Raise()])
    assert study.state is StudyState.PENDING


def test_what_is_wrong_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    for options in ({"optimizer": "magic"}, {"scheduler": "magic"}):
        with pytest.raises(InputError):
            Study(Space(x=Float(0, 1)), storage=path, name="s", **options)
    study = Study(Space(x=Float(0, 1)), storage=path, name="s", seed=1)  # the name is free
    before = study.storage.study("s")
    wrong: list[dict[str, Any]] = [
        {"parallel": 2, "executor": "inline"},
        {"executor": "magic"},
        {"executor": 3},
        {"catch": "ValueError"},
        {"callbacks": [3]},
        {"trial_memory_mb": -1},
    ]
    for options in wrong:
        with pytest.raises(InputError):
            study.run(lambda trial: 1.0, trials=3, **options)
    assert study.storage.study("s") == before
    study.close()


def test_a_study_is_gone_on_with_without_its_space(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    Study(Space(x=Float(0, 1)), storage=path, name="s", seed=1).close()
    study = Study(storage=path, name="s", load_if_exists=True)
    study.run(lambda trial: trial.params["x"], trials=2, executor="inline")
    assert [t.value for t in study.trials] == [t.params["x"] for t in study.trials]
    study.close()


def test_a_fork_that_comes_back_from_the_objective_does_not_go_on_with_the_run(
    tmp_path: Path, start_script: Callable[..., Any]
) -> None:
    script = start_script(
        """
        import os
        from modelwright import Float, Space, Study
        study = Study(Space(x=Float(0, 1)), storage="hub.db", name="s", seed=1)
        study.run(lambda trial: 2.0 if os.fork() else 3.0, trials=3, executor="inline")
        print([trial.value for trial in study.trials])
        """
    )
    out, errors = script.communicate(timeout=60)
    assert (out, errors) == ("[2.0, 2.0, 2.0]\n", "")
