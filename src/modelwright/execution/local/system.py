"""What the operating system is asked: process trees, their memory, and who dies with whom.

Linux gives all of it through ``/proc`` and ``prctl``. Elsewhere psutil stands in where it can: orphans are
then not adopted, so a process that a trial has cut loose may outlive it, and memory is counted as resident
set size, shared pages in full.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import NamedTuple

__all__ = [
    "HAS_DEATH_SIGNAL",
    "IN_KILOBYTES",
    "OomKills",
    "Reaped",
    "adopt_orphans",
    "children",
    "cpu_s",
    "descendants",
    "die_with_parent",
    "flush_c_streams",
    "free_blocks",
    "kill_below",
    "oom_kills",
    "out_of_memory",
    "proportional_mb",
    "reap",
    "resident_mb",
    "signal_all",
]

Reaped = tuple[int, int, resource.struct_rusage]  # process id, wait status, what it used

_LINUX = sys.platform == "linux"
HAS_DEATH_SIGNAL = _LINUX  # whether the kernel tells a process that its parent has ended
IN_KILOBYTES = sys.platform != "darwin"  # the unit of `ru_maxrss`
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PAGE_MB = resource.getpagesize() / 1e6
_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")
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


def free_blocks(fd: int, begin: int, length: int) -> bool:
    """Give a part of a file back to the disk, which leaves a hole there; return whether that is possible."""
    if not (_LINUX and hasattr(_libc, "fallocate64")):
        return False
    keep_size, punch_hole = 1, 2
    done: int = _libc.fallocate64(fd, keep_size | punch_hole, ctypes.c_int64(begin), ctypes.c_int64(length))
    return done == 0


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


def cpu_s(pids: Iterable[int]) -> float:
    """Return the seconds that these processes have computed, with the children that they waited for."""
    if not _LINUX:
        return _cpu_by_psutil(pids)
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError, IndexError):
            fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()  # a name may hold spaces
            ticks += sum(map(int, fields[11:15]))
    return ticks * _TICK_S


class OomKills(NamedTuple):
    """How often the kernel has killed for want of memory; only changes mean something.

    Attributes
    ----------
    here : int
        In the control group of this process, where that can be read.
    anywhere : int
        On the machine.
    """

    here: int
    anywhere: int


def oom_kills() -> OomKills:
    """Read the kernel's counters of processes that it killed for want of memory."""
    here = sum(_counted(path) for path in _memory_groups())
    return OomKills(here, _counted("/proc/vmstat"))


def out_of_memory(before: OomKills) -> str:
    """Return what points to the kernel as the killer of a process since then; empty where nothing does."""
    now = oom_kills()
    if now.here > before.here:
        return "killed by the kernel, which was out of memory for this group of processes"
    if now.anywhere > before.anywhere:  # it may have been somebody else's process
        return "likely killed by the kernel, which was out of memory"
    return ""


def _counted(path: str) -> int:
    with contextlib.suppress(OSError, ValueError):
        for line in _read(path).splitlines():
            if line.startswith(b"oom_kill "):
                return int(line.split()[1])
    return 0


@functools.cache
def _memory_groups(proc: str = "/proc/self/cgroup", mounted: str = "/sys/fs/cgroup") -> tuple[str, ...]:
    """Return the files that count such kills for our control group, of either version of the kernel's."""
    paths = []
    with contextlib.suppress(OSError):
        for line in _read(proc).decode().splitlines():
            number, controllers, group = line.split(":", 2)
            folder = group.strip("/")
            if number == "0":
                paths.append(f"{mounted}/{folder}/memory.events")
            elif "memory" in controllers.split(","):
                paths.append(f"{mounted}/memory/{folder}/memory.oom_control")
    return tuple(paths)


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


def _cpu_by_psutil(pids: Iterable[int]) -> float:
    import psutil

    total = 0.0
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            times = psutil.Process(pid).cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total
