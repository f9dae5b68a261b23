"""A whole study as one value: what moves between storages, files and tools."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from modelwright.records import Artifact, Budget, Report, StudySpec, StudyState, Trial, TrialState
from modelwright.storage.base import AdoptedTrial, Attempt, Dataset, EnsembleRecord, Partition, Storage

__all__ = ["StudySnapshot", "as_waiting", "in_order", "read_snapshot"]


@dataclass(frozen=True, slots=True)
class StudySnapshot:
    """All that a ledger knows of a study at one moment, without the keys of that ledger.

    Attributes
    ----------
    spec : StudySpec
        What was fixed when it was created; its `dataset_id` means nothing here.
    spaces : sequence of Mapping
        JSON form of each version of the space, version 0 first.
    trials : sequence of AdoptedTrial
        Finished ones in the order in which they finished, then the others by number. No trial is running:
        what ran waits.
    budget : Budget
        What it may spend.
    state : StudyState
        Where it stands; PENDING for one that was running.
    window : int, optional
        W of lock-step mode.
    user_attrs : Mapping
        JSON values kept with the study.
    partitions, ensembles : sequence
        Tables of searches over methods.
    dataset : Dataset, optional
        The table that it searches models for.
    started_us : int, optional
        When it first ran: a limit on wall time counts from then.
    notes : sequence of str
        What of a file or another tool's study could not be taken over, for people.
    """

    spec: StudySpec
    spaces: Sequence[Mapping[str, Any]]
    trials: Sequence[AdoptedTrial] = ()
    budget: Budget = field(default_factory=Budget)
    state: StudyState = StudyState.PENDING
    window: int | None = None
    user_attrs: Mapping[str, Any] = field(default_factory=dict)
    partitions: Sequence[Partition] = ()
    ensembles: Sequence[EnsembleRecord] = ()
    dataset: Dataset | None = None
    started_us: int | None = None
    notes: Sequence[str] = ()


def read_snapshot(storage: Storage, name: str) -> StudySnapshot:
    """Read the study called `name`.

    It may run meanwhile: the study and its trials are taken as they stand at one moment. What belongs to them
    is read after that, and what came later is left out of it.

    Raises
    ------
    StudyNotFoundError
        There is none of that name.
    """
    study_id = storage.study(name).id
    changes = storage.changes(study_id, 0)
    record = changes.study
    dataset_id = record.spec.dataset_id
    finished = {trial.number for trial in changes.trials if trial.state.finished}
    return StudySnapshot(
        spec=replace(record.spec, dataset_id=None),
        spaces=storage.spaces(study_id)[: record.space_version + 1],
        trials=in_order(_whole(storage, study_id, changes.trials, changes.reports)),
        budget=record.budget,
        state=StudyState.PENDING if record.state is StudyState.RUNNING else record.state,
        window=record.window,
        user_attrs=record.user_attrs,
        partitions=storage.partitions(study_id),
        ensembles=[
            item for item in storage.ensembles(study_id) if {number for number, _ in item.members} <= finished
        ],
        dataset=None if dataset_id is None else replace(storage.dataset(dataset_id), id=None),
        started_us=record.started_us,
    )


def in_order(trials: Iterable[AdoptedTrial]) -> list[AdoptedTrial]:
    """Return trials as a ledger takes them in: finished ones by when they finished, then the rest."""
    return sorted(
        trials,
        key=lambda item: (
            not item.trial.state.finished,
            item.trial.finished_revision,  # 0 for those that no ledger has had
            item.trial.ended_us or 0,
            item.number if item.number is not None else item.trial.number,
        ),
    )


def as_waiting(trial: Trial, attempts: Sequence[Attempt]) -> tuple[Trial, list[Attempt]]:
    """Return a trial that is not finished as one that waits; the attempt that runs is given back.

    It is given back as it began, however it may have ended since the trial was read.
    """
    running = trial.state is TrialState.RUNNING
    given_back = [
        Attempt(item.number, item.fence, item.worker, "released", item.started_us)
        if running and item.fence == trial.fence
        else item
        for item in attempts
    ]
    waiting = replace(
        trial,
        state=TrialState.WAITING,
        attempts=max(0, trial.attempts - 1) if running else trial.attempts,
        worker="",
        started_us=None,
    )
    return waiting, given_back


def _whole(
    storage: Storage, study_id: int, trials: Sequence[Trial], written: Sequence[tuple[int, Report]]
) -> list[AdoptedTrial]:
    """Return each trial with what belongs to it."""
    reports: dict[int, list[Report]] = {}
    for number, report in written:
        reports.setdefault(number, []).append(report)
    attempts: dict[int, list[Attempt]] = {}
    for attempt in storage.attempts(study_id):
        attempts.setdefault(attempt.number, []).append(attempt)
    artifacts: dict[int, list[Artifact]] = {}
    for number, artifact in storage.artifacts(study_id):
        artifacts.setdefault(number, []).append(artifact)
    whole = []
    for trial in trials:
        number, finished = trial.number, trial.state.finished
        own = [item for item in attempts.get(number, ()) if item.fence <= trial.fence]
        kept = _newest(reports.get(number, ()))
        if kept and trial.fence > 1:  # only the ledger knows which attempt a report is of
            kept = storage.reports(study_id, number)
        if not finished:
            trial, own = as_waiting(trial, own)
        whole.append(AdoptedTrial(trial, number, kept, own, artifacts.get(number, []) if finished else []))
    return whole


def _newest(reports: Sequence[Report]) -> list[Report]:
    """Return the last report for each step and fold, by step and fold."""
    newest = {(report.step, -1 if report.fold is None else report.fold): report for report in reports}
    return [newest[key] for key in sorted(newest)]
