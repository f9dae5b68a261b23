"""The contract of the ledger.

A storage keeps studies, their trials and each attempt at a trial. Many processes may use one storage
at a time; each method is one short transaction, is safe to call from any thread, takes and returns
immutable records, and may be repeated after a lost answer without a second effect.

A trial's life::

    create_study ──> claim ──> propose ──> report* ──> finish          the usual way
                       │          │                      │
                       │          │                      └── failed, to be retried ──> waiting, attempt spent
                       └──────────┴── release ──> waiting (the number is used again, no attempt spent)
                                  └── lease runs out ──> waiting, attempt spent; next claim: fence + 1
                                                         └── after max_attempts: failed, kind lost

*Fencing.* Each claim raises the trial's fence. `propose`, `extend`, `report`, `renew` and `finish` carry
the fence of their claim; if a newer claim exists they are refused. The fence decides, not the clock: a late
result of a worker that nobody has replaced is welcome.

*Budget.* A trial number is issued once, within the budget; attempts reuse it. So a budget of 100 means 100.
Time and cost are compared in the same transaction, on the storage's own clock.

*Control.* Each verb that a person may use takes `who`, kept in its event; it may be repeated, and answers
with the state that results.

*Revisions.* Each write raises the study's revision by one and leaves one event with that revision, in the
same transaction. `changes(study, since)` costs what changed, not what exists.

*Time.* Leases are compared with the storage's own clock only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

from modelwright._base.lazy import lazy_names
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
from modelwright.storage.answers import (
    KEEP,
    Changes,
    Claim,
    Controls,
    Event,
    Finish,
    Keep,
    NoClaim,
    StudyRecord,
    WorkerInfo,
)

if TYPE_CHECKING:
    from modelwright.storage.entries import AdoptedTrial, Attempt, Dataset, EnsembleRecord, Partition

__all__ = [
    "KEEP",
    "AdoptedTrial",
    "Attempt",
    "Changes",
    "Claim",
    "Controls",
    "Dataset",
    "EnsembleRecord",
    "Event",
    "Finish",
    "Keep",
    "NoClaim",
    "Partition",
    "Storage",
    "StudyRecord",
    "WorkerInfo",
]

# To make a data class takes Python 3.11 half a millisecond, and a first proposal needs none of these.
__getattr__ = lazy_names(
    "modelwright.storage",
    dict.fromkeys(("AdoptedTrial", "Attempt", "Dataset", "EnsembleRecord", "Partition"), "entries"),
)


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

    def delete_study(self, name: str, *, force: bool = False) -> None:
        """Delete a study with all that belongs to it.

        Raises
        ------
        StudyStateError
            Trials of it run under a lease, and `force` is not set. With `force` their workers learn by their
            next call that it is gone.
        """

    def rename_study(self, study_id: int, name: str, *, who: str = "") -> StudyRecord:
        """Give the study another name; a taken one raises `StudyExistsError`."""

    def set_priority(self, study_id: int, priority: int, *, who: str = "") -> StudyRecord:
        """Set how urgent the study is; the record's spec shows the new priority from then on."""

    def set_state(
        self,
        study_id: int,
        state: StudyState,
        *,
        expected: StudyState | None = None,
        abort: bool = False,
        who: str = "",
    ) -> StudyRecord:
        """Move the study to `state`, and return how it stands then.

        RUNNING is entered from PENDING only and sets `started_us` once; COMPLETE and FAILED set `ended_us`.
        A move that is not allowed, or a present state other than `expected`, changes nothing. With `abort`
        running trials are to be broken off and given back; PENDING and RUNNING clear that wish. COMPLETE
        takes back the trials whose leases have run out, so that what is shown as running is run by somebody:
        their attempts are lost and charged, as in `claim`, and they wait, or fail where none is left. A late
        result of theirs is stale from then on.
        """

    def set_budget(
        self,
        study_id: int,
        trials: int | Keep | None = KEEP,
        *,
        time_s: float | Keep | None = KEEP,
        deadline_us: int | Keep | None = KEEP,
        cost: float | Keep | None = KEEP,
        parallel: int | Keep | None = KEEP,
        who: str = "",
    ) -> StudyRecord:
        """Change the named parts of the budget; a COMPLETE study whose budget grows is PENDING again.

        What has been spent stays spent: a budget below that only keeps more from starting.
        """

    def set_window(self, study_id: int, window: int) -> StudyRecord:
        """Set W of lock-step mode unless it is set; return the study with the W that holds."""

    def set_started(self, study_id: int, started_us: int) -> StudyRecord:
        """Set when the study first ran, as it was elsewhere, unless it has run here: its time counts on."""

    def set_user_attrs(self, study_id: int, attrs: Mapping[str, Any]) -> StudyRecord:
        """Merge `attrs` (JSON) into the study's."""

    def add_space(
        self, study_id: int, space: Mapping[str, Any], based_on: int, *, who: str = ""
    ) -> StudyRecord:
        """Add a new version of the space if `based_on` is the newest; otherwise change nothing.

        A space that was closed as exhausted is open again.
        """

    def spaces(self, study_id: int) -> list[Mapping[str, Any]]:
        """Return the JSON form of each version of the space, version 0 first."""

    # trials ------------------------------------------------------------------------------------------

    def enqueue(
        self,
        study_id: int,
        params: Mapping[str, Any],
        user_attrs: Mapping[str, Any],
        *,
        request_id: str = "",
        who: str = "",
    ) -> int:
        """Add a WAITING trial with a configuration given by the user, and return its number.

        It takes the next number; beyond the budget it raises the budget by one. A COMPLETE study is PENDING
        again. A `request_id` that the study knows adds nothing: the number that it got is returned.
        """

    def claim(self, study_id: int, worker_id: str, claim_id: str, lease_s: float) -> Claim | NoClaim:
        """Give out the next trial, in one transaction.

        In order: the trial this `claim_id` got before (its answer was lost); the WAITING trial, or the one
        whose lease has run out, with the lowest number and attempts left, passing over what other claims hold
        at this moment; a new number within the budget. Nothing is given out beyond the budget's time, cost
        and number of running trials. A trial whose lease has run out without attempts left becomes FAILED
        with the kind ``lost``, or ``killed`` if somebody asked for it. Its attempt is charged from its start
        to the end of its lease; what attempts cost whose lease has run out counts before anybody takes over.
        """

    def release(self, claim: Claim, why: str, *, close: bool = False) -> bool:
        """Give a trial back: WAITING again, no attempt spent. False if the claim is stale.

        A trial that was never proposed and carries the highest number gives its number back too. With
        `close` no further number is issued (the space is exhausted); `why` is kept as the study's `closed`.
        The time is charged to the study. One that somebody asked to kill becomes FAILED instead.
        """

    def renew(self, claims: Sequence[Claim], lease_s: float) -> Controls:
        """Prolong the leases, and say what was asked of these trials meanwhile."""

    def propose(
        self,
        claim: Claim,
        proposal: Proposal,
        provenance: Provenance,
        space_version: int,
        *,
        unique: bool = False,
    ) -> int | None:
        """Write a trial's configuration (JSON form) once; return None when it stands.

        With `unique` a configuration that another trial of the study has, at the same fidelity, is not
        written: that trial's number is returned. Trials that were lost or killed do not count as having it.

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

        ACCEPTED once; RETRY when it failed in a way that the study's `retry` gives another attempt for, or
        was lost with the place that ran it while attempts are left; DUPLICATE when this `result_id` was
        accepted before; STALE, without a change to the trial and with the whole result in an event, when a
        newer claim exists or another result was accepted. When the budget is used up and the last trial
        finishes, the study stays RUNNING: who runs it decides.
        """

    def kill(self, study_id: int, number: int, *, who: str = "") -> Trial:
        """End a trial with the kind ``killed``, and return it as it is now.

        Who runs it is asked to kill it, and learns it from `renew`; unless a result comes first, the trial
        ends so however its attempt ends. A trial that waits, or whose lease has run out, fails at once; one
        that is finished stays as it is. An unknown number raises ``KeyError``.
        """

    def adopt(self, study_id: int, trials: Sequence[AdoptedTrial], *, who: str = "") -> list[int]:
        """Take in trials from elsewhere, and return their numbers.

        They finish in the given order, one revision each. One that is not finished becomes WAITING. The
        budget is raised to hold them. A number that is taken raises `StudyStateError`, and nothing is taken
        in.
        """

    def trial(self, study_id: int, number: int) -> Trial:
        """Return one trial; `KeyError` if there is none of that number."""

    def trials(self, study_id: int, states: Sequence[TrialState] | None = None) -> list[Trial]:
        """Return trials by number."""

    def reports(self, study_id: int, number: int) -> list[Report]:
        """Return a trial's reports by step and fold: of several for the same, the one of the newest fence."""

    def attempts(self, study_id: int, number: int | None = None) -> list[Attempt]:
        """Return the attempts by number and fence, of one trial or of all."""

    def counts(self, study_id: int) -> Mapping[TrialState, int]:
        """Return how many trials are in each state; states without any may be absent."""

    def changes(self, study_id: int, since: int) -> Changes:
        """Return what moved after revision `since`."""

    def events(self, study_id: int, since: int = 0, limit: int = 1000) -> list[Event]:
        """Return up to `limit` events after revision `since`, in order."""

    def set_trial_attrs(self, study_id: int, number: int, attrs: Mapping[str, Any]) -> None:
        """Merge `attrs` (JSON) into a trial's, whatever its state."""

    def artifacts(self, study_id: int, number: int | None = None) -> list[tuple[int, Artifact]]:
        """Return the artifacts of accepted results, with their trial numbers."""

    def trim(self, study_id: int, numbers: Sequence[int], *, who: str = "") -> None:
        """Forget the reports and artifacts of finished trials; their results stay."""

    # workers -----------------------------------------------------------------------------------------

    def register_worker(self, info: WorkerInfo) -> WorkerInfo:
        """Record a worker, or that it is alive, and return its row; what was asked of it stays."""

    def workers(self, study_id: int | None = None) -> list[WorkerInfo]:
        """Return the workers that hold a claim in the study, or all that are known."""

    def ask_worker(self, worker_id: str, wish: Literal["", "drain", "now"], *, who: str = "") -> WorkerInfo:
        """Leave a wish for a worker, which reads it when it registers again; `KeyError` if it is unknown.

        The studies in which it holds a trial get an event.
        """

    def retire_worker(self, worker_id: str) -> None:
        """Record that a worker left; its row stays, since trials name it."""

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
