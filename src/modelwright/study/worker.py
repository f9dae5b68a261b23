"""Who this process is, and which other workers of this machine are dead."""

from __future__ import annotations

import os
import secrets

from modelwright import __version__
from modelwright._base.clock import now_us
from modelwright.storage.base import Storage, WorkerInfo

__all__ = ["CLOCK_GROUP", "forfeit_dead_workers", "is_alive_here", "ledger_now_us", "retire", "this_worker"]

CLOCK_GROUP = "clock"
"""The group of a row that is no worker, but by which the time of a ledger is read."""

_MACHINES_OWN = "pid:[4026531836]"  # fixed in Linux: the namespace of the first process


_at_work: set[str] = set()  # the workers of this process that are not done


def this_worker(storage: Storage) -> WorkerInfo:
    """Describe this process to a ledger, under a new id; `retire` it when it is done."""
    name = secrets.token_hex(16)
    _at_work.add(name)
    if storage.url == "memory://":  # nobody but this process can ever read it
        return WorkerInfo(
            name, host="", pid=os.getpid(), boot_id="", process_started=0.0, version=__version__
        )
    import psutil

    return WorkerInfo(
        name,
        host=_host(),
        pid=os.getpid(),
        boot_id=_boot_id(),
        process_started=psutil.Process().create_time(),
        version=__version__,
    )


def retire(worker_id: str) -> None:
    """Note that a worker of this process holds nothing any more, or has left what it held behind."""
    _at_work.discard(worker_id)


def ledger_now_us(storage: Storage) -> int:
    """Return the time on the ledger's clock, which is not this machine's where a server keeps the ledger."""
    if storage.url.startswith(("memory:", "sqlite:")):
        return now_us()
    row = next((worker for worker in storage.workers() if worker.group == CLOCK_GROUP), None)
    if row is None:
        row = WorkerInfo(
            secrets.token_hex(16), host="", pid=0, boot_id="", process_started=0.0, group=CLOCK_GROUP
        )
    seen_us = storage.register_worker(row).seen_us
    storage.retire_worker(row.id)
    return seen_us


def forfeit_dead_workers(storage: Storage, study_id: int, me: WorkerInfo) -> list[int]:
    """Free the trials of workers that died on this machine, rather than wait for their leases to run out."""
    freed = []
    for worker in storage.workers(study_id):
        if worker.id != me.id and worker.host == me.host and not _alive(worker, me):
            freed += storage.forfeit(worker.id, f"its process {worker.pid} on {worker.host} is gone")
    return freed


def is_alive_here(worker: WorkerInfo) -> bool | None:
    """Return whether a worker's process runs on this machine; None if it belongs to another machine."""
    if worker.host != _host():
        return None
    if worker.pid == os.getpid():
        return worker.id in _at_work
    return _runs(worker) if worker.boot_id == _boot_id() else False


def _alive(worker: WorkerInfo, me: WorkerInfo) -> bool:
    if worker.boot_id != me.boot_id:
        return False
    if worker.pid == me.pid and worker.process_started == me.process_started:
        return worker.id in _at_work
    return _runs(worker)


def _runs(worker: WorkerInfo) -> bool:
    import psutil

    try:
        process = psutil.Process(worker.pid)
        # A pid is used again sooner or later; the start time tells the processes apart.
        return (
            abs(process.create_time() - worker.process_started) < 1.0
            and process.status() != psutil.STATUS_ZOMBIE
        )
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def _host() -> str:
    """Name the machine, and the container where process ids of the machine mean nothing."""
    import socket
    from pathlib import Path

    try:
        namespace = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        return socket.gethostname()
    machine = namespace == _MACHINES_OWN
    return socket.gethostname() if machine else f"{socket.gethostname()} {namespace}"


def _boot_id() -> str:
    from pathlib import Path

    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        import psutil

        return str(int(psutil.boot_time()))
