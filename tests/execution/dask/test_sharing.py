"""Workers that do not see a folder of the coordinator's: each process has its own below /proc/self/cwd."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dask_programs import DaskPrograms

from modelwright.errors import ExecutionError, InputError
from modelwright.execution import DaskExecutor, EndKind, Task
from modelwright.testing.executors import drive, echo, run_one

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc/self/cwd")

FOLDER = Path("/proc/self/cwd/run")


@pytest.fixture
def seeing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DaskPrograms]:
    """A cluster of one worker, which is in the same folder as this process."""
    pytest.importorskip("distributed", reason="the library 'distributed' is not installed")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    programs = DaskPrograms(tmp_path / "elsewhere")
    try:
        programs.scheduler()
        programs.worker(cwd=tmp_path)
        yield programs
    finally:
        programs.close()


def works(channel: Any, argument: Any) -> Any:
    return argument


def test_a_folder_that_all_see_is_all_right_also_before_it_is_there(
    seeing: DaskPrograms, tmp_path: Path
) -> None:
    executor = DaskExecutor(1, address=seeing.address)
    executor.require_shared(FOLDER)
    assert not (tmp_path / "run").exists()
    assert run_one(executor, works, 5).result == 5
    executor.close()
    assert list(tmp_path.rglob(".shared*")) == []


def test_workers_that_do_not_see_it_are_named(
    seeing: DaskPrograms, until: Callable[[Callable[[], object]], None]
) -> None:
    seeing.worker()
    executor = DaskExecutor(2, address=seeing.address)
    until(lambda: executor.room()[0] == 2)
    with pytest.raises(InputError, match=r"1 of 2 workers .* do not see the folder '/proc/self/cwd/run'"):
        executor.require_shared(FOLDER)
    executor.close()


def test_one_that_comes_later_and_does_not_see_it_gets_no_more_tasks(
    seeing: DaskPrograms, until: Callable[[Callable[[], object]], None]
) -> None:
    executor = DaskExecutor(2, address=seeing.address)
    executor.require_shared(FOLDER)
    seeing.worker()
    until(lambda: executor.room()[0] == 2)
    ends = []
    for number in range(20):  # until the newcomer has been tried
        jobs = [executor.submit(Task(f"{number}-{n}", works, n)) for n in range(2)]
        drive(executor, jobs)
        ends += [job.end for job in jobs if job.end is not None]
        if ends[-1].kind is not ends[-2].kind:
            break
    lost = [end for end in ends if end.kind is EndKind.LOST]
    assert [end.detail for end in lost] == ["its worker does not see the folder that it needs"]
    jobs = [executor.submit(Task(f"later-{n}", works, n)) for n in range(4)]
    drive(executor, jobs)
    assert [job.end.result for job in jobs if job.end] == [0, 1, 2, 3]
    executor.require_shared(None)  # what needs no folder may run there
    jobs = [executor.submit(Task(f"free-{n}", works, n)) for n in range(4)]
    drive(executor, jobs)
    assert [job.end.result for job in jobs if job.end] == [0, 1, 2, 3]
    executor.close()


def test_a_run_ends_when_nobody_sees_it_any_more(
    seeing: DaskPrograms, until: Callable[[Callable[[], object]], None]
) -> None:
    executor = DaskExecutor(1, address=seeing.address)
    executor.require_shared(FOLDER)
    seeing.workers.pop().kill()
    seeing.worker()
    executor.submit(Task("0-1", works, 1))
    with pytest.raises(ExecutionError, match="none of the workers of the Dask cluster sees the folder"):
        until(lambda: executor.events(1.0, echo) and False)
    executor.close()


def test_a_cluster_without_workers_is_told(
    seeing: DaskPrograms,
    monkeypatch: pytest.MonkeyPatch,
    until: Callable[[Callable[[], object]], None],
) -> None:
    executor = DaskExecutor(1, address=seeing.address)
    executor.room()
    monkeypatch.setattr("modelwright.execution.dask.executor._FIRST_WORKER_S", 0.5)
    worker = seeing.workers.pop()
    worker.kill()
    worker.wait()

    def is_told() -> bool:  # once the scheduler has noticed
        try:
            executor.room()
        except ExecutionError as error:
            return "has no workers, after 0.5 s" in str(error)
        return False

    until(is_told)
    executor.close()
