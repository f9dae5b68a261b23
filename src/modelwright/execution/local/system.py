"""What the operating system is asked: process trees, their memory, and who dies with whom.

Linux gives all of it through ``/proc`` and ``prctl``. Elsewhere psutil stands in where it can: orphans are
then not adopted, so a process that a trial has cut loose may outlive it, and memory is counted as resident
set size, shared pages in full.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

__all__ = [
    "Reaped",
    "adopt_orphans",
    "children",
    "descendants",
    "die_with_parent",
    "flush_c_streams",
    "kill_below",
    "oom_kills",
    "proportional_mb",
    "reap",
    "resident_mb",
    "signal_all",
]

Reaped = tuple[int, int, resource.struct_rusage]  # process id, wait status, what it used

_LINUX = sys.platform == "linux"
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PAGE_MB = resource.getpagesize() / 1e6
_HAS_CHILDREN_FILE = Path(f"/proc/self/task/{os.getpid()}/children").exists()
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(number: signal.Signals, parent: int) -> None:
    """Have the kernel send `number` to this process when the thread of `parent` that made it ends."""
    if _LINUX:
        _libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent:  # it was gone before we asked
        os.kill(os.getpid(), number)


def adopt_orphans() -> None:
    """Become the parent of all processes below this one whose own parent ends."""
    if _LINUX:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def flush_c_streams() -> None:
    """Write out what native libraries hold in their buffers of standard output."""
    _libc.fflush(None)


def children(pid: int) -> list[int]:
    """Return the children of a process, ended ones that were not waited for included."""
    if not _HAS_CHILDREN_FILE:
        return _below_by_psutil(pid, recursive=False)
    found: list[int] = []
    with contextlib.suppress(OSError):  # it ends meanwhile
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - ten times as fast
            with contextlib.suppress(OSError):
                found += map(int, _read(f"/proc/{pid}/task/{task}/children").split())
    return found


def descendants(pid: int) -> list[int]:
    """Return all processes below `pid`, parents before their children."""
    if not _HAS_CHILDREN_FILE:
        return _below_by_psutil(pid, recursive=True)
    found = children(pid)
    for child in found:  # the list grows while it is walked
        found += children(child)
    return found


def resident_mb(pids: Iterable[int]) -> float:
    """Return the summed resident memory: cheap, and never less than the proportional one."""
    if not _LINUX:
        return _resident_by_psutil(pids)
    pages = 0
    for pid in pids:
        with contextlib.suppress(OSError, IndexError):
            pages += int(_read(f"/proc/{pid}/statm").split()[1])
    return pages * _PAGE_MB


def proportional_mb(pids: Iterable[int]) -> float:
    """Return the summed memory, each page shared by n processes counted as 1/n (PSS)."""
    if not _LINUX:
        return _resident_by_psutil(pids)
    total_kb = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
                if line.startswith(b"Pss:"):
                    total_kb += int(line.split()[1])
                    break
    return total_kb * 1024 / 1e6


def oom_kills() -> int:
    """Return how often the kernel has killed for want of memory; only changes mean something."""
    count = 0
    for path in ("/proc/vmstat", "/sys/fs/cgroup/memory.events"):
        with contextlib.suppress(OSError):
            for line in _read(path).splitlines():
                if line.startswith(b"oom_kill "):
                    count += int(line.split()[1])
    return count


def signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to each of these processes that is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def reap(on_reaped: Callable[[Reaped], None]) -> bool:
    """Take the ends of children that are over, without waiting; return whether any child is left."""
    while True:
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True
        on_reaped((pid, status, usage))


def kill_below(
    on_reaped: Callable[[Reaped], None], spare: Collection[int] = (), patience_s: float = 10.0
) -> list[int]:
    """Kill every process below this one, except the children in `spare` and what is below them.

    Orphans come to this process (`adopt_orphans`), so when there is no child left to wait for, there is none
    at all. Processes that fork while they are killed are caught by the next round.

    Returns
    -------
    list of int
        Those that would not go, such as one that hangs in a system call: normally none.
    """
    until = time.monotonic() + patience_s
    pause_s = 0.0002
    while reap(on_reaped):
        doomed = [pid for pid in children(os.getpid()) if pid not in spare]
        if not doomed and spare:
            return []
        doomed += [pid for child in doomed for pid in descendants(child)]
        signal_all(doomed, signal.SIGKILL)
        if time.monotonic() > until:
            return doomed
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, 0.02)
    return []


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - read many times a second
        return file.read()


def _below_by_psutil(pid: int, *, recursive: bool) -> list[int]:
    import psutil

    try:
        return [process.pid for process in psutil.Process(pid).children(recursive=recursive)]
    except psutil.Error:
        return []


def _resident_by_psutil(pids: Iterable[int]) -> float:
    import psutil

    total = 0
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            total += psutil.Process(pid).memory_info().rss
    return total / 1e6
