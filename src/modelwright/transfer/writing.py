"""Snapshots into storages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from modelwright.storage.base import AdoptedTrial, Dataset, Storage, StudyRecord
from modelwright.transfer.files import CopiedFiles, FileSource, copy_files, find_files
from modelwright.transfer.remote import keeps_files, send_files
from modelwright.transfer.snapshot import StudySnapshot
from modelwright.transfer.staging import StagedStudy, staged_study

__all__ = ["Written", "write_snapshot"]

# What goes into one transaction: large enough to be fast, small enough to keep nobody waiting.
_BATCH = 500
_REPORTS = 20_000
_BUILDER = "transfer"


@dataclass(frozen=True, slots=True)
class Written:
    """What a study is in its new place.

    Attributes
    ----------
    study : StudyRecord
        The study.
    folder : Path or None
        Where its files are, if its storage has a place for them.
    files : CopiedFiles
        What was copied there.
    """

    study: StudyRecord
    folder: Path | None
    files: CopiedFiles


def write_snapshot(
    storage: Storage,
    snapshot: StudySnapshot,
    *,
    folder: Path | None = None,
    files: Sequence[FileSource] = (),
) -> Written:
    """Create the study that `snapshot` describes, under the name in its specification.

    It appears whole or not at all. A call whose process was killed is simply repeated.

    Parameters
    ----------
    storage : Storage
        Where it shall be.
    snapshot : StudySnapshot
        What it shall be.
    folder : Path, optional
        Where its files go; the usual place by default.
    files : sequence of FileSource
        Folders whose files belong to it.

    Raises
    ------
    StudyExistsError
        The name is taken.
    """
    spec = replace(snapshot.spec, dataset_id=_dataset_id(storage, snapshot.dataset))
    with staged_study(storage, spec, state=snapshot.state, folder=folder) as staged:
        _write_tables(storage, staged, snapshot)
        for batch in _batches(_rebased(snapshot.trials, files, staged.folder)):
            storage.adopt(staged.record.id, batch, who=staged.who)
        copied = _copy_all(storage, staged, files, snapshot)
        _write_settings(storage, staged, snapshot)
    return Written(storage.study(spec.name), staged.folder, copied)


def _batches(trials: Iterable[AdoptedTrial]) -> Iterator[list[AdoptedTrial]]:
    batch: list[AdoptedTrial] = []
    reports = 0
    for item in trials:
        if batch and (len(batch) >= _BATCH or reports + len(item.reports) > _REPORTS):
            yield batch
            batch, reports = [], 0
        batch.append(item)
        reports += len(item.reports)
    if batch:
        yield batch


def _dataset_id(storage: Storage, dataset: Dataset | None) -> int | None:
    """Return the id of an equal data set that a study here has, else of a new one."""
    if dataset is None:
        return None
    ids = {record.spec.dataset_id for record in storage.studies()}
    for known in sorted(item for item in ids if item is not None):
        if replace(storage.dataset(known), id=None) == dataset:
            return known
    return storage.add_dataset(dataset)


def _write_tables(storage: Storage, staged: StagedStudy, snapshot: StudySnapshot) -> None:
    study_id = staged.record.id
    for version, form in enumerate(snapshot.spaces[1:]):
        storage.add_space(study_id, form, version, who=staged.who)
    if snapshot.partitions:
        storage.add_partitions(study_id, snapshot.partitions)
    if snapshot.ensembles and storage.lease_ensemble(study_id, _BUILDER, 60.0):
        for ensemble in snapshot.ensembles:
            storage.add_ensemble(study_id, _BUILDER, ensemble)
        storage.release_ensemble(study_id, _BUILDER)


def _rebased(
    trials: Sequence[AdoptedTrial], files: Sequence[FileSource], folder: Path | None
) -> Iterator[AdoptedTrial]:
    """Yield the trials with their output named where it will lie, if it lies in a folder that is copied."""
    common = next((source for source in files if source.numbers is None), None)
    owners = {number: source for source in files for number in (source.numbers or {}).values()}
    for item in trials:
        source = owners.get(item.trial.number if item.number is None else item.number, common)
        if folder is None or source is None:
            yield item
            continue
        attempts = [
            replace(one, log_location=_moved(one.log_location, source, folder)) for one in item.attempts
        ]
        yield replace(item, attempts=attempts)


def _moved(log: str, source: FileSource, folder: Path) -> str:
    """Return where a folder of output will be; one that is not copied stays where it is."""
    if not log or not Path(log).is_relative_to(source.place):
        return log
    location = source.new_location(Path(log).relative_to(source.place).as_posix())
    return log if location is None else str(folder / location)


def _write_settings(storage: Storage, staged: StagedStudy, snapshot: StudySnapshot) -> None:
    """Write what would let the study run, after all else."""
    study_id, budget = staged.record.id, snapshot.budget
    if snapshot.user_attrs:
        storage.set_user_attrs(study_id, snapshot.user_attrs)
    if snapshot.window is not None:
        storage.set_window(study_id, snapshot.window)
    if snapshot.started_us is not None:
        storage.set_started(study_id, snapshot.started_us)
    storage.set_budget(
        study_id,
        budget.trials,
        time_s=budget.time_s,
        deadline_us=budget.deadline_us,
        cost=budget.cost,
        parallel=budget.parallel,
        who=staged.who,
    )


def _copy_all(
    storage: Storage, staged: StagedStudy, files: Sequence[FileSource], snapshot: StudySnapshot
) -> CopiedFiles:
    """Bring the files to where the study is; of those for a server only artifacts go."""
    artifacts = {item.location: item for trial in snapshot.trials for item in trial.artifacts}
    if files and staged.folder is None and keeps_files(storage):
        return send_files(storage, staged.record.id, artifacts, find_files(files)[0])
    folder = staged.take_folder() if files else None
    if folder is None:
        return CopiedFiles(missing=tuple(sorted(artifacts)))
    return copy_files(files, folder, artifacts)
