"""What runs on a worker of the cluster: one task in a slot of a `LocalExecutor`, watched from this process.

The user's code never runs in the worker itself, so nothing that it does can take the worker away, and the
limits are as hard as on the coordinator's machine.
"""

from __future__ import annotations

import atexit
import contextlib
import pickle
import shutil
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import psutil

from modelwright.execution._common import error_end
from modelwright.execution._payload import decode, encode
from modelwright.execution.base import Channel, End, EndKind, Event, Function, Job, Limits, Started, Task
from modelwright.execution.dask.orders import CANCEL_TASK, REPLY, TELL, Down, Order, Report, key_of, report_of
from modelwright.execution.local.executor import LocalExecutor

__all__ = ["deliver", "look_around", "run_task"]

_BEAT_S = 1.0
_EARLY = 1000  # messages for tasks that have not begun here, or are over
_FUNCTIONS = 16  # that a slot has loaded before it is made anew: they hold memory
_MOST_BYTES = 64 * 2**20  # of files that travel with an end

_lock = threading.Lock()
_inboxes: dict[str, _Inbox] = {}
_early: deque[tuple[str, Down]] = deque(maxlen=_EARLY)
_seats: dict[tuple[Any, ...], list[_Seat]] = {}


class _Inbox:
    """What came down for one task, and when its coordinator was last heard of."""

    def __init__(self, first: Sequence[Down], wake: Callable[[], None]) -> None:
        self._queue: SimpleQueue[Down] = SimpleQueue()
        self._wake = wake
        self.heard_at = time.monotonic()
        for item in first:
            self._queue.put(item)

    def put(self, items: Sequence[Down]) -> None:
        self.heard_at = time.monotonic()
        for item in items:
            self._queue.put(item)
        if items:
            self._wake()

    def take(self, timeout_s: float | None = None) -> Down | None:
        with contextlib.suppress(Empty):
            return self._queue.get(timeout=timeout_s) if timeout_s else self._queue.get_nowait()
        return None


def deliver(items: dict[str, list[Down]]) -> None:
    """Hand messages to tasks on this worker, by job; an empty list says that the coordinator is there.

    Called by the coordinator in the worker's event loop: it only puts things down.
    """
    with _lock:
        for job, messages in items.items():
            if job in _inboxes:
                _inboxes[job].put(messages)
            else:
                _early.extend((job, message) for message in messages)


def run_task(order: Order) -> Report:
    """Run one task to its end; called in a thread of the worker that is the task's alone."""
    for entry in order.path:  # modules of the user's, where the folder is there
        if entry not in sys.path and Path(entry).is_dir():
            sys.path.append(entry)
    shared = order.marker is None or _sees(order.marker, order.token)
    if order.must_share and not shared:
        return Report(EndKind.LOST, detail="its worker does not see the folder that it needs", blind=True)
    with contextlib.ExitStack() as stack:
        folder = None if order.folder is None else Path(order.folder)
        if not shared:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="modelwright-"))) / "task"
        end, messages = _run(order, folder)
        files, left_out = ({}, "") if shared or folder is None else _files_in(folder)
    return report_of(end, messages, files, left_out)


def _run(order: Order, folder: Path | None) -> tuple[End, int]:
    with _seat(order) as seat:
        visit = _Visit(order, seat.executor)
        function = seat.functions.setdefault(order.digest, _Carried(order.function, order.digest))
        limits, role = Limits(**order.limits), order.resources.role
        task = Task(order.task_id, function, order.argument, folder, limits, role)
        try:
            job = seat.executor.submit(task)
        except Exception as error:  # the function cannot be loaded here
            return error_end(error), 0
        return visit.see_through(job), visit.sent


@dataclass(slots=True, eq=False)
class _Seat:
    """A slot of this worker, and the functions that it has loaded, by digest."""

    executor: LocalExecutor
    functions: dict[str, _Carried] = field(default_factory=dict)


@contextlib.contextmanager
def _seat(order: Order) -> Iterator[_Seat]:
    """Lend a slot of this worker, one that was used before if there is one."""
    key = (order.resources, order.preload)
    with _lock:
        free = _seats.get(key)
        seat = free.pop() if free else None
    if seat is None:
        seat = _Seat(LocalExecutor([order.resources], preload=order.preload))
    try:
        yield seat
    except BaseException:
        seat.executor.close()
        raise
    if len(seat.functions) >= _FUNCTIONS:
        seat.executor.close()
    else:
        with _lock:
            _seats.setdefault(key, []).append(seat)


@atexit.register
def _close_seats() -> None:
    with _lock:
        seats = [seat for items in _seats.values() for seat in items]
        _seats.clear()
    for seat in seats:
        seat.executor.close()


class _Visit:
    """One task on this worker: what it says goes up, what comes down goes in."""

    def __init__(self, order: Order, executor: LocalExecutor) -> None:
        from distributed import get_worker

        self._order = order
        self._executor = executor
        self._worker = get_worker()
        self._outbox: list[tuple[int, bool, str, str]] = []
        self.sent = 0
        with _lock:
            known = [message for job, message in _early if job == order.job]
            self._inbox = _inboxes[order.job] = _Inbox([*order.early, *known], executor.wake)

    def see_through(self, job: Job) -> End:
        """Run the task to its end."""
        try:
            while not job.done:
                self._obey(job)
                for event in self._executor.events(_BEAT_S, self._answer):
                    self._note(event)
                self._post()
        except BaseException:
            job.cancel("its worker could not go on with it")
            raise
        finally:
            with _lock:
                del _inboxes[self._order.job]
        assert job.end is not None
        return job.end

    def _note(self, event: Event) -> None:
        if isinstance(event, Started):
            self._say("started", wants_reply=False, text="null")

    def _say(self, kind: str, *, wants_reply: bool, text: str) -> None:
        """Have something go up, with what else the task has said at this moment."""
        if not self._outbox:
            self._executor.wake()
        self._outbox.append((self.sent, wants_reply, kind, text))
        self.sent += 1

    def _post(self) -> None:
        """Send what is to go up: a task that says much costs the cluster few messages."""
        if self._outbox:
            self._worker.log_event(self._order.topic, [self._order.job, self._outbox])
            self._outbox = []

    def _answer(self, job: Job, kind: str, payload: Any) -> Any:
        """Pass a message up; if the task waits for an answer, wait for it here, and obey meanwhile."""
        wants_reply, what, value = payload
        self._say(what, wants_reply=wants_reply, text=encode(value, "a message").decode("ascii"))
        if wants_reply:
            self._post()
        while wants_reply:
            message = self._inbox.take(_BEAT_S)
            if message is not None and message[0] == REPLY:
                return decode(message[2].encode("ascii"))
            if (message is not None and self._pass_on(job, message)) or self._is_forsaken(job):
                return None  # cancelled: nobody waits for the answer any more
        return None

    def _obey(self, job: Job) -> None:
        while (message := self._inbox.take()) is not None:
            self._pass_on(job, message)
        self._is_forsaken(job)

    def _pass_on(self, job: Job, message: Down) -> bool:
        """Hand a message to the task; whether that was to end it."""
        action, what, text = message
        if action == TELL:
            job.send(what, decode(text.encode("ascii")))
        elif action == CANCEL_TASK:
            job.cancel(what)
        return action == CANCEL_TASK

    def _is_forsaken(self, job: Job) -> bool:
        """End the task if nobody waits for it any more; whether that is so."""
        silent_s = time.monotonic() - self._inbox.heard_at
        if silent_s > self._order.silence_s:
            why = f"its coordinator has not been heard of for {silent_s:.0f} s"
        elif self._is_released():
            why = "its coordinator has left the cluster"
        else:
            return False
        job.cancel(why)
        return True

    def _is_released(self) -> bool:
        """Whether the scheduler has told this worker to forget the task: its client is gone.

        That comes at once where the coordinator was killed, while the silence takes its time.
        """
        task = self._worker.state.tasks.get(key_of(self._order.job))
        return task is None or task.state == "cancelled"


class _Carried:
    """A function on its way through a worker, which does not load it: only the task's process does."""

    def __init__(self, data: bytes, digest: str) -> None:
        self._data = data
        self.__qualname__ = f"function {digest[:8]}"

    def __reduce__(self) -> Any:
        return _Forwarding, (self._data,)

    def __call__(self, channel: Channel, argument: Any) -> Any:
        raise NotImplementedError("it is called on the other side, as what it is reduced to")


class _Forwarding:
    """The function in the task's process; it marks which messages wait for an answer."""

    def __init__(self, data: bytes) -> None:
        self._function: Function = pickle.loads(data)  # noqa: S301 - written by the coordinator

    def __call__(self, channel: Channel, argument: bytes) -> Any:
        return self._function(_MarkingChannel(channel), pickle.loads(argument))  # noqa: S301


class _MarkingChannel:
    """A channel that says of each message whether it is a question."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.folder = channel.folder
        self.resources = channel.resources

    def send(self, kind: str, payload: Any) -> None:
        encode(payload, f"the message {kind!r}")  # refused under its own name
        self._channel.send(kind, [False, kind, payload])

    def ask(self, kind: str, payload: Any) -> Any:
        encode(payload, f"the message {kind!r}")
        return self._channel.ask(kind, [True, kind, payload])

    def receive(self) -> list[tuple[str, Any]]:
        return self._channel.receive()


def look_around(marker: str | None, token: str, dask_worker: Any = None) -> tuple[str, int, float, bool]:
    """Say what this worker is: its address, its threads, its memory in MB, and whether it sees a marker.

    Called by the coordinator in the worker's event loop.
    """
    limit = getattr(dask_worker.memory_manager, "memory_limit", None) or psutil.virtual_memory().total
    seen = marker is not None and _sees(marker, token)
    return dask_worker.address, dask_worker.state.nthreads, limit / 1e6, seen


def _sees(marker: str, token: str) -> bool:
    """Whether this machine sees the folder of the coordinator's that the marker lies in."""
    try:
        return Path(marker).read_text(encoding="ascii") == token
    except OSError:
        return False


def _files_in(folder: Path) -> tuple[dict[str, bytes], str]:
    """Return the files of a task that ran in a folder of this machine, and what to say of those left out."""
    found: dict[str, bytes] = {}
    size, left_out = 0, 0
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if path.is_symlink() or not path.is_file():
            continue
        size += path.stat().st_size
        if size > _MOST_BYTES:
            left_out += 1
        else:
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
    shutil.rmtree(folder, ignore_errors=True)
    if not left_out:
        return found, ""
    limit = _MOST_BYTES // 2**20
    return found, f"{left_out} of its files stayed behind: more than {limit} MB need a folder that all share"
