"""The process of one trial: what happens between the fork and its end."""

from __future__ import annotations

import contextlib
import faulthandler
import io
import os
import pickle
import resource
import select
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from modelwright.errors import ExecutionError, ObjectiveTransportError
from modelwright.execution._payload import decode, describe, encode
from modelwright.execution._waker import wait_for
from modelwright.execution.base import Function, Resources
from modelwright.execution.local import disk, system
from modelwright.execution.local.output import NAMES, open_stream
from modelwright.execution.local.wire import Frame, Link, Tag

__all__ = ["Order", "TrialChannel", "run_trial"]

_FAILED_TO_REPORT = 70  # exit code where even the error could not be sent; sysexits.h: internal error


@dataclass(frozen=True, slots=True)
class Order:
    """What a process is to run.

    Attributes
    ----------
    function : int
        The function's number.
    folder : str, optional
        Where its output goes.
    room : str, optional
        Where its temporary files go.
    reusable : bool
        Whether the process may be given another task after this one.
    """

    function: int
    folder: str | None
    room: str | None
    reusable: bool = False


class TrialChannel:
    """A trial's end of the socket to its keeper."""

    def __init__(self, sock: socket.socket, resources: Resources) -> None:
        self.folder: Path | None = None
        self.resources = resources
        self._link = Link(sock)
        self._lock = threading.Lock()  # threads of the trial take turns
        self._owner = os.getpid()
        self._inbox: list[tuple[str, Any]] = []
        self.own_threads = 1

    def send(self, kind: str, payload: Any) -> None:
        """Tell the coordinator something."""
        body = encode(payload, f"the message {kind!r}")
        with self._lock:
            self._put(Tag.SEND, {"kind": kind}, body)

    def ask(self, kind: str, payload: Any) -> Any:
        """Ask the coordinator something and wait for its answer."""
        body = encode(payload, f"the message {kind!r}")
        with self._lock:
            self._put(Tag.ASK, {"kind": kind}, body)
            while True:
                wait_for(self._link)
                for frame in self._take():
                    if frame.tag is Tag.REPLY:
                        return decode(frame.body)

    def receive(self) -> list[tuple[str, Any]]:
        """Return the messages that came down since the last call."""
        with self._lock:
            self._take()
            inbox, self._inbox = self._inbox, []
        return inbox

    def watch_keeper(self) -> None:
        """Have a thread end this process when the keeper is gone, where the kernel does not."""
        self.own_threads += 1
        threading.Thread(target=self._await_hang_up, name="modelwright-keeper", daemon=True).start()

    def _await_hang_up(self) -> None:
        poll = select.poll()
        poll.register(self._link, 0)  # a hang-up is always told, and nothing else wakes us
        poll.poll()
        os._exit(_FAILED_TO_REPORT)

    def finish(self, tag: Tag, body: bytes, *, again: bool) -> None:
        """Send how the function ended, and whether this process can take another task."""
        with self._lock:
            self._put(tag, {"again": again}, body)

    def next_task(self) -> tuple[Order, bytes]:
        """Wait for another task; what came for the last one is forgotten."""
        while True:
            wait_for(self._link)
            self._link.receive()
            self._check()
            while self._link.frames:
                frame = self._link.frames.popleft()
                if frame.tag is Tag.RUN:
                    self._inbox = []
                    return Order(**frame.head), frame.body

    def _put(self, tag: Tag, head: dict[str, Any], body: bytes) -> None:
        if os.getpid() != self._owner:
            raise ExecutionError(
                "the trial's channel was used in a process that the trial has forked.",
                hint="Pass the values to the trial's own process and send them there.",
            )
        self._link.send(tag, head, body)
        while self._link.pending:
            wait_for(self._link, write=True)
            self._link.flush()
        self._check()

    def _take(self) -> list[Frame]:
        """Take in what has come; messages go to the inbox, the rest is returned."""
        self._link.receive()
        frames = list(self._link.frames)
        self._link.frames.clear()
        self._inbox += [(f.head["kind"], decode(f.body)) for f in frames if f.tag is Tag.TELL]
        self._check()
        return [frame for frame in frames if frame.tag is not Tag.TELL]

    def _check(self) -> None:
        if self._link.closed:  # the keeper is gone, and with it whoever would want to know
            os._exit(_FAILED_TO_REPORT)


def run_trial(
    sock: socket.socket,
    keeper: int,
    functions: Mapping[int, Function],
    order: Order,
    argument: bytes,
    resources: Resources,
) -> NoReturn:
    """Be the process of a trial, or of several in turn, from just after the fork to its end.

    It leaves by ``os._exit``: handlers that this process inherited from its ancestors are not its own to run.
    """
    code = _FAILED_TO_REPORT
    try:
        _settle(keeper, resources)
        channel = TrialChannel(sock, resources)
        if not system.HAS_DEATH_SIGNAL:
            channel.watch_keeper()
        again = True
        while again:
            tag, body = _outcome(functions[order.function], order, argument, channel)
            _flush()
            if os.getpid() != channel._owner:
                break  # a fork of it that came back from the function
            again = order.reusable and tag is Tag.RESULT and threading.active_count() == channel.own_threads
            channel.finish(tag, body, again=again)
            if again:
                order, argument = channel.next_task()
        code = 0
    finally:
        os._exit(code)


def _settle(keeper: int, resources: Resources) -> None:
    """Become a process of its own, which the user's code finds as if it had started it."""
    os.setsid()
    system.die_with_parent(signal.SIGKILL, keeper)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if resources.cores:
        with contextlib.suppress(OSError):  # they were taken from us meanwhile
            os.sched_setaffinity(0, resources.cores)
    with contextlib.suppress(OSError):  # when memory runs out, the kernel shall choose us and not the run
        Path("/proc/self/oom_score_adj").write_text("500")


def _outcome(function: Function, order: Order, argument: bytes, channel: TrialChannel) -> tuple[Tag, bytes]:
    try:
        channel.folder = None if order.folder is None else Path(order.folder)
        if channel.folder is not None:
            _redirect(channel.folder)
        if order.room is not None:
            disk.use_for_temporary_files(order.room)
        value = function(channel, _unpickle(argument))
        return Tag.RESULT, encode(value, "the result of the task")
    except BaseException as error:
        return Tag.ERROR, encode(asdict(describe(error, skip=1)), "the error of the task")


def _redirect(folder: Path) -> None:
    """Send standard output and error to files in `folder`, each line as soon as it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    for stream, number, name in zip((sys.stdout, sys.stderr), (1, 2), NAMES, strict=True):
        fd = open_stream(folder, name)
        os.dup2(fd, number)
        os.close(fd)
        if isinstance(stream, io.TextIOWrapper):  # and not what an import has put in its place
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
    faulthandler.enable(2)  # a crash in native code leaves its Python stack in stderr.txt


def _unpickle(argument: bytes) -> Any:
    try:
        return pickle.loads(argument)  # noqa: S301 - written by our own coordinator, over our own socket
    except Exception as error:
        raise ObjectiveTransportError(
            f"the task's argument cannot be read in the trial's process: {type(error).__name__}: {error}."
        ) from error


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # closed or replaced by the task
            stream.flush()
    system.flush_c_streams()
