"""The 37 things that an objective may do instead of returning a number, wherever it runs.

Each ends its own trial and nothing else: the run goes on, and no trial is left open.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelwright import Float, Space, Study
from modelwright.records import StudyState, TrialState
from modelwright.study import RunningTrial, TrialResult

Objective = Callable[[RunningTrial], Any]


def give(value: Any) -> Objective:
    return lambda trial: value


def throw(error: BaseException) -> Objective:
    def objective(trial: RunningTrial) -> float:
        raise error

    return objective


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def recurse(trial: RunningTrial) -> float:
    return recurse(trial)


def ask_for_a_bad_range(trial: RunningTrial) -> float:
    return trial.float("y", 2, 1)


def attribute(key: str, value: Any) -> Objective:
    def objective(trial: RunningTrial) -> float:
        trial.user_attrs[key] = value
        return 0.5

    return objective


def report(value: Any) -> Objective:
    def objective(trial: RunningTrial) -> float:
        trial.report(value, 1)
        return 0.5

    return objective


def fork(trial: RunningTrial) -> float:
    if os.fork() == 0:
        time.sleep(60)
    return 0.5


def hang(trial: RunningTrial) -> float:
    time.sleep(3600)
    return 0.5


async def later() -> float:
    return 0.5


EVERYWHERE = ("inline", "thread", "local", "dask")
OWN = ("local", "dask")  # what it does, it does to its process

# What the objective does; the kind and the code of the failure, or None where it has a value after all;
# where it can be survived at all.
CASES: dict[str, tuple[Objective, tuple[str, str] | None, tuple[str, ...]]] = {
    "NaN": (give(float("nan")), ("nan", "E_NONFINITE"), EVERYWHERE),
    "+inf": (give(float("inf")), ("nan", "E_NONFINITE"), EVERYWHERE),
    "-inf": (give(float("-inf")), ("nan", "E_NONFINITE"), EVERYWHERE),
    "10**400": (give(10**400), ("nan", "E_NONFINITE"), EVERYWHERE),
    "None": (give(None), ("invalid", "E_TYPE"), EVERYWHERE),
    "text": (give("abc"), ("invalid", "E_TYPE"), EVERYWHERE),
    "empty text": (give(""), ("invalid", "E_TYPE"), EVERYWHERE),
    "a number as text": (give("0.5"), ("invalid", "E_TYPE"), EVERYWHERE),
    "bytes": (give(b"1"), ("invalid", "E_TYPE"), EVERYWHERE),
    "True": (give(True), ("invalid", "E_TYPE"), EVERYWHERE),
    "complex": (give(1 + 0j), ("invalid", "E_TYPE"), EVERYWHERE),
    "a dict": (give({"loss": 0.5}), ("invalid", "E_TYPE"), EVERYWHERE),
    "two values": (give((0.5, 0.5)), ("invalid", "E_TYPE"), EVERYWHERE),
    "no values": (give(()), ("invalid", "E_TYPE"), EVERYWHERE),
    "a coroutine": (lambda trial: later(), ("invalid", "E_ASYNC"), EVERYWHERE),
    "a list of one": (give([0.5]), None, EVERYWHERE),
    "an array of one": (give(np.array([0.5])), None, EVERYWHERE),
    "ValueError": (throw(ValueError("no")), ("error", "E_EXCEPTION"), EVERYWHERE),
    "MemoryError": (throw(MemoryError()), ("memory", "E_EXCEPTION"), EVERYWHERE),
    "RecursionError": (recurse, ("error", "E_EXCEPTION"), EVERYWHERE),
    "an error without words": (throw(UnspeakableError()), ("error", "E_EXCEPTION"), EVERYWHERE),
    "sys.exit": (lambda trial: sys.exit(3), ("error", "E_EXCEPTION"), EVERYWHERE),
    "GeneratorExit": (throw(GeneratorExit()), ("error", "E_EXCEPTION"), EVERYWHERE),
    # In the run's own thread it is Ctrl-C, and ends the run.
    "KeyboardInterrupt": (throw(KeyboardInterrupt()), ("error", "E_EXCEPTION"), ("thread", *OWN)),
    "a bad range": (ask_for_a_bad_range, ("error", "E_EXCEPTION"), EVERYWHERE),
    "an attribute that is no JSON": (attribute("a", object()), ("error", "E_EXCEPTION"), EVERYWHERE),
    "a report of text": (report("0.5"), ("error", "E_EXCEPTION"), EVERYWHERE),
    "a report of NaN": (report(float("nan")), None, EVERYWHERE),
    "an attribute of 5 MB": (attribute("a", "x" * 5_000_000), None, EVERYWHERE),
    "a key of 5,000 characters": (attribute("k" * 5_000, 1), None, EVERYWHERE),
    "NUL characters": (attribute("a\0b", "c\0d"), None, EVERYWHERE),
    "os._exit(0)": (lambda trial: os._exit(0), ("error", "E_EXIT"), OWN),
    "a segmentation fault": (lambda trial: ctypes.string_at(0), ("error", "E_SIGNAL"), OWN),
    "abort": (lambda trial: os.abort(), ("error", "E_SIGNAL"), OWN),
    "SIGKILL": (lambda trial: os.kill(os.getpid(), signal.SIGKILL), ("error", "E_SIGNAL"), OWN),
    "no end": (hang, ("timeout", "E_TIMEOUT"), OWN),
    "a fork": (fork, None, OWN),
}


def test_there_are_37() -> None:
    assert len(CASES) == 37


def cases_for(executor: str) -> dict[str, tuple[Objective, tuple[str, str] | None]]:
    return {name: (f, expected) for name, (f, expected, where) in CASES.items() if executor in where}


def address_for(executor: str, request: pytest.FixtureRequest) -> str | None:
    """Return the address of a cluster where one is needed."""
    return request.getfixturevalue("dask_cluster").address if executor == "dask" else None


@pytest.fixture(scope="module", params=EVERYWHERE)
def study(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A study in which everything has happened, after a trial that succeeded and before one that does."""
    executor = request.param
    functions = [give(0.5), *(f for f, _ in cases_for(executor).values()), give(0.5)]
    path: Path = tmp_path_factory.mktemp(executor) / "hub.db"
    study = Study(Space(x=Float(0, 1)), storage=path, seed=1, optimizer="random")
    study.run(
        lambda trial: functions[trial.number](trial),
        trials=len(functions),
        executor=executor,
        parallel=1 if executor == "inline" else 2,
        trial_timeout=2.0 if executor in OWN else None,
        address=address_for(executor, request),
    )
    yield executor, study
    study.close()


def results(study: Any) -> dict[str, tuple[TrialResult, tuple[str, str] | None]]:
    executor, done = study
    cases = cases_for(executor)
    return {
        name: (trial, expected)
        for (name, (_, expected)), trial in zip(cases.items(), done.trials[1:-1], strict=True)
    }


def test_each_failure_has_its_kind_and_code_and_words(study: Any) -> None:
    found = {
        name: (trial.failure.kind.value, trial.failure.code)
        for name, (trial, expected) in results(study).items()
        if expected is not None and trial.failure is not None
    }
    assert found == {name: expected for name, (_, expected) in results(study).items() if expected}
    assert all(trial.failure is None or trial.failure.message for trial, _ in results(study).values())


def test_the_others_have_a_value(study: Any) -> None:
    found = {name: trial.values for name, (trial, expected) in results(study).items() if expected is None}
    assert set(found.values()) == {(0.5,)}


def test_no_trial_is_left_open_and_the_run_went_to_its_end(study: Any) -> None:
    _, done = study
    assert done.state is StudyState.COMPLETE
    assert {trial.state for trial in done.trials} == {TrialState.COMPLETE, TrialState.FAILED}
    assert [done.trials[end].value for end in (0, -1)] == [0.5, 0.5]
    assert done.best_value == 0.5


def test_what_was_told_before_it_went_wrong_is_kept(study: Any) -> None:
    trials = {name: trial for name, (trial, _) in results(study).items()}
    assert len(trials["an attribute of 5 MB"].user_attrs["a"]) == 5_000_000
    assert next(iter(trials["a key of 5,000 characters"].user_attrs)) == "k" * 5_000


# A run in which nothing succeeds -----------------------------------------------------------------------


def fails_by_number(trial: RunningTrial) -> float:
    raise (ValueError if trial.number % 2 else KeyError)(f"trial {trial.number}")


@pytest.mark.parametrize("executor", EVERYWHERE)
def test_a_run_in_which_everything_fails_ends_early_with_the_first_cause(
    executor: str, request: pytest.FixtureRequest
) -> None:
    place: Any = {"executor": executor, "address": address_for(executor, request)}
    study = Study(Space(x=Float(0, 1)), seed=1, optimizer="random")
    with pytest.raises(
        Exception, match=r"all 10 trials have failed.*trial 0, with: TypeError: missing x"
    ) as e:
        study.run(throw(TypeError("missing x")), trials=1000, **place)
    assert e.value.code == "E_ALL_FAILED"  # type: ignore[attr-defined]
    assert len(study.trials) == 10
    assert study.state is StudyState.PENDING
    study.run(give(0.5), trials=12, **place)  # with a better function, it goes on
    assert study.state is StudyState.COMPLETE


def test_failures_of_many_kinds_are_given_more_time() -> None:
    study = Study(Space(x=Float(0, 1)), seed=1, optimizer="random")
    with pytest.raises(Exception, match="all 50 trials have failed"):
        study.run(fails_by_number, trials=1000, executor="inline")


@pytest.mark.parametrize("first", [0.5, None])
def test_one_success_is_enough_to_go_on(first: float | None) -> None:
    study = Study(Space(x=Float(0, 1)), seed=1, optimizer="random")
    counter = itertools.count()

    def objective(trial: RunningTrial) -> float:
        if next(counter) == 5:
            return 0.5
        raise TypeError("missing x")

    if first is not None:  # in an earlier run
        study.run(give(first), trials=1, executor="inline")
        study.run(throw(TypeError("missing x")), trials=30, executor="inline")
    else:
        study.run(objective, trials=30, executor="inline")
    assert study.state is StudyState.COMPLETE
