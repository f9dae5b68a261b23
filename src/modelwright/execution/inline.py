"""Tasks in the coordinator's own thread, one at a time: for debugging, and where state is shared."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from modelwright.execution._common import (
    CANCEL,
    TaskCancelled,
    call,
    check_task,
    make_slots,
    plain,
)
from modelwright.execution._waker import Waker
from modelwright.execution.base import (
    Answer,
    End,
    Ended,
    EndKind,
    Event,
    Job,
    Resources,
    Started,
    Task,
)

__all__ = ["InlineExecutor"]


@dataclass(slots=True, eq=False)
class _InlineJob(Job):
    """A job whose messages wait in a list until its task looks."""

    inbox: deque[tuple[str, Any]] = field(default_factory=deque)
    cancelled: str | None = None

    def cancel(self, why: str) -> None:
        if not self.done and self.cancelled is None:
            self.cancelled = why
            self.inbox.append((CANCEL, why))

    def send(self, kind: str, payload: Any) -> None:
        if not self.done:
            self.inbox.append((kind, plain(payload, f"the message {kind!r}")))


class _InlineChannel:
    """Calls `answer` directly."""

    def __init__(self, job: _InlineJob, resources: Resources, answer: Answer) -> None:
        self.folder: Path | None = job.task.folder
        self.resources = resources
        self.failure: BaseException | None = None
        self._job = job
        self._answer = answer

    def send(self, kind: str, payload: Any) -> None:
        self.ask(kind, payload)

    def ask(self, kind: str, payload: Any) -> Any:
        if self._job.cancelled is not None or self.failure is not None:
            raise TaskCancelled(self._job.cancelled)
        value = plain(payload, f"the message {kind!r}")
        try:
            return self._answer(self._job, kind, value)
        except BaseException as failure:
            # The coordinator's failure is not the task's: it passes through the task and out of `events`.
            self.failure = failure
            raise TaskCancelled(str(failure)) from failure

    def receive(self) -> list[tuple[str, Any]]:
        messages = list(self._job.inbox)
        self._job.inbox.clear()
        return messages


class InlineExecutor:
    """Runs each task inside `events`, in the calling thread.

    Limits of time and memory cannot be kept, standard output stays where it is, and a crash of a task is
    a crash of the run. A cancelled task ends at its next ``channel.send`` or ``channel.ask``. Ctrl-C, and
    so a ``KeyboardInterrupt`` that a task raises itself, leaves `events`, after the job was marked as
    cancelled.

    Parameters
    ----------
    slots : int or sequence of Resources, default=1
        What is offered; the tasks still run one after the other, in the order of their submission.
    helper_slots : int, default=0
        Slots of role ``"helper"`` besides.
    preload : sequence of str, optional
        Taken so that executors are made alike; here tasks find imported what this process has imported.

    Examples
    --------
    >>> from modelwright.execution import InlineExecutor, Task
    >>> executor = InlineExecutor()
    >>> job = executor.submit(Task("0-1", lambda channel, argument: argument + 1, 41))
    >>> executor.events(0.1, answer=print)
    [Started(job=...)]
    >>> executor.events(0.1, answer=print)
    [Ended(job=...)]
    >>> job.end.kind, job.end.result
    (<EndKind.RESULT: 'result'>, 42)
    >>> executor.close()
    """

    isolates = False
    in_caller = True  # tasks run inside `events`: a signal has to break into them to end them

    def __init__(
        self, slots: int | Sequence[Resources] = 1, *, helper_slots: int = 0, preload: Sequence[str] = ()
    ) -> None:
        self._slots = make_slots(slots, helper_slots)
        self._waiting: deque[_InlineJob] = deque()
        self._started: _InlineJob | None = None
        self._events: list[Event] = []
        self._waker = Waker()
        self._closed = False

    def slots(self) -> Sequence[Resources]:
        """Return what each slot offers."""
        return self._slots

    def submit(self, task: Task) -> Job:
        """Take a task; it starts in one call of `events` and runs in the next."""
        check_task(task, self._slots, closed=self._closed)
        job = _InlineJob(task)
        self._waiting.append(job)
        return job

    def events(self, timeout_s: float, answer: Answer) -> list[Event]:
        """Run the task that has started, start the next one, and return both events."""
        if self._started is not None:
            self._run(self._started, answer)
        self._start_next()
        if not self._events:
            self._waker.wait(timeout_s)
        events, self._events = self._events, []
        return events

    def wake(self) -> None:
        """Make a waiting `events` return early."""
        self._waker.wake()

    def close(self) -> None:
        """Mark what has not ended as cancelled."""
        self._closed = True
        rest = [self._started] if self._started else []
        for job in [*rest, *self._waiting]:
            self._end(job, End(EndKind.CANCELLED, detail="the executor was closed"))
        self._started = None
        self._waiting.clear()
        self._events.clear()
        self._waker.close()

    def _start_next(self) -> None:
        while self._waiting and self._started is None:
            job = self._waiting.popleft()
            if job.cancelled is not None:
                self._end(job, End(EndKind.CANCELLED, detail=job.cancelled))
                continue
            job.slot = next(n for n, slot in enumerate(self._slots) if slot.role == job.task.role)
            self._started = job
            self._events.append(Started(job))

    def _run(self, job: _InlineJob, answer: Answer) -> None:
        """Call the task; however this method is left, the job has ended and its event is kept."""
        assert job.slot is not None
        channel = _InlineChannel(job, self._slots[job.slot], answer)
        self._started = None
        begin = time.monotonic()
        end = End(EndKind.CANCELLED, detail="interrupted from the keyboard")
        try:
            if job.cancelled is None:
                end = call(job.task, channel, passing=(TaskCancelled, KeyboardInterrupt))
        except TaskCancelled:
            end = End(EndKind.CANCELLED, detail="the coordinator failed")
        finally:
            if job.cancelled is not None:
                end = End(EndKind.CANCELLED, detail=job.cancelled)
            self._end(job, replace(end, wall_s=time.monotonic() - begin))
        if channel.failure is not None:
            raise channel.failure

    def _end(self, job: _InlineJob, end: End) -> None:
        job.end = end
        self._events.append(Ended(job))
