"""A fit from end to end: set up or go on, search, build ensembles, end in time.

One deadline holds for everything. The search stops a little before it, so that the last ensemble and the
bundle are written within the time; since a bundle is written after every improvement, a kill at any moment
leaves a usable one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import psutil

from modelwright.automl.budget import TimeBudget
from modelwright.automl.ensemble.callback import BUILT_FROM, EnsembleCallback
from modelwright.automl.evaluation import TrialFunction
from modelwright.automl.folder import RunFolder, default_folder
from modelwright.automl.partition_status import PartitionStatusCallback
from modelwright.automl.prepare import Prepared, Tables
from modelwright.automl.reading import read_tables
from modelwright.automl.settings import FitSettings
from modelwright.automl.setup import Run, check_methods, open_run_study, set_up
from modelwright.automl.sharing import TableSharing
from modelwright.automl.status import FitStatus, StatusCallback
from modelwright.execution import Executor, Limits, Resources
from modelwright.records import StudyState, TrialState
from modelwright.study import Callback, Study
from modelwright.study.running import run_study
from modelwright.study.worker import ledger_now_us

if TYPE_CHECKING:
    from modelwright.execution.dask import DaskExecutor

__all__ = ["PRELOAD", "SOFT_SHARE", "FitResult", "Listener", "fair_memory_mb", "fit_table"]

# Imported once, before the first trial, by the process that all trials are forked from.
PRELOAD = (
    "modelwright.automl.evaluation",
    "modelwright.automl.ensemble.builder",
    "lightgbm",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.neighbors",
    "sklearn.tree",
    "skops.io",
)
SOFT_SHARE = 0.65  # share of a trial's limit for fitting by steps; the rest is for predicting and saving
_LEAST_MEMORY_MB = 500.0


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
    """Where a fit has ended, and why.

    Attributes
    ----------
    folder : RunFolder
        With the ledger, the bundle and all else.
    reason : str
        ``"spent"``: all trials are done; ``"time is up"``; ``"closed"``: nothing is left to try;
        ``"complete"``: there was nothing to do.
    prepared : Prepared
        The encoded table.
    until_s : float, optional
        When the time is over, on the monotonic clock.
    """

    folder: RunFolder
    reason: str
    prepared: Prepared
    until_s: float | None = None


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
        Start in a fresh numbered folder if `out` is taken.
    progress : Listener, optional
        Hears of it.
    tables : Tables, optional
        What was read already.
    started_s : float, optional
        When the time began to count, on the monotonic clock; now by default.

    Raises
    ------
    InputError
        The settings, the table, or a folder that holds another run; nothing has been changed then.
    """
    started_s = time.monotonic() if started_s is None else started_s
    listener = progress or _Nobody()
    settings = settings.with_budget()
    check_methods(settings)
    tables = tables or read_tables(source, test, target=settings.target)
    settings = settings.with_room()
    folder = RunFolder(out or default_folder(tables.name))
    if new and folder.path.exists():
        folder = folder.fresh()
    if settings.where.is_cluster:  # whose workers are in other current folders than we are
        folder = RunFolder(folder.path.absolute())
    place = _Place(settings)
    try:
        place.require(folder.path)
        run = set_up(folder, tables, settings, storage=storage, note=listener.note, begins=place.open)
        study = open_run_study(run, settings)
        try:
            budget = TimeBudget(study, settings.time_s, started_s)
            reason = _nothing_to_do(study, budget, settings, listener) or _search(
                study, run, settings, budget, place, listener
            )
        finally:
            study.close()
    finally:
        place.close()
    return FitResult(folder, reason, run.prepared, budget.until_s)


def _nothing_to_do(study: Study, budget: TimeBudget, settings: FitSettings, listener: Listener) -> str:
    """Return ``"complete"`` when the budget is used up, and say how to add to it."""
    done = sum(trial.state.finished for trial in study.trials)
    # Otherwise the last ensemble may be missing.
    complete = study.state is StudyState.COMPLETE and not _lacks_ensemble(study)
    closed = study.record.closed
    if complete and closed:
        listener.note(f"complete: {closed}.")
    elif complete and settings.trials is not None and done >= settings.trials:
        more = settings.trials + done
        listener.note(f"complete: all {done} trials are done. --trials {more} adds {more - done} more.")
    elif budget.is_spent:
        assert budget.budget_s is not None
        listener.note(
            f"complete: {budget.used_before_s:.0f} s of {budget.budget_s:.0f} s are used. "
            f"--time {budget.used_before_s + budget.budget_s:.0f} adds {budget.budget_s:.0f} s."
        )
    else:
        if done:
            listener.note(f"going on with {str(study.folder)!r}: {done} trials are done.")
        return ""
    return "complete"


def _lacks_ensemble(study: Study) -> bool:
    """Whether models have come since the last ensemble, such as from workers that cannot build one."""
    if BUILT_FROM not in study.user_attrs:
        return False
    return int(study.user_attrs[BUILT_FROM]) < study.counts.get(TrialState.COMPLETE, 0)


# search ----------------------------------------------------------------------------------------------


def _search(
    study: Study, run: Run, settings: FitSettings, budget: TimeBudget, place: _Place, listener: Listener
) -> str:
    if study.state is StudyState.COMPLETE:  # more was added to its budget
        study.storage.set_state(study.record.id, StudyState.PENDING)
    shown = {"jobs": settings.slots, "memory_mb": round(place.memory_mb), "budget_s": budget.budget_s}
    study.storage.set_user_attrs(study.record.id, shown)
    _tell_budget(study, settings, budget)
    ensembles = EnsembleCallback(
        run.folder, run.prepared, memory_mb=place.memory_mb, until_s=budget.build_until_s, seed=settings.seed
    )
    callbacks: Sequence[Callback] = (
        budget,
        PartitionStatusCallback(run.search(settings), study.space),
        ensembles,
        TableSharing(run.folder, listener.note),
        StatusCallback(
            run.prepared.metric, settings, budget.used_before_s, budget.started_s, listener.update, ensembles
        ),
    )
    trial_s = settings.trial_timeout_s or budget.trial_s
    evaluate = TrialFunction(
        str(run.folder.data),
        list(settings.methods or ()),
        soft_limit_s=None if trial_s is None else SOFT_SHARE * trial_s,
    )
    try:
        reason = run_study(
            study,
            evaluate,
            trials=settings.trials,
            timeout=budget.search_s,
            parallel=settings.slots,
            executor=place.open(),
            callbacks=callbacks,
            limits=Limits(
                wall_s=trial_s,
                memory_mb=place.memory_mb,
                cpu_s=settings.trial_cpu_s,
                output_mb=settings.trial_output_mb,
                disk_mb=settings.trial_disk_mb,
            ),
        )
    finally:
        place.close()
        budget.save()
    if ensembles.trouble:
        listener.note(f"warning: the last ensemble could not be saved: {ensembles.trouble}")
    if reason == "time is up":
        study.storage.set_state(study.record.id, StudyState.COMPLETE)
    return reason


def _tell_budget(study: Study, settings: FitSettings, budget: TimeBudget) -> None:
    """Let the ledger show this run's limits; the run keeps them itself, and never later than these.

    The ledger counts time from the study's first run, and a fit the time in which it ran. So a resumed fit
    gets a new moment to end at, and as much more time.
    """
    time_s, deadline_us = None, None
    if budget.until_s is not None and budget.budget_s is not None:
        now_us = ledger_now_us(study.storage)
        deadline_us = now_us + int((budget.until_s - time.monotonic()) * 1e6)
        began_us = study.record.started_us
        so_far_s = 0.0 if began_us is None else (deadline_us - began_us) / 1e6
        time_s = max(budget.budget_s, so_far_s)
    study.storage.set_budget(study.record.id, settings.trials, time_s=time_s, deadline_us=deadline_us)


class _Place:
    """Where the trials run; opened early, since its processes import libraries while we do other things."""

    def __init__(self, settings: FitSettings) -> None:
        self._where = settings.where
        self._slots = settings.slots
        self._executor: Executor | None = None
        self.memory_mb = settings.memory_mb or fair_memory_mb(settings.slots)

    def open(self) -> Executor:
        """Return the executor; the first call makes it."""
        if self._executor is None:
            slots = [Resources(memory_mb=self.memory_mb)] * self._slots
            self._executor = self._where.open(slots, helper_slots=1, preload=PRELOAD)
        return self._executor

    def require(self, folder: Path) -> None:
        """Refuse a cluster whose workers do not see the run's folder, which trials read and write."""
        if self._where.is_cluster:
            cluster: DaskExecutor = self.open()  # type: ignore[assignment]
            cluster.require_shared(folder)

    def close(self) -> None:
        """End all its processes."""
        if self._executor is not None:
            self._executor.close()


def fair_memory_mb(slots: int) -> float:
    """Return an equal share of what is free now for each trial and one more for the ensemble's builder."""
    return max(_LEAST_MEMORY_MB, 0.9 * psutil.virtual_memory().available / 1e6 / (slots + 1))
