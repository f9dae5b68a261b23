"""The rows of a ledger in memory, and copies of what comes in and goes out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from modelwright.records import Failure, FailureKind, Provenance, Report, Trial, TrialState
from modelwright.storage.plain import clean_text, plain

if TYPE_CHECKING:
    from modelwright.storage.entries import AdoptedTrial, Attempt, EnsembleRecord, Partition

__all__ = [
    "AttemptRow",
    "TrialRow",
    "above",
    "clean_failure",
    "copy_ensemble",
    "copy_partition",
    "copy_report",
    "killed_failure",
    "lost_failure",
    "silent_form",
]


_NOWHERE = Provenance()  # where a configuration comes from that there is not yet


def lost_failure(attempts: int) -> Failure:
    """Return the failure of a trial whose worker fell silent in the last of `attempts` attempts."""
    last = "its only attempt" if attempts == 1 else f"attempt {attempts}, the last"
    return Failure(FailureKind.LOST, f"lost: its worker fell silent in {last}", "E_LOST")


def killed_failure() -> Failure:
    """Return the failure of a trial that somebody killed while nobody ran it."""
    return Failure(FailureKind.KILLED, "killed: somebody asked for it while nobody ran it", "E_KILLED")


def silent_form(silent: Iterable[Any], max_attempts: int) -> dict[str, Any]:
    """Return what becomes of trials whose leases have run out when their study ends, by number.

    Of each, ``number``, ``stop`` and ``attempts`` are read: somebody asked to kill it, or it has no attempts
    left, or it waits. This is also what an event's payload says of them.
    """
    form: dict[str, Any] = {}
    for row in silent:
        fate = "killed" if row.stop else "lost" if row.attempts >= max_attempts else "waiting"
        form.setdefault(fate, []).append(row.number)
    return form


def above(item: AdoptedTrial, fence: int) -> AdoptedTrial:
    """Return a trial from elsewhere whose attempts follow `fence`, the last that its number had before."""
    if not fence:
        return item
    attempts = [replace(attempt, fence=attempt.fence + fence) for attempt in item.attempts]
    trial = replace(item.trial, fence=item.trial.fence + fence) if item.trial.fence else item.trial
    return replace(item, trial=trial, attempts=attempts)


@dataclass(slots=True)
class AttemptRow:
    """All that is known of an attempt; `began` is on the clock of the leases, in microseconds."""

    number: int
    fence: int
    worker: str
    started_us: int
    began: int = 0
    outcome: str = "running"
    ended_us: int | None = None
    cost: float | None = None
    duration_s: float | None = None
    peak_memory_mb: float | None = None
    exit_code: int | None = None
    log_location: str = ""
    result_id: str | None = None

    def attempt(self) -> Attempt:
        """Return the attempt as the contract shows it."""
        from modelwright.storage.entries import Attempt

        return Attempt(
            self.number,
            self.fence,
            self.worker,
            self.outcome,
            self.started_us,
            self.ended_us,
            self.cost,
            self.duration_s,
            self.peak_memory_mb,
            self.exit_code,
            self.log_location,
        )


@dataclass(slots=True)
class TrialRow:
    """All that is known of a trial: what `Trial` shows, and who holds it."""

    number: int
    queued_us: int
    state: TrialState = TrialState.WAITING
    params: dict[str, Any] | None = None
    values: tuple[float, ...] = ()
    failure: Failure | None = None
    fidelity: float | None = None
    parent: int | None = None
    partition: int | None = None
    fence: int = 0
    attempts: int = 0
    space_version: int = 0
    enqueued: bool = False
    provenance: Provenance = _NOWHERE
    user_attrs: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    duration_s: float | None = None
    revision: int = 0
    finished_revision: int = 0
    worker: str = ""
    started_us: int | None = None
    ended_us: int | None = None
    claim_id: str = ""
    lease_until: int = 0
    stop: bool = False
    result_id: str | None = None

    def trial(self) -> Trial:
        """Return a copy that the caller may keep."""
        return Trial(
            self.number,
            self.state,
            None if self.params is None else plain(self.params),
            self.values,
            self.failure,
            self.fidelity,
            self.parent,
            self.partition,
            self.fence,
            self.attempts,
            self.space_version,
            self.enqueued,
            self.provenance,
            plain(self.user_attrs) if self.user_attrs else {},
            plain(self.metrics) if self.metrics else {},
            self.duration_s,
            self.revision,
            self.finished_revision,
            self.worker,
            self.queued_us,
            self.started_us,
            self.ended_us,
        )


def copy_partition(item: Partition) -> Partition:
    """Return a copy whose mappings belong to nobody else."""
    return replace(
        item,
        categoricals=plain(item.categoricals, "categoricals"),
        tunables=plain(item.tunables, "tunables"),
        constants=plain(item.constants, "constants"),
    )


def copy_ensemble(item: EnsembleRecord) -> EnsembleRecord:
    """Return a copy whose members and metrics belong to nobody else."""
    members = [(int(number), float(weight)) for number, weight in item.members]
    return replace(item, members=members, metrics=plain(item.metrics, "metrics"))


def copy_report(report: Report) -> Report:
    """Return a copy whose values belong to nobody else."""
    return Report(report.step, dict(report.values), report.fold)


def clean_failure(failure: Failure | None) -> Failure | None:
    """Return a failure with text that every database takes, as each storage keeps it."""
    if failure is None:
        return None
    return Failure(
        failure.kind, clean_text(failure.message), clean_text(failure.code), clean_text(failure.traceback)
    )
