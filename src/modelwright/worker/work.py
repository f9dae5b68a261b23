"""What a worker keeps of a study between two turns at it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from modelwright.errors import MissingDependencyError, ModelwrightError, StorageUnavailableError
from modelwright.execution.base import Limits
from modelwright.storage.base import Storage, StudyRecord
from modelwright.study import Callback, Study
from modelwright.study.call import ObjectiveCall
from modelwright.study.folders import default_folder
from modelwright.worker.objectives import NotRunnableError, NotYetRunnableError, Objectives
from modelwright.worker.options import WorkerOptions

if TYPE_CHECKING:
    from modelwright.automl.joining import JoinedFit

__all__ = ["Session", "Work", "open_work"]


@dataclass(frozen=True, slots=True)
class Session:
    """What one turn at a study needs besides the study itself.

    Attributes
    ----------
    limits : Limits
        Of each trial.
    callbacks : sequence of Callback
        Of the run.
    deadline_s : float, optional
        When the run has to be over, on the monotonic clock.
    over : callable
        Called when the run has ended.
    """

    limits: Limits
    callbacks: Sequence[Callback] = ()
    deadline_s: float | None = None
    over: Callable[[], None] = field(default=lambda: None)


@dataclass(frozen=True, slots=True)
class Work:
    """A study, its objective, and the place that its trials need.

    Attributes
    ----------
    study : Study
        With its copy of the ledger, which a new turn only has to bring up to date.
    call : ObjectiveCall
        Always the same object, since executors know functions by identity.
    preload : tuple of str
        Modules to import before trials.
    folder : Path, optional
        What all who run its trials have to reach.
    begin : callable
        Makes the session of a turn; None where the study turns out to be over.
    """

    study: Study
    call: ObjectiveCall
    preload: tuple[str, ...]
    begin: Callable[[], Session | None]
    folder: Path | None = None


def open_work(
    storage: Storage, record: StudyRecord, options: WorkerOptions, objectives: Objectives, slots: int
) -> Work:
    """Open a study for work.

    Raises
    ------
    NotRunnableError
        Its objective or its data are not to be found here; or not yet (`NotYetRunnableError`).
    """
    if record.spec.optimizer.name == "partitions":
        return _fit_work(storage, record, options, slots)
    function = objectives.find(record)
    folder = default_folder(storage, record, options.files)
    study = Study.load(record.spec.name, storage=storage, folder=folder)
    limits = options.limits()
    return Work(study, ObjectiveCall(function, study.objectives), (), lambda: Session(limits))


def _fit_work(storage: Storage, record: StudyRecord, options: WorkerOptions, slots: int) -> Work:
    memory_mb = options.trial_memory_mb
    if memory_mb is None and options.where.is_cluster:
        _, memory_mb = options.where.room()
    try:
        from modelwright.automl.joining import PRELOAD, join_fit

        joined = join_fit(storage, record, slots=slots, memory_mb=memory_mb)
    except (ImportError, MissingDependencyError) as error:
        raise NotRunnableError(
            f"the study {record.spec.name!r} is a search over models, and a library is missing: {error}.",
            hint='Install it with: pip install "modelwright[tabular]".',
        ) from error
    except StorageUnavailableError:
        raise
    except ModelwrightError as error:
        kind = NotYetRunnableError if error.code == "E_NOT_YET" else NotRunnableError
        raise kind(error.message, hint=error.hint) from error
    call = ObjectiveCall(joined.function, joined.study.objectives)
    return Work(joined.study, call, PRELOAD, lambda: _fit_session(joined, options), joined.folder)


def _fit_session(joined: JoinedFit, options: WorkerOptions) -> Session | None:
    session = joined.begin()
    if session is None:
        return None
    limits = options.limits(session.trial_s, session.memory_mb)
    return Session(limits, session.callbacks, session.deadline_s, session.over)
