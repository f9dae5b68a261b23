"""The inline executor: its contract, and what is its own."""

from __future__ import annotations

import threading

import pytest

from modelwright.execution import EndKind, InlineExecutor, Started, Task
from modelwright.testing.executors import ExecutorContract, ExecutorFactory, echo, run_one


class TestInlineExecutor(ExecutorContract):
    parallel = False

    @pytest.fixture
    def executor_factory(self) -> ExecutorFactory:
        return InlineExecutor


@pytest.fixture
def inline():
    executor = InlineExecutor()
    yield executor
    executor.close()


def test_tasks_run_in_the_calling_thread_and_share_its_state(inline):
    seen = []
    end = run_one(inline, lambda channel, argument: seen.append(threading.current_thread()))
    assert end.kind is EndKind.RESULT
    assert seen == [threading.current_thread()]


def test_ctrl_c_leaves_events_and_the_job_is_cancelled(inline):
    def interrupted(channel, argument):
        raise KeyboardInterrupt

    job = inline.submit(Task("0-1", interrupted))
    assert isinstance(inline.events(1.0, echo)[0], Started)
    with pytest.raises(KeyboardInterrupt):
        inline.events(1.0, echo)
    assert job.end.kind is EndKind.CANCELLED
    assert [event.job for event in inline.events(0.0, echo)] == [job]


def test_a_task_that_swallows_the_cancellation_is_still_cancelled(inline):
    def stubborn(channel, argument):
        try:
            channel.send("step", None)
            channel.send("step", None)
        except BaseException:
            return "went on"

    job = inline.submit(Task("0-1", stubborn))
    while not job.done:
        inline.events(1.0, lambda job, kind, payload: job.cancel("enough"))
    assert (job.end.kind, job.end.detail) == (EndKind.CANCELLED, "enough")
