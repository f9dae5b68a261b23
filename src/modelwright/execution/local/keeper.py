"""The keeper of one slot: starts a fresh process for each trial, watches it, and ends it with all it started.

It never runs a user's code and never waits for anything but its poll, so nothing that a trial does can hold
it up. What it knows of the trial comes from outside: the clock, ``/proc``, and the end of the process.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Mapping
from typing import Any, NoReturn

from modelwright.execution._common import CANCEL
from modelwright.execution.base import EndKind, Function, Limits, Resources, environment_for
from modelwright.execution.local import system
from modelwright.execution.local.running import Running
from modelwright.execution.local.trial import run_trial
from modelwright.execution.local.watch import MemoryWatch
from modelwright.execution.local.wire import BrokenWireError, Frame, Link, Tag

__all__ = ["Keeper", "run_keeper"]

_CONGESTED = 8 * 1024 * 1024  # bytes for the coordinator above which a trial that talks has to wait


class Keeper:
    """The loop of a keeper, in its own process.

    Parameters
    ----------
    link : Link
        To the coordinator. When its other end is gone, so is the reason to go on.
    signals : pair of sockets
        Python writes a byte to the second for each signal that arrives; the first is polled.
    functions : mapping of int to callable
        The functions that tasks name by number; loaded before this process was forked.
    resources : Resources
        Of the slot.
    """

    def __init__(
        self,
        link: Link,
        signals: tuple[socket.socket, socket.socket],
        functions: Mapping[int, Function],
        resources: Resources,
    ) -> None:
        self._link = link
        self._signals = signals
        self._functions = functions
        self._resources = resources
        self._running: Running | None = None
        self.leaving = False

    def run(self) -> None:
        """Serve until the coordinator is gone, or `leaving` was set; nothing is left below us then."""
        while not (self._link.closed or self.leaving):
            self._wait()
            self._signals_seen()
            self._link.flush()
            self._link.receive()
            while self._link.frames:
                self._obey(self._link.frames.popleft())
            if self._running is not None:
                self._attend(self._running)
        system.kill_below(self._note_end)

    # What the coordinator wants ----------------------------------------------------------------------

    def _obey(self, frame: Frame) -> None:
        running = self._running
        if frame.tag is Tag.RUN:
            self._start(frame)
        elif running is None or running.job != frame.head["job"]:
            return  # it has ended meanwhile
        elif frame.tag is Tag.CANCEL:
            why = str(frame.head["why"])
            running.link.send(Tag.TELL, {"kind": CANCEL}, frame.body)
            self._ask_to_go(running, EndKind.CANCELLED, why)
        else:
            running.link.send(frame.tag, frame.head, frame.body)

    def _start(self, frame: Frame) -> None:
        head = frame.head
        limits = Limits(head["wall_s"], head["memory_mb"], head["grace_s"])
        oom_kills = system.oom_kills()
        ours, theirs = socket.socketpair()
        keeper = os.getpid()
        began = time.monotonic()
        try:
            pid = os.fork()
        except OSError as error:
            ours.close()
            theirs.close()
            detail = f"no process could be started: {error}"
            self._report(head["job"], {"kind": EndKind.LOST, "detail": detail, "wall_s": 0.0})
            return
        if pid == 0:
            signal.set_wakeup_fd(-1)
            for not_its in (self._link, *self._signals, ours):
                not_its.close()
            function = self._functions[head["function"]]
            run_trial(theirs, keeper, function, frame.body, head["folder"], self._resources)
        theirs.close()
        watch = MemoryWatch(limits.memory_mb, began)
        link = Link(ours, trusted=False)
        self._running = Running(head["job"], pid, link, limits, watch, began, oom_kills)
        self._link.send(Tag.BEGUN, {"job": head["job"]})

    # What the trial does -----------------------------------------------------------------------------

    def _attend(self, running: Running) -> None:
        """See to the running trial: its messages, its limits, its end."""
        system.reap(self._note_end)
        if running.over or self._link.pending < _CONGESTED:
            self._relay(running)
        if not running.over:
            self._enforce(running, time.monotonic())
        if running.over:
            self._finish(running)

    def _relay(self, running: Running) -> None:
        """Pass on what the trial says; what it says last is kept until it is gone."""
        running.link.flush()
        try:
            if not running.link.closed:
                running.link.receive()
        except BrokenWireError as error:
            running.link.close()
            running.notes.append(f"it wrote to its keeper's socket what is no message ({error})")
            system.signal_all([running.pid], signal.SIGKILL)
        while running.link.frames:
            frame = running.link.frames.popleft()
            if frame.tag in (Tag.RESULT, Tag.ERROR):
                running.outcome = frame
            elif frame.tag in (Tag.SEND, Tag.ASK):
                self._link.send(frame.tag, frame.head | {"job": running.job}, frame.body)

    def _enforce(self, running: Running, now: float) -> None:
        wall_s = running.limits.wall_s
        if wall_s is not None and running.verdict is None and now >= running.began + wall_s:
            detail = f"{now - running.began:.1f} s of {wall_s:g} s"
            self._ask_to_go(running, EndKind.TIMEOUT, detail)
        if now >= running.watch.next_at and running.watch.exceeded(system.descendants(os.getpid()), now):
            running.verdict = running.verdict or (EndKind.MEMORY, running.watch.figure(now - running.began))
            running.kill_at = now
        if running.kill_at is not None and now >= running.kill_at:
            system.kill_below(self._note_end)

    def _ask_to_go(self, running: Running, kind: EndKind, detail: str) -> None:
        if running.verdict is None:
            running.verdict = (kind, detail)
            running.kill_at = time.monotonic() + running.limits.grace_s
            system.signal_all(system.descendants(os.getpid()), signal.SIGTERM)

    def _note_end(self, reaped: system.Reaped) -> None:
        pid, status, usage = reaped
        if self._running is not None and pid == self._running.pid:
            self._running.status, self._running.usage = status, usage

    # How it ended ------------------------------------------------------------------------------------

    def _finish(self, running: Running) -> None:
        """Leave nothing of the trial behind, then say how it ended."""
        left = system.kill_below(self._note_end)
        if left:
            running.notes.append(f"{len(left)} of its processes could not be killed: {left}")
        self._relay(running)
        running.link.close()
        self._running = None
        self._report(running.job, *running.report(time.monotonic()))

    def _report(self, job: int, head: dict[str, Any], body: bytes = b"") -> None:
        self._link.send(Tag.OVER, {"job": job} | head, body)

    # Waiting -----------------------------------------------------------------------------------------

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self._signals[0], select.POLLIN)
        poll.register(self._link, select.POLLIN | (select.POLLOUT if self._link.pending else 0))
        timeout_s = None
        if self._running is not None:
            link = self._running.link
            listen = select.POLLIN if self._link.pending < _CONGESTED else 0
            wanted = listen | (select.POLLOUT if link.pending else 0)
            if wanted and not link.closed:
                poll.register(link, wanted)
            timeout_s = max(0.0, self._running.deadline - time.monotonic())
        poll.poll(None if timeout_s is None else timeout_s * 1000 + 1)

    def _signals_seen(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._signals[0].recv(4096)


def _fit_to(resources: Resources) -> None:
    """Give what is forked from here the cores and devices of the slot, and no more."""
    loaded_with = os.environ.get("OMP_NUM_THREADS")
    os.environ.update(environment_for(resources, {}))
    threads = sys.modules.get("threadpoolctl")  # where scikit-learn is loaded, it is, too
    if threads is not None and loaded_with != os.environ["OMP_NUM_THREADS"]:
        threads.threadpool_limits(resources.cpus)


def run_keeper(
    sock: socket.socket,
    signals: tuple[socket.socket, socket.socket],
    launcher: int,
    functions: Mapping[int, Function],
    resources: Resources,
) -> NoReturn:
    """Be a keeper's process, from just after the fork to its end."""
    code = 1
    try:
        keeper = Keeper(Link(sock), signals, functions, resources)

        def wake(number: int, frame: object) -> None:
            keeper.leaving = keeper.leaving or number == signal.SIGTERM

        signal.signal(signal.SIGCHLD, wake)
        signal.signal(signal.SIGTERM, wake)  # what the kernel sends when the launcher dies
        system.adopt_orphans()
        system.die_with_parent(signal.SIGTERM, launcher)
        _fit_to(resources)
        keeper.run()
        code = 0
    except Exception:  # a fault of ours, which must not be silent
        traceback.print_exc()
    finally:
        os._exit(code)
