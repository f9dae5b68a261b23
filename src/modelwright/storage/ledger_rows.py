"""The rows of a ledger in memory, and copies of what comes in and goes out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from modelwright.records import Failure, FailureKind, Provenance, Report, Trial, TrialState
from modelwright.storage.base import EnsembleRecord, Partition
from modelwright.storage.plain import clean_text, plain

__all__ = ["TrialRow", "clean_failure", "copy_ensemble", "copy_partition", "copy_report", "lost_failure"]


def lost_failure(attempts: int) -> Failure:
    """Return the failure of a trial whose workers fell silent `attempts` times."""
    tries = "1 attempt" if attempts == 1 else f"{attempts} attempts"
    return Failure(FailureKind.LOST, f"lost: its worker fell silent in each of {tries}", "E_LOST")


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
    provenance: Provenance = field(default_factory=Provenance)
    user_attrs: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    duration_s: float | None = None
    revision: int = 0
    finished_revision: int = 0
    worker: str = ""
    started_us: int | None = None
    ended_us: int | None = None
    claim_id: str = ""
    lease_until: float = 0.0
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
    return Partition(
        item.index,
        item.method,
        plain(item.categoricals, "categoricals"),
        plain(item.tunables, "tunables"),
        plain(item.constants, "constants"),
        item.status,
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
