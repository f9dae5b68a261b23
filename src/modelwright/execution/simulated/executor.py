"""The executor whose tasks run in simulated time."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

from modelwright.execution._common import CANCEL, TaskCancelled, call, check_task, make_slots, plain
from modelwright.execution.base import Answer, End, Ended, EndKind, Event, Job, Resources, Started, Task
from modelwright.execution.simulated.clock import SimulatedClock
from modelwright.execution.simulated.fate import Chances, Duration, Fate, Preemptions, Stragglers
from modelwright.execution.simulated.stage import Said, Stage, awake

__all__ = ["SimulatedExecutor"]

_STARTUP_S = 0.02  # before a task that tells its time itself: nothing happens in no time at all
_INTERRUPTED = End(EndKind.CANCELLED, detail="interrupted from the keyboard")
_HELPER = Fate(None, 1.0, math.inf, End(EndKind.LOST), 0.0)


@dataclass(slots=True, eq=False)
class _SimulatedJob(Job):
    """A job, and where it is in its own time."""

    ending: deque[_SimulatedJob] = field(default_factory=deque)  # of the executor: those to be ended next
    inbox: deque[tuple[str, Any]] = field(default_factory=deque)
    cancelled: str | None = None
    fate: Fate = _HELPER
    began_s: float = 0.0
    time_s: float = 0.0
    ends_s: float = math.inf  # when its fate or its limit ends it
    stage: Stage | None = None

    def cancel(self, why: str) -> None:
        if not self.done and self.cancelled is None:
            self.cancelled = why
            self.inbox.append((CANCEL, why))
            self.ending.append(self)

    def send(self, kind: str, payload: Any) -> None:
        if not self.done:
            self.inbox.append((kind, plain(payload, f"the message {kind!r}")))


class _Channel:
    """A task's line: to its stage, or straight to whoever answers."""

    def __init__(self, job: _SimulatedJob, resources: Resources, answer: Answer | None) -> None:
        self.folder: Path | None = job.task.folder
        self.resources = resources
        self.failure: BaseException | None = None
        self._job = job
        self._answer = answer

    def send(self, kind: str, payload: Any) -> None:
        self._say(kind, payload, asks=False)

    def ask(self, kind: str, payload: Any) -> Any:
        return self._say(kind, payload, asks=True)

    def receive(self) -> list[tuple[str, Any]]:
        inbox = self._job.inbox
        return [inbox.popleft() for _ in range(len(inbox))]

    def _say(self, kind: str, payload: Any, asks: bool) -> Any:
        if self._job.cancelled is not None:
            raise TaskCancelled(self._job.cancelled)
        value = plain(payload, f"the message {kind!r}")
        if self._answer is None:
            assert self._job.stage is not None
            return self._job.stage.post(Said(kind, value, asks))
        try:
            reply = self._answer(self._job, kind, value)
        except BaseException as failure:
            # The coordinator's failure is not the task's: it passes through the task and out of `events`.
            self.failure = failure
            raise TaskCancelled(str(failure)) from failure
        return plain(reply, f"the answer to {kind!r}") if asks else None


class SimulatedExecutor:
    """Runs tasks in simulated time, thousands side by side, one real call at a time.

    `events` moves the clock to the next thing that happens instead of waiting for it. How long a task takes
    is told in one of two ways. With `duration`, its function is called at the end of that time, in the
    calling thread. Without, it is called at the start and says itself where time passes, by
    `modelwright.execution.simulated.sleep`; it has a thread while it sleeps, and what it reports and asks in
    between happens at that moment.

    Limits of time are kept in simulated time, those of memory are not. Equal seeds give equal runs, on any
    machine and at any speed, if the functions do the same.

    Parameters
    ----------
    slots : int or sequence of Resources, default=1
        What is offered.
    helper_slots : int, default=0
        Slots of role ``"helper"`` besides. What is drawn below is drawn for the others only.
    preload : sequence of str, optional
        Taken so that executors are made alike.
    clock : SimulatedClock, optional
        The time that it lives in; a clock of its own by default.
    duration : float, Distribution or callable, optional
        Seconds that a task takes; a callable gets the task's argument, which for trials has ``"params"``,
        and a `random.Random` of the task's own.
    failures : mapping of str to float, optional
        How often in an hour of a slot's work a task ends by ``"error"``, ``"memory"``, ``"exit"``,
        ``"signal"`` or ``"lost"``.
    stragglers : Stragglers, optional
        Which tasks take many times as long.
    preemptions : Preemptions, optional
        How often a slot is taken away, and its task is lost.
    seed : int, default=0
        All chance derives from it and from the tasks' ids.

    Attributes
    ----------
    clock : SimulatedClock
        What `Study.run` takes its own time from, too.

    Examples
    --------
    >>> from modelwright.execution import Task
    >>> executor = SimulatedExecutor(slots=10_000, duration=lambda argument, rng: 60 * argument)
    >>> jobs = [executor.submit(Task(f"{n}-1", lambda channel, argument: argument, n)) for n in range(1, 61)]
    >>> while not all(job.done for job in jobs):
    ...     _ = executor.events(1e9, print)
    >>> executor.clock() / 60, jobs[6].end.result, jobs[6].end.wall_s
    (60.0, 7, 420.0)
    >>> executor.close()
    """

    isolates = False

    def __init__(
        self,
        slots: int | Sequence[Resources] = 1,
        *,
        helper_slots: int = 0,
        preload: Sequence[str] = (),
        clock: SimulatedClock | None = None,
        duration: Duration | float | None = None,
        failures: Mapping[str, float] | None = None,
        stragglers: Stragglers | None = None,
        preemptions: Preemptions | None = None,
        seed: int = 0,
    ) -> None:
        self.clock = clock or SimulatedClock()
        self._slots = make_slots(slots, helper_slots)
        self._chances = Chances(duration, failures or {}, stragglers, preemptions, seed)
        self._free: dict[str, list[int]] = {}
        for number, slot in enumerate(self._slots):
            self._free.setdefault(slot.role, []).append(number)  # ascending, so a heap
        self._waiting: dict[str, deque[_SimulatedJob]] = {role: deque() for role in self._free}
        self._running: dict[_SimulatedJob, None] = {}
        # What comes: (moment, order, job that goes on or number of a slot that is back).
        self._coming: list[tuple[float, int, _SimulatedJob | int]] = []
        self._order = count()
        self._ending: deque[_SimulatedJob] = deque()
        self._events: list[Event] = []
        self._stages: list[Stage] = []  # without a task
        self._woken = False
        self._closed = False

    def slots(self) -> Sequence[Resources]:
        """Return what each slot offers."""
        return self._slots

    def submit(self, task: Task) -> Job:
        """Take a task; it starts when a slot of its role is free."""
        check_task(task, self._slots, closed=self._closed)
        job = _SimulatedJob(task, ending=self._ending)
        self._waiting[task.role].append(job)
        return job

    def events(self, timeout_s: float, answer: Answer) -> list[Event]:
        """Return what has happened, after moving the clock by up to `timeout_s` until something does."""
        until_s = self.clock() + timeout_s
        while True:
            self._end_cancelled()
            self._fill_slots()
            if self._events or self._woken:
                break
            if not self._coming or self._coming[0][0] > until_s:
                if until_s < math.inf:
                    self.clock.advance_to(until_s)
                break
            moment_s, _, what = heapq.heappop(self._coming)
            self.clock.advance_to(moment_s)
            self._happens(moment_s, what, answer)
        self._woken = False
        events, self._events = self._events, []
        return events

    def wake(self) -> None:
        """Make a running or the next `events` return early."""
        self._woken = True

    def close(self) -> None:
        """Cancel what has not ended."""
        self._closed = True
        for job in [*self._running, *(job for waiting in self._waiting.values() for job in waiting)]:
            job.cancel("the executor was closed")
        self._end_cancelled()
        self._events.clear()
        for stage in self._stages:
            stage.close()
        self._stages.clear()

    # time --------------------------------------------------------------------------------------------

    def _fill_slots(self) -> None:
        for role, waiting in self._waiting.items():
            free = self._free[role]
            while waiting and free:
                job = waiting.popleft()
                if not job.done:
                    self._start(job, heapq.heappop(free))

    def _start(self, job: _SimulatedJob, slot: int) -> None:
        job.slot = slot
        job.began_s = job.time_s = self.clock()
        if job.task.role != "helper":
            job.fate = self._chances.of(job.task.id, job.task.argument)
        limit_s = job.task.limits.wall_s
        job.ends_s = job.began_s + min(job.fate.ends_s, math.inf if limit_s is None else limit_s)
        self._running[job] = None
        self._events.append(Started(job))
        self._go_on_after(job, _STARTUP_S if job.fate.takes_s is None else job.fate.takes_s)

    def _go_on_after(self, job: _SimulatedJob, seconds: float) -> None:
        """Let the job go on, or end before that by its fate or its limit."""
        job.time_s += seconds
        heapq.heappush(self._coming, (min(job.time_s, job.ends_s), next(self._order), job))

    def _happens(self, moment_s: float, what: _SimulatedJob | int, answer: Answer) -> None:
        if isinstance(what, int):
            heapq.heappush(self._free[self._slots[what].role], what)
        elif what.done:
            pass  # it was cancelled meanwhile
        elif what.time_s > what.ends_s:
            what.time_s = what.ends_s
            self._break_off(what, self._untimely(what))
        elif what.fate.takes_s is None:
            self._play(what, answer)
        else:
            self._call(what, answer)

    def _untimely(self, job: _SimulatedJob) -> End:
        """Return the end of a job that its limit or its fate ends."""
        limit_s, took_s = job.task.limits.wall_s, job.ends_s - job.began_s
        if limit_s is not None and limit_s <= job.fate.ends_s:
            return End(EndKind.TIMEOUT, detail=f"{took_s:.1f} s of {limit_s:.1f} s")
        return job.fate.end

    # calls -------------------------------------------------------------------------------------------

    def _call(self, job: _SimulatedJob, answer: Answer) -> None:
        """Call the function of a job whose time is over, in this thread."""
        assert job.slot is not None
        channel = _Channel(job, self._slots[job.slot], answer)
        end = _INTERRUPTED
        try:
            with awake():
                end = call(job.task, channel, passing=(TaskCancelled, KeyboardInterrupt))
        except TaskCancelled as reason:
            end = End(EndKind.CANCELLED, detail=str(reason))
        finally:
            self._end(job, end)
        if channel.failure is not None:
            raise channel.failure

    def _play(self, job: _SimulatedJob, answer: Answer) -> None:
        """Let the function of a job run on its stage until it sleeps or ends."""
        assert job.slot is not None
        try:
            if job.stage is None:
                job.stage = self._stages.pop() if self._stages else Stage()
                step = job.stage.play(job.task, _Channel(job, self._slots[job.slot], None))
            else:
                step = job.stage.go_on()
            while isinstance(step, Said):
                step = job.stage.go_on(self._reply(job, step, answer))
        except BaseException as failure:
            if isinstance(failure, KeyboardInterrupt):
                job.stage = None  # its thread may be anywhere, and is left behind
            self._break_off(job, End(EndKind.CANCELLED, detail=f"the coordinator failed: {failure}"))
            raise
        if isinstance(step, End):
            self._stages.append(job.stage)
            job.stage = None
            self._end(job, step)
        else:
            self._go_on_after(job, round(step.seconds * job.fate.stretch, 6))

    def _reply(self, job: _SimulatedJob, said: Said, answer: Answer) -> Any:
        reply = answer(job, said.kind, said.payload)
        if not said.asks:
            return None
        job.time_s = max(job.time_s, self.clock())  # whoever asks has waited for the answer
        return plain(reply, f"the answer to {said.kind!r}")

    # ends --------------------------------------------------------------------------------------------

    def _end_cancelled(self) -> None:
        while self._ending:
            job = self._ending.popleft()
            if not job.done:
                job.time_s = max(job.began_s, self.clock())
                self._break_off(job, End(EndKind.CANCELLED, detail=job.cancelled or ""))

    def _break_off(self, job: _SimulatedJob, end: End) -> None:
        """End a job that has not come to its own end."""
        if job.stage is not None:
            if job.cancelled is None:
                job.cancelled = end.detail  # whatever it says from now on is not heard
            if job.stage.leave(end.detail):
                self._stages.append(job.stage)
            job.stage = None
        self._end(job, end)

    def _end(self, job: _SimulatedJob, end: End) -> None:
        if job.cancelled is not None and end.kind is EndKind.RESULT:
            end = End(EndKind.CANCELLED, detail=job.cancelled)
        started = job in self._running
        job.end = replace(end, wall_s=round(job.time_s - job.began_s, 6) if started else 0.0)
        self._events.append(Ended(job))
        if not started:
            return
        del self._running[job]
        assert job.slot is not None
        away_s = job.fate.away_s if end is job.fate.end else 0.0
        back_s = job.time_s + away_s
        if back_s > self.clock():
            heapq.heappush(self._coming, (back_s, next(self._order), job.slot))
        else:
            heapq.heappush(self._free[self._slots[job.slot].role], job.slot)
