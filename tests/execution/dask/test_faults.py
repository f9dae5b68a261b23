"""Workers that die, schedulers that restart, machines that do not share folders."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from dask_programs import DaskPrograms
from tcp_proxy import TcpProxy

from modelwright import Float, Space, Study
from modelwright.errors import InputError
from modelwright.execution import DaskExecutor, EndKind, Limits, Started, Task
from modelwright.execution.dask.sharing import Sharing
from modelwright.records import TrialState
from modelwright.storage import open_storage
from modelwright.testing.audit import audit
from modelwright.testing.executors import drive, echo, run_one

distributed = pytest.importorskip("distributed", reason="the library 'distributed' is not installed")

_PATIENCE_S = 90.0


def _until(condition: Callable[[], Any], what: str) -> None:
    until = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < until, f"it did not happen: {what}"
        time.sleep(0.05)


def _busy(flag: Path) -> Callable[..., Any]:
    def work(channel: Any, argument: Any) -> Any:
        flag.write_text(str(os.getpid()))
        time.sleep(60)

    return work


def test_a_worker_that_is_killed_takes_its_task_and_all_its_processes_along(
    own_dask_cluster: DaskPrograms, tmp_path: Path
) -> None:
    executor = DaskExecutor(1, address=own_dask_cluster.address)
    flag = tmp_path / "pid"
    job = executor.submit(Task("0-1", _busy(flag)))
    while not any(isinstance(event, Started) for event in executor.events(1.0, echo)):
        pass
    _until(lambda: flag.exists() and flag.read_text(), "the task has begun")
    task = psutil.Process(int(flag.read_text()))
    keeper = task.parent()
    assert keeper is not None
    launcher = keeper.parent()
    assert launcher is not None
    worker = launcher.parent()
    assert worker is not None
    worker.kill()
    drive(executor, [job])
    assert job.end is not None
    assert job.end.kind is EndKind.LOST
    _until(lambda: not any(p.is_running() for p in (task, keeper, launcher)), "nothing of it is left")
    assert run_one(executor, lambda channel, argument: argument, 5).result == 5
    executor.close()


COORDINATOR = """
import os, sys, time
from pathlib import Path
from modelwright import Float, Space, Study
from modelwright.execution import DaskExecutor

address, folder, hangs = sys.argv[1], Path(sys.argv[2]), sys.argv[3] == "hangs"

def objective(trial):
    if hangs:
        (folder / f"{trial.number}.started").write_text(str(os.getpid()))
        time.sleep(600)
    return 0.5

study = Study(Space(x=Float(0, 1)), storage="hub.db", name="s", seed=1, lease_s=600, load_if_exists=True)
place = DaskExecutor(2, address=address, silence_s=3600)
study.run(objective, trials=4, parallel=2, executor=place)
place.close()
"""


def test_a_run_that_is_killed_takes_its_trials_along_and_the_next_one_goes_on(
    own_dask_cluster: DaskPrograms, tmp_path: Path, start_python: Callable[..., Any]
) -> None:
    (tmp_path / "script.py").write_text(COORDINATOR)
    run = start_python("script.py", own_dask_cluster.address, tmp_path, "hangs")
    flags = [tmp_path / f"{number}.started" for number in range(2)]
    _until(lambda: all(flag.exists() and flag.read_text() for flag in flags), "both have begun")
    trials = [psutil.Process(int(flag.read_text())) for flag in flags]
    run.kill()
    run.communicate()
    _until(lambda: not any(trial.is_running() for trial in trials), "they end, though nobody tells them to")
    run = start_python("script.py", own_dask_cluster.address, tmp_path, "goes on")
    _, errors = run.communicate(timeout=200)
    assert run.returncode == 0, errors
    storage = open_storage(f"sqlite:///{tmp_path}/hub.db")
    trials_now = storage.trials(storage.study("s").id)
    assert [(trial.state, trial.attempts) for trial in trials_now] == [
        (TrialState.COMPLETE, attempts) for attempts in (2, 2, 1, 1)
    ]
    audit(storage, storage.study("s").id)


@pytest.mark.slow
def test_a_study_is_whole_though_its_workers_are_killed(
    own_dask_cluster: DaskPrograms, tmp_path: Path
) -> None:
    study = Study(Space(x=Float(0, 1)), storage=f"sqlite:///{tmp_path}/hub.db", name="s", seed=1)
    killed: list[int] = []

    def kill_one(study: Study, trial: Any) -> None:
        if trial.number in (5, 10):
            worker = own_dask_cluster.workers.pop()
            worker.kill()
            killed.append(worker.pid)
            own_dask_cluster.worker()

    def objective(trial: Any) -> float:
        time.sleep(0.2)
        return float(trial.params["x"])

    executor = DaskExecutor(2, address=own_dask_cluster.address)
    study.run(objective, trials=20, parallel=2, executor=executor, callbacks=[kill_one])
    executor.close()
    assert killed
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 20
    storage = open_storage(f"sqlite:///{tmp_path}/hub.db")
    audit(storage, storage.study("s").id)
    lost = [item for item in storage.attempts(storage.study("s").id) if item.outcome == "lost"]
    assert 1 <= len(lost) <= 2 * len(killed)


@pytest.mark.slow
def test_a_study_goes_on_when_the_scheduler_is_killed_and_started_again(
    own_dask_cluster: DaskPrograms, tmp_path: Path
) -> None:
    executor = DaskExecutor(1, address=own_dask_cluster.address, silence_s=5)
    study = Study(Space(x=Float(0, 1)), storage=f"sqlite:///{tmp_path}/hub.db", name="s", seed=1)

    def restart(study: Study, trial: Any) -> None:
        if trial.number == 3:
            own_dask_cluster.kill_scheduler()
            own_dask_cluster.scheduler()
            own_dask_cluster.worker()

    study.run(lambda trial: trial.params["x"], trials=8, executor=executor, callbacks=[restart])
    executor.close()
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 8
    storage = open_storage(f"sqlite:///{tmp_path}/hub.db")
    audit(storage, storage.study("s").id)


@pytest.mark.slow
def test_a_worker_that_its_nanny_restarts_for_its_memory_costs_attempts(
    tmp_path: Path, start_python: Callable[..., Any]
) -> None:
    (tmp_path / "dask").mkdir()
    programs = DaskPrograms(tmp_path / "dask")
    try:
        programs.scheduler()
        programs.worker(memory="1GB")
        study = Study(Space(x=Float(0, 1)), storage=f"sqlite:///{tmp_path}/hub.db", name="s", seed=1)

        def objective(trial: Any) -> float:
            while trial.number == 3 and trial.attempt == 1:
                time.sleep(0.1)  # until its worker is gone
            return float(trial.params["x"])

        async def use_too_much() -> None:
            held = bytearray(b"x") * 2_000_000_000
            while held:
                time.sleep(0.1)

        with distributed.Client(programs.address, set_as_default=False) as client:

            def hog(study: Study, trial: Any) -> None:
                if trial.number == 2:  # a task of somebody else's
                    client.run(use_too_much, wait=False)

            executor = DaskExecutor(1, client=client)
            study.run(objective, trials=6, executor=executor, callbacks=[hog])
            executor.close()
    finally:
        programs.close()
    storage = open_storage(f"sqlite:///{tmp_path}/hub.db")
    audit(storage, storage.study("s").id)
    trials = storage.trials(storage.study("s").id)
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 6
    lost = [item for item in storage.attempts(storage.study("s").id) if item.outcome == "lost"]
    assert 1 <= len(lost) <= 2
    assert lost[-1].number == 3


@pytest.mark.slow
def test_a_study_goes_on_when_its_connection_to_the_scheduler_breaks(
    own_dask_cluster: DaskPrograms, tmp_path: Path
) -> None:
    study = Study(Space(x=Float(0, 1)), storage=f"sqlite:///{tmp_path}/hub.db", name="s", seed=1)

    def objective(trial: Any) -> float:
        time.sleep(0.2)
        return float(trial.params["x"])

    with TcpProxy(("127.0.0.1", own_dask_cluster.port)) as proxy:
        executor = DaskExecutor(2, address=f"tcp://127.0.0.1:{proxy.port}", silence_s=3600)

        def cut(study: Study, trial: Any) -> None:
            if trial.number in (3, 8):
                proxy.reset_all()

        study.run(objective, trials=12, parallel=2, executor=executor, callbacks=[cut])
        executor.close()
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 12
    storage = open_storage(f"sqlite:///{tmp_path}/hub.db")
    audit(storage, storage.study("s").id)
    lost = [item for item in storage.attempts(storage.study("s").id) if item.outcome == "lost"]
    assert len(lost) <= 4, "what ran when it broke, and no more"


def test_never_more_tasks_are_out_than_the_workers_have_threads(
    own_dask_cluster: DaskPrograms, tmp_path: Path
) -> None:
    executor = DaskExecutor(6, address=own_dask_cluster.address)

    busy = tmp_path / "busy"
    busy.mkdir()

    def work(channel: Any, argument: Any) -> None:
        own = busy / f"{argument}"
        own.touch()
        time.sleep(0.3)
        own.rename(own.with_suffix(".done"))

    jobs = [executor.submit(Task(f"{n}-1", work, n)) for n in range(6)]
    most = 0
    while not all(job.done for job in jobs):
        executor.events(0.05, echo)
        most = max(most, sum(1 for path in busy.iterdir() if not path.suffix))
    executor.close()
    assert [job.end.kind for job in jobs if job.end] == [EndKind.RESULT] * 6
    assert most == 2


def test_limits_are_kept_on_the_workers_machine(own_dask_cluster: DaskPrograms) -> None:
    executor = DaskExecutor(1, address=own_dask_cluster.address)

    def allocate(channel: Any, argument: Any) -> Any:
        held = []
        while True:
            held.append(bytearray(os.urandom(1)) * (8 * 2**20))
            time.sleep(0.005)

    end = run_one(executor, allocate, limits=Limits(memory_mb=300, wall_s=60))
    executor.close()
    assert end.kind is EndKind.MEMORY
    assert "of 300 MB" in end.detail


def test_files_come_back_from_a_machine_that_does_not_share_the_folder(
    own_dask_cluster: DaskPrograms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sharing, "_mark", lambda self, place: place / "not there")

    def write(channel: Any, argument: Any) -> str:
        print("said")
        (channel.folder / "deep").mkdir()
        (channel.folder / "deep" / "model.txt").write_text("a model")
        return str(channel.folder)

    executor = DaskExecutor(1, address=own_dask_cluster.address)
    folder = tmp_path / "trials" / "0-1"
    end = run_one(executor, write, folder=folder)
    executor.close()
    assert end.result != str(folder)
    assert not Path(end.result).exists()
    assert (folder / "deep" / "model.txt").read_text() == "a model"
    assert (folder / "stdout.txt").read_text() == "said\n"


def test_files_that_a_trial_logs_come_back_and_are_kept(
    own_dask_cluster: DaskPrograms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sharing, "_mark", lambda self, place: place / "not there")

    def objective(trial: Any) -> float:
        assert not trial.folder.is_relative_to(tmp_path)
        (trial.folder / "model.txt").write_text(f"model {trial.number}")
        trial.log_artifact(trial.folder / "model.txt")
        return 0.5

    study = Study(Space(x=Float(0, 1)), storage=f"sqlite:///{tmp_path}/hub.db", name="s", seed=1)
    executor = DaskExecutor(1, address=own_dask_cluster.address)
    study.run(objective, trials=2, executor=executor)
    executor.close()
    assert [trial.failure for trial in study.trials] == [None, None]
    assert study.fetch_artifact(1, "model.txt").read_text() == "model 1"
    study.close()


def test_a_module_that_workers_do_not_have_is_an_error_of_the_task(
    own_dask_cluster: DaskPrograms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "this_machine_has.py").write_text("def work(channel, argument):\n    return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    import this_machine_has

    executor = DaskExecutor(1, address=own_dask_cluster.address)
    assert run_one(executor, this_machine_has.work).result == 1  # the folder is on this machine
    (tmp_path / "not_there.py").write_text("def work(channel, argument):\n    return 1\n")
    import not_there

    (tmp_path / "not_there.py").unlink()
    end = run_one(executor, not_there.work)
    executor.close()
    assert end.kind in (EndKind.ERROR, EndKind.RESULT)


def test_wrong_addresses_and_clients_are_refused(own_dask_cluster: DaskPrograms) -> None:
    with pytest.raises(InputError, match=r"no Dask scheduler at 'tcp://127\.0\.0\.1:9'"):
        DaskExecutor(1, address="tcp://127.0.0.1:9")
    with pytest.raises(InputError, match=r"which cluster.*"):
        DaskExecutor(1)
    with distributed.Client(own_dask_cluster.address, set_as_default=False) as client:
        with pytest.raises(InputError, match="got both"):
            DaskExecutor(1, address="tcp://127.0.0.1:9", client=client)
        executor = DaskExecutor(1, client=client)
        assert run_one(executor, lambda channel, argument: 3).result == 3
        executor.close()
        assert client.submit(int, 4).result() == 4, "the client is the caller's and stays open"
