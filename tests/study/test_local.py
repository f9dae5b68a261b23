"""`Study.run` with trials in processes of their own: whatever they do, the study goes on."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from modelwright import Categorical, Float, Int, Space, Study
from modelwright.errors import ModelwrightError, ObjectiveTransportError
from modelwright.execution import Channel, LocalExecutor, Resources, Task
from modelwright.records import StudyState, Trial, TrialState
from modelwright.study import Callback, Runner, RunningTrial, TrialPruned, TrialResult

SPACE = Space(x=Float(-5, 5), n=Int(1, 9), k=Categorical("a", "b"))


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def raises(trial: RunningTrial) -> float:
    raise ValueError("broken")


def raises_without_words(trial: RunningTrial) -> float:
    raise UnspeakableError


def recurses(trial: RunningTrial) -> float:
    return recurses(trial)


def exits(trial: RunningTrial) -> float:
    sys.exit(3)


def exits_quickly(trial: RunningTrial) -> float:
    os._exit(4)


def crashes(trial: RunningTrial) -> float:
    return float(ctypes.string_at(0)[0])


def aborts(trial: RunningTrial) -> float:
    os.abort()


def kills_itself(trial: RunningTrial) -> float:
    os.kill(os.getpid(), signal.SIGKILL)
    return 1.0


def fills_memory(trial: RunningTrial) -> float:
    hoard = []
    while True:
        hoard.append(b"x" * 20_000_000)
        time.sleep(0.005)


def hangs(trial: RunningTrial) -> float:
    time.sleep(3600)
    return 1.0


def hangs_deaf(trial: RunningTrial) -> float:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return hangs(trial)


def forks_and_returns_twice(trial: RunningTrial) -> float:
    return 2.0 if os.fork() else 3.0


def forks_a_child_that_raises(trial: RunningTrial) -> float:
    if os.fork() == 0:
        raise ValueError("in the child")
    return 2.0


def leaves_a_child(trial: RunningTrial) -> float:
    child = os.fork()
    if child == 0:
        os.setsid()
        time.sleep(3600)
    trial.user_attrs["child"] = child
    return 2.0


def returns_a_coroutine(trial: RunningTrial) -> Any:
    return asyncio.sleep(0)


def leaves_a_thread(trial: RunningTrial) -> float:
    threading.Thread(target=time.sleep, args=(3600,)).start()
    return 2.0


def closes_everything(trial: RunningTrial) -> float:
    sys.stdout.close()
    sys.stderr.close()
    os.closerange(0, 3)
    return 2.0


def returns(value: Any) -> Callable[[RunningTrial], Any]:
    return lambda trial: value


# What an objective does, and the kind and words of the failure; or None if it has a value after all.
CASES: dict[str, tuple[Callable[[RunningTrial], Any], str | None, str]] = {
    "raises": (raises, "error", "ValueError: broken"),
    "raises without words": (raises_without_words, "error", "UnspeakableError"),
    "recurses": (recurses, "error", "RecursionError"),
    "returns None": (returns(None), "invalid", "None"),
    "returns NaN": (returns(float("nan")), "nan", "nan"),
    "returns inf": (returns(float("-inf")), "nan", "inf"),
    "returns text": (returns("0.5"), "invalid", "text '0.5'"),
    "returns two": (returns((1.0, 2.0)), "invalid", "got 2"),
    "returns none at all": (returns(()), "invalid", "got 0"),
    "returns a coroutine": (returns_a_coroutine, "invalid", "plain function"),
    "sys.exit": (exits, "error", "SystemExit: 3"),
    "os._exit": (exits_quickly, "error", "exit code 4"),
    "segfault": (crashes, "error", "SIGSEGV"),
    "abort": (aborts, "error", "SIGABRT"),
    "SIGKILL": (kills_itself, "error", "SIGKILL"),
    "fills memory": (fills_memory, "memory", "MB"),
    "hangs": (hangs, "timeout", "of 3 s"),
    "hangs deaf": (hangs_deaf, "timeout", "of 3 s"),
    "forks, both return": (forks_and_returns_twice, None, ""),
    "forks, the child raises": (forks_a_child_that_raises, None, ""),
    "leaves a child": (leaves_a_child, None, ""),
    "leaves a thread": (leaves_a_thread, None, ""),
    "closes everything": (closes_everything, None, ""),
}


def whatever(trial: RunningTrial) -> Any:
    return list(CASES.values())[trial.number][0](trial) if trial.number < len(CASES) else 1.0


@pytest.fixture(scope="module")
def after(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TrialResult]:
    """All that can go wrong in one study, and one trial more."""
    path = tmp_path_factory.mktemp("outcomes") / "hub.db"
    study = Study(SPACE, storage=path, seed=1, optimizer="random")
    study.run(whatever, trials=len(CASES) + 1, parallel=4, trial_memory_mb=600, trial_timeout=3)
    results = study.trials
    assert study.state is StudyState.COMPLETE
    study.close()
    return dict(zip([*CASES, "the last"], results, strict=True))


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[1] is not None])
def test_each_failure_has_its_kind_and_words(after: dict[str, TrialResult], name: str) -> None:
    trial = after[name]
    assert trial.state is TrialState.FAILED
    assert trial.failure is not None
    assert trial.failure.kind.value == CASES[name][1]
    assert CASES[name][2] in trial.failure.message
    assert trial.values == ()


@pytest.mark.parametrize("name", [*(name for name, case in CASES.items() if case[1] is None), "the last"])
def test_the_others_have_their_value(after: dict[str, TrialResult], name: str) -> None:
    assert after[name].state is TrialState.COMPLETE
    assert after[name].value == (1.0 if name == "the last" else 2.0)


def test_children_of_a_trial_do_not_outlive_it(after: dict[str, TrialResult]) -> None:
    child = after["leaves a child"].user_attrs["child"]
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


def test_an_error_keeps_its_traceback(after: dict[str, TrialResult]) -> None:
    failure = after["raises"].failure
    assert failure is not None
    assert 'raise ValueError("broken")' in failure.traceback


@pytest.mark.parametrize("kind", [str, Path])
def test_output_lies_in_the_folder_of_the_attempt(tmp_path: Path, kind: type[Any]) -> None:
    def objective(trial: RunningTrial) -> float:
        print("hello from", trial.number)
        print("trouble", file=sys.stderr)
        os.write(1, b"raw\n")
        assert trial.folder is not None
        (trial.folder / "model.txt").write_text("mine")
        return 1.0

    path = tmp_path / "hub.db"
    study = Study(SPACE, storage=path if kind is Path else f"sqlite:///{path}", name="..", seed=1)
    study.run(objective, trials=2)
    assert study.folder is not None
    assert study.folder.is_relative_to(tmp_path / "hub.files")  # whatever the name of the study
    for number in range(2):
        folder = study.folder / "trials" / f"{number}-1"
        assert (folder / "stdout.txt").read_text().splitlines() == [f"hello from {number}", "raw"]
        assert (folder / "stderr.txt").read_text() == "trouble\n"
        assert (folder / "model.txt").read_text() == "mine"
    study.close()


def test_closures_and_their_data_reach_the_trials() -> None:
    factor = 3.0

    class Model:
        def score(self, x: float) -> float:
            return factor * x

    model = Model()
    study = Study(SPACE, seed=1).run(lambda trial: model.score(trial.params["x"]), trials=3)
    assert [t.value for t in study.trials] == [3.0 * t.params["x"] for t in study.trials]


def test_choices_that_are_objects_reach_the_trials() -> None:
    def double(v: float) -> float:
        return 2 * v

    study = Study(Space(f=Categorical(double, abs)), seed=1)
    study.run(lambda trial: trial.params["f"](-1.0), trials=6, parallel=2)
    assert all(t.value == t.params["f"](-1.0) for t in study.trials)


def test_an_objective_that_cannot_be_sent_is_refused_with_the_reason(tmp_path: Path) -> None:
    lock = threading.Lock()
    study = Study(SPACE, storage=tmp_path / "hub.db", seed=1)
    with pytest.raises(ObjectiveTransportError, match="lock"):
        study.run(lambda trial: float(lock.locked()), trials=2)
    assert not [t for t in study.trials if t.state is TrialState.RUNNING]
    study.run(lambda trial: 1.0, trials=2)  # nothing is lost: the same study with a better function
    assert [t.value for t in study.trials] == [1.0, 1.0]
    study.close()


def test_an_exception_that_is_not_caught_ends_the_run_and_keeps_the_others() -> None:
    def objective(trial: RunningTrial) -> float:
        if trial.number == 2:
            raise KeyError("mine")
        return 1.0

    study = Study(SPACE, seed=1)
    with pytest.raises(ModelwrightError, match="KeyError"):
        study.run(objective, trials=50, parallel=2, catch=(ValueError,))
    states = [trial.state for trial in study.trials]
    assert states[2] is TrialState.FAILED
    assert set(states) == {TrialState.FAILED, TrialState.COMPLETE}
    assert len(states) < 50


def test_runs_follow_one_another() -> None:
    study = Study(SPACE, seed=1, optimizer="random")
    study.run(lambda trial: 1.0, trials=3)
    study.run(lambda trial: 2.0, trials=5, parallel=2)
    study.run(lambda trial: 3.0, more=1, executor="thread")
    study.run(lambda trial: 4.0, trials=6)
    assert [t.value for t in study.trials] == [1.0, 1.0, 1.0, 2.0, 2.0, 3.0]


def test_a_callback_stops_the_run_and_running_trials_end_in_order() -> None:
    def stop(study: Study, trial: TrialResult) -> None:
        if trial.number == 3:
            study.stop_run()

    study = Study(SPACE, seed=1).run(lambda trial: 1.0, trials=500, parallel=2, callbacks=[stop])
    assert 4 <= len(study.trials) <= 6
    assert {t.state for t in study.trials} == {TrialState.COMPLETE}
    assert study.state is StudyState.PENDING


def test_a_thread_stops_the_run() -> None:
    study = Study(SPACE, seed=1)
    timer = threading.Timer(0.3, study.stop_run)

    class Begin(Callback):
        def on_start(self, run: Runner) -> None:
            timer.start()

    study.run(lambda trial: time.sleep(0.01) or 1.0, executor="thread", parallel=2, callbacks=[Begin()])
    assert {t.state for t in study.trials} == {TrialState.COMPLETE}


@pytest.mark.parametrize("executor", ["local", "thread"])
def test_the_time_of_a_run_is_kept_against_a_trial_that_hangs(executor: str) -> None:
    def objective(trial: RunningTrial) -> float:
        if trial.number == 1:
            time.sleep(30)
        return 1.0

    study = Study(SPACE, seed=1, optimizer="random")
    study.run(objective, timeout=1.5, trials=2, parallel=2, executor=executor)
    assert [t.state for t in study.trials] == [TrialState.COMPLETE, TrialState.WAITING]
    assert study.trials[1].record.attempts == 0  # to be ended by us costs it no attempt
    study.run(lambda trial: 2.0, trials=2, executor=executor)
    assert [t.value for t in study.trials] == [1.0, 2.0]


def test_reports_attributes_and_early_stopping_cross_the_border() -> None:
    def objective(trial: RunningTrial) -> float:
        trial.user_attrs |= {"pid": os.getpid()}
        trial.user_attrs.setdefault("once", True)
        for step in range(4):
            trial.report(100.0 if trial.number == 7 else 1.0, step)
            if trial.should_stop():
                raise TrialPruned
        return 1.0

    study = Study(SPACE, seed=1, scheduler="median").run(objective, trials=8)
    last = study.trials[7]
    assert last.state is TrialState.PRUNED
    assert last.values == (100.0,)
    assert last.user_attrs["once"] is True
    assert len({t.user_attrs["pid"] for t in study.trials} | {os.getpid()}) == 9


def test_a_report_for_a_step_replaces_the_one_before() -> None:
    def objective(trial: RunningTrial) -> float:
        trial.report(1000.0, 0)
        trial.report(1.0, 0)
        return 1.0 if not trial.should_stop() else 5.0

    study = Study(SPACE, seed=1, scheduler="median").run(objective, trials=8, executor="inline")
    assert {t.state for t in study.trials} == {TrialState.COMPLETE}


def test_parameters_named_by_the_objective_cross_the_border(tmp_path: Path) -> None:
    def objective(trial: RunningTrial) -> float:
        rate = trial.float("rate", 1e-5, 1, log=True)
        return rate * trial.int("layers", 1, 4) + len(trial.categorical("act", "relu", "gelu"))

    study = Study(storage=tmp_path / "hub.db", name="s", seed=1).run(objective, trials=14, parallel=2)
    assert {t.state for t in study.trials} == {TrialState.COMPLETE}
    assert set(study.space.names) == {"rate", "layers", "act"}
    study.close()
    again = Study.load("s", storage=tmp_path / "hub.db")
    assert [t.params.keys() for t in again.trials] == [{"rate", "layers", "act"}] * 14
    again.run(objective, trials=16, parallel=2)
    assert len(again.trials) == 16
    again.close()


def test_a_parameter_that_is_inactive_cannot_be_asked_for() -> None:
    space = Space(kind=Categorical("a", "b"), depth=Int(1, 5, when={"kind": "b"}))
    study = Study(space, seed=1, optimizer="random")
    study.run(lambda trial: float(trial.int("depth", 1, 5)), trials=12, executor="inline")
    for trial in study.trials:
        assert (trial.failure is None) == (trial.params["kind"] == "b")
        assert ("depth" in trial.params) == (trial.params["kind"] == "b")


def test_helper_tasks_run_beside_the_trials() -> None:
    def helper(channel: Channel, argument: Any) -> Any:
        time.sleep(0.1)
        return argument * 2

    class Helped(Callback):
        answers: list[Any]

        def __init__(self) -> None:
            self.answers = []

        def on_trial_end(self, run: Runner, trial: Trial) -> None:
            job = run.submit_helper(Task(f"h{trial.number}", helper, trial.number, role="helper"))
            assert run.wait(job, 30)
            self.answers.append(job.end.result if job.end else None)

        def on_end(self, run: Runner, reason: str) -> None:
            job = run.submit_helper(Task("slow", lambda channel, argument: time.sleep(60), role="helper"))
            self.answers.append(run.wait(job, 0.2))

    helped = Helped()
    executor = LocalExecutor(slots=[Resources()] * 2, helper_slots=1)
    try:
        study = Study(SPACE, seed=1)
        study.run(lambda trial: 1.0, trials=4, parallel=2, executor=executor, callbacks=[helped])
    finally:
        executor.close()
    assert sorted(helped.answers[:-1]) == [0, 2, 4, 6]
    assert helped.answers[-1] is False
    assert {t.state for t in study.trials} == {TrialState.COMPLETE}


def test_an_executor_of_ones_own_serves_several_runs() -> None:
    def fail(study: Study, trial: TrialResult) -> None:
        raise RuntimeError("mine")

    def slow(trial: RunningTrial) -> float:
        time.sleep(0.0 if trial.number == 0 else 0.5)
        return 1.0

    executor = LocalExecutor(slots=2)
    try:
        study = Study(SPACE, seed=1)
        with pytest.raises(RuntimeError, match="mine"):
            study.run(slow, trials=4, parallel=2, executor=executor, callbacks=[fail])
        # What the first run has left behind in the executor is not taken for results of the second.
        study.run(lambda trial: 2.0, trials=4, parallel=2, executor=executor)
        assert [t.value for t in study.trials] == [1.0, 2.0, 2.0, 2.0]
    finally:
        executor.close()


def test_scripts_need_no_main_guard(start_script: Callable[..., Any]) -> None:
    script = start_script(
        """
        from modelwright import Float, Space, Study
        study = Study(Space(x=Float(0, 1)), storage="sqlite:///hub.db", name="s", seed=1)

        def f(trial):
            return trial.params["x"] * scale

        scale = 2.0
        study.run(f, trials=4, parallel=2)
        assert [t.value for t in study.trials] == [2.0 * t.params["x"] for t in study.trials]
        print(len(study.trials))
        """
    )
    out, err = script.communicate(timeout=100)
    assert (script.returncode, out, err) == (0, "4\n", "")
