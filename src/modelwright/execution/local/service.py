"""The coordinator's view of the launcher: one process that serves until it is closed or dies."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from modelwright.errors import ExecutionError, ObjectiveTransportError
from modelwright.execution._waker import wait_for
from modelwright.execution.base import Function, Resources, environment_for
from modelwright.execution.local import disk
from modelwright.execution.local.transport import pack_function
from modelwright.execution.local.wire import Link, Tag

__all__ = ["LauncherService"]

_PATIENCE_S = 3.0


class LauncherService:
    """A launcher process and the line to it.

    Parameters
    ----------
    slots : sequence of Resources
        Libraries that fix their number of threads when they are loaded get the most that a slot has.
    preload : sequence of str
        Modules to import at once.

    Attributes
    ----------
    link : Link
        To be polled; `take_in` reads it.
    functions : set of int
        Numbers of the functions that a keeper opened now would know.
    gone : dict of int to str
        Keepers that have ended, with the reason, of which nothing is left.
    """

    def __init__(self, slots: Sequence[Resources], preload: Sequence[str]) -> None:
        if not sys.executable:
            raise ExecutionError(
                "expected sys.executable to name the Python interpreter, and it is empty.",
                hint='Use executor="thread".',
            )
        ours, theirs = socket.socketpair()
        cores = max(slot.cpus for slot in slots)
        path = [str(Path(entry).absolute()) for entry in sys.path]  # "" is the current folder
        environment = environment_for(Resources(cpus=cores), os.environ)
        environment["PYTHONPATH"] = os.pathsep.join(path)  # so that it finds us and the user's modules
        module = "modelwright.execution.local.launcher"
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", module, str(theirs.fileno()), str(os.getpid())],
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for the coordinator alone
                stdin=subprocess.DEVNULL,
                env=environment,
            )
        self.link = Link(ours)
        self.functions: set[int] = set()
        self.gone: dict[int, str] = {}
        self._numbers: dict[
            int, tuple[int, Function]
        ] = {}  # by identity; the function is held so that it stays
        self._reasons: dict[int, str] = {}
        self._sent = 0
        self._keepers = 0
        users = {name: value for name, value in os.environ.items() if name == "PYTHONPATH"}
        self._rooms = _make_rooms()
        hello = {
            "path": path,
            "argv": sys.argv,
            "preload": list(preload),
            "environment": users,
            "rooms": self._rooms,
        }
        self.link.send(Tag.HELLO, hello)

    @property
    def alive(self) -> bool:
        """Whether it still serves."""
        return not self.link.closed

    def take_in(self) -> None:
        """Read what it has said."""
        self.link.flush()
        if self.alive:
            self.link.receive()
        while self.link.frames:
            frame = self.link.frames.popleft()
            if frame.tag is Tag.LOADED:
                self._reasons[frame.head["function"]] = frame.head["reason"]
            elif frame.tag is Tag.GONE:
                self.gone[frame.head["keeper"]] = frame.head["how"]

    def load(self, function: Function) -> int:
        """Return the number of `function`, sending it first if it is new.

        Raises
        ------
        ObjectiveTransportError
            It cannot be pickled here, or not be imported there; the message says why.
        """
        known = self._numbers.get(id(function))
        if known is not None:
            return known[0]
        data = pack_function(function)
        self._sent += 1
        number = self._sent
        self.link.send(Tag.LOAD, {"function": number}, data)
        while number not in self._reasons and self.alive:
            wait_for(self.link, write=self.link.pending > 0)
            self.take_in()
        name = getattr(function, "__qualname__", repr(function))
        if number not in self._reasons:
            raise ObjectiveTransportError(
                f"the process that was to load the function {name!r} has ended"
                f" (exit code {self._exit_code()}) instead.",
                hint='See its standard error, or use executor="thread".',
            )
        if reason := self._reasons[number]:
            raise ObjectiveTransportError(
                f"the function {name!r} cannot be loaded in another process: {reason}.",
                hint='Make its module importable from there, or use executor="thread".',
            )
        self._numbers[id(function)] = (number, function)
        self.functions.add(number)
        return number

    def open_keeper(self, resources: Resources) -> tuple[int, Link]:
        """Have a keeper forked; return its number and the line to it."""
        self._keepers += 1
        ours, theirs = socket.socketpair()
        with theirs:
            head = {"keeper": self._keepers, "resources": asdict(resources)}
            self.link.send_with_fd(Tag.OPEN, head, theirs.fileno())
        return self._keepers, Link(ours)

    def close(self) -> None:
        """End it, with all that is below it."""
        self.link.close()
        self._process.terminate()  # it may be importing: this has it look at the closed line
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:  # it is held up in native code
            self._process.kill()
            self._process.wait()
        if self._rooms:
            disk.remove(self._rooms)

    def _exit_code(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE_S)
        return self._process.returncode


def _make_rooms() -> str:
    """Make the folder for temporary files of trials; empty where there can be none."""
    try:
        return tempfile.mkdtemp(prefix="modelwright-")
    except OSError:
        return ""
