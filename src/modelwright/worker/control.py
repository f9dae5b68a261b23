"""Asking workers to leave, and starting those in the background again."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from modelwright.errors import StorageError
from modelwright.storage.base import Storage
from modelwright.worker.background import BackgroundGroup, start_background
from modelwright.worker.status import WorkerRow, worker_rows

__all__ = ["Stopped", "restart_groups", "stop_groups", "stop_workers"]

_DRAIN = getattr(signal, "SIGUSR1", signal.SIGTERM)
_SECOND_S = 0.3  # between the two signals that mean "at once": they would count as one


@dataclass(frozen=True, slots=True)
class Stopped:
    """Whom a stop has reached.

    Attributes
    ----------
    asked : sequence of WorkerRow
        Workers for which the ledger holds the wish now.
    signalled : sequence of int
        Processes of this machine that were told directly.
    """

    asked: Sequence[WorkerRow]
    signalled: Sequence[int]


def stop_workers(storage: Storage, *, now: bool, who: str, told: Sequence[BackgroundGroup] = ()) -> Stopped:
    """Ask every worker of a ledger to leave, on whatever machine it is.

    The wish lies in the ledger, where each finds it with its next sign of life. Those on this machine get a
    signal besides. Processes that run a study by themselves, such as notebooks, are left alone.

    Parameters
    ----------
    storage : Storage
        The ledger.
    now : bool
        Give running trials back, rather than let them end.
    who : str
        Kept with the wish.
    told : sequence of BackgroundGroup
        Groups whose parents pass a signal on already.
    """
    rows = [row for row in worker_rows(storage) if row.commanded and row.state != "dead"]
    asked = []
    for row in rows:
        with contextlib.suppress(KeyError, StorageError):
            storage.ask_worker(row.info.id, "now" if now else "drain", who=who)
            asked.append(row)
    groups = {group.name for group in told}
    local = [row.info.pid for row in asked if row.here and row.info.group not in groups]
    _signal_all(local, [signal.SIGTERM, signal.SIGINT] if now else [_DRAIN])
    return Stopped([row for row in asked if row.state == "alive"], local)


def stop_groups(groups: Sequence[BackgroundGroup], *, now: bool) -> list[BackgroundGroup]:
    """Tell groups in the background of this machine to leave; return those that were there."""
    alive = [group for group in groups if group.alive]
    _signal_all([group.pid for group in alive], [signal.SIGTERM] * 2 if now else [_DRAIN])
    return alive


def restart_groups(
    groups: Sequence[BackgroundGroup], *, now: bool, timeout_s: float
) -> tuple[list[BackgroundGroup], list[BackgroundGroup]]:
    """Let groups leave, and start them again as they were; return the new ones and those that stayed.

    Running trials are given back within the group's grace, as after SIGTERM; with `now` at once.
    """
    for group in groups:
        group.signal(signal.SIGTERM)
    if now:
        time.sleep(_SECOND_S)
        for group in groups:
            group.signal(signal.SIGTERM)
    until = time.monotonic() + timeout_s
    started, stayed = [], []
    for group in groups:
        if group.wait(max(0.0, until - time.monotonic())):
            started.append(start_background(group.options, again=group))
        else:
            stayed.append(group)
    return started, stayed


def _signal_all(pids: Sequence[int], numbers: Sequence[int]) -> None:
    for index, number in enumerate(numbers):
        if index and pids:
            time.sleep(_SECOND_S)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError, psutil.Error):
                os.kill(pid, number)
