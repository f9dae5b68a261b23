"""Who this process is, and which other workers of this machine are dead."""

from __future__ import annotations

import os
import socket
import uuid
from pathlib import Path

import psutil

from modelwright import __version__
from modelwright.storage.base import Storage, WorkerInfo

__all__ = ["forfeit_dead_workers", "this_worker"]


def this_worker() -> WorkerInfo:
    """Describe this process, under a new id."""
    return WorkerInfo(
        id=uuid.uuid4().hex,
        host=socket.gethostname(),
        pid=os.getpid(),
        boot_id=_boot_id(),
        process_started=psutil.Process().create_time(),
        version=__version__,
    )


def forfeit_dead_workers(storage: Storage, study_id: int, me: WorkerInfo) -> list[int]:
    """Free the trials of workers that died on this machine, rather than wait for their leases to run out."""
    freed = []
    for worker in storage.workers(study_id):
        if worker.id != me.id and worker.host == me.host and not _alive(worker, me):
            freed += storage.forfeit(worker.id, f"its process {worker.pid} on {worker.host} is gone")
    return freed


def _alive(worker: WorkerInfo, me: WorkerInfo) -> bool:
    if worker.boot_id != me.boot_id:
        return False
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


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return str(int(psutil.boot_time()))
