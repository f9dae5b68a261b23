"""The process of one trial: what happens between the fork and its end."""

from __future__ import annotations

import contextlib
import faulthandler
import io
import os
import pickle
import resource
import signal
import socket
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from modelwright.errors import ExecutionError, ObjectiveTransportError
from modelwright.execution._payload import decode, describe, encode
from modelwright.execution._waker import wait_for
from modelwright.execution.base import Function, Resources
from modelwright.execution.local import system
from modelwright.execution.local.wire import Frame, Link, Tag

__all__ = ["TrialChannel", "run_trial"]

_FAILED_TO_REPORT = 70  # exit code where even the error could not be sent; sysexits.h: internal error


class TrialChannel:
    """A trial's end of the socket to its keeper."""

    def __init__(self, sock: socket.socket, folder: Path | None, resources: Resources) -> None:
        self.folder = folder
        self.resources = resources
        self._link = Link(sock)
        self._lock = threading.Lock()  # threads of the trial take turns
        self._owner = os.getpid()
        self._inbox: list[tuple[str, Any]] = []

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

    def finish(self, tag: Tag, body: bytes) -> None:
        """Send how the function ended."""
        with self._lock:
            self._put(tag, {}, body)

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
    function: Function,
    argument: bytes,
    folder: str | None,
    resources: Resources,
) -> NoReturn:
    """Be the process of a trial, from just after the fork to its end.

    It leaves by ``os._exit``: handlers that this process inherited from its ancestors are not its own to run.
    """
    code = _FAILED_TO_REPORT
    try:
        _settle(keeper)
        channel = TrialChannel(sock, Path(folder) if folder is not None else None, resources)
        tag, body = _outcome(function, argument, channel)
        _flush()
        if os.getpid() == channel._owner:  # and not a fork of it that came back from the function
            channel.finish(tag, body)
        code = 0
    finally:
        os._exit(code)


def _settle(keeper: int) -> None:
    """Become a process of its own, which the user's code finds as if it had started it."""
    os.setsid()
    system.die_with_parent(signal.SIGKILL, keeper)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):  # when memory runs out, the kernel shall choose us and not the run
        Path("/proc/self/oom_score_adj").write_text("500")


def _outcome(function: Function, argument: bytes, channel: TrialChannel) -> tuple[Tag, bytes]:
    try:
        if channel.folder is not None:
            _redirect(channel.folder)
        value = function(channel, _unpickle(argument))
        return Tag.RESULT, encode(value, "the result of the task")
    except BaseException as error:
        return Tag.ERROR, encode(asdict(describe(error, skip=1)), "the error of the task")


def _redirect(folder: Path) -> None:
    """Send standard output and error to files in `folder`, each line as soon as it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    for stream, number, name in ((sys.stdout, 1, "stdout.txt"), (sys.stderr, 2, "stderr.txt")):
        fd = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o666)
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
