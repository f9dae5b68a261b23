"""The ledger in this process's memory: for studies that need not outlive it, and a model of the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from modelwright._base.registry import nearest
from modelwright.errors import InputError, SpaceError, StudyExistsError, StudyNotFoundError
from modelwright.records import (
    Artifact,
    Component,
    Outcome,
    Proposal,
    Provenance,
    Report,
    StudySpec,
    StudyState,
    Trial,
    TrialState,
)
from modelwright.space import Space
from modelwright.storage.base import (
    Changes,
    Claim,
    Controls,
    Dataset,
    EnsembleRecord,
    Event,
    Finish,
    NoClaim,
    Partition,
    StudyRecord,
    WorkerInfo,
)
from modelwright.storage.ledger import StudyLedger
from modelwright.storage.ledger_rows import copy_ensemble, copy_partition
from modelwright.storage.plain import PARTITION_STATES, plain

__all__ = ["MemoryStorage"]


class MemoryStorage:
    """A storage that lives and dies with the process; the contract is `modelwright.storage.Storage`.

    Each method takes one lock, and costs the same at any number of trials.

    Parameters
    ----------
    clock : callable, optional
        Seconds that only grow, for the leases; ``time.monotonic`` by default.

    Examples
    --------
    >>> from modelwright.records import Outcome, Proposal, Provenance, StudySpec, TrialState
    >>> from modelwright.space import Float, Space
    >>> storage = MemoryStorage()
    >>> study = storage.create_study(StudySpec("demo", Space(x=Float(0, 1))))
    >>> claim = storage.claim(study.id, "me", "first", lease_s=60)
    >>> storage.propose(claim, Proposal({"x": 0.5}), Provenance(), 0)
    >>> storage.finish(claim, Outcome(TrialState.COMPLETE, (0.25,)), "first").value
    'accepted'
    >>> storage.trial(study.id, 0).values
    (0.25,)
    """

    url = "memory://"

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._ledgers: dict[int, StudyLedger] = {}
        self._ids: dict[str, int] = {}
        self._next_id = 1
        self._workers: dict[str, WorkerInfo] = {}
        self._datasets: list[Dataset] = []

    def _ledger(self, study_id: int) -> StudyLedger:
        ledger = self._ledgers.get(study_id)
        if ledger is None:
            raise StudyNotFoundError(f"there is no study with the id {study_id}; it may have been deleted.")
        return ledger

    # studies -----------------------------------------------------------------------------------------

    def create_study(self, spec: StudySpec) -> StudyRecord:
        """See `Storage.create_study`."""
        with self._lock:
            if spec.name in self._ids:
                raise StudyExistsError(
                    f"a study called {spec.name!r} exists in {self.url}.",
                    hint="Take another name, or load it (load_if_exists=True).",
                )
            if spec.dataset_id is not None and not 1 <= spec.dataset_id <= len(self._datasets):
                raise InputError(f"the study's data set, {spec.dataset_id}, is not in this ledger.")
            spec = replace(spec, optimizer=_own(spec.optimizer), scheduler=_own(spec.scheduler))
            ledger = StudyLedger(self._next_id, spec, _space_form(spec.space))
            self._ids[spec.name] = self._next_id
            self._ledgers[self._next_id] = ledger
            self._next_id += 1
            return ledger.record()

    def study(self, name: str) -> StudyRecord:
        """See `Storage.study`."""
        with self._lock:
            return self._ledgers[self._id_of(name)].record()

    def _id_of(self, name: str) -> int:
        if name not in self._ids:
            hint = nearest(name, list(self._ids)) if self._ids else "It holds no study yet."
            raise StudyNotFoundError(f"there is no study called {name!r} in {self.url}.", hint=hint)
        return self._ids[name]

    def studies(self) -> list[StudyRecord]:
        """See `Storage.studies`."""
        with self._lock:
            return [ledger.record() for ledger in self._ledgers.values()]

    def delete_study(self, name: str) -> None:
        """See `Storage.delete_study`."""
        with self._lock:
            del self._ledgers[self._id_of(name)]
            del self._ids[name]

    def set_state(self, study_id: int, state: StudyState) -> StudyRecord:
        """See `Storage.set_state`."""
        with self._lock:
            ledger = self._ledger(study_id)
            ledger.set_state(StudyState(state))
            return ledger.record()

    def set_budget(self, study_id: int, trials: int | None) -> StudyRecord:
        """See `Storage.set_budget`."""
        with self._lock:
            ledger = self._ledger(study_id)
            ledger.set_budget(trials)
            return ledger.record()

    def set_window(self, study_id: int, window: int) -> StudyRecord:
        """See `Storage.set_window`."""
        with self._lock:
            ledger = self._ledger(study_id)
            ledger.set_window(window)
            return ledger.record()

    def set_user_attrs(self, study_id: int, attrs: Mapping[str, Any]) -> StudyRecord:
        """See `Storage.set_user_attrs`."""
        with self._lock:
            ledger = self._ledger(study_id)
            ledger.set_user_attrs(attrs)
            return ledger.record()

    def add_space(self, study_id: int, space: Mapping[str, Any], based_on: int) -> StudyRecord:
        """See `Storage.add_space`."""
        with self._lock:
            ledger = self._ledger(study_id)
            ledger.add_space(space, based_on)
            return ledger.record()

    # trials ------------------------------------------------------------------------------------------

    def enqueue(self, study_id: int, params: Mapping[str, Any], user_attrs: Mapping[str, Any]) -> int:
        """See `Storage.enqueue`."""
        with self._lock:
            return self._ledger(study_id).enqueue(params, user_attrs)

    def claim(self, study_id: int, worker_id: str, claim_id: str, lease_s: float) -> Claim | NoClaim:
        """See `Storage.claim`."""
        with self._lock:
            return self._ledger(study_id).claim(worker_id, claim_id, lease_s, self._clock())

    def release(self, claim: Claim, why: str, *, close: bool = False) -> bool:
        """See `Storage.release`."""
        with self._lock:
            return self._ledger(claim.study_id).release(claim, why, close)

    def renew(self, claims: Sequence[Claim], lease_s: float) -> Controls:
        """See `Storage.renew`."""
        lost, stop, states = set(), set(), {}
        with self._lock:
            until = self._clock() + lease_s
            for claim in claims:
                ledger = self._ledgers.get(claim.study_id)
                if ledger is None:
                    lost.add(claim.number)
                    continue
                gone, asked = ledger.renew(claim, until)
                if gone:
                    lost.add(claim.number)
                if asked:
                    stop.add(claim.number)
                states[claim.study_id] = ledger.state
        return Controls(frozenset(lost), frozenset(stop), states)

    def propose(self, claim: Claim, proposal: Proposal, provenance: Provenance, space_version: int) -> None:
        """See `Storage.propose`."""
        with self._lock:
            self._ledger(claim.study_id).propose(claim, proposal, provenance, space_version)

    def extend(self, claim: Claim, params: Mapping[str, Any], space_version: int) -> None:
        """See `Storage.extend`."""
        with self._lock:
            self._ledger(claim.study_id).extend(claim, params, space_version)

    def report(self, claim: Claim, reports: Sequence[Report]) -> bool:
        """See `Storage.report`."""
        with self._lock:
            return self._ledger(claim.study_id).report(claim, reports)

    def finish(self, claim: Claim, outcome: Outcome, result_id: str) -> Finish:
        """See `Storage.finish`."""
        with self._lock:
            return self._ledger(claim.study_id).finish(claim, outcome, result_id)

    def request_stop(self, study_id: int, number: int) -> bool:
        """See `Storage.request_stop`."""
        with self._lock:
            return self._ledger(study_id).request_stop(number)

    def trial(self, study_id: int, number: int) -> Trial:
        """See `Storage.trial`."""
        with self._lock:
            return self._ledger(study_id).row(number).trial()

    def trials(self, study_id: int, states: Sequence[TrialState] | None = None) -> list[Trial]:
        """See `Storage.trials`."""
        with self._lock:
            rows = self._ledger(study_id).rows
            return [row.trial() for row in rows if states is None or row.state in states]

    def reports(self, study_id: int, number: int) -> list[Report]:
        """See `Storage.reports`."""
        with self._lock:
            return self._ledger(study_id).reports(number)

    def changes(self, study_id: int, since: int) -> Changes:
        """See `Storage.changes`."""
        with self._lock:
            return self._ledger(study_id).changes(since)

    def events(self, study_id: int, since: int = 0, limit: int = 1000) -> list[Event]:
        """See `Storage.events`."""
        with self._lock:
            events = self._ledger(study_id).events_since(since, limit)
            return [replace(event, payload=plain(event.payload)) for event in events]

    def set_trial_attrs(self, study_id: int, number: int, attrs: Mapping[str, Any]) -> None:
        """See `Storage.set_trial_attrs`."""
        with self._lock:
            self._ledger(study_id).set_trial_attrs(number, attrs)

    def artifacts(self, study_id: int, number: int | None = None) -> list[tuple[int, Artifact]]:
        """See `Storage.artifacts`."""
        with self._lock:
            found = [item for item in self._ledger(study_id).artifacts if number in (None, item[0])]
            return sorted(found, key=lambda item: (item[0], item[1].name))

    # workers -----------------------------------------------------------------------------------------

    def register_worker(self, info: WorkerInfo) -> None:
        """See `Storage.register_worker`."""
        with self._lock:
            self._workers[info.id] = info

    def workers(self, study_id: int | None = None) -> list[WorkerInfo]:
        """See `Storage.workers`."""
        with self._lock:
            if study_id is None:
                ids = sorted(self._workers)
            else:
                ids = sorted(self._ledger(study_id).holders(self._clock()) & self._workers.keys())
            return [self._workers[worker_id] for worker_id in ids]

    def forfeit(self, worker_id: str, why: str) -> list[int]:
        """See `Storage.forfeit`."""
        with self._lock:
            now = self._clock()
            return [n for ledger in self._ledgers.values() for n in ledger.forfeit(worker_id, why, now)]

    # tables of AutoML --------------------------------------------------------------------------------

    def add_dataset(self, dataset: Dataset) -> int:
        """See `Storage.add_dataset`."""
        with self._lock:
            number = len(self._datasets) + 1
            self._datasets.append(replace(dataset, id=number, metadata=plain(dataset.metadata, "metadata")))
            return number

    def dataset(self, dataset_id: int) -> Dataset:
        """See `Storage.dataset`."""
        with self._lock:
            if not 1 <= dataset_id <= len(self._datasets):
                raise KeyError(f"there is no data set {dataset_id}")
            found = self._datasets[dataset_id - 1]
            return replace(found, metadata=plain(found.metadata))

    def add_partitions(self, study_id: int, partitions: Sequence[Partition]) -> None:
        """See `Storage.add_partitions`."""
        with self._lock:
            self._ledger(study_id).add_partitions(partitions)

    def partitions(self, study_id: int) -> list[Partition]:
        """See `Storage.partitions`."""
        with self._lock:
            return [copy_partition(item) for _, item in sorted(self._ledger(study_id).partitions.items())]

    def set_partition_status(self, study_id: int, index: int, status: str) -> None:
        """See `Storage.set_partition_status`."""
        if status not in PARTITION_STATES:
            raise InputError(
                f"expected one of {', '.join(PARTITION_STATES)} as a partition's status, got {status!r}."
            )
        with self._lock:
            ledger = self._ledger(study_id)
            if index not in ledger.partitions:
                raise KeyError(f"the study {ledger.spec.name!r} has no partition {index}")
            ledger.set_partition_status(index, status)

    def lease_ensemble(self, study_id: int, worker_id: str, lease_s: float) -> bool:
        """See `Storage.lease_ensemble`."""
        with self._lock:
            now = self._clock()
            return self._ledger(study_id).lease_ensemble(worker_id, now + lease_s, now)

    def release_ensemble(self, study_id: int, worker_id: str) -> None:
        """See `Storage.release_ensemble`."""
        with self._lock:
            self._ledger(study_id).release_ensemble(worker_id)

    def add_ensemble(self, study_id: int, worker_id: str, ensemble: EnsembleRecord) -> bool:
        """See `Storage.add_ensemble`."""
        with self._lock:
            return self._ledger(study_id).add_ensemble(worker_id, copy_ensemble(ensemble))

    def ensembles(self, study_id: int) -> list[EnsembleRecord]:
        """See `Storage.ensembles`."""
        with self._lock:
            return [copy_ensemble(item) for _, item in sorted(self._ledger(study_id).ensembles.items())]

    def close(self) -> None:
        """See `Storage.close`; there is nothing to give back."""


def _own(component: Any) -> Any:
    if component is None:
        return None
    return Component(component.name, plain(component.options, f"the options of {component.name!r}"))


def _space_form(space: Space) -> dict[str, Any]:
    try:
        return space.to_json()
    except SpaceError:
        # A constraint is a function. It stays with the space in `StudyRecord.spec`; the form leaves it out.
        parameters = [{"name": name, **item.to_json()} for name, item in space.parameters.items()]
        return {"parameters": parameters, "constraints": list(space.constraints)}
