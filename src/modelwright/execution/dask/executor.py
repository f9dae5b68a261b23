"""The coordinator's side of a cluster: slots, queue, events."""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from modelwright.errors import ExecutionError, InputError
from modelwright.execution._common import check_task, make_slots
from modelwright.execution._payload import decode, encode
from modelwright.execution.base import (
    Answer,
    End,
    Ended,
    EndKind,
    Event,
    Function,
    Job,
    Resources,
    Started,
    Task,
)
from modelwright.execution.dask.cluster import Cluster, Gone, Message, Over, Workers, check_client
from modelwright.execution.dask.orders import (
    CANCEL_TASK,
    REPLY,
    TELL,
    Down,
    Order,
    Report,
    end_of,
    write_files,
)
from modelwright.execution.dask.sharing import Sharing
from modelwright.execution.local.transport import pack_argument, pack_function

__all__ = ["DaskExecutor"]

_CLOSING_S = 15.0
_FIRST_WORKER_S = 10.0  # how long a cluster may be empty where somebody waits for it
_LATE_S = 10.0  # how long messages may take that a task sent before its end


@dataclass(slots=True, eq=False)
class _DaskJob(Job):
    """A job, and what is known of it here."""

    executor: DaskExecutor | None = None
    key: str = ""
    worker: str | None = None
    argument: bytes = b""
    cancelled: str | None = None
    early: list[Down] = field(default_factory=list)
    heard: dict[int, Message] = field(default_factory=dict)  # messages that came before their turn
    answered: int = 0
    report: Report | None = None
    reported_at: float = 0.0
    missing_since: float | None = None  # since when its worker is not among those of the scheduler

    def cancel(self, why: str) -> None:
        if not self.done and self.cancelled is None:
            self.cancelled = why
            self._tell((CANCEL_TASK, why, ""))

    def send(self, kind: str, payload: Any) -> None:
        if not self.done:
            self._tell((TELL, kind, encode(payload, f"the message {kind!r}").decode("ascii")))

    def _tell(self, message: Down) -> None:
        if self.worker is None:
            self.early.append(message)
        else:
            assert self.executor is not None
            self.executor._cluster.tell(self.key, message)


class DaskExecutor:
    """Runs each task in a fresh process on a worker of a Dask cluster.

    There are never more tasks out than the workers have threads, and each is bound to its worker: one that
    dies is lost, which costs an attempt, and nothing is run twice behind the ledger's back. Limits are kept
    on the worker's machine as `LocalExecutor` keeps them. Workers need this package, and Linux or macOS.

    Parameters
    ----------
    slots : int or sequence of Resources, default=1
        How many tasks may run at a time, and what each may use.
    helper_slots : int, default=0
        Slots of role ``"helper"`` besides.
    preload : sequence of str, optional
        Modules that workers import ahead of the first task.
    address : str, optional
        Of the scheduler, such as ``"tcp://10.0.0.1:8786"``.
    client : distributed.Client, optional
        A client instead; it stays open. By default the one that was made last in this process.
    patience_s : float, default=600
        How long a scheduler may be out of reach before the run ends with an error.
    silence_s : float, default=60
        How long a task runs on when its coordinator is out of reach.

    Raises
    ------
    MissingDependencyError
        The library ``distributed`` is not installed.
    ExecutionError
        There is no scheduler at `address`.

    Examples
    --------
    >>> from modelwright.execution import DaskExecutor
    >>> executor = DaskExecutor(8, address="tcp://10.0.0.1:8786")  # doctest: +SKIP
    """

    isolates = True

    def __init__(
        self,
        slots: int | Sequence[Resources] = 1,
        *,
        helper_slots: int = 0,
        preload: Sequence[str] = (),
        address: str | None = None,
        client: Any | None = None,
        patience_s: float = 600.0,
        silence_s: float = 60.0,
    ) -> None:
        self._slots = make_slots(slots, helper_slots)
        if address is not None and client is not None:
            raise InputError("expected the address of a scheduler or a client, got both.")
        self._cluster = Cluster(address, check_client(client) if address is None else None)
        self._preload = tuple(preload)
        self._patience_s = patience_s
        self._silence_s = silence_s
        self._running: dict[str, _DaskJob] = {}
        self._waiting: deque[_DaskJob] = deque()
        self._events: list[Event] = []
        self._threads: dict[str, int] = {}
        self._away_since: float | None = None
        self._functions: dict[int, tuple[Function, bytes, str]] = {}  # by identity; held, so that it stays
        self._sharing = Sharing(self._cluster)
        self._woken = False
        self._closed = False

    def slots(self) -> Sequence[Resources]:
        """Return what each slot offers."""
        return self._slots

    def require_shared(self, folder: Path | None) -> None:
        """Have no task from now on run on a worker that does not see `folder` of this machine.

        Workers that come later and do not see it get no tasks. None: a task may run anywhere.

        Raises
        ------
        InputError
            There are workers that do not see it.
        ExecutionError
            There are no workers.
        """
        self._sharing.require(folder, _FIRST_WORKER_S)

    def room(self) -> tuple[int, float]:
        """Return how many tasks the cluster takes at a time, and the memory in MB that each may have.

        The least share that there is, and a tenth of it is left to the worker itself.

        Raises
        ------
        ExecutionError
            There are no workers.
        """
        members = self._cluster.survey(_FIRST_WORKER_S)
        shares = [member.memory_mb / member.threads for member in members if member.threads]
        return sum(member.threads for member in members), 0.9 * min(shares, default=0.0)

    def submit(self, task: Task) -> Job:
        """Take a task; it starts when a slot of its role and a thread of a worker are free."""
        check_task(task, self._slots, closed=self._closed)
        if id(task.function) not in self._functions:
            data = pack_function(task.function)
            digest = hashlib.sha256(data).hexdigest()
            self._functions[id(task.function)] = (task.function, data, digest)
        job = _DaskJob(task, executor=self, argument=pack_argument(task.argument, task.id))
        self._waiting.append(job)
        return job

    def events(self, timeout_s: float, answer: Answer) -> list[Event]:
        """Return what has happened; messages of tasks are answered in this thread meanwhile."""
        until = time.monotonic() + timeout_s
        for job in list(self._running.values()):
            self._hear(job, answer)  # what came right after its start
        happening = self._cluster.wait(0)
        while True:
            while happening is not None:
                self._take_in(happening, answer)
                happening = self._cluster.wait(0)
            self._end_overdue()
            self._fill_slots()
            now = time.monotonic()
            if self._events or self._woken or now >= until:
                break
            happening = self._cluster.wait(min(until - now, 0.5))
        self._woken = False
        events, self._events = self._events, []
        return events

    def wake(self) -> None:
        """Make a running or the next `events` return early."""
        self._woken = True
        self._cluster.happenings.put(None)

    def close(self) -> None:
        """End what still runs and leave the cluster; harmless the second time."""
        if self._closed:
            return
        self._closed = True
        jobs = [*self._running.values(), *self._waiting]
        for job in jobs:
            job.cancel("the executor was closed")
        until = time.monotonic() + _CLOSING_S
        while self._running and time.monotonic() < until:
            happening = self._cluster.wait(0.5)
            if isinstance(happening, Over) and happening.job in self._running:
                del self._running[happening.job]
                self._cluster.forget(happening.job)
            elif isinstance(happening, Gone):
                break
        for job in jobs:
            job.end = End(EndKind.CANCELLED, detail=job.cancelled or "")
        self._running.clear()
        self._waiting.clear()
        self._events.clear()
        self._cluster.close()
        self._sharing.close()

    # Coming in ---------------------------------------------------------------------------------------

    def _take_in(self, happening: Message | Over | Workers | Gone, answer: Answer) -> None:
        if isinstance(happening, Gone):
            self._bear(happening.why)
        elif isinstance(happening, Workers):
            self._away_since = None
            self._threads = happening.threads
            self._look_for_the_lost()
        elif (job := self._running.get(happening.job)) is None:
            return  # it has ended here
        elif isinstance(happening, Message):
            job.heard[happening.number] = happening
            self._hear(job, answer)
        elif happening.report is None:
            self._end(job, End(EndKind.LOST, detail=f"its worker {job.worker} is gone ({happening.why})"))
        else:
            job.report, job.reported_at = happening.report, time.monotonic()
            self._hear(job, answer)

    def _hear(self, job: _DaskJob, answer: Answer) -> None:
        """Take in the messages of a task in their order, and its end after the last.

        Its start is to be known before the first message is answered.
        """
        if any(event.job is job for event in self._events):
            return
        while (message := job.heard.pop(job.answered, None)) is not None:
            job.answered += 1
            if message.kind == "started":
                self._events.append(Started(job))
                return
            reply = answer(job, message.kind, decode(message.text.encode("ascii")))
            if message.wants_reply:
                text = encode(reply, f"the answer to {message.kind!r}").decode("ascii")
                self._cluster.tell(job.key, (REPLY, "", text))
        if job.report is not None and job.answered >= job.report.messages:
            self._end(job, end_of(job.report))

    def _look_for_the_lost(self) -> None:
        now = time.monotonic()
        for job in list(self._running.values()):
            if job.worker in self._threads:
                job.missing_since = None
            elif job.missing_since is None:
                job.missing_since = now
            elif now > job.missing_since + 2 and job.report is None:
                self._end(job, End(EndKind.LOST, detail=f"its worker {job.worker} has left the cluster"))

    def _end_overdue(self) -> None:
        """End tasks whose last messages have been lost on the way."""
        now = time.monotonic()
        for job in list(self._running.values()):
            if job.report is not None and now > job.reported_at + _LATE_S:
                self._end(job, end_of(job.report))

    def _bear(self, why: str) -> None:
        """Wait for a scheduler that is out of reach; what ran under it cannot be heard of again."""
        self._threads = {}
        now = time.monotonic()
        self._away_since = self._away_since or now
        if now > self._away_since + self._patience_s:
            raise ExecutionError(
                f"the Dask scheduler has been out of reach for {now - self._away_since:.0f} s: {why}.",
                hint="The study is whole: start the scheduler and run it again.",
                code="E_CLUSTER_AWAY",
            )
        if now > self._away_since + self._silence_s:
            for job in list(self._running.values()):
                self._end(job, End(EndKind.LOST, detail=f"the Dask scheduler is out of reach: {why}"))

    def _end(self, job: _DaskJob, end: End) -> None:
        del self._running[job.key]
        self._cluster.forget(job.key)
        if job.report is not None and job.report.blind and job.worker is not None:
            self._sharing.put_aside(job.worker, set(self._threads))
        if job.report is not None and job.report.files and job.task.folder is not None:
            write_files(job.task.folder, job.report.files)
        if job.cancelled is not None and end.kind is EndKind.LOST:
            end = End(EndKind.CANCELLED, detail=job.cancelled)
        job.end = end
        self._events.append(Ended(job))

    # Going out ---------------------------------------------------------------------------------------

    def _fill_slots(self) -> None:
        for job in list(self._waiting):
            if job.cancelled is not None:
                job.end = End(EndKind.CANCELLED, detail=job.cancelled)
                self._events.append(Ended(job))
                self._waiting.remove(job)
                continue
            slot, worker = self._free_slot(job.task.role), self._free_worker()
            if slot is not None and worker is not None:
                self._waiting.remove(job)
                self._start(job, slot, worker)

    def _free_slot(self, role: str) -> int | None:
        taken = {job.slot for job in self._running.values()}
        free = (n for n, slot in enumerate(self._slots) if n not in taken and slot.role == role)
        return next(free, None)

    def _free_worker(self) -> str | None:
        """Return the worker with the most idle threads, of those that have any."""
        busy = Counter(job.worker for job in self._running.values())
        blind = self._sharing.blind
        idle = {worker: n - busy[worker] for worker, n in self._threads.items() if worker not in blind}
        best = max(idle, key=lambda worker: idle[worker], default=None)
        return best if best is not None and idle[best] > 0 else None

    def _start(self, job: _DaskJob, slot: int, worker: str) -> None:
        task = job.task
        function, digest = self._functions[id(task.function)][1:]
        limits = asdict(task.limits)
        if limits["memory_mb"] is None:
            limits["memory_mb"] = self._slots[slot].memory_mb
        job.key, job.slot, job.worker = f"{task.id}-{secrets.token_hex(8)}", slot, worker
        order = Order(
            job=job.key,
            topic=self._cluster.topic,
            task_id=task.id,
            digest=digest,
            function=function,
            argument=job.argument,
            resources=self._slots[slot],
            limits=limits,
            folder=None if task.folder is None else str(task.folder.absolute()),
            marker=self._sharing.marker(task.folder),
            token=self._sharing.token,
            must_share=self._sharing.needed is not None,
            preload=self._preload,
            path=tuple(os.path.abspath(entry) for entry in sys.path),  # noqa: PTH100 - "" is the current folder
            early=tuple(job.early),
            silence_s=self._silence_s,
        )
        self._running[job.key] = job
        self._cluster.start(order, worker)
