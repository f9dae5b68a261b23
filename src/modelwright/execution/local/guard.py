"""A guard over one command: nothing that the command has started outlives it, or whoever wanted it.

For commands that no keeper looks after. The descriptor `lifeline` is the reading end of a pipe whose other
end the run holds: when that is closed, by the run or by its death, everything below the guard is killed.
SIGTERM is passed on to everything. The guard ends as the command has ended, with its exit code or by its
signal.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
from typing import NoReturn

from modelwright.execution.local import system

__all__ = ["COULD_NOT_START", "main"]

COULD_NOT_START = 127  # as of a shell that finds no such command


def main(lifeline: int, command: list[str]) -> NoReturn:
    """Be the guard's process."""
    reader, writer = socket.socketpair()
    for end in (reader, writer):
        end.setblocking(False)
    asked: list[int] = []
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    system.adopt_orphans()
    pid = _start(lifeline, command)
    status: list[int] = []

    def note(reaped: system.Reaped) -> None:
        if reaped[0] == pid:
            status.append(reaped[1])

    poll = select.poll()
    poll.register(reader, select.POLLIN)
    poll.register(lifeline, 0)  # a hang-up is always told
    system.reap(note)
    while not status:
        if any(fd == lifeline for fd, _ in poll.poll()):
            break
        with contextlib.suppress(BlockingIOError):
            reader.recv(4096)
        if asked:
            asked.clear()
            system.signal_all(system.descendants(os.getpid()), signal.SIGTERM)
        system.reap(note)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)  # where orphans are not adopted, the group is what can be reached
    system.kill_below(note)
    _end_like(status[0] if status else signal.SIGKILL)


def _start(lifeline: int, command: list[str]) -> int:
    pid = os.fork()  # there is one thread here
    if pid:
        return pid
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.close(lifeline)
        os.setpgid(0, 0)
        os.execvp(command[0], command)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr, flush=True)
    finally:
        os._exit(COULD_NOT_START)


def _end_like(status: int) -> NoReturn:
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)
