"""The simulated executor: its contract, and what is its own."""

from __future__ import annotations

import math
import threading
from functools import partial

import pytest

from modelwright.errors import InputError
from modelwright.execution import Ended, EndKind, Limits, Resources, Started, Task
from modelwright.execution.simulated import Preemptions, SimulatedExecutor, Stragglers, sleep
from modelwright.testing.executors import ExecutorContract, ExecutorFactory, drive, echo, run_one


class TestTasksThatTellTheirTime(ExecutorContract):
    parallel = False  # side by side in simulated time, which files do not know of

    @pytest.fixture
    def executor_factory(self) -> ExecutorFactory:
        return SimulatedExecutor


class TestTasksOfGivenDuration(ExecutorContract):
    parallel = False

    @pytest.fixture
    def executor_factory(self) -> ExecutorFactory:
        return partial(SimulatedExecutor, duration=60.0)


def steps(channel, argument):
    """Report and ask every `argument` seconds until the answer is no."""
    step = 0
    while channel.ask("go on", step):
        sleep(argument)
        step += 1
    return step


def test_a_task_is_called_at_the_end_of_its_duration():
    called = []
    executor = SimulatedExecutor(duration=lambda argument, rng: argument)
    job = executor.submit(Task("0-1", lambda channel, argument: called.append(executor.clock()), 90.0))
    assert [type(event) for event in executor.events(1e9, echo)] == [Started]
    assert (called, executor.clock()) == ([], 0.0)
    assert executor.events(60.0, echo) == []
    assert (called, executor.clock()) == ([], 60.0)
    assert [type(event) for event in executor.events(60.0, echo)] == [Ended]
    assert called == [90.0]
    assert job.end.wall_s == 90.0


def test_slots_work_side_by_side_in_simulated_time():
    executor = SimulatedExecutor(slots=3, duration=100.0)
    jobs = [executor.submit(Task(f"{n}-1", lambda channel, n: n, n)) for n in range(7)]
    drive_far(executor, jobs)
    assert executor.clock() == 300.0  # three, three and one
    assert {job.slot for job in jobs} == {0, 1, 2}


def drive_far(executor, jobs, answer=echo):
    events = []
    while not all(job.done for job in jobs):
        events += executor.events(math.inf, answer)
    return events


def test_tasks_that_sleep_take_turns_by_their_moments():
    heard = []

    def answer(job, kind, payload):
        heard.append((round(executor.clock(), 2), job.task.argument, payload))
        return payload < 3

    executor = SimulatedExecutor(slots=2)
    jobs = [executor.submit(Task(f"{n}-1", steps, seconds)) for n, seconds in enumerate((10, 25))]
    drive_far(executor, jobs, answer)
    assert [moment for moment, *_ in heard] == sorted(moment for moment, *_ in heard)
    assert [(seconds, step) for _, seconds, step in heard] == [
        *[(10, 0), (25, 0), (10, 1), (10, 2), (25, 1), (10, 3), (25, 2), (25, 3)]
    ]
    assert [job.end.wall_s for job in jobs] == pytest.approx([30.02, 75.02])
    executor.close()


def test_sleeping_ends_at_the_time_limit_and_the_task_is_left():
    left = threading.Event()

    def long(channel, argument):
        try:
            sleep(3600)
        finally:
            left.set()

    executor = SimulatedExecutor()
    end = run_one(executor, long, limits=Limits(wall_s=600))
    assert (end.kind, end.detail, end.wall_s) == (EndKind.TIMEOUT, "600.0 s of 600.0 s", 600.0)
    assert left.is_set()
    assert run_one(executor, lambda channel, argument: "next").result == "next"
    executor.close()


def test_the_time_limit_holds_for_given_durations():
    executor = SimulatedExecutor(duration=90)
    assert run_one(executor, echo_task, 1, limits=Limits(wall_s=90)).kind is EndKind.RESULT
    assert run_one(executor, echo_task, 1, limits=Limits(wall_s=89)).kind is EndKind.TIMEOUT


def echo_task(channel, argument):
    return argument


def test_a_sleeping_task_is_cancelled_where_it_sleeps():
    executor = SimulatedExecutor()
    job = executor.submit(Task("0-1", steps, 3600))
    for _ in range(2):
        executor.events(100, lambda *_: True)
    job.cancel("the deadline")
    assert [type(event) for event in executor.events(0, echo)] == [Ended]
    assert (job.end.kind, job.end.detail, job.end.wall_s) == (EndKind.CANCELLED, "the deadline", 100.0)
    executor.close()


def test_a_task_that_will_not_leave_is_left_behind():
    def stubborn(channel, argument):
        while True:
            try:
                sleep(10)
            except BaseException:
                continue

    executor = SimulatedExecutor()
    job = executor.submit(Task("0-1", stubborn))
    for _ in range(2):
        executor.events(25, echo)
    job.cancel("enough")
    drive(executor, [job])
    assert job.end.kind is EndKind.CANCELLED
    assert run_one(executor, echo_task, 5).result == 5
    executor.close()


def test_a_task_of_given_duration_cannot_sleep():
    end = run_one(SimulatedExecutor(duration=60), lambda channel, argument: sleep(1))
    assert end.kind is EndKind.ERROR
    assert "cannot sleep" in end.error.message


def test_sleeping_outside_of_a_simulation_takes_real_time(monkeypatch):
    slept = []
    monkeypatch.setattr("modelwright.execution.simulated.stage.time.sleep", slept.append)
    sleep(3)
    assert slept == [3]
    with pytest.raises(InputError, match="at least 0"):
        sleep(-1)


def test_many_sleeping_tasks_use_their_threads_again():
    before = set(threading.enumerate())
    executor = SimulatedExecutor(slots=50)
    jobs = [executor.submit(Task(f"{n}-1", steps, 10)) for n in range(500)]
    seen = set()

    def answer(job, kind, payload):
        seen.update(threading.enumerate())
        return payload < 2

    drive_far(executor, jobs, answer)
    assert len(seen - before) == 50
    executor.close()
    for thread in seen - before:
        thread.join(60)
        assert not thread.is_alive()


def test_failures_come_at_their_rate_and_moment():
    executor = SimulatedExecutor(
        slots=1000, duration=3600.0, failures={"error": 0.2, "memory": 0.1, "lost": 0.05}, seed=5
    )
    jobs = [executor.submit(Task(f"{n}-1", echo_task, n)) for n in range(4000)]
    drive_far(executor, jobs)
    ends = [job.end for job in jobs]
    failed = [end for end in ends if end.kind is not EndKind.RESULT]
    # One in an hour fails with probability 1 - exp(-0.35) = 0.295, +- 5 standard deviations of 0.0072.
    assert len(failed) / 4000 == pytest.approx(0.295, abs=0.036)
    errors = sum(end.kind is EndKind.ERROR for end in failed)
    assert errors / len(failed) == pytest.approx(0.2 / 0.35, abs=0.073)
    assert {end.kind for end in failed} == {EndKind.ERROR, EndKind.MEMORY, EndKind.LOST}
    assert all(end.wall_s < 3600 for end in failed)


def test_stragglers_stretch_durations_and_sleeps():
    slow = Stragglers(1.0, factor=4.0)
    assert run_one(SimulatedExecutor(duration=10, stragglers=slow), echo_task, 1).wall_s == 40.0
    executor = SimulatedExecutor(stragglers=slow)
    job = executor.submit(Task("0-1", steps, 10))
    drive_far(executor, [job], lambda job, kind, payload: payload < 1)
    assert job.end.wall_s == pytest.approx(40.02)
    executor.close()


def test_a_slot_that_is_taken_away_comes_back():
    executor = SimulatedExecutor(duration=1e6, preemptions=Preemptions(3600.0, away_s=500.0))
    first, second = (executor.submit(Task(f"{n}-1", echo_task, n)) for n in range(2))
    drive_far(executor, [first])
    assert first.end.kind is EndKind.LOST
    gone = executor.clock()
    drive_far(executor, [second])
    began = executor.clock() - second.end.wall_s
    assert began == pytest.approx(gone + 500.0)


def test_helpers_have_no_bad_luck():
    executor = SimulatedExecutor(1, helper_slots=1, duration=1e6, failures={"exit": 1e6})
    job = executor.submit(Task("h-1", echo_task, 7, role="helper"))
    drive_far(executor, [job])
    assert job.end.result == 7
    assert job.end.wall_s < 1


def test_chance_depends_on_the_seed_and_the_task_alone():
    def ends(seed, order):
        executor = SimulatedExecutor(
            slots=[Resources()] * 4,
            duration=lambda argument, rng: rng.uniform(1, 3600),
            failures={"error": 0.5},
            stragglers=Stragglers(0.1),
            seed=seed,
        )
        jobs = {n: executor.submit(Task(f"{n}-1", echo_task, n)) for n in order}
        drive_far(executor, list(jobs.values()))
        return {n: (job.end.kind, round(job.end.wall_s, 4)) for n, job in jobs.items()}

    forwards = ends(1, range(100))
    assert forwards == ends(1, reversed(range(100)))
    assert forwards != ends(2, range(100))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"duration": -1.0}, "mean_s"),
        ({"failures": {"fire": 1.0}}, "error, memory, exit, signal, lost"),
        ({"failures": {"error": -1.0}}, r"failures\['error'\]"),
    ],
)
def test_what_makes_no_sense_is_refused(options, says):
    with pytest.raises(InputError, match=says):
        SimulatedExecutor(**options)


def test_a_duration_that_is_no_time_leaves_events():
    executor = SimulatedExecutor(duration=lambda argument, rng: float("nan"))
    executor.submit(Task("0-1", echo_task, 1))
    with pytest.raises(InputError, match="the duration of a task"):
        executor.events(1, echo)
