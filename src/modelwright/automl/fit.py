"""A fit from end to end: set up or go on, search, build ensembles, end in time.

One deadline holds for everything. The search stops a little before it, so that the last ensemble and the
bundle are written within the time; since a bundle is written after every improvement, a kill at any moment
leaves a usable one.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import psutil

from modelwright.automl.ensemble.callback import EnsembleCallback
from modelwright.automl.evaluation import TrialFunction
from modelwright.automl.folder import RunFolder, default_folder
from modelwright.automl.methods import default_methods, load_methods
from modelwright.automl.partitions import joint_space, partitions
from modelwright.automl.prepare import Prepared, Tables, open_prepared, prepare
from modelwright.automl.dummy import dummy_test_score
from modelwright.automl.metrics import metric as metric_named
from modelwright.automl.reading import read_tables
from modelwright.automl.settings import FitSettings
from modelwright.automl.status import FitStatus, StatusCallback
from modelwright.errors import InputError
from modelwright.execution import Resources, make_executor
from modelwright.records import Component, SearchSettings
from modelwright.storage import open_storage
from modelwright.storage.base import Partition
from modelwright.study import Study
from modelwright.study.running import run_study

__all__ = ["DEFAULT_TIME_S", "FitResult", "fit_table"]

DEFAULT_TIME_S = 60.0

# Imported once, before the first trial, by the process that all trials are forked from.
_PRELOAD = (
    "modelwright.automl.evaluation",
    "modelwright.automl.ensemble.builder",
    "lightgbm",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.neighbors",
    "sklearn.tree",
    "skops.io",
)


class Listener(Protocol):
    """Hears of a fit's progress."""

    def note(self, text: str) -> None:
        """Something that a person should know."""

    def update(self, status: FitStatus) -> None:
        """The run has moved."""


class _Nobody:
    def note(self, text: str) -> None:
        return None

    def update(self, status: FitStatus) -> None:
        return None


@dataclass(frozen=True, slots=True)
class FitResult:
    """Where a fit has ended, and why."""

    folder: RunFolder
    reason: str
    prepared: Prepared


def fit_table(
    source: Any,
    settings: FitSettings,
    *,
    out: Path | None = None,
    test: Any = None,
    storage: str | None = None,
    new: bool = False,
    progress: Listener | None = None,
    tables: Tables | None = None,
    started_s: float | None = None,
) -> FitResult:
    """Find the best model for a table within the budget.

    Parameters
    ----------
    source : str, Path or DataFrame
        The table; ignored when `tables` is given.
    settings : FitSettings
        What to do.
    out : Path, optional
        The run's folder; ``runs/<table>`` by default.
    test : str, Path or DataFrame, optional
        Table for the test score.
    storage : str, optional
        Ledger elsewhere than in the folder.
    new : bool, default=False
        Start in a fresh numbered folder if `out` holds a run.
    progress : Listener, optional
        Hears of it.
    tables : Tables, optional
        What was read already.
    started_s : float, optional
        When the command began, on the monotonic clock; the start of this process by default for commands.

    Raises
    ------
    InputError
        The settings, the table, or a folder that holds another run; nothing has been changed then.
    """
    started_s = _process_start_s() if started_s is None else started_s
    listener = progress or _Nobody()
    settings = _with_default_budget(settings)
    tables = tables or read_tables(source, test, target=settings.target)
    folder = RunFolder(out or default_folder(tables.name))
    folder, content, prepared = _set_up(folder, tables, settings, storage, new, listener)
    study = _open_study(folder, content, prepared, settings)
    try:
        reason = _search(study, folder, prepared, settings, listener, started_s)
    finally:
        study.close()
    return FitResult(folder, reason, prepared)


# set-up ----------------------------------------------------------------------------------------------


def _with_default_budget(settings: FitSettings) -> FitSettings:
    if settings.time_s is None and settings.trials is None:
        from dataclasses import replace

        return replace(settings, time_s=DEFAULT_TIME_S)
    return settings


def _set_up(
    folder: RunFolder,
    tables: Tables,
    settings: FitSettings,
    storage: str | None,
    new: bool,
    listener: Listener,
) -> tuple[RunFolder, Mapping[str, Any], Prepared]:
    if new and folder.path.exists():
        folder = folder.fresh()
    load_methods(settings.methods, task=None)  # unknown names are refused before a folder is made
    wanted = {"data": _fingerprint(tables), "settings": settings.identity()}
    content = folder.read()
    if content is None:
        created = not folder.path.exists()
        try:
            with folder.locked():
                content = folder.read()  # another command may have been faster
                if content is None:
                    content = _create(folder, tables, settings, storage, wanted, listener)
        except BaseException:
            if created:
                folder.discard_if_not_set_up()
            raise
    folder.check_same(content, wanted)
    return folder, content, open_prepared(folder.data)


def _create(
    folder: RunFolder,
    tables: Tables,
    settings: FitSettings,
    storage: str | None,
    wanted: Mapping[str, Any],
    listener: Listener,
) -> Mapping[str, Any]:
    folder.remove_unfinished_data()
    prepared = prepare(folder.data, tables, settings, listener.note)
    task = prepared.schema.task
    load_methods(settings.methods, task=task)  # a method that cannot do this task is refused now
    study = folder.path.name if storage is None else f"{folder.path.name}-{wanted['data'][:8]}"
    folder.write(
        {
            **wanted,
            "study": study,
            "storage": storage or "",
            "metric": prepared.metric,
            "task": task,
            "table": tables.name,
            "dummy_test_score": dummy_test_score(prepared.store),
        }
    )
    content = folder.read()
    assert content is not None
    return content


def _fingerprint(tables: Tables) -> str:
    from modelwright.automl.data import fingerprint

    parts = [fingerprint(frame) for frame in (tables.train, tables.test, tables.valid) if frame is not None]
    if tables.weight is not None:
        parts.append(hashlib.sha256(tables.weight.tobytes()).hexdigest())
    return hashlib.sha256("/".join(parts).encode()).hexdigest()


def _open_study(
    folder: RunFolder, content: Mapping[str, Any], prepared: Prepared, settings: FitSettings
) -> Study:
    task = prepared.schema.task
    names = list(settings.methods or default_methods(task))
    methods = load_methods(names, task=task)
    direction = metric_named(prepared.metric, task).direction
    storage = open_storage(content["storage"] or folder.ledger_url)
    known = {record.spec.name for record in storage.studies()}
    dataset_id = None if content["study"] in known else storage.add_dataset(prepared.dataset)
    budget_type = "walltime" if settings.trials is None else "classifier"
    study = Study(
        joint_space(methods),
        directions={prepared.metric: direction},
        storage=storage,
        name=content["study"],
        seed=settings.seed,
        optimizer=Component(
            "partitions",
            {
                "methods": names,
                "task": task,
                "selector": settings.selector,
                "tuner": settings.tuner,
                "k_window": settings.k_window,
                "r_minimum": settings.r_minimum,
            },
        ),
        deterministic=True,
        load_if_exists=True,
        folder=folder.path,
        dataset_id=dataset_id,
        description=f"{settings.tuner}___{settings.selector}",
        search=SearchSettings(
            selector=settings.selector,
            tuner=settings.tuner,
            k_window=settings.k_window,
            r_minimum=settings.r_minimum,
            gridding=0,
            metric=prepared.metric,
            score_target="cv",
            budget_type=budget_type,
        ),
    )
    storage.add_partitions(
        study.record.id,
        [
            Partition(part.index, part.method.name, part.categoricals, list(part.tunables.names), part.constants)
            for part in partitions(methods)
        ],
    )
    return study


# search ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Time:
    """The time of a run over all its sessions, kept in the ledger."""

    study: Study
    budget_s: float | None
    started_s: float
    used_before_s: float = field(init=False)

    def __post_init__(self) -> None:
        self.used_before_s = float(self.study.user_attrs.get("time_used_s", 0.0))

    @property
    def used_s(self) -> float:
        return self.used_before_s + time.monotonic() - self.started_s

    @property
    def left_s(self) -> float | None:
        return None if self.budget_s is None else self.budget_s - self.used_s

    def save(self) -> None:
        self.study.set_user_attr("time_used_s", round(self.used_s, 3))


def _search(
    study: Study,
    folder: RunFolder,
    prepared: Prepared,
    settings: FitSettings,
    listener: Listener,
    started_s: float,
) -> str:
    clock = _Time(study, settings.time_s, started_s)
    left_s = clock.left_s
    done = len([trial for trial in study.trials if trial.state.finished])
    if settings.trials is not None and done >= settings.trials:
        listener.note(f"complete: all {done} trials are done. A higher --trials adds more.")
        return "complete"
    if left_s is not None and clock.used_before_s >= settings.time_s - 1.0:  # type: ignore[operator]
        listener.note(
            f"complete: {clock.used_before_s:.0f} s of {settings.time_s:.0f} s are used. "
            f"--time {2 * settings.time_s:.0f} adds as much again."  # type: ignore[operator]
        )
        return "complete"
    if done:
        listener.note(f"going on with {str(folder.path)!r}: {done} trials are done.")

    # The search ends early enough for the last ensemble to be built, saved and reported.
    reserve_s = 0.0 if left_s is None else min(0.2 * left_s, 2.0 + 0.06 * left_s)
    timeout_s = None if left_s is None else max(0.1, left_s - reserve_s)
    memory_mb = settings.memory_mb or _fair_memory_mb(settings.slots)
    ensembles = EnsembleCallback(
        folder, prepared, memory_mb=memory_mb, until_s=_until(started_s, clock), seed=settings.seed
    )
    status = StatusCallback(prepared.metric, settings, clock.used_before_s, started_s, listener.update, ensembles)
    executor = make_executor(
        "local",
        slots=[Resources(memory_mb=memory_mb)] * settings.slots,
        helper_slots=1,
        preload=_PRELOAD,
    )
    try:
        return run_study(
            study,
            TrialFunction(str(folder.data)),
            trials=settings.trials,
            timeout=timeout_s,
            parallel=settings.slots,
            executor=executor,
            callbacks=[ensembles, status],
            trial_timeout=settings.trial_timeout_s or _trial_timeout_s(settings),
            trial_memory_mb=memory_mb,
        )
    finally:
        executor.close()
        clock.save()


def _until(started_s: float, clock: _Time) -> float | None:
    """Return the moment, on the monotonic clock, at which everything has to be over."""
    return None if clock.budget_s is None else started_s + clock.budget_s - clock.used_before_s


def _trial_timeout_s(settings: FitSettings) -> float | None:
    """A quarter of the time: one hanging model must not eat the run, a slow good one must have its chance."""
    return None if settings.time_s is None else max(2.0, settings.time_s / 4)


def _fair_memory_mb(slots: int) -> float:
    total = psutil.virtual_memory().total / 1e6
    return 0.8 * total / (slots + 1)


def _process_start_s() -> float:
    """Return when this process began, on the monotonic clock, so that imports count too."""
    return time.monotonic() - max(0.0, time.time() - psutil.Process().create_time())


