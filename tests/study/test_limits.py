"""Limits of a trial in a study: what is asked for, what is refused, and what the ledger tells of it."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from modelwright import Float, Space, Study
from modelwright.errors import ExecutionError, InputError
from modelwright.execution import Limits
from modelwright.study import RunningTrial

SPACE = Space(x=Float(0, 1))


def compute(trial: RunningTrial) -> float:
    while True:
        pass


def flood(trial: RunningTrial) -> float:
    while True:
        print("all work and no play" * 100)


def store(trial: RunningTrial) -> float:
    for number in range(10_000):
        (Path(tempfile.gettempdir()) / f"{number}").write_bytes(b"x" * 1_000_000)
        time.sleep(0.002)
    return 0.0


def speak_and_hang(trial: RunningTrial) -> float:
    print("epoch 7")
    print("a warning", file=sys.stderr)
    time.sleep(60)
    return 0.0


def speak_and_fail(trial: RunningTrial) -> float:
    print("epoch 7")
    raise ValueError("no")


@pytest.fixture
def study(tmp_path: Path) -> Any:
    study = Study(SPACE, storage=tmp_path / "hub.db", seed=1, name="s")
    yield study
    study.close()


@pytest.mark.parametrize(
    ("objective", "limits", "kind", "code", "words"),
    [
        (compute, Limits(cpu_s=0.4, grace_s=0.2), "timeout", "E_CPU", "cpu: 0."),
        (flood, Limits(output_mb=5), "error", "E_OUTPUT", " of 5 MB at "),
        (store, Limits(disk_mb=20), "error", "E_DISK", " of 20 MB at "),
        (speak_and_hang, Limits(wall_s=0.5, grace_s=0.2), "timeout", "E_TIMEOUT", " of 0.5 s"),
    ],
)
def test_each_limit_is_a_result_with_its_figure(
    study: Any, objective: Any, limits: Limits, kind: str, code: str, words: str
) -> None:
    study.run(objective, trials=1, limits=limits)
    failure = study.trials[0].failure
    assert (failure.kind.value, failure.code) == (kind, code)
    assert words in failure.message


def test_a_failure_without_a_stack_keeps_the_last_lines(study: Any) -> None:
    study.run(speak_and_hang, trials=1, trial_timeout=0.5)
    told = study.trials[0].failure.traceback
    assert told == "The last lines of stdout.txt:\nepoch 7\n\nThe last lines of stderr.txt:\na warning"


def test_one_with_a_stack_keeps_both(study: Any) -> None:
    study.run(speak_and_fail, trials=1)
    told = study.trials[0].failure.traceback
    assert told.startswith("Traceback (most recent call last)")
    assert told.endswith("ValueError: no\n\nThe last lines of stdout.txt:\nepoch 7")


def test_limits_with_a_name_of_their_own_come_first(study: Any) -> None:
    study.run(speak_and_hang, trials=1, limits=Limits(wall_s=500), trial_timeout=0.5)
    assert study.trials[0].failure.message.endswith(" of 0.5 s")


def test_an_amount_of_output_needs_files() -> None:
    with pytest.raises(InputError, match="the study has none"):
        Study(SPACE).run(compute, trials=1, limits=Limits(output_mb=5))


@pytest.mark.parametrize("field", ["wall_s", "memory_mb", "cpu_s", "output_mb", "disk_mb", "kept_output_mb"])
@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), "5", True])
def test_limits_that_make_no_sense(field: str, value: Any) -> None:
    with pytest.raises(ExecutionError, match=f"expected {field} to be a positive number, got {value!r}"):
        Limits(**{field: value})


# GPUs: names that the machine is told to have ---------------------------------------------------------


def my_devices(trial: RunningTrial) -> float:
    trial.user_attrs["devices"] = os.environ["CUDA_VISIBLE_DEVICES"]
    return 0.0


@pytest.fixture
def two_devices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("MODELWRIGHT_GPUS", "0,1")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where processes keep each other out


@pytest.mark.parametrize(
    ("gpus", "parallel", "seen"), [(1, 2, {"0", "1"}), (2, 1, {"0,1"}), (0.5, 2, {"0"}), (0.5, 4, {"0", "1"})]
)
def test_a_trial_sees_only_its_devices(two_devices: None, gpus: float, parallel: int, seen: set[str]) -> None:
    study = Study(SPACE, seed=1)
    study.run(my_devices, trials=8, gpus=gpus, parallel=parallel)
    assert {trial.user_attrs["devices"] for trial in study.trials} <= seen
    assert all(trial.failure is None for trial in study.trials)


def test_devices_are_free_when_the_run_is_over(two_devices: None) -> None:
    study = Study(SPACE, seed=1)
    for total in (2, 4):
        study.run(my_devices, trials=total, gpus=1, parallel=2)
    assert len(study.trials) == 4


@pytest.mark.parametrize(
    ("gpus", "parallel", "words"),
    [
        (3, 1, "a trial asks for 3 GPUs, and this machine has GPUs 0, 1"),
        (1, 3, "3 trials at a time ask for a GPU each"),
        (1.5, 1, r"such as 0\.5, or a whole number"),
        (-1, 1, r"such as 0\.5, or a whole number"),
    ],
)
def test_what_can_never_be_met_fails_before_anything_starts(
    two_devices: None, gpus: float, parallel: int, words: str
) -> None:
    study = Study(SPACE, seed=1)
    with pytest.raises(ExecutionError, match=words):
        study.run(my_devices, trials=8, gpus=gpus, parallel=parallel)
    assert study.trials == []
    study.run(lambda trial: 0.0, trials=2, executor="inline")


@pytest.mark.parametrize("options", [{"gpus": 1}, {"reuse": 5}])
def test_what_needs_processes_is_refused_without(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="are for executor='local', got 'thread'"):
        Study(SPACE).run(my_devices, trials=1, executor="thread", **options)


def test_cores_and_reuse_reach_the_trials() -> None:
    def objective(trial: RunningTrial) -> float:
        trial.user_attrs["process"] = os.getpid()
        return float(os.environ["OMP_NUM_THREADS"])

    study = Study(SPACE, seed=1)
    study.run(objective, trials=6, cpus=3, reuse=3)
    assert {trial.value for trial in study.trials} == {3.0}
    assert len({trial.user_attrs["process"] for trial in study.trials}) == 2
