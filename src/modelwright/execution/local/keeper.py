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
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from modelwright.execution._common import CANCEL
from modelwright.execution.base import EndKind, Function, Limits, Resources
from modelwright.execution.local import disk, system
from modelwright.execution.local.fitting import fit_to
from modelwright.execution.local.output import Output
from modelwright.execution.local.processes import Process, Processes
from modelwright.execution.local.running import Running
from modelwright.execution.local.trial import Order
from modelwright.execution.local.watch import CpuWatch, MemoryWatch, Watch
from modelwright.execution.local.wire import BrokenWireError, Frame, Link, Tag

__all__ = ["LEAVE", "Keeper", "run_keeper"]

LEAVE = signal.SIGUSR1
"""The signal by which a keeper is told to leave. Clusters send SIGTERM to every process of a job at once, and
that must not take the grace from a trial: its coordinator hears it too, and decides."""

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
    rooms : str
        The folder in which each trial gets one for its temporary files; empty where there is none.
    """

    def __init__(
        self,
        link: Link,
        signals: tuple[socket.socket, socket.socket],
        functions: Mapping[int, Function],
        resources: Resources,
        rooms: str,
    ) -> None:
        self._link = link
        self._signals = signals
        self._resources = resources
        self._rooms = rooms
        self._processes = Processes(functions, resources, (link, *signals), self._note_end)
        self._running: Running | None = None
        self._ended_cpu_s = 0.0  # what processes below have used that are gone
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
        if self._running is not None and self._running.room is not None:
            disk.remove(self._running.room)

    # What the coordinator wants ----------------------------------------------------------------------

    def _obey(self, frame: Frame) -> None:
        running = self._running
        if frame.tag is Tag.RUN:
            self._start(frame)
        elif running is None or running.job != frame.head["job"]:
            return  # it has ended meanwhile
        elif frame.tag is Tag.CANCEL:
            why = str(frame.head["why"])
            running.process.link.send(Tag.TELL, {"kind": CANCEL}, frame.body)
            self._ask_to_go(running, EndKind.CANCELLED, why)
        else:
            running.process.link.send(frame.tag, frame.head, frame.body)

    def _start(self, frame: Frame) -> None:
        head = frame.head
        began = time.monotonic()
        oom_kills = system.oom_kills()
        limits = Limits(**head["limits"])
        room = disk.make_room(self._rooms, f"{os.getpid()}-{head['job']}") if self._rooms else None
        output = _open_output(head["folder"], limits, began)
        order = Order(head["function"], head["folder"], room, reusable=head["reuse"] > 1)
        try:
            opened = () if output is None else (output,)
            process = self._processes.start(order, frame.body, head["reuse"], opened)
        except OSError as error:
            detail = f"no process could be started: {error}"
            _clear_away(output, room)
            self._report(head["job"], {"kind": EndKind.LOST, "detail": detail, "wall_s": 0.0})
            return
        memory = MemoryWatch(limits.memory_mb, began)
        watches: list[Watch] = [memory] if output is None else [memory, output]
        if limits.cpu_s is not None:
            watches.append(self._cpu_watch(limits.cpu_s, process, began))
        if limits.disk_mb is not None:
            folders = [folder for folder in (head["folder"], room) if folder is not None]
            watches.append(disk.DiskWatch(limits.disk_mb, folders, began))
        self._running = Running(head["job"], process, limits, began, memory, output, watches, room, oom_kills)
        self._link.send(Tag.BEGUN, {"job": head["job"]})

    def _cpu_watch(self, limit_s: float, process: Process, now: float) -> CpuWatch:
        before_s = self._ended_cpu_s + system.cpu_s([process.pid])  # it may have had tasks before
        cores = len(self._resources.cores) or os.cpu_count() or 1
        return CpuWatch(limit_s, lambda: self._ended_cpu_s - before_s, cores, now)

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
        running.process.link.flush()
        try:
            if not running.process.link.closed:
                running.process.link.receive()
        except BrokenWireError as error:
            running.process.link.close()
            running.notes.append(f"it wrote to its keeper's socket what is no message ({error})")
            system.signal_all([running.process.pid], signal.SIGKILL)
        while running.process.link.frames:
            frame = running.process.link.frames.popleft()
            if frame.tag in (Tag.RESULT, Tag.ERROR):
                running.outcome = frame
            elif frame.tag in (Tag.SEND, Tag.ASK):
                self._link.send(frame.tag, frame.head | {"job": running.job}, frame.body)

    def _enforce(self, running: Running, now: float) -> None:
        wall_s = running.limits.wall_s
        if wall_s is not None and running.verdict is None and now >= running.began + wall_s:
            detail = f"{now - running.began:.1f} s of {wall_s:g} s"
            self._ask_to_go(running, EndKind.TIMEOUT, detail)
        if due := running.due(now):
            pids = system.descendants(os.getpid())
            for watch in due:
                if watch.exceeded(pids, now):
                    self._end_for(running, watch, now)
        if running.kill_at is not None and now >= running.kill_at:
            system.kill_below(self._note_end)

    def _end_for(self, running: Running, watch: Watch, now: float) -> None:
        """End the trial for what a watch has seen: at once where it could do harm in its grace."""
        figure = watch.figure(now - running.began)
        if watch.kind is EndKind.CPU:
            self._ask_to_go(running, watch.kind, figure)
        else:
            running.verdict = running.verdict or (watch.kind, figure)
            running.kill_at = now

    def _ask_to_go(self, running: Running, kind: EndKind, detail: str) -> None:
        if running.verdict is None:
            running.verdict = (kind, detail)
            running.kill_at = time.monotonic() + running.limits.grace_s
            system.signal_all(system.descendants(os.getpid()), signal.SIGTERM)

    def _note_end(self, reaped: system.Reaped) -> None:
        pid, status, usage = reaped
        self._ended_cpu_s += usage.ru_utime + usage.ru_stime
        for process in (self._running.process if self._running else None, self._processes.idle):
            if process is not None and pid == process.pid:
                process.status, process.usage = status, usage

    # How it ended ------------------------------------------------------------------------------------

    def _finish(self, running: Running) -> None:
        """Leave nothing of the trial behind, then say how it ended."""
        kept = running.may_go_on and self._processes.keep(running.process)
        if not kept:
            left = system.kill_below(self._note_end)
            if left:
                running.notes.append(f"{len(left)} of its processes could not be killed: {left}")
            self._relay(running)
            running.process.link.close()
        if running.output is not None:
            running.output.settle()
        head, body = running.report(time.monotonic())
        self._running = None
        _clear_away(running.output, running.room)
        self._report(running.job, head, body)

    def _report(self, job: int, head: dict[str, Any], body: bytes = b"") -> None:
        self._link.send(Tag.OVER, {"job": job} | head, body)

    # Waiting -----------------------------------------------------------------------------------------

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self._signals[0], select.POLLIN)
        poll.register(self._link, select.POLLIN | (select.POLLOUT if self._link.pending else 0))
        timeout_s = None
        if self._running is not None:
            link = self._running.process.link
            listen = select.POLLIN if self._link.pending < _CONGESTED else 0
            wanted = listen | (select.POLLOUT if link.pending else 0)
            if wanted and not link.closed:
                poll.register(link, wanted)
            timeout_s = max(0.0, self._running.deadline - time.monotonic())
        poll.poll(None if timeout_s is None else timeout_s * 1000 + 1)

    def _signals_seen(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._signals[0].recv(4096)


def _open_output(folder: str | None, limits: Limits, now: float) -> Output | None:
    """Open the files for a trial's output; where they cannot be made, the trial itself will say why."""
    if folder is None:
        return None
    try:
        return Output(Path(folder), limits.kept_output_mb, limits.output_mb, now)
    except OSError:
        return None


def _clear_away(output: Output | None, room: str | None) -> None:
    if output is not None:
        output.close()
    if room is not None:
        disk.remove(room)


def run_keeper(
    sock: socket.socket,
    signals: tuple[socket.socket, socket.socket],
    launcher: int,
    functions: Mapping[int, Function],
    resources: Resources,
    rooms: str,
) -> NoReturn:
    """Be a keeper's process, from just after the fork to its end."""
    code = 1
    try:
        keeper = Keeper(Link(sock), signals, functions, resources, rooms)

        def wake(number: int, frame: object) -> None:
            keeper.leaving = keeper.leaving or number == LEAVE

        signal.signal(signal.SIGCHLD, wake)
        signal.signal(signal.SIGTERM, wake)
        signal.signal(LEAVE, wake)  # also what the kernel sends when the launcher dies
        system.adopt_orphans()
        system.die_with_parent(LEAVE, launcher)
        fit_to(resources)
        keeper.run()
        code = 0
    except Exception:  # a fault of ours, which must not be silent
        traceback.print_exc()
    finally:
        os._exit(code)
