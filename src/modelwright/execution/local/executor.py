"""The coordinator's side: slots, queues, events."""

from __future__ import annotations

import os
import selectors
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict

from modelwright.errors import ExecutionError, ObjectiveTransportError
from modelwright.execution._common import check_task, error_end, make_slots
from modelwright.execution._payload import decode, encode
from modelwright.execution._waker import Selector, Waker
from modelwright.execution.base import (
    Answer,
    End,
    Ended,
    EndKind,
    ErrorInfo,
    Event,
    Job,
    Resources,
    Started,
    Task,
)
from modelwright.execution.local.fitting import with_cores
from modelwright.execution.local.seat import LocalJob, Seat
from modelwright.execution.local.service import LauncherService
from modelwright.execution.local.transport import pack_argument
from modelwright.execution.local.wire import Frame, Link, Tag

__all__ = ["LocalExecutor"]

_CLOSING_S = 15.0  # how long `close` waits for the keepers to have killed everything


class LocalExecutor:
    """Runs each task in a fresh process on this machine.

    Limits are hard: they are enforced on the whole process tree by a keeper outside it. At the limits of wall
    time and computing time, and when cancelled, the tree gets SIGTERM and after the grace SIGKILL; above the
    limits of memory, output and disk it is killed at once. Whatever a task does to its process is its own end
    only. It runs with the environment of `environment_for`, in the current folder, and is forked from a
    process that has imported what its function needs; numpy's global generator is therefore in the same state
    in each. It ends by ``os._exit`` when its function returns: threads that still run and ``atexit`` handlers
    are not waited for.

    The peak memory of an end is the largest proportional set size (PSS) of the tree that was seen; for tasks
    that end before the first look, the largest resident size of their process.

    Temporary files of a task go to a folder of its own (``TMPDIR``), which is removed with all that is in it
    when the task is over.

    Needs ``os.fork``. All of it works on Linux. On macOS a process that a trial cuts loose may outlive it,
    since orphans go to the system, and shared pages are counted in full.

    Parameters
    ----------
    slots : int or sequence of Resources, default=1
        What each slot offers. A task's own memory limit counts; where it has none, that of its slot does.
    helper_slots : int, default=0
        Slots of role ``"helper"`` besides.
    preload : sequence of str, optional
        Modules to import before the first task comes.
    reuse : int, default=1
        How many tasks a process may run in turn, for tasks so short that a fork for each is too dear. They
        then share what a process has: its modules' state, working folder and environment. A process is given
        no further task after one that failed, or that left threads or processes behind.
    pin : bool, optional
        Whether slots keep to cores of their own, each to its share of those that this process may use,
        where there are enough for all; so by default, unless the variable ``MODELWRIGHT_PIN`` is 0.

    Examples
    --------
    >>> from modelwright.execution import Ended, Limits, LocalExecutor, Task
    >>> executor = LocalExecutor(slots=2)
    >>> job = executor.submit(Task("0-1", lambda channel, x: x * x, 7, limits=Limits(wall_s=60)))
    >>> while not job.done:
    ...     events = executor.events(1.0, answer=print)
    >>> job.end.kind, job.end.result
    (<EndKind.RESULT: 'result'>, 49)
    >>> executor.close()
    """

    isolates = True

    def __init__(
        self,
        slots: int | Sequence[Resources] = 1,
        *,
        helper_slots: int = 0,
        preload: Sequence[str] = (),
        reuse: int = 1,
        pin: bool | None = None,
    ) -> None:
        if not hasattr(os, "fork"):
            raise ExecutionError(
                "the local executor needs os.fork, which this system does not have.",
                hint='Use executor="thread".',
            )
        if reuse < 1:
            raise ExecutionError(f"expected `reuse` to be at least 1 task for a process, got {reuse!r}.")
        pinned = os.environ.get("MODELWRIGHT_PIN", "1") != "0" if pin is None else pin
        offered = make_slots(slots, helper_slots)
        self._slots = with_cores(offered) if pinned else offered
        self._reuse = reuse
        self._preload = tuple(preload)
        self._seats = [Seat(index, resources) for index, resources in enumerate(self._slots)]
        self._waiting: deque[LocalJob] = deque()
        self._events: list[Event] = []
        self._jobs = 0
        self._woken = False
        self._service = LauncherService(self._slots, self._preload)
        self._waker = Waker()
        self._closed = False

    def slots(self) -> Sequence[Resources]:
        """Return what each slot offers."""
        return self._slots

    def submit(self, task: Task) -> Job:
        """Take a task; it starts when a slot of its role is free.

        The first task with a function waits until the function is loaded in the launcher.
        """
        check_task(task, self._slots, closed=self._closed)
        argument = pack_argument(task.argument, task.id)
        self._launcher().load(task.function)
        self._jobs += 1
        job = LocalJob(task, number=self._jobs, argument=argument)
        self._waiting.append(job)
        self._fill_seats()
        return job

    def events(self, timeout_s: float, answer: Answer) -> list[Event]:
        """Return what has happened, after waiting up to `timeout_s` for something to happen."""
        until = time.monotonic() + timeout_s
        while True:
            self._take_in(answer)
            self._fill_seats()
            remaining_s = until - time.monotonic()
            if self._events or self._woken or remaining_s <= 0:
                break
            self._wait(remaining_s)
        self._woken = False
        events, self._events = self._events, []
        return events

    def wake(self) -> None:
        """Make a running or the next `events` return early."""
        self._woken = True
        self._waker.wake()

    def close(self) -> None:
        """Kill what still runs and end all processes; harmless the second time."""
        self._closed = True
        for job in [*(seat.job for seat in self._seats), *self._waiting]:
            if job is not None:
                job.end = End(EndKind.CANCELLED, detail="the executor was closed")
        self._waiting.clear()
        self._events.clear()
        for seat in self._seats:
            if seat.link is not None:
                seat.link.hang_up()
        until = time.monotonic() + _CLOSING_S
        for seat in self._seats:
            if seat.link is not None:
                seat.link.wait_for_end(until - time.monotonic())
            seat.leave()
            seat.job = None
        self._service.close()
        self._waker.close()

    # Coming in ---------------------------------------------------------------------------------------

    def _wait(self, timeout_s: float) -> None:
        with Selector() as selector:
            selector.register(self._waker, selectors.EVENT_READ)
            links = [seat.link for seat in self._seats if seat.link is not None]
            for link in [self._service.link, *links]:
                if not link.closed:
                    writes = selectors.EVENT_WRITE if link.pending else 0
                    selector.register(link, selectors.EVENT_READ | writes)
            selector.select(timeout_s)
        self._waker.clear()

    def _take_in(self, answer: Answer) -> None:
        self._service.take_in()
        for seat in self._seats:
            if seat.link is not None:
                self._take_in_seat(seat, seat.link, answer)
        for seat in self._seats:
            if seat.link is None and seat.job is not None and seat.nothing_left():
                self._lose(seat, seat.job)

    def _take_in_seat(self, seat: Seat, link: Link, answer: Answer) -> None:
        link.flush()
        if not link.frames:
            link.receive()
        while link.frames:
            frame = link.frames.popleft()
            self._handle(seat, frame, answer)
            if frame.tag is Tag.BEGUN:
                return  # `Started` is returned before the first message is answered
        if link.closed:
            seat.leave()

    def _handle(self, seat: Seat, frame: Frame, answer: Answer) -> None:
        job = seat.job
        if job is None or job.number != frame.head["job"]:
            return
        if frame.tag is Tag.BEGUN:
            self._events.append(Started(job))
        elif frame.tag is Tag.OVER:
            self._over(seat, job, _end_of(frame))
        else:
            reply = answer(job, frame.head["kind"], decode(frame.body))
            if frame.tag is Tag.ASK:
                body = encode(reply, f"the answer to {frame.head['kind']!r}")
                seat.tell(Tag.REPLY, {"job": job.number}, body)

    def _over(self, seat: Seat, job: LocalJob, end: End) -> None:
        seat.job = None
        job.seat = None
        job.end = end
        self._events.append(Ended(job))

    def _lose(self, seat: Seat, job: LocalJob) -> None:
        how = seat.service.gone.get(seat.keeper) if seat.service is not None else None
        why = f"the keeper of slot {seat.index} is gone" + (f": {how}" if how else ", with its launcher")
        self._over(seat, job, End(EndKind.LOST, detail=why))

    # Going out ---------------------------------------------------------------------------------------

    def _launcher(self) -> LauncherService:
        """Return the launcher; one that has died is replaced."""
        self._service.take_in()
        if not self._service.alive:
            self._service.close()
            self._service = LauncherService(self._slots, self._preload)
        return self._service

    def _fill_seats(self) -> None:
        for job in list(self._waiting):
            if job.cancelled is not None:
                job.end = End(EndKind.CANCELLED, detail=job.cancelled)
                self._events.append(Ended(job))
            elif (seat := self._free_seat(job.task.role)) is not None:
                self._start(job, seat)
            else:
                continue
            self._waiting.remove(job)

    def _free_seat(self, role: str) -> Seat | None:
        free = (seat for seat in self._seats if seat.job is None and seat.resources.role == role)
        return next(free, None)

    def _start(self, job: LocalJob, seat: Seat) -> None:
        task = job.task
        try:
            function = self._launcher().load(task.function)
        except ObjectiveTransportError as error:  # a new launcher could not load what its forerunner could
            job.end = error_end(error)
            self._events.append(Ended(job))
            return
        if not seat.serves(self._service, function):
            seat.leave()
            seat.service = self._service
            seat.keeper, seat.link = self._service.open_keeper(seat.resources)
            seat.functions = frozenset(self._service.functions)
        limits = asdict(task.limits)
        if limits["memory_mb"] is None:
            limits["memory_mb"] = seat.resources.memory_mb
        head = {
            "job": job.number,
            "function": function,
            "limits": limits,
            "folder": str(task.folder.absolute()) if task.folder is not None else None,
            "reuse": self._reuse,
        }
        seat.job, job.seat, job.slot = job, seat, seat.index
        seat.tell(Tag.RUN, head, job.argument)
        for kind, body in job.early:
            seat.tell(Tag.TELL, {"job": job.number, "kind": kind}, body)


def _end_of(frame: Frame) -> End:
    head = frame.head
    kind = EndKind(head["kind"])
    value = decode(frame.body) if frame.body else None
    error = None
    if kind is EndKind.ERROR and value is not None:
        error = ErrorInfo(tuple(value["types"]), value["message"], value["traceback"])
    return End(
        kind=kind,
        result=value if kind is EndKind.RESULT else None,
        error=error,
        detail=head["detail"],
        exit_code=head.get("exit_code"),
        wall_s=head["wall_s"],
        peak_memory_mb=head.get("peak_memory_mb"),
        output=head.get("output", ""),
    )
