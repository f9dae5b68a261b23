"""The ledger in a database: each method of the contract as one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar, get_args

from sqlalchemy.exc import IntegrityError

from modelwright.errors import InputError, StorageError
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
from modelwright.storage.base import (
    KEEP,
    AdoptedTrial,
    Attempt,
    Changes,
    Claim,
    Controls,
    Dataset,
    EnsembleRecord,
    Event,
    Finish,
    Keep,
    NoClaim,
    Partition,
    StudyRecord,
    WorkerInfo,
)
from modelwright.storage.plain import PARTITION_STATES, plain
from modelwright.storage.sql import (
    adopting,
    catalogue,
    claims,
    control,
    leases,
    reading,
    rows,
    studies,
    trials,
    verbs,
    workers,
)
from modelwright.storage.sql.encoding import encode
from modelwright.storage.sql.engine import Database
from modelwright.storage.sql.sqlite import SQLiteDatabase

__all__ = ["SQLStorage"]

P = ParamSpec("P")
T = TypeVar("T")

_Wish = Literal["", "drain", "now"]


class SQLStorage:
    """A storage in a database; the contract is `modelwright.storage.Storage`.

    Parameters
    ----------
    database : Database, str or Path
        An open database, or the path of a SQLite file.
    **options
        For a path: see `modelwright.storage.sql.SQLiteDatabase`.

    Examples
    --------
    >>> storage = SQLStorage("hub.db")
    >>> storage.studies()
    []
    >>> storage.close()
    """

    def __init__(self, database: Database | str | Path, **options: Any) -> None:
        self._db = database if isinstance(database, Database) else SQLiteDatabase(Path(database), **options)
        self.url = self._db.url

    @property
    def upgraded_from(self) -> str:
        """The version that the ledger had before it was upgraded for this storage; empty if it was not."""
        return self._db.upgraded_from

    @property
    def backup(self) -> Path | None:
        """The copy of the ledger as it was before that, where one was made."""
        return self._db.backup

    # studies -----------------------------------------------------------------------------------------

    def create_study(self, spec: StudySpec) -> StudyRecord:
        """See `Storage.create_study`."""
        space = encode(plain(spec.space.to_json(), "the space"))
        study_id = _twice(self._db.write_durably, studies.create_study, rows.spec_to_row(spec), space)
        return self._db.read(studies.study_by_id, study_id)

    def study(self, name: str) -> StudyRecord:
        """See `Storage.study`."""
        return self._db.read(studies.study_named, name)

    def studies(self) -> list[StudyRecord]:
        """See `Storage.studies`."""
        return self._db.read(studies.studies)

    def delete_study(self, name: str, *, force: bool = False) -> None:
        """See `Storage.delete_study`."""
        self._db.write(studies.delete_study, name, force, leases.expired_before)

    def rename_study(self, study_id: int, name: str, *, who: str = "") -> StudyRecord:
        """See `Storage.rename_study`."""
        return _twice(self._db.write, control.rename_study, study_id, name, who)

    def set_priority(self, study_id: int, priority: int, *, who: str = "") -> StudyRecord:
        """See `Storage.set_priority`."""
        return self._db.write(control.set_priority, study_id, priority, who)

    def set_state(
        self,
        study_id: int,
        state: StudyState,
        *,
        expected: StudyState | None = None,
        abort: bool = False,
        who: str = "",
    ) -> StudyRecord:
        """See `Storage.set_state`."""
        only_from = None if expected is None else StudyState(expected)
        return self._db.write(control.set_state, study_id, StudyState(state), only_from, abort, who)

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
        """See `Storage.set_budget`."""
        parts = {
            "trials": trials,
            "time_s": time_s,
            "deadline_us": deadline_us,
            "cost": cost,
            "parallel": parallel,
        }
        return self._db.write(control.set_budget, study_id, parts, who)

    def set_window(self, study_id: int, window: int) -> StudyRecord:
        """See `Storage.set_window`."""
        return self._db.write(control.set_window, study_id, window)

    def set_started(self, study_id: int, started_us: int) -> StudyRecord:
        """See `Storage.set_started`."""
        return self._db.write(control.set_started, study_id, started_us)

    def set_user_attrs(self, study_id: int, attrs: Mapping[str, Any]) -> StudyRecord:
        """See `Storage.set_user_attrs`."""
        return self._db.write(control.set_user_attrs, study_id, attrs)

    def add_space(
        self, study_id: int, space: Mapping[str, Any], based_on: int, *, who: str = ""
    ) -> StudyRecord:
        """See `Storage.add_space`."""
        return self._db.write(control.add_space, study_id, space, based_on, who)

    def spaces(self, study_id: int) -> list[Mapping[str, Any]]:
        """See `Storage.spaces`."""
        return self._db.read(studies.spaces, study_id)

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
        """See `Storage.enqueue`."""
        return _twice(self._db.write, verbs.enqueue, study_id, params, user_attrs, request_id, who)

    def claim(self, study_id: int, worker_id: str, claim_id: str, lease_s: float) -> Claim | NoClaim:
        """See `Storage.claim`."""
        return _twice(self._db.write, claims.claim, study_id, worker_id, claim_id, lease_s)

    def release(self, claim: Claim, why: str, *, close: bool = False) -> bool:
        """See `Storage.release`."""
        return self._db.write(leases.release, claim, why, close)

    def renew(self, claims: Sequence[Claim], lease_s: float) -> Controls:
        """See `Storage.renew`."""
        return self._db.write(leases.renew_all, claims, lease_s)

    def propose(
        self,
        claim: Claim,
        proposal: Proposal,
        provenance: Provenance,
        space_version: int,
        *,
        unique: bool = False,
    ) -> int | None:
        """See `Storage.propose`."""
        return self._db.write(trials.propose, claim, proposal, provenance, space_version, unique)

    def extend(self, claim: Claim, params: Mapping[str, Any], space_version: int) -> None:
        """See `Storage.extend`."""
        self._db.write(trials.extend, claim, params, space_version)

    def report(self, claim: Claim, reports: Sequence[Report]) -> bool:
        """See `Storage.report`."""
        return self._db.write(trials.report, claim, reports)

    def finish(self, claim: Claim, outcome: Outcome, result_id: str) -> Finish:
        """See `Storage.finish`."""
        return self._db.write_durably(trials.finish, claim, outcome, result_id)

    def kill(self, study_id: int, number: int, *, who: str = "") -> Trial:
        """See `Storage.kill`."""
        return self._db.write(verbs.kill, study_id, number, who)

    def adopt(self, study_id: int, trials: Sequence[AdoptedTrial], *, who: str = "") -> list[int]:
        """See `Storage.adopt`."""
        return self._db.write_durably(adopting.adopt, study_id, trials, who)

    def trial(self, study_id: int, number: int) -> Trial:
        """See `Storage.trial`."""
        return self._db.read(reading.trial, study_id, number)

    def trials(self, study_id: int, states: Sequence[TrialState] | None = None) -> list[Trial]:
        """See `Storage.trials`."""
        return self._db.read(reading.trials, study_id, states)

    def reports(self, study_id: int, number: int) -> list[Report]:
        """See `Storage.reports`."""
        return self._db.read(reading.reports, study_id, number)

    def attempts(self, study_id: int, number: int | None = None) -> list[Attempt]:
        """See `Storage.attempts`."""
        return self._db.read(reading.attempts, study_id, number)

    def counts(self, study_id: int) -> Mapping[TrialState, int]:
        """See `Storage.counts`."""
        return self._db.read(reading.counts, study_id)

    def changes(self, study_id: int, since: int) -> Changes:
        """See `Storage.changes`."""
        return self._db.read(reading.changes, study_id, since)

    def events(self, study_id: int, since: int = 0, limit: int = 1000) -> list[Event]:
        """See `Storage.events`."""
        return self._db.read(studies.events, study_id, since, limit)

    def set_trial_attrs(self, study_id: int, number: int, attrs: Mapping[str, Any]) -> None:
        """See `Storage.set_trial_attrs`."""
        self._db.write(verbs.set_trial_attrs, study_id, number, attrs)

    def artifacts(self, study_id: int, number: int | None = None) -> list[tuple[int, Artifact]]:
        """See `Storage.artifacts`."""
        return self._db.read(reading.artifacts, study_id, number)

    def trim(self, study_id: int, numbers: Sequence[int], *, who: str = "") -> None:
        """See `Storage.trim`."""
        self._db.write(verbs.trim, study_id, numbers, who)

    # workers -----------------------------------------------------------------------------------------

    def register_worker(self, info: WorkerInfo) -> WorkerInfo:
        """See `Storage.register_worker`."""
        return _twice(self._db.write, workers.register_worker, info)

    def workers(self, study_id: int | None = None) -> list[WorkerInfo]:
        """See `Storage.workers`."""
        return self._db.read(workers.workers, study_id)

    def ask_worker(self, worker_id: str, wish: _Wish, *, who: str = "") -> WorkerInfo:
        """See `Storage.ask_worker`."""
        if wish not in get_args(_Wish):
            raise InputError(f"expected '', 'drain' or 'now' as the wish for a worker, got {wish!r}.")
        return self._db.write(workers.ask_worker, worker_id, wish, who)

    def retire_worker(self, worker_id: str) -> None:
        """See `Storage.retire_worker`."""
        self._db.write(workers.retire_worker, worker_id)

    def forfeit(self, worker_id: str, why: str) -> list[int]:
        """See `Storage.forfeit`."""
        return self._db.write(leases.forfeit, worker_id, why)

    # tables of AutoML --------------------------------------------------------------------------------

    def add_dataset(self, dataset: Dataset) -> int:
        """See `Storage.add_dataset`."""
        return self._db.write(catalogue.add_dataset, dataset)

    def dataset(self, dataset_id: int) -> Dataset:
        """See `Storage.dataset`."""
        return self._db.read(catalogue.dataset, dataset_id)

    def add_partitions(self, study_id: int, partitions: Sequence[Partition]) -> None:
        """See `Storage.add_partitions`."""
        self._db.write(catalogue.add_partitions, study_id, partitions)

    def partitions(self, study_id: int) -> list[Partition]:
        """See `Storage.partitions`."""
        return self._db.read(catalogue.partitions, study_id)

    def set_partition_status(self, study_id: int, index: int, status: str) -> None:
        """See `Storage.set_partition_status`."""
        if status not in PARTITION_STATES:
            raise InputError(
                f"expected one of {', '.join(PARTITION_STATES)} as a partition's status, got {status!r}."
            )
        self._db.write(catalogue.set_partition_status, study_id, index, status)

    def lease_ensemble(self, study_id: int, worker_id: str, lease_s: float) -> bool:
        """See `Storage.lease_ensemble`."""
        return self._db.write(catalogue.lease_ensemble, study_id, worker_id, lease_s)

    def release_ensemble(self, study_id: int, worker_id: str) -> None:
        """See `Storage.release_ensemble`."""
        self._db.write(catalogue.release_ensemble, study_id, worker_id)

    def add_ensemble(self, study_id: int, worker_id: str, ensemble: EnsembleRecord) -> bool:
        """See `Storage.add_ensemble`."""
        return self._db.write(catalogue.add_ensemble, study_id, worker_id, ensemble)

    def ensembles(self, study_id: int) -> list[EnsembleRecord]:
        """See `Storage.ensembles`."""
        return self._db.read(catalogue.ensembles, study_id)

    def close(self) -> None:
        """See `Storage.close`."""
        self._db.close()


def _twice(run: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run work that adds a row with a name of its own, such as a claim id.

    If another transaction adds the same at the same moment, the second try finds its row.
    """
    try:
        return run(*args, **kwargs)
    except StorageError as error:
        if not isinstance(error.__cause__, IntegrityError):
            raise
    return run(*args, **kwargs)
