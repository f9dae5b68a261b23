"""The launcher: a process that imports what trials need and forks the keepers, and never computes.

Run as ``python -m modelwright.execution.local.launcher <descriptor> <coordinator's pid>``. It has one thread,
so forking it is safe, and what it has imported is there in each trial without being loaded again.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import pickle
import select
import signal
import socket
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import NoReturn

from modelwright.execution._common import summary
from modelwright.execution._payload import describe
from modelwright.execution.base import Function, Resources
from modelwright.execution.local import disk, system
from modelwright.execution.local.keeper import LEAVE, run_keeper
from modelwright.execution.local.wire import Frame, Link, Tag

__all__ = ["Launcher", "main"]


class Launcher:
    """The launcher's loop.

    Parameters
    ----------
    link : Link
        To the coordinator; when its other end is gone, the launcher takes everything down and leaves.
    coordinator : int
        Its process id.
    """

    def __init__(self, link: Link, coordinator: int) -> None:
        self._link = link
        self._coordinator = coordinator
        self._functions: dict[int, Function] = {}
        self._keepers: dict[int, int] = {}  # process id -> number
        self._rooms = ""
        self._reader, self._writer = _signal_sockets()
        self._loading = False
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, self._wake)
        signal.signal(signal.SIGTERM, self._wake)  # what the kernel sends when the coordinator dies

    def run(self) -> NoReturn:
        """Serve until the coordinator is gone; no process is left below us then."""
        while not self._link.closed and os.getppid() == self._coordinator:
            poll = select.poll()
            poll.register(self._reader, select.POLLIN)
            poll.register(self._link, select.POLLIN | (select.POLLOUT if self._link.pending else 0))
            poll.poll()
            with contextlib.suppress(BlockingIOError):
                self._reader.recv(4096)
            system.reap(self._note_end)
            self._link.flush()
            self._link.receive()
            while self._link.frames:
                self._obey(self._link.frames.popleft())
        self._leave()

    def _wake(self, number: int, frame: object) -> None:
        """Handle a signal: its byte ends the poll, but code that is being imported has to be cut short."""
        if self._loading and (os.getppid() != self._coordinator or self._link.ended()):
            self._leave()

    def _obey(self, frame: Frame) -> None:
        if frame.tag is Tag.HELLO:
            sys.path[:], sys.argv[:] = frame.head["path"], frame.head["argv"]
            del os.environ["PYTHONPATH"]  # it was ours, for the start
            os.environ.update(frame.head["environment"])
            self._rooms = frame.head["rooms"]
            with self._user_code():
                _preload(frame.head["preload"])
        elif frame.tag is Tag.LOAD:
            with self._user_code():
                reason = self._load(frame.head["function"], frame.body)
            self._link.send(Tag.LOADED, {"function": frame.head["function"], "reason": reason})
        elif frame.tag is Tag.OPEN:
            offered = dict(frame.head["resources"])
            resources = Resources(**offered | {name: tuple(offered[name]) for name in ("gpus", "cores")})
            self._open(frame.head["keeper"], self._link.fds.popleft(), resources)

    @contextlib.contextmanager
    def _user_code(self) -> Iterator[None]:
        """Run imports, and keep what they leave away from the collector.

        What is here now stays: untouched, its pages remain shared with all trials.
        """
        self._loading = True
        try:
            yield
        finally:
            self._loading = False
            gc.collect()
            gc.freeze()

    def _load(self, number: int, data: bytes) -> str:
        """Unpickle a function; return why it cannot be, or an empty text."""
        try:
            self._functions[number] = pickle.loads(data)  # noqa: S301 - written by our own coordinator
        except BaseException as error:  # also of a module that calls sys.exit when it is imported
            return summary(describe(error))
        return ""

    def _open(self, number: int, fd: int, resources: Resources) -> None:
        sock = socket.socket(fileno=fd)
        launcher = os.getpid()
        signals = _signal_sockets()
        try:
            pid = os.fork()
        except OSError as error:
            print(f"no keeper could be started: {error}", file=sys.stderr)
            pid = -1
        if pid == 0:
            signal.set_wakeup_fd(signals[1].fileno(), warn_on_full_buffer=False)
            for not_its in (self._link, self._reader, self._writer):
                not_its.close()
            run_keeper(sock, signals, launcher, self._functions, resources, self._rooms)
        for ours in (sock, *signals):
            ours.close()
        if pid > 0:
            self._keepers[pid] = number
        else:
            self._link.send(Tag.GONE, {"keeper": number, "how": "it could not be started"})

    def _note_end(self, reaped: system.Reaped) -> None:
        """A child has ended: if it was a keeper, its orphans are ours now, and must go."""
        pid, status, _ = reaped
        number = self._keepers.pop(pid, None)
        if number is None:
            return
        system.kill_below(self._note_end, spare=self._keepers)
        code = os.waitstatus_to_exitcode(status)
        how = f"it left with exit code {code}" if code >= 0 else f"it died of {signal.Signals(-code).name}"
        self._link.send(Tag.GONE, {"keeper": number, "how": how})

    def _leave(self) -> NoReturn:
        """Wait for the keepers, which end as we do, then kill whatever is left."""
        self._link.close()
        system.signal_all(list(self._keepers), LEAVE)
        poll = select.poll()
        poll.register(self._reader, select.POLLIN)
        for _ in range(20):
            if not system.reap(lambda reaped: None):
                break
            poll.poll(100)
            with contextlib.suppress(BlockingIOError):
                self._reader.recv(4096)
        system.kill_below(lambda reaped: None)
        if self._rooms:
            disk.remove(self._rooms)  # the coordinator may have been killed
        os._exit(0)


def _preload(names: Sequence[str]) -> None:
    """Import modules ahead of time; one that cannot be imported fails where it is used, with its reason."""
    for name in names:
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def _signal_sockets() -> tuple[socket.socket, socket.socket]:
    """Return a pair for `signal.set_wakeup_fd`: what polls the first end wakes at each signal."""
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    writer.setblocking(False)
    return reader, writer


def main(fd: int, coordinator: int) -> NoReturn:
    """Be the launcher's process."""
    # Libraries start threads when they are imported; none of theirs survives the fork, and none has to.
    warnings.filterwarnings("ignore", ".*multi-threaded.*fork", DeprecationWarning)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # whatever the coordinator has blocked
    launcher = Launcher(Link(socket.socket(fileno=fd)), coordinator)
    system.adopt_orphans()
    system.die_with_parent(signal.SIGTERM, coordinator)
    launcher.run()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
