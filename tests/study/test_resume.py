"""Kill a run at any moment and run the same again: nothing is lost, nothing counts twice."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelwright import Float, Space, Study
from modelwright.records import StudyState, Trial, TrialState
from modelwright.study import RunningTrial

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
    except KeyError:
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
    lost: dict[int, int] = {}
    for least in (1, 9, 20):
        run = start_script(SCRIPT, 30, executor)
        until(lambda least=least: sum(t.state.finished for t in ledger(path)) >= least)
        run.send_signal(signal.SIGKILL)
        run.communicate(timeout=60)
        now = {trial.number: trial for trial in ledger(path)}
        assert all(now[number] == trial for number, trial in finished.items())  # to the last field
        finished = {number: trial for number, trial in now.items() if trial.state.finished}
        lost.update({n: lost.get(n, 0) + 1 for n, t in now.items() if t.state is TrialState.RUNNING})
    run = start_script(SCRIPT, 30, executor)
    out, errors = run.communicate(timeout=100)
    assert (run.returncode, out) == (0, "30\n"), errors
    trials = ledger(path)
    assert [trial.number for trial in trials] == list(range(30))
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    assert [trials[number] for number in finished] == list(finished.values())
    assert {t.number: t.attempts - 1 for t in trials if t.attempts > 1} == lost


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
