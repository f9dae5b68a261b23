"""Tasks in threads of this process: for objectives that share state, and where processes cannot be used."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from modelwright.execution._common import CANCEL, TaskCancelled, call, check_task, make_slots, plain
from modelwright.execution._waker import Waker
from modelwright.execution.base import Answer, End, Ended, EndKind, Event, Job, Resources, Started, Task

__all__ = ["ThreadExecutor"]


@dataclass(slots=True, eq=False)
class _ThreadJob(Job):
    """A job and what its thread and the coordinator share."""

    inbox: deque[tuple[str, Any]] = field(default_factory=deque)
    replies: SimpleQueue[Any] = field(default_factory=SimpleQueue)
    cancelled: str | None = None
    abandon_at: float | None = None  # when its slot is given away if its thread is still busy
    began: float = 0.0
    thread: threading.Thread | None = None

    def cancel(self, why: str) -> None:
        if not self.done and self.cancelled is None:
            self.cancelled = why
            self.abandon_at = time.monotonic() + self.task.limits.grace_s
            self.inbox.append((CANCEL, why))
            self.replies.put(TaskCancelled(why))  # for a thread that waits for an answer

    def send(self, kind: str, payload: Any) -> None:
        if not self.done:
            self.inbox.append((kind, plain(payload, f"the message {kind!r}")))


@dataclass(frozen=True, slots=True)
class _Message:
    """What a thread has put down for the coordinator."""

    job: _ThreadJob
    kind: str
    payload: Any
    wants_reply: bool


class _ThreadChannel:
    """Puts messages down for the coordinator and waits for its replies."""

    def __init__(self, job: _ThreadJob, resources: Resources, deliver: Callable[[_Message], None]) -> None:
        self.folder: Path | None = job.task.folder
        self.resources = resources
        self._job = job
        self._deliver = deliver
        self._asking = threading.Lock()

    def send(self, kind: str, payload: Any) -> None:
        self._put(kind, payload, wants_reply=False)

    def ask(self, kind: str, payload: Any) -> Any:
        with self._asking:  # threads of the task take turns
            self._put(kind, payload, wants_reply=True)
            reply = self._job.replies.get()
        if isinstance(reply, TaskCancelled):
            self._job.replies.put(reply)  # for the next who asks
            raise reply
        return reply

    def receive(self) -> list[tuple[str, Any]]:
        inbox = self._job.inbox
        return [inbox.popleft() for _ in range(len(inbox))]

    def _put(self, kind: str, payload: Any, wants_reply: bool) -> None:
        if self._job.cancelled is not None:
            raise TaskCancelled(self._job.cancelled)
        value = plain(payload, f"the message {kind!r}")
        self._deliver(_Message(self._job, kind, value, wants_reply))


class ThreadExecutor:
    """Runs each task in a daemon thread of this process.

    Limits of time and memory cannot be kept, and standard output is shared. A cancelled task receives the
    message ``"cancel"`` and ends at its next ``channel.send`` or ``channel.ask``; one that does neither
    within its grace is left behind: its job ends, its slot is given to the next task, and its thread runs
    on, unheard, until it returns or the process ends.

    Parameters
    ----------
    slots : int or sequence of Resources, default=1
        What each thread offers.
    helper_slots : int, default=0
        Slots of role ``"helper"`` besides.
    preload : sequence of str, optional
        Taken so that executors are made alike; here tasks find imported what this process has imported.

    Examples
    --------
    >>> from modelwright.execution import Ended, Task, ThreadExecutor
    >>> executor = ThreadExecutor(2)
    >>> jobs = [executor.submit(Task(f"{n}-1", lambda channel, n: n * n, n)) for n in (2, 3)]
    >>> ended = []
    >>> while len(ended) < 2:
    ...     ended += [event.job for event in executor.events(1.0, print) if isinstance(event, Ended)]
    >>> [job.end.result for job in jobs]
    [4, 9]
    >>> executor.close()
    """

    isolates = False

    def __init__(
        self, slots: int | Sequence[Resources] = 1, *, helper_slots: int = 0, preload: Sequence[str] = ()
    ) -> None:
        self._slots = make_slots(slots, helper_slots)
        self._running: dict[int, _ThreadJob] = {}  # by slot
        self._waiting: deque[_ThreadJob] = deque()
        self._incoming: deque[_Message | tuple[_ThreadJob, End]] = deque()
        self._events: list[Event] = []
        self._woken = False
        self._waker = Waker()
        self._closed = False

    def slots(self) -> Sequence[Resources]:
        """Return what each slot offers."""
        return self._slots

    def submit(self, task: Task) -> Job:
        """Take a task; it starts when a slot of its role is free."""
        check_task(task, self._slots, closed=self._closed)
        job = _ThreadJob(task)
        self._waiting.append(job)
        return job

    def events(self, timeout_s: float, answer: Answer) -> list[Event]:
        """Return what has happened; messages of tasks are answered in this thread meanwhile."""
        until = time.monotonic() + timeout_s
        while True:
            self._handle_incoming(answer)
            self._abandon_overdue()
            self._fill_slots()
            now = time.monotonic()
            if self._events or self._woken or now >= until:
                break
            self._waker.wait(min([until, *self._deadlines()]) - now)
        self._woken = False
        events, self._events = self._events, []
        return events

    def wake(self) -> None:
        """Make a running or the next `events` return early."""
        self._woken = True
        self._waker.wake()

    def close(self) -> None:
        """Cancel what still runs and wait for it, each task up to its grace."""
        self._closed = True
        jobs = [*self._running.values(), *self._waiting]
        for job in jobs:
            job.cancel("the executor was closed")
        for job in self._running.values():
            assert job.thread is not None
            assert job.abandon_at is not None
            job.thread.join(max(0.0, job.abandon_at - time.monotonic()))
        for job in jobs:
            job.end = End(EndKind.CANCELLED, detail=job.cancelled or "")
        self._running.clear()
        self._waiting.clear()
        self._events.clear()
        self._waker.close()

    def _deliver(self, item: _Message | tuple[_ThreadJob, End]) -> None:
        """Put something down for the coordinator; called from the threads of tasks."""
        self._incoming.append(item)
        self._waker.wake()

    def _handle_incoming(self, answer: Answer) -> None:
        while self._incoming:
            item = self._incoming.popleft()
            if isinstance(item, _Message):
                self._answer(item, answer)
            elif not item[0].done:
                self._finish(*item)

    def _answer(self, message: _Message, answer: Answer) -> None:
        job = message.job
        if job.done:
            return
        reply = answer(job, message.kind, message.payload)
        if message.wants_reply:
            job.replies.put(plain(reply, f"the answer to {message.kind!r}"))

    def _deadlines(self) -> list[float]:
        return [job.abandon_at for job in self._running.values() if job.abandon_at is not None]

    def _abandon_overdue(self) -> None:
        now = time.monotonic()
        for job in list(self._running.values()):
            if job.abandon_at is not None and job.abandon_at <= now:
                grace = job.task.limits.grace_s
                why = f"{job.cancelled}; its thread did not stop within {grace:g} s and was left behind"
                self._finish(job, End(EndKind.CANCELLED, detail=why))

    def _fill_slots(self) -> None:
        for job in list(self._waiting):
            slot = next((n for n in self._free_slots() if self._slots[n].role == job.task.role), None)
            if job.cancelled is not None:
                job.end = End(EndKind.CANCELLED, detail=job.cancelled)
                self._events.append(Ended(job))
            elif slot is not None:
                self._start(job, slot)
            else:
                continue
            self._waiting.remove(job)

    def _free_slots(self) -> list[int]:
        return [n for n in range(len(self._slots)) if n not in self._running]

    def _start(self, job: _ThreadJob, slot: int) -> None:
        job.slot = slot
        job.began = time.monotonic()
        channel = _ThreadChannel(job, self._slots[slot], self._deliver)
        job.thread = threading.Thread(
            target=self._run, args=(job, channel), name=f"task {job.task.id}", daemon=True
        )
        self._running[slot] = job
        self._events.append(Started(job))
        job.thread.start()

    def _run(self, job: _ThreadJob, channel: _ThreadChannel) -> None:
        """Be the thread of a task."""
        try:
            end = call(job.task, channel, passing=(TaskCancelled,))
        except TaskCancelled as reason:
            end = End(EndKind.CANCELLED, detail=str(reason))
        self._deliver((job, end))

    def _finish(self, job: _ThreadJob, end: End) -> None:
        assert job.slot is not None
        del self._running[job.slot]
        if job.cancelled is not None and end.kind is not EndKind.CANCELLED:
            end = End(EndKind.CANCELLED, detail=job.cancelled)
        job.end = replace(end, wall_s=time.monotonic() - job.began)
        self._events.append(Ended(job))
