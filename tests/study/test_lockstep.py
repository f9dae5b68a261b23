"""Lock-step: the same trials whatever the timing, the number of processes and what is killed."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import SystemRandom
from typing import Any

import pytest
from dask_programs import DaskPrograms

from modelwright import Categorical, Float, Int, Space, Study
from modelwright.errors import StorageUnavailableError
from modelwright.optimizers.catalogue import OPTIMIZERS
from modelwright.records import TrialState
from modelwright.study import RunningTrial, TrialPruned

Table = list[tuple[dict[str, Any], tuple[float, ...], str]]

SCRIPT = """
import sys, time
from random import SystemRandom
from modelwright import Categorical, Float, Int, Space, Study

def objective(trial):
    x, n = trial.params["x"], trial.params["n"] + trial.number * 7 % 5 * 4
    if trial.number % 7 == 3:
        raise ValueError("some fail")
    for step in range(4):
        time.sleep(SystemRandom().random() * pause)
        trial.report(x * x + n + step / 9, step)
        if trial.should_stop():
            return x * x + n + step / 9
    return x * x + n

pause, parallel = float(sys.argv[2]), int(sys.argv[3])
space = Space(x=Float(-5, 5), n=Int(1, 9), k=Categorical("a", "b"))
study = Study(
    space, storage=sys.argv[1], name="s", seed=3, scheduler="median", reproducible=True, load_if_exists=True
)
study.run(objective, trials=30, parallel=parallel)
"""


def table_of(study: Study) -> Table:
    return [(dict(t.params), t.values, t.state.value) for t in study.trials]


def stored(path: Path) -> Table:
    study = Study.load("s", storage=path)
    try:
        return table_of(study)
    finally:
        study.close()


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """The table of a run that nothing disturbs."""
    path = tmp_path_factory.mktemp("calm") / "hub.db"
    names: dict[str, Any] = {"__name__": "calm"}
    import sys

    before, sys.argv = sys.argv, ["script.py", str(path), "0.0", "2"]
    try:
        exec(compile(SCRIPT, "script.py", "exec"), names)
    finally:
        sys.argv = before
        names["study"].close()
    return stored(path)


def test_the_run_tells_something(expected: Table) -> None:
    states = [state for _, _, state in expected]
    assert len(states) == 30
    assert states.count("pruned") >= 3
    assert states.count("complete") >= 8
    assert states.count("failed") == 4


def test_timing_plays_no_part(tmp_path: Path, expected: Table, start_script: Callable[..., Any]) -> None:
    runs = [start_script(SCRIPT, f"{name}.db", 0.03, 2) for name in ("a", "b")]
    for run in runs:
        _, errors = run.communicate(timeout=100)
        assert run.returncode == 0, errors
    assert stored(tmp_path / "a.db") == expected
    assert stored(tmp_path / "b.db") == expected


def test_a_kill_plays_no_part(
    tmp_path: Path, expected: Table, start_script: Callable[..., Any], until: Callable[[Any], None]
) -> None:
    path = tmp_path / "hub.db"
    for finished in (4, 17):
        run = start_script(SCRIPT, path, 0.03, 2)
        until(lambda finished=finished: finished_in(path) >= finished)
        run.send_signal(signal.SIGKILL)
        run.communicate(timeout=100)
    run = start_script(SCRIPT, path, 0.0, 2)
    _, errors = run.communicate(timeout=100)
    assert run.returncode == 0, errors
    assert stored(path) == expected


def finished_in(path: Path) -> int:
    if not path.exists():
        return 0
    try:
        study = Study.load("s", storage=path)
    except (KeyError, StorageUnavailableError):  # not created yet, or at this moment
        return 0
    try:
        return len([t for t in study.trials if t.state.finished])
    finally:
        study.close()


def test_a_second_process_plays_no_part_even_when_the_first_is_killed(
    tmp_path: Path, expected: Table, start_script: Callable[..., Any], until: Callable[[Any], None]
) -> None:
    path = tmp_path / "hub.db"
    Study(space(), storage=path, name="s", seed=3, scheduler="median", reproducible=True).close()
    window(path, 2)
    runs = [start_script(SCRIPT, path, 0.02, 1) for _ in range(2)]
    until(lambda: finished_in(path) >= 10)
    runs[0].kill()
    _, errors = runs[1].communicate(timeout=100)
    assert runs[1].returncode == 0, errors
    assert stored(path) == expected


def space() -> Space:
    return Space(x=Float(-5, 5), n=Int(1, 9), k=Categorical("a", "b"))


def window(path: Path, width: int) -> None:
    """Fix W as a first run with so many slots would."""
    study = Study.load("s", storage=path)
    study.storage.set_window(study.record.id, width)
    study.close()


# each optimizer there is ------------------------------------------------------------------------------

ANY_SCRIPT = """
import sys, time, zlib
from random import SystemRandom
from modelwright import Categorical, Float, Int, Space, Study
from modelwright.automl.methods import load_methods
from modelwright.automl.partitions import joint_space
from modelwright.records import Component

METHODS = ["dt", "knn"]
OPTIONS = {"grid": {"points": {"x": 9}}, "sequence": {"points": {"x": 9}}, "partitions": {"methods": METHODS}}
OPTIONS["partitions"]["task"] = "binary"

def objective(trial):
    value = zlib.crc32(repr(sorted(trial.params.items())).encode()) / 2**32
    if trial.number % 7 == 3:
        raise ValueError("some fail")
    for step in range(3):
        time.sleep(SystemRandom().random() * pause)
        trial.report(value + step / 9, step)
        if trial.should_stop():
            return value + step / 9
    return value

path, pause, parallel, name = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
place = {"executor": "dask", "address": sys.argv[5]} if len(sys.argv) > 5 else {}
space = Space(x=Float(-5, 5), n=Int(1, 9), k=Categorical("a", "b"))
if name == "partitions":
    space = joint_space(load_methods(METHODS, "binary"))
study = Study(
    space, storage=path, name="s", seed=3, scheduler="median", reproducible=True, load_if_exists=True,
    optimizer=Component(name, OPTIONS.get(name, {})),
)
study.run(objective, trials=30, parallel=parallel, **place)
"""


class Runs:
    """Runs of one study in processes of their own: here, or on a cluster where its address is given."""

    def __init__(
        self,
        folder: Path,
        start: Callable[..., Any],
        until: Callable[[Any], None],
        optimizer: str,
        width: int,
    ) -> None:
        self._folder, self._start, self._until = folder, start, until
        self._optimizer, self._width = optimizer, width

    def _begin(self, name: str, pause: float, address: str | None) -> Any:
        place = () if address is None else (address,)
        return self._start(ANY_SCRIPT, self._folder / name, pause, self._width, self._optimizer, *place)

    def table(self, name: str, address: str | None = None) -> Table:
        """Run to the end, prove the run by its log, and return its table."""
        run = self._begin(name, 0.0, address)
        _, errors = run.communicate(timeout=200)
        assert run.returncode == 0, errors
        study = Study.load("s", storage=self._folder / name)
        try:
            assert study.record.window == self._width
            found = study.replay()
            assert (found.equal, found.recomputed) == (True, 30), str(found.first)
            return table_of(study)
        finally:
            study.close()

    def table_after_kills(self, name: str, address: str | None = None) -> Table:
        """The same, for a run that is killed at three places before."""
        for finished in (4, 12, 21):
            run = self._begin(name, 0.03, address)
            self._until(lambda finished=finished: finished_in(self._folder / name) >= finished)
            run.send_signal(signal.SIGKILL)
            run.communicate(timeout=100)
        return self.table(name, address)


@pytest.fixture
def runs(
    tmp_path: Path, start_script: Callable[..., Any], until: Callable[[Any], None]
) -> Callable[..., Runs]:
    """Return a function of an optimizer and W."""
    return partial(Runs, tmp_path, start_script, until)


def tells_something(table: Table) -> bool:
    return len(table) == 30 and len({str(params) for params, _, _ in table}) > 20


@pytest.mark.parametrize("width", [1, 4])
def test_a_kill_plays_no_part_whatever_the_window(runs: Callable[..., Runs], width: int) -> None:
    run = runs("tpe", width)
    calm = run.table("calm.db")
    assert tells_something(calm)
    assert run.table_after_kills("killed.db") == calm


def test_a_cluster_plays_no_part(runs: Callable[..., Runs], dask_cluster: DaskPrograms) -> None:
    run = runs("tpe", 2)
    calm = run.table("calm.db")
    assert tells_something(calm)
    assert run.table("cluster.db", dask_cluster.address) == calm


# By the first of its names; what proposes nothing has no order to keep.
EACH_OPTIMIZER = [
    name
    for cls, name in {OPTIMIZERS.get(name): name for name in reversed(OPTIMIZERS.names())}.items()
    if cls.abilities.proposes
]


@pytest.mark.slow
@pytest.mark.parametrize("width", [1, 2, 4])
@pytest.mark.parametrize("optimizer", EACH_OPTIMIZER)
def test_a_kill_plays_no_part_whatever_the_optimizer(
    runs: Callable[..., Runs], dask_cluster: DaskPrograms, optimizer: str, width: int
) -> None:
    run = runs(optimizer, width)
    calm = run.table("calm.db")
    assert tells_something(calm)
    assert run.table_after_kills("killed.db") == calm
    assert run.table("cluster.db", dask_cluster.address) == calm
    assert run.table_after_kills("killed on the cluster.db", dask_cluster.address) == calm


# in this process --------------------------------------------------------------------------------------


def jittered(function: Callable[[RunningTrial], float]) -> Callable[[RunningTrial], float]:
    def objective(trial: RunningTrial) -> float:
        time.sleep(SystemRandom().random() * 0.02)
        return function(trial)

    return objective


@pytest.mark.parametrize("width", [1, 2, 3])
def test_parameters_that_an_objective_adds_come_at_fixed_places(width: int) -> None:
    def function(trial: RunningTrial) -> float:
        rate = trial.float("rate", 0, 1)
        if trial.number % 3:  # two names that race to be first
            return rate + jittered(lambda t: t.float("odd", 0, 1))(trial)
        return rate + jittered(lambda t: t.float("even", 0, 1))(trial)

    tables = []
    for _ in range(2):
        study = Study(seed=5, reproducible=True)
        study.run(jittered(function), trials=24, parallel=width, executor="thread")
        tables.append(table_of(study))
    assert tables[0] == tables[1]
    assert {state for _, _, state in tables[0]} == {"complete"}


def test_enqueued_trials_wait_for_what_their_early_stopping_compares_them_with() -> None:
    def function(trial: RunningTrial) -> float:
        for step in range(3):
            trial.report(trial.params["x"], step)
            time.sleep(SystemRandom().random() * 0.01)
            if trial.should_stop():
                raise TrialPruned
        return float(trial.params["x"])

    tables = []
    for _ in range(2):
        study = Study(Space(x=Float(0, 1)), seed=5, reproducible=True, scheduler="median")
        for k in range(14):
            study.enqueue({"x": 0.9 if k % 2 else 0.1 + k / 100})
        study.run(jittered(function), trials=20, parallel=3, executor="thread")
        tables.append(table_of(study))
    assert tables[0] == tables[1]
    assert "pruned" in {state for _, _, state in tables[0]}


def test_a_trial_that_was_lost_before_it_had_a_configuration_holds_nobody_up() -> None:
    study = Study(space(), seed=1, reproducible=True, max_attempts=1)
    study.storage.set_window(study.record.id, 2)
    study.storage.claim(study.record.id, "gone", "claim", lease_s=0.0)
    study.run(lambda trial: 1.0, trials=5, parallel=2, executor="thread")
    assert [t.state for t in study.trials] == [TrialState.FAILED] + [TrialState.COMPLETE] * 4


def test_the_window_is_that_of_the_first_run() -> None:
    study = Study(space(), seed=1, reproducible=True, optimizer="tpe")
    study.run(lambda trial: float(trial.params["x"]), trials=12, parallel=1, executor="thread")
    study.run(lambda trial: float(trial.params["x"]), trials=20, parallel=3, executor="thread")
    other = Study(space(), seed=1, reproducible=True, optimizer="tpe")
    other.run(lambda trial: float(trial.params["x"]), trials=20, parallel=1, executor="inline")
    assert study.record.window == 1
    assert table_of(study) == table_of(other)


def test_a_limit_that_fires_is_said_to_end_the_guarantee(caplog: pytest.LogCaptureFixture) -> None:
    study = Study(space(), seed=1, reproducible=True)
    study.run(lambda trial: time.sleep(60) or 1.0, trials=1, trial_timeout=0.3)
    assert "cannot promise the same trials" in caplog.text
