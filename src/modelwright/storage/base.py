"""The contract of the ledger.

A storage keeps studies, their trials and each attempt at a trial. Many processes may use one storage
at a time; each method is one short transaction, is safe to call from any thread, takes and returns
immutable records, and may be repeated after a lost answer without a second effect.

A trial's life::

    create_study ──> claim ──> propose ──> report* ──> finish          the usual way
                       │          │                      │
                       └──────────┴── release ──> waiting (the number is used again, no attempt spent)
                                  └── lease runs out ──> waiting, attempt spent; next claim: fence + 1
                                                         └── after max_attempts: failed, kind lost

*Fencing.* Each claim raises the trial's fence. `propose`, `extend`, `report`, `renew` and `finish` carry
the fence of their claim; if a newer claim exists they are refused. The fence decides, not the clock: a late
result of a worker that nobody has replaced is welcome.

*Budget.* A trial number is issued once, within ``budget``; attempts reuse it. So a budget of 100 means 100.

*Revisions.* Each write raises the study's revision by one and leaves one event with that revision, in the
same transaction. `changes(study, since)` costs what changed, not what exists.

*Time.* Leases are compared with the storage's own clock only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol

from modelwright.records import (
    Artifact,
    Outcome,
    Proposal,
    Provenance,
    Report,
    StudySpec,
    StudyState,
    Trial,
    TrialState,
)

__all__ = [
    "Changes",
    "Claim",
    "Controls",
    "Dataset",
    "EnsembleRecord",
    "Event",
    "Finish",
    "NoClaim",
    "Partition",
    "Storage",
    "StudyRecord",
    "WorkerInfo",
]


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """A study as the ledger shows it.

    Attributes
    ----------
    id : int
        Key in this storage.
    spec : StudySpec
        What was fixed at creation.
    state : StudyState
        Where it stands.
    revision : int
        Of the last write.
    budget_trials : int, optional
        How many trial numbers may be issued; None is no limit.
    issued : int
        How many have been.
    window : int, optional
        W of lock-step mode; set once, by the first run.
    space_version : int
        Version of the newest space.
    space : Mapping
        JSON form of the newest space.
    closed : str
        Why no further trial will be issued, such as ``"all 96 tried"``; empty while open.
    """

    id: int
    spec: StudySpec
    state: StudyState
    revision: int
    budget_trials: int | None
    issued: int
    window: int | None
    space_version: int
    space: Mapping[str, Any]
    closed: str = ""
    user_attrs: Mapping[str, Any] = field(default_factory=dict)
    created_us: int = 0
    started_us: int | None = None
    ended_us: int | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on a trial until the lease runs out or a newer claim exists.

    `params` is set when the trial has a configuration already (enqueued, or from an earlier attempt): it is
    then run as it stands and `propose` is not called.
    """

    study_id: int
    number: int
    fence: int
    claim_id: str
    attempts: int
    params: Mapping[str, Any] | None = None
    space_version: int = 0
    fidelity: float | None = None
    parent: int | None = None
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class NoClaim:
    """Why there was nothing to claim.

    ``spent``: budget used up and nothing runs: the study is over. ``busy``: used up, but others' trials still
    run and may come back. ``closed``: the space is exhausted, and nothing runs. ``paused``, ``complete``: the
    study's state says so.
    """

    reason: Literal["spent", "busy", "closed", "paused", "complete"]


class Finish(StrEnum):
    """How the ledger answered a result."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Controls:
    """The answer to `renew`.

    Attributes
    ----------
    lost : frozenset of int
        Trial numbers whose claim is no longer the newest.
    stop : frozenset of int
        Trial numbers that somebody asked to kill.
    state : Mapping of int to StudyState
        The present state by study id.
    """

    lost: frozenset[int]
    stop: frozenset[int]
    state: Mapping[int, StudyState]


@dataclass(frozen=True, slots=True)
class Changes:
    """What moved in a study since a revision.

    `trials` holds each trial that changed, once, as it is now, in order of its revision; `reports` each
    report written since, in order. Deleted studies raise.
    """

    revision: int
    trials: Sequence[Trial]
    reports: Sequence[tuple[int, Report]]
    study: StudyRecord


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A process that runs trials; `boot_id` and `process_started` tell a reused pid from the same process."""

    id: str
    host: str
    pid: int
    boot_id: str
    process_started: float
    version: str = ""


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


@dataclass(frozen=True, slots=True)
class Event:
    """One transition, in the order of revisions."""

    revision: int
    kind: str
    number: int | None
    fence: int | None
    payload: Mapping[str, Any]
    at_us: int


class Storage(Protocol):
    """The ledger; see the head of this module for what holds of every method."""

    url: str

    # studies -----------------------------------------------------------------------------------------

    def create_study(self, spec: StudySpec) -> StudyRecord:
        """Create a study in the state PENDING.

        Raises
        ------
        StudyExistsError
            The name is taken.
        """

    def study(self, name: str) -> StudyRecord:
        """Return the study called `name`; `StudyNotFoundError` names the nearest ones."""

    def studies(self) -> list[StudyRecord]:
        """Return all studies by id."""

    def delete_study(self, name: str) -> None:
        """Delete a study with all that belongs to it."""

    def set_state(self, study_id: int, state: StudyState) -> StudyRecord:
        """Move the study to `state`; RUNNING sets `started_us` once, COMPLETE and FAILED set `ended_us`."""

    def set_budget(self, study_id: int, trials: int | None) -> StudyRecord:
        """Set how many trials may be issued in all; a COMPLETE study whose budget grows is PENDING again."""

    def set_window(self, study_id: int, window: int) -> StudyRecord:
        """Set W of lock-step mode unless it is set; return the study with the W that holds."""

    def set_user_attrs(self, study_id: int, attrs: Mapping[str, Any]) -> StudyRecord:
        """Merge `attrs` (JSON) into the study's.

        Databases keep ``budget_s`` and ``deadline_us`` in columns too: the budget and the deadline of a
        datarun with a walltime budget.
        """

    def add_space(self, study_id: int, space: Mapping[str, Any], based_on: int) -> StudyRecord:
        """Add a new version of the space if `based_on` is the newest; otherwise change nothing.

        A space that was closed as exhausted is open again.
        """

    # trials ------------------------------------------------------------------------------------------

    def enqueue(self, study_id: int, params: Mapping[str, Any], user_attrs: Mapping[str, Any]) -> int:
        """Add a WAITING trial with a configuration given by the user, and return its number.

        It takes the next number; beyond the budget it raises the budget by one. A COMPLETE study is PENDING
        again.
        """

    def claim(self, study_id: int, worker_id: str, claim_id: str, lease_s: float) -> Claim | NoClaim:
        """Give out the next trial, in one transaction.

        In order: the trial this `claim_id` got before (its answer was lost); the WAITING trial, or the one
        whose lease has run out, with the lowest number and attempts left; a new number within the budget. A
        trial whose lease has run out without attempts left becomes FAILED with the kind ``lost``.
        """

    def release(self, claim: Claim, why: str, *, close: bool = False) -> bool:
        """Give a trial back: WAITING again, no attempt spent. False if the claim is stale.

        A trial that was never proposed and carries the highest number gives its number back too. With
        `close` no further number is issued (the space is exhausted); `why` is kept as the study's `closed`.
        """

    def renew(self, claims: Sequence[Claim], lease_s: float) -> Controls:
        """Prolong the leases, and say what was asked of these trials meanwhile."""

    def propose(self, claim: Claim, proposal: Proposal, provenance: Provenance, space_version: int) -> None:
        """Write a trial's configuration (JSON form) once.

        Raises
        ------
        StaleClaimError
            A newer claim exists.
        """

    def extend(self, claim: Claim, params: Mapping[str, Any], space_version: int) -> None:
        """Add parameters that the objective asked for while it ran; stale claims raise `StaleClaimError`."""

    def report(self, claim: Claim, reports: Sequence[Report]) -> bool:
        """Write intermediate values; False if the claim is stale."""

    def finish(self, claim: Claim, outcome: Outcome, result_id: str) -> Finish:
        """Write how the attempt ended.

        ACCEPTED once; DUPLICATE when this `result_id` was accepted before; STALE, with an event and without
        a change to the trial, when a newer claim exists or another result was accepted. When the budget is
        used up and the last trial finishes, the study stays RUNNING: who runs it decides.
        """

    def request_stop(self, study_id: int, number: int) -> bool:
        """Ask whoever runs the trial to kill it; False if it does not run."""

    def trial(self, study_id: int, number: int) -> Trial:
        """Return one trial; `KeyError` if there is none of that number."""

    def trials(self, study_id: int, states: Sequence[TrialState] | None = None) -> list[Trial]:
        """Return trials by number."""

    def reports(self, study_id: int, number: int) -> list[Report]:
        """Return a trial's reports by step and fold: of several for the same, the one of the newest fence."""

    def changes(self, study_id: int, since: int) -> Changes:
        """Return what moved after revision `since`."""

    def events(self, study_id: int, since: int = 0, limit: int = 1000) -> list[Event]:
        """Return up to `limit` events after revision `since`, in order."""

    def set_trial_attrs(self, study_id: int, number: int, attrs: Mapping[str, Any]) -> None:
        """Merge `attrs` (JSON) into a trial's, whatever its state."""

    def artifacts(self, study_id: int, number: int | None = None) -> list[tuple[int, Artifact]]:
        """Return the artifacts of accepted results, with their trial numbers."""

    # workers -----------------------------------------------------------------------------------------

    def register_worker(self, info: WorkerInfo) -> None:
        """Record a worker, or that it is alive."""

    def workers(self, study_id: int | None = None) -> list[WorkerInfo]:
        """Return the workers that hold a claim in the study, or all that are known."""

    def forfeit(self, worker_id: str, why: str) -> list[int]:
        """Treat the leases of a worker that is known to be dead as run out; return the trial numbers."""

    # tables of AutoML --------------------------------------------------------------------------------

    def add_dataset(self, dataset: Dataset) -> int:
        """Record a data set and return its id."""

    def dataset(self, dataset_id: int) -> Dataset:
        """Return a data set; `KeyError` if there is none."""

    def add_partitions(self, study_id: int, partitions: Sequence[Partition]) -> None:
        """Record the partitions of a study; those that are there already stay as they are."""

    def partitions(self, study_id: int) -> list[Partition]:
        """Return the partitions by index."""

    def set_partition_status(self, study_id: int, index: int, status: str) -> None:
        """Move one partition to `status`."""

    def lease_ensemble(self, study_id: int, worker_id: str, lease_s: float) -> bool:
        """Take, or prolong, the right to build this study's ensembles; False if another worker has it."""

    def release_ensemble(self, study_id: int, worker_id: str) -> None:
        """Give that right back."""

    def add_ensemble(self, study_id: int, worker_id: str, ensemble: EnsembleRecord) -> bool:
        """Record an ensemble; False if `worker_id` does not hold the right any more."""

    def ensembles(self, study_id: int) -> list[EnsembleRecord]:
        """Return the ensembles by iteration."""

    def close(self) -> None:
        """Give back connections; the storage is not used afterwards."""
