"""The processes of a keeper's trials: forked fresh, or taken over from the trial before."""

from __future__ import annotations

import os
import resource
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

from modelwright.execution.base import Function, Resources
from modelwright.execution.local import system
from modelwright.execution.local.trial import Order, run_trial
from modelwright.execution.local.wire import Link, Tag

__all__ = ["Process", "Processes"]


@dataclass(slots=True)
class Process:
    """The process that a trial runs in.

    Attributes
    ----------
    pid : int
        The first of its tree.
    link : Link
        To it.
    in_files : bool
        Whether its output goes to files.
    left : int
        How many tasks it may still take after this one.
    status : int, optional
        How it ended, as `os.wait` tells it.
    """

    pid: int
    link: Link
    in_files: bool
    left: int
    status: int | None = None
    usage: resource.struct_rusage | None = None


class _Closable(Protocol):
    def close(self) -> None: ...


class Processes:
    """Starts processes for tasks, one at a time.

    Parameters
    ----------
    functions : mapping of int to callable
        The functions that tasks name by number.
    resources : Resources
        Of the slot.
    not_its : sequence
        What is the keeper's own, and closed in what it forks.
    on_reaped : callable
        Hears of each process that has ended below the keeper.
    """

    def __init__(
        self,
        functions: Mapping[int, Function],
        resources: Resources,
        not_its: Sequence[_Closable],
        on_reaped: Callable[[system.Reaped], None],
    ) -> None:
        self._functions = functions
        self._resources = resources
        self._not_its = not_its
        self._on_reaped = on_reaped
        self.idle: Process | None = None

    def start(self, order: Order, argument: bytes, tasks: int, not_its: Sequence[_Closable]) -> Process:
        """Give a task to the process that is there from the last one, or to a fresh one for `tasks` tasks.

        Raises
        ------
        OSError
            There can be no further process.
        """
        return self._take_over(order, argument) or self._fork(order, argument, tasks, not_its)

    def keep(self, process: Process) -> bool:
        """Keep the process for the next task, if it is alone below the keeper; return whether it is."""
        alone = system.children(os.getpid()) == [process.pid] and not system.children(process.pid)
        if process.left < 1 or not alone:
            return False
        self.idle = process
        return True

    def _take_over(self, order: Order, argument: bytes) -> Process | None:
        process = self.idle
        if process is None:
            return None
        system.reap(self._on_reaped)
        self.idle = None
        if process.status is not None or process.in_files != (order.folder is not None):
            process.link.close()
            system.kill_below(self._on_reaped)
            return None
        process.left -= 1
        process.link.send(Tag.RUN, asdict(order), argument)
        return process

    def _fork(self, order: Order, argument: bytes, tasks: int, not_its: Sequence[_Closable]) -> Process:
        ours, theirs = socket.socketpair()
        keeper = os.getpid()
        try:
            pid = os.fork()
        except OSError:
            ours.close()
            theirs.close()
            raise
        if pid == 0:
            signal.set_wakeup_fd(-1)
            for item in (*self._not_its, *not_its, ours):
                item.close()
            run_trial(theirs, keeper, self._functions, order, argument, self._resources)
        theirs.close()
        return Process(pid, Link(ours, trusted=False), order.folder is not None, tasks - 1)
