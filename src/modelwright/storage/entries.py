"""What belongs to studies and trials in a storage, but is not needed to run them: loaded when it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from modelwright.records import Artifact, Report, Trial

__all__ = ["AdoptedTrial", "Attempt", "Dataset", "EnsembleRecord", "Partition"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a trial.

    `outcome` is ``running``, a final state, a kind of failure that was tried again, ``lost`` or ``released``.
    """

    number: int
    fence: int
    worker: str
    outcome: str
    started_us: int
    ended_us: int | None = None
    cost: float | None = None
    duration_s: float | None = None
    peak_memory_mb: float | None = None
    exit_code: int | None = None
    log_location: str = ""


@dataclass(frozen=True, slots=True)
class AdoptedTrial:
    """A trial that comes from elsewhere, whole: another storage, another tool, a table of results.

    It gets the number `number`, or the next free one if that is None; `trial`'s own number and revisions are
    not kept.
    """

    trial: Trial
    number: int | None = None
    reports: Sequence[Report] = ()
    attempts: Sequence[Attempt] = ()
    artifacts: Sequence[Artifact] = ()


@dataclass(frozen=True, slots=True)
class Dataset:
    """A table that studies search models for, with the fields of ATM's ``datasets``."""

    name: str
    train_path: str
    class_column: str
    n_examples: int
    k_classes: int
    d_features: int
    majority: float
    size_kb: int
    description: str = ""
    test_path: str | None = None
    fingerprint: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Partition:
    """A method with its categorical choices fixed (ATM: hyperpartition).

    `index` counts from 0 within the study and is what `Proposal.partition` names. `status` is
    ``incomplete``, ``gridding_done`` or ``errored``.
    """

    index: int
    method: str
    categoricals: Mapping[str, Any]
    tunables: Sequence[Any]
    constants: Mapping[str, Any]
    status: Literal["incomplete", "gridding_done", "errored"] = "incomplete"


@dataclass(frozen=True, slots=True)
class EnsembleRecord:
    """An ensemble that was built: its members with weights, and its score."""

    iteration: int
    members: Sequence[tuple[int, float]]
    score: float
    location: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    created_us: int = 0
