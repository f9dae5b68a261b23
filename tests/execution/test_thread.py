"""The thread executor: its contract, and what is its own."""

from __future__ import annotations

import threading

import pytest

from modelwright.execution import EndKind, Limits, Task, ThreadExecutor
from modelwright.testing.executors import ExecutorContract, ExecutorFactory, drive, run_one


class TestThreadExecutor(ExecutorContract):
    @pytest.fixture
    def executor_factory(self) -> ExecutorFactory:
        return ThreadExecutor


@pytest.fixture
def threads():
    executor = ThreadExecutor(1)
    yield executor
    executor.close()


def test_tasks_share_this_process_but_not_this_thread(threads):
    seen = []
    assert run_one(threads, lambda channel, argument: seen.append(threading.current_thread())).result is None
    assert seen[0] is not threading.current_thread()
    assert seen[0].daemon


def test_a_thread_that_does_not_stop_is_left_behind_and_its_slot_is_used_again(threads):
    release = threading.Event()
    begun = threading.Event()
    heard = []

    def deaf(channel, argument):
        begun.set()
        release.wait(60)
        channel.send("too late", None)

    job = threads.submit(Task("0-1", deaf, limits=Limits(grace_s=0.05)))
    threads.events(1.0, lambda *message: heard.append(message))
    assert begun.wait(60)
    job.cancel("enough")
    drive(threads, [job])
    assert job.end.kind is EndKind.CANCELLED
    assert job.end.detail == "enough; its thread did not stop within 0.05 s and was left behind"
    assert run_one(threads, lambda channel, argument: "next").result == "next"
    release.set()
    job.thread.join(60)
    threads.events(0.0, lambda *message: heard.append(message))
    assert heard == []


def test_a_task_that_waits_for_an_answer_is_cancelled(threads):
    def answer(job, kind, payload):
        job.cancel("no answer for you")

    def asks(channel, argument):
        return [channel.ask("question", None), channel.ask("question", None)]

    job = threads.submit(Task("0-1", asks))
    drive(threads, [job], answer)
    assert (job.end.kind, job.end.detail) == (EndKind.CANCELLED, "no answer for you")


def test_threads_of_one_task_may_ask_side_by_side(threads):
    def asks(channel, argument):
        answers = {}

        def ask(number):
            answers[number] = channel.ask("question", number)

        helpers = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
        for helper in helpers:
            helper.start()
        for helper in helpers:
            helper.join()
        return [answers[number] for number in range(8)]

    assert run_one(threads, asks).result == list(range(8))
