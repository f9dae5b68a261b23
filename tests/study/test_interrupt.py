"""Ctrl-C and SIGTERM: the first ends a run in order, the second at once, and the ledger is clean."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from modelwright import Float, Space, Study
from modelwright.records import TrialState
from modelwright.study import RunningTrial, TrialResult

SCRIPT = """
import os, signal, sys, time
from modelwright import Float, Space, Study

executor, how = sys.argv[1:3]

def objective(trial):
    trial.user_attrs["pid"] = os.getpid()
    trial.report(1.0, 0)
    if how == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    open(f"{trial.number}.started", "w").write(str(os.getpid()))
    if how == "short":
        time.sleep(0.5)
    else:
        while True:
            time.sleep(0.05)
            if how == "talks":
                trial.report(1.0, 0)
    return trial.params["x"]

study = Study(Space(x=Float(-5, 5)), storage="hub.db", name="s", seed=1, load_if_exists=True)
try:
    study.run(objective, trials=50, parallel=1 if executor == "inline" else 2, executor=executor)
except KeyboardInterrupt:
    print("interrupted")
    raise
"""


def states(folder: Path) -> list[TrialState]:
    study = Study.load("s", storage=folder / "hub.db")
    try:
        return [trial.state for trial in study.trials]
    finally:
        study.close()


def started(folder: Path) -> list[int]:
    """Return the process ids of the trials that have begun."""
    return [int(text) for path in folder.glob("*.started") if (text := path.read_text())]


@pytest.mark.parametrize("executor", ["inline", "thread", "local"])
def test_ctrl_c_lets_short_trials_end_and_leaves_none_running(
    tmp_path: Path, start_script: Callable[..., Any], until: Callable[[Any], None], executor: str
) -> None:
    run = start_script(SCRIPT, executor, "short")
    until(lambda: started(tmp_path))
    run.send_signal(signal.SIGINT)
    out, errors = run.communicate(timeout=60)
    assert out == "interrupted\n"
    assert run.returncode == -signal.SIGINT
    assert errors.rstrip().endswith("KeyboardInterrupt")
    found = states(tmp_path)
    if executor == "inline":  # the signal breaks into the objective: its trial goes back
        assert found == [TrialState.WAITING]
    else:
        assert set(found) == {TrialState.COMPLETE}
        assert 1 <= len(found) <= 2


@pytest.mark.parametrize("executor", ["inline", "thread", "local"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_the_second_signal_ends_trials_that_would_never_end(
    tmp_path: Path, start_script: Callable[..., Any], until: Callable[[Any], None], executor: str, name: str
) -> None:
    run = start_script(SCRIPT, executor, "deaf" if executor == "local" else "talks")
    slots = 1 if executor == "inline" else 2
    until(lambda: len(started(tmp_path)) == slots)
    number = getattr(signal, name)
    run.send_signal(number)
    if executor != "inline":
        with pytest.raises(Exception, match="timed out"):
            run.wait(0.5)  # trials have their grace
        run.send_signal(number)
    out, _ = run.communicate(timeout=60)
    expected = ("interrupted\n", -signal.SIGINT) if name == "SIGINT" else ("", 128 + signal.SIGTERM)
    assert (out, run.returncode) == expected
    assert set(states(tmp_path)) == {TrialState.WAITING}
    assert not [pid for pid in started(tmp_path) if psutil.pid_exists(pid)]


def test_the_same_script_goes_on_after_an_interrupt(
    tmp_path: Path, start_script: Callable[..., Any], until: Callable[[Any], None]
) -> None:
    run = start_script(SCRIPT, "local", "for ever")
    until(lambda: len(started(tmp_path)) == 2)
    run.send_signal(signal.SIGINT)
    with pytest.raises(Exception, match="timed out"):
        run.wait(0.3)  # two at a time would count as one
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=60)
    study = Study.load("s", storage=tmp_path / "hub.db")
    before = [(trial.number, trial.params) for trial in study.trials]
    study.run(lambda trial: 1.0, trials=4, executor="inline")
    assert [(trial.number, trial.params) for trial in study.trials][:2] == before
    assert {(t.state, t.record.attempts) for t in study.trials} == {(TrialState.COMPLETE, 1)}
    study.close()


# in this process --------------------------------------------------------------------------------------


def press(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


def make() -> Study:
    return Study(Space(x=Float(-5, 5)), seed=1, optimizer="random")


def test_a_signal_while_the_ledger_is_written_waits_until_that_is_done() -> None:
    study = make()
    storage, extend = study.storage, study.storage.extend

    def interrupted(*arguments: Any) -> None:
        press()
        extend(*arguments)

    storage.extend = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        study.run(lambda trial: trial.float("y", 0, 1), trials=3, executor="inline")
    assert [t.state for t in study.trials] == [TrialState.WAITING]
    assert set(study.trials[0].params) == {"x", "y"}


@pytest.mark.parametrize("method", ["claim", "propose", "finish", "changes"])
def test_a_signal_in_the_coordinator_loses_nothing(method: str) -> None:
    study = make()
    original = getattr(study.storage, method)
    calls = 0

    def interrupted(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:
            press()
        return original(*arguments, **options)

    setattr(study.storage, method, interrupted)
    with pytest.raises(KeyboardInterrupt):
        study.run(lambda trial: trial.params["x"], trials=10, executor="inline")
    setattr(study.storage, method, original)
    trials = study.trials
    assert {t.state for t in trials} <= {TrialState.COMPLETE, TrialState.WAITING}
    assert all(t.value == t.params["x"] for t in trials if t.state is TrialState.COMPLETE)
    study.run(lambda trial: trial.params["x"], trials=10, executor="inline")
    assert {(t.state, t.record.attempts) for t in study.trials} == {(TrialState.COMPLETE, 1)}
    assert len(study.trials) == 10


def test_a_callback_that_never_comes_back_is_left_at_the_third_signal() -> None:
    def stuck(study: Study, trial: TrialResult) -> None:
        while True:
            press()

    study = make()
    with pytest.raises(KeyboardInterrupt):
        study.run(lambda trial: 1.0, trials=3, executor="thread", callbacks=[stuck])
    assert [t.state for t in study.trials] == [TrialState.COMPLETE]


def test_an_objective_that_raises_it_itself_interrupts_the_run() -> None:
    def objective(trial: RunningTrial) -> float:
        raise KeyboardInterrupt

    study = make()
    with pytest.raises(KeyboardInterrupt):
        study.run(objective, trials=3, executor="inline")
    assert [t.state for t in study.trials] == [TrialState.WAITING]


def test_handlers_are_as_before_after_a_run() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    make().run(lambda trial: 1.0, trials=1, executor="inline")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_handler_of_the_users_for_sigterm_stays() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        study = make().run(lambda trial: press(signal.SIGTERM) or 1.0, trials=2, executor="inline")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM] * 2
    assert [t.value for t in study.trials] == [1.0, 1.0]


def test_a_run_outside_the_main_thread_leaves_signals_alone() -> None:
    study = make()
    thread = threading.Thread(target=lambda: study.run(lambda trial: 1.0, trials=2, executor="inline"))
    thread.start()
    thread.join()
    assert [t.value for t in study.trials] == [1.0, 1.0]


def test_a_run_within_a_run_of_the_same_object_is_refused() -> None:
    from modelwright.errors import StudyStateError

    def again(study: Study, trial: TrialResult) -> None:
        study.run(lambda trial: 1.0, trials=5, executor="inline")

    with pytest.raises(StudyStateError, match="running already"):
        make().run(lambda trial: 1.0, trials=3, executor="inline", callbacks=[again])
