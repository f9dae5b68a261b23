# ruff: noqa: D102  (the names of the tests say what holds)
"""The conformance suite of executors: subclass `ExecutorContract`, give the fixture a factory, run pytest.

::

    class TestMine(ExecutorContract):
        @pytest.fixture
        def executor_factory(self):
            return MyExecutor  # called with slots=... and helper_slots=...

What only holds for executors whose tasks have processes of their own is checked where `isolates` is set.
"""

from __future__ import annotations

import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from modelwright.errors import ExecutionError, ObjectiveTransportError
from modelwright.execution import (
    Answer,
    Channel,
    End,
    Ended,
    EndKind,
    Event,
    Executor,
    Job,
    Limits,
    Resources,
    Started,
    Task,
)

__all__ = ["ExecutorContract", "ExecutorFactory", "drive", "echo", "run_one"]

ExecutorFactory = Callable[..., Executor]

_PATIENCE_S = 60.0  # far beyond what any of these takes: it only ends a test that would hang


def echo(job: Job, kind: str, payload: Any) -> Any:
    """Answer every question with itself."""
    return payload


def drive(executor: Executor, jobs: Sequence[Job], answer: Answer = echo) -> list[Event]:
    """Take events until `jobs` have ended; return the events."""
    events: list[Event] = []
    until = time.monotonic() + _PATIENCE_S
    while not all(job.done for job in jobs):
        assert time.monotonic() < until, f"still running: {[job.task.id for job in jobs if not job.done]}"
        events += executor.events(1.0, answer)
    return events


def run_one(executor: Executor, function: Callable[[Channel, Any], Any], *args: Any, **options: Any) -> End:
    """Run one task to its end; `args` is its argument, `options` those of `Task`."""
    job = executor.submit(Task("0-1", function, *args, **options))
    drive(executor, [job])
    assert job.end is not None
    return job.end


# Tasks: functions of a module, so that they reach every place that can import it. ---------------------


def _double(channel: Channel, argument: Any) -> Any:
    return argument * 2


def _give(channel: Channel, argument: Any) -> Any:
    return {"pair": (1, 2.5), "text": "ü", "nothing": None}


def _give_text(channel: Channel, size: int) -> str:
    return "x" * size


def _give_object(channel: Channel, argument: Any) -> Any:
    return {"fine": 1, "scores": [0.5, object()]}


def _give_nan(channel: Channel, argument: Any) -> Any:
    return float("nan")


class _OddError(ValueError):
    """An error of a module of its own."""


def _raise_odd(channel: Channel, argument: Any) -> Any:
    raise _OddError(f"cannot use {argument}")


def _raise_exit(channel: Channel, argument: Any) -> Any:
    sys.exit("enough")


def _raise_generator_exit(channel: Channel, argument: Any) -> Any:
    raise GeneratorExit


def _recurse(channel: Channel, argument: Any) -> Any:
    return _recurse(channel, argument) + 1


def _report(channel: Channel, count: int) -> str:
    for step in range(count):
        channel.send("report", {"step": step, "pair": (step, step)})
    return "done"


def _ask(channel: Channel, argument: Any) -> Any:
    return [channel.ask("question", item) for item in argument]


def _send_object(channel: Channel, argument: Any) -> Any:
    channel.send("report", object())


def _until_told(channel: Channel, argument: Any) -> Any:
    """Work until a message comes down; say so at each step."""
    for _ in range(int(_PATIENCE_S * 100)):
        channel.send("step", None)
        messages = channel.receive()
        if messages:
            return messages
        time.sleep(0.01)
    return "nobody told"


def _for_ever(channel: Channel, argument: Any) -> Any:
    while True:
        channel.send("step", None)
        time.sleep(0.01)


def _sleep(channel: Channel, seconds: float) -> Any:
    time.sleep(seconds)


def _compute(channel: Channel, argument: Any) -> Any:
    while True:
        pass


def _leave_a_file(channel: Channel, argument: Any) -> str:
    with tempfile.NamedTemporaryFile(delete=False) as file:
        return file.name


def _where(channel: Channel, argument: Any) -> Any:
    return [str(channel.folder), channel.resources.role, channel.resources.cpus, channel.resources.memory_mb]


def _print(channel: Channel, argument: Any) -> Any:
    print("to standard output: ü")
    print("to standard error", file=sys.stderr)


def _meet(channel: Channel, names: list[str]) -> Any:
    """Come to a meeting point and wait for the other."""
    mine, other = map(Path, names)
    mine.touch()
    until = time.monotonic() + _PATIENCE_S
    while not other.exists():
        if time.monotonic() > until:
            return "alone"
        time.sleep(0.005)
    return "met"


class ExecutorContract:
    """What every executor promises.

    Attributes
    ----------
    parallel : bool, default=True
        Whether its slots work at the same time.
    """

    parallel = True

    @pytest.fixture
    def executor_factory(self) -> ExecutorFactory:
        raise NotImplementedError("give the fixture `executor_factory` the class to be checked")

    @pytest.fixture
    def executor(self, executor_factory: ExecutorFactory) -> Iterator[Executor]:
        executor = executor_factory(slots=1, helper_slots=1)
        yield executor
        executor.close()

    # Ends ----------------------------------------------------------------------------------------------

    def test_a_result_comes_back_with_its_figures(self, executor: Executor) -> None:
        end = run_one(executor, _double, 21)
        assert (end.kind, end.result, end.error) == (EndKind.RESULT, 42, None)
        assert end.wall_s > 0

    def test_results_are_json_values_everywhere(self, executor: Executor) -> None:
        assert run_one(executor, _give).result == {"pair": [1, 2.5], "text": "ü", "nothing": None}

    def test_a_large_result_passes(self, executor: Executor) -> None:
        assert run_one(executor, _give_text, 8_000_000).result == "x" * 8_000_000

    def test_a_result_that_is_too_large_is_an_error_with_the_sizes(self, executor: Executor) -> None:
        end = run_one(executor, _give_text, 17_000_000)
        assert end.kind is EndKind.ERROR
        assert end.error is not None
        assert "17.0 MB" in end.error.message
        assert "16.8 MB" in end.error.message

    @pytest.mark.parametrize(
        ("function", "named"), [(_give_object, "object at ['scores'][1]"), (_give_nan, "it holds nan")]
    )
    def test_a_result_that_is_no_json_value_is_an_error_that_names_it(
        self, executor: Executor, function: Callable[[Channel, Any], Any], named: str
    ) -> None:
        end = run_one(executor, function)
        assert end.kind is EndKind.ERROR
        assert end.error is not None
        assert named in end.error.message

    def test_an_exception_comes_back_as_types_message_and_traceback(self, executor: Executor) -> None:
        end = run_one(executor, _raise_odd, "this")
        assert end.kind is EndKind.ERROR
        assert end.error is not None
        assert end.error.types[:2] == (f"{__name__}._OddError", "builtins.ValueError")
        assert end.error.message == "cannot use this"
        assert "_raise_odd" in end.error.traceback
        assert end.detail == f"{__name__}._OddError: cannot use this"

    @pytest.mark.parametrize(
        ("function", "name"),
        [(_raise_exit, "SystemExit"), (_raise_generator_exit, "GeneratorExit"), (_recurse, "RecursionError")],
    )
    def test_an_exception_of_any_kind_ends_the_task_only(
        self, executor: Executor, function: Callable[[Channel, Any], Any], name: str
    ) -> None:
        end = run_one(executor, function, None)
        assert end.kind is EndKind.ERROR
        assert end.error is not None
        assert end.error.types[0] == f"builtins.{name}"
        assert run_one(executor, _double, 1).result == 2

    # Events and messages -------------------------------------------------------------------------------

    def test_each_task_starts_once_and_ends_once_in_this_order(self, executor: Executor) -> None:
        jobs = [executor.submit(Task(f"{n}-1", _double, n)) for n in range(5)]
        events = drive(executor, jobs)
        for job in jobs:
            mine = [type(event) for event in events if event.job is job]
            assert mine == [Started, Ended]
        assert [event.job for event in events if isinstance(event, Started)] == jobs
        assert executor.events(0.0, echo) == []

    def test_messages_arrive_in_order_between_start_and_end(self, executor: Executor) -> None:
        seen: list[Any] = []
        started: list[Job] = []

        def answer(job: Job, kind: str, payload: Any) -> None:
            assert job in started, "a message before `Started` was returned"
            assert threading.current_thread() is threading.main_thread()
            seen.append((kind, payload))

        job = executor.submit(Task("0-1", _report, 200))
        while not job.done:
            for event in executor.events(1.0, answer):
                started += [event.job] if isinstance(event, Started) else []
                assert isinstance(event, Started) or len(seen) == 200, "`Ended` before the last message"
        assert seen == [("report", {"step": step, "pair": [step, step]}) for step in range(200)]

    def test_questions_are_answered(self, executor: Executor) -> None:
        job = executor.submit(Task("0-1", _ask, [1, "two", {"three": [3]}]))
        drive(executor, [job], lambda job, kind, payload: {kind: payload})
        assert job.end is not None
        assert job.end.result == [{"question": 1}, {"question": "two"}, {"question": {"three": [3]}}]

    def test_a_message_that_is_no_json_value_fails_in_the_task(self, executor: Executor) -> None:
        end = run_one(executor, _send_object)
        assert end.kind is EndKind.ERROR
        assert "the message 'report' must be a JSON value" in end.detail

    def test_a_message_goes_down_to_a_running_task(self, executor: Executor) -> None:
        def answer(job: Job, kind: str, payload: Any) -> None:
            if not sent:
                job.send("stop", {"why": (1, 2)})
                sent.append(job)

        sent: list[Job] = []
        job = executor.submit(Task("0-1", _until_told))
        drive(executor, [job], answer)
        assert job.end is not None
        assert job.end.result == [["stop", {"why": [1, 2]}]]
        job.send("stop", None)  # harmless now

    def test_a_message_to_a_waiting_task_is_kept(self, executor: Executor) -> None:
        first = executor.submit(Task("0-1", _double, 1))
        second = executor.submit(Task("1-1", _until_told))
        second.send("stop", "early")
        drive(executor, [first, second])
        assert second.end is not None
        assert second.end.result == [["stop", "early"]]

    def test_what_answer_raises_leaves_events(self, executor: Executor) -> None:
        def answer(job: Job, kind: str, payload: Any) -> None:
            raise LookupError("the ledger is gone")

        job = executor.submit(Task("0-1", _for_ever, limits=Limits(grace_s=0.1)))
        with pytest.raises(LookupError, match="the ledger is gone"):
            drive(executor, [job], answer)

    # Cancelling ----------------------------------------------------------------------------------------

    def test_a_running_task_is_cancelled(self, executor: Executor) -> None:
        def answer(job: Job, kind: str, payload: Any) -> None:
            job.cancel("the deadline of the run")
            job.cancel("a second time")

        job = executor.submit(Task("0-1", _for_ever, limits=Limits(grace_s=5)))
        events = drive(executor, [job], answer)
        assert [type(event) for event in events] == [Started, Ended]
        assert job.end is not None
        assert job.end.kind is EndKind.CANCELLED
        assert "the deadline of the run" in job.end.detail
        assert run_one(executor, _double, 1).result == 2

    def test_a_waiting_task_is_cancelled_without_a_start(self, executor: Executor) -> None:
        jobs = [executor.submit(Task(f"{n}-1", _double, n)) for n in range(3)]
        jobs[2].cancel("not needed")
        events = drive(executor, jobs)
        assert [type(event) for event in events if event.job is jobs[2]] == [Ended]
        assert jobs[2].end is not None
        assert (jobs[2].end.kind, jobs[2].end.detail) == (EndKind.CANCELLED, "not needed")

    def test_cancelling_what_has_ended_changes_nothing(self, executor: Executor) -> None:
        job = executor.submit(Task("0-1", _double, 1))
        drive(executor, [job])
        end = job.end
        job.cancel("too late")
        assert job.end is end
        assert executor.events(0.0, echo) == []

    def test_closing_cancels_what_runs_and_what_waits(self, executor_factory: ExecutorFactory) -> None:
        executor = executor_factory(slots=1)
        jobs = [executor.submit(Task(f"{n}-1", _for_ever, limits=Limits(grace_s=5))) for n in range(2)]
        executor.events(_PATIENCE_S, echo)
        executor.close()
        assert [job.end.kind for job in jobs if job.end is not None] == [EndKind.CANCELLED] * 2
        executor.close()
        with pytest.raises(ExecutionError, match="an executor that is closed"):
            executor.submit(Task("9-1", _double, 1))

    # Slots ---------------------------------------------------------------------------------------------

    def test_the_channel_knows_the_slot_and_the_folder(
        self, executor_factory: ExecutorFactory, tmp_path: Path
    ) -> None:
        executor = executor_factory(slots=[Resources(memory_mb=4000)], helper_slots=1)
        assert [slot.role for slot in executor.slots()] == ["trial", "helper"]
        trial = run_one(executor, _where, folder=tmp_path / "0-1")
        helper = run_one(executor, _where, folder=tmp_path / "0-1", role="helper")
        executor.close()
        assert trial.result == [str(tmp_path / "0-1"), "trial", 1, 4000]
        assert helper.result == [str(tmp_path / "0-1"), "helper", 1, None]

    def test_a_role_that_no_slot_has_is_refused_at_once(self, executor: Executor) -> None:
        with pytest.raises(ExecutionError, match=r"'referee'.*there are only 'helper', 'trial'"):
            executor.submit(Task("0-1", _double, 1, role="referee"))

    def test_slots_work_side_by_side(self, executor_factory: ExecutorFactory, tmp_path: Path) -> None:
        if not self.parallel:
            pytest.skip("runs one task at a time")
        executor = executor_factory(slots=1, helper_slots=1)
        names = [str(tmp_path / "a"), str(tmp_path / "b")]
        jobs = [
            executor.submit(Task("0-1", _meet, names)),
            executor.submit(Task("1-1", _meet, names[::-1], role="helper")),
        ]
        drive(executor, jobs)
        executor.close()
        assert [job.end.result for job in jobs if job.end is not None] == ["met", "met"]

    def test_no_slots_at_all_is_refused(self, executor_factory: ExecutorFactory) -> None:
        with pytest.raises(ExecutionError, match="at least one slot"):
            executor_factory(slots=0)

    def test_waking_ends_a_wait(self, executor: Executor) -> None:
        timer = threading.Timer(0.05, executor.wake)
        timer.start()
        begin = time.monotonic()
        assert executor.events(_PATIENCE_S, echo) == []
        assert time.monotonic() - begin < _PATIENCE_S
        timer.join()
        executor.wake()
        assert executor.events(_PATIENCE_S, echo) == []
        assert time.monotonic() - begin < _PATIENCE_S

    # Isolation -----------------------------------------------------------------------------------------

    def test_a_wall_time_limit_ends_the_task(self, executor: Executor) -> None:
        if not executor.isolates:
            pytest.skip("keeps no limits")
        end = run_one(executor, _sleep, _PATIENCE_S, limits=Limits(wall_s=0.2))
        assert end.kind is EndKind.TIMEOUT
        assert re.fullmatch(r"\d+\.\d s of 0\.2 s", end.detail)
        assert run_one(executor, _double, 1).result == 2

    def test_a_limit_of_computing_time_ends_the_task(self, executor: Executor) -> None:
        if not executor.isolates:
            pytest.skip("keeps no limits")
        end = run_one(executor, _compute, limits=Limits(cpu_s=0.3, grace_s=0.2))
        assert end.kind is EndKind.CPU
        assert re.fullmatch(r"cpu: \d+\.\d s of 0\.3 s at [\d.]+ s", end.detail)
        assert run_one(executor, _double, 1).result == 2

    def test_temporary_files_go_with_their_task(self, executor: Executor) -> None:
        if not executor.isolates:
            pytest.skip("shares the folder for temporary files")
        assert not Path(run_one(executor, _leave_a_file).result).exists()

    def test_output_goes_to_files_in_the_folder(self, executor: Executor, tmp_path: Path) -> None:
        if not executor.isolates:
            pytest.skip("shares standard output")
        run_one(executor, _print, folder=tmp_path / "new" / "0-1")
        folder = tmp_path / "new" / "0-1"
        assert (folder / "stdout.txt").read_text(encoding="utf-8") == "to standard output: ü\n"
        assert (folder / "stderr.txt").read_text(encoding="utf-8") == "to standard error\n"

    def test_a_function_that_cannot_travel_is_refused_with_its_reason(self, executor: Executor) -> None:
        if not executor.isolates:
            pytest.skip("shares this process")
        lock = threading.Lock()
        with pytest.raises(ObjectiveTransportError, match=r"'lock' \(of type lock\).*executor=\"thread\""):
            executor.submit(Task("0-1", lambda channel, argument: lock.locked()))
        with pytest.raises(ObjectiveTransportError, match=r"argument of task '0-1'.*the item 'held'"):
            executor.submit(Task("0-1", _double, {"held": lock}))
