"""Which workers a ledger knows, and what each is doing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelwright.records import StudyState, Trial, TrialState
from modelwright.storage.base import Storage, WorkerInfo
from modelwright.study.worker import CLOCK_GROUP, is_alive_here, ledger_now_us
from modelwright.worker.background import GROUP_PREFIX

__all__ = ["WorkerRow", "unattended", "worker_rows"]

SILENT_AFTER_S = 20.0
"""A worker on another machine that the ledger has not heard of for so long is silent."""

_FORGOTTEN_AFTER_S = 86400.0


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A worker as it is shown.

    Attributes
    ----------
    info : WorkerInfo
        What the ledger says.
    state : {"alive", "silent", "dead", "left"}
        One on this machine is alive or dead as its process is. One on another machine is alive as long as it
        is heard of, or, where it tells nobody that it lives, as long as it holds a lease; otherwise silent.
    trials : sequence of (str, int)
        Study and number of the trials that it holds.
    seen_s : float
        Seconds since it was last heard of.
    here : bool
        Whether its process runs on this machine.
    """

    info: WorkerInfo
    state: str
    trials: Sequence[tuple[str, int]]
    seen_s: float
    here: bool

    @property
    def commanded(self) -> bool:
        """Whether it is a `modelwright worker`, which can be asked to leave."""
        return self.info.group.startswith(GROUP_PREFIX)


def worker_rows(storage: Storage, *, everything: bool = False) -> list[WorkerRow]:
    """Return the workers of a ledger: those alive, then those silent, dead, and those that left.

    Parameters
    ----------
    storage : Storage
        The ledger.
    everything : bool, default=False
        Also those that left, and those silent or dead for more than a day without a trial in hand.
    """
    held: dict[str, list[tuple[str, int]]] = {}
    leasing: set[str] = set()
    for record in storage.studies():
        if record.state is not StudyState.COMPLETE:
            leasing |= {info.id for info in storage.workers(record.id)}
            for trial in storage.trials(record.id, [TrialState.RUNNING]):
                held.setdefault(trial.worker, []).append((record.spec.name, trial.number))
    infos, now_us = storage.workers(), ledger_now_us(storage)
    rows = [
        _row(info, held.get(info.id, ()), now_us, leases=info.id in leasing)
        for info in infos
        if info.group != CLOCK_GROUP
    ]
    shown = [row for row in rows if everything or _matters(row)]
    order = ("alive", "silent", "dead", "left")
    return sorted(shown, key=lambda row: (order.index(row.state), row.info.host, row.info.registered_us))


def unattended(storage: Storage, study_id: int, trials: Sequence[Trial]) -> dict[int, str]:
    """Return which of these trials run in name only, by number, each with what is known of its worker.

    A worker of this machine whose process has ended is gone; one that has let the lease of its trial run out
    is silent. Whoever comes next takes the trial over.

    Parameters
    ----------
    storage : Storage
        The ledger.
    study_id : int
        The study.
    trials : sequence of Trial
        Trials of it, as they were read.
    """
    running = [trial for trial in trials if trial.state is TrialState.RUNNING]
    if not running:
        return {}
    holders = {info.id: info for info in storage.workers(study_id)}
    known = {name: is_alive_here(info) for name, info in holders.items()}
    notes = {}
    for trial in running:
        if trial.worker not in holders:
            notes[trial.number] = "its worker is silent"
        elif known[trial.worker] is False:
            notes[trial.number] = "its worker is gone"
    if not notes:
        return {}
    # One that ended since it was read has a worker without a lease, too.
    same = {(trial.number, trial.fence) for trial in storage.trials(study_id, [TrialState.RUNNING])}
    return {
        trial.number: notes[trial.number]
        for trial in running
        if trial.number in notes and (trial.number, trial.fence) in same
    }


def _row(info: WorkerInfo, trials: Sequence[tuple[str, int]], now_us: int, *, leases: bool) -> WorkerRow:
    seen_s = max(0.0, (now_us - info.seen_us) / 1e6)
    here = is_alive_here(info)
    if info.left_us is not None:
        state = "left"
    elif here is not None:
        state = "alive" if here else "dead"
    else:
        # Runs that no `modelwright worker` started are heard of when they begin, and renew their leases.
        quiet = not info.group.startswith(GROUP_PREFIX)
        state = "alive" if seen_s <= SILENT_AFTER_S or (quiet and leases) else "silent"
    return WorkerRow(info, state, trials, seen_s, here is True)


def _matters(row: WorkerRow) -> bool:
    if row.state in ("silent", "dead"):
        return bool(row.trials) or row.seen_s < _FORGOTTEN_AFTER_S
    return row.state == "alive"
