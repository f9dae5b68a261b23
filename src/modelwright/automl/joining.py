"""Joining a fit from its ledger alone: what a worker needs to run the trials of a search over models.

The ledger names the run's folder, where the encoded table lies; everything else is in the folder and in the
study itself. So any process that reaches both can take part. One that does not reach the folder takes part
where a server has the ledger and a copy of the table: its trials leave their files there, and the ensembles
are left to those who have the folder.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelwright.automl.budget import TimeBudget
from modelwright.automl.ensemble.callback import EnsembleCallback
from modelwright.automl.evaluation import TrialFunction
from modelwright.automl.fit import PRELOAD, SOFT_SHARE, fair_memory_mb
from modelwright.automl.folder import RunFolder
from modelwright.automl.methods import load_methods
from modelwright.automl.partition_status import PartitionStatusCallback
from modelwright.automl.prepare import open_prepared
from modelwright.automl.settings import FitSettings
from modelwright.automl.setup import RUN_FOLDER, Run
from modelwright.automl.sharing import fetch_shared
from modelwright.errors import InputError
from modelwright.records import StudyState
from modelwright.storage.base import Storage, StudyRecord
from modelwright.study import Callback, Study

__all__ = ["PRELOAD", "FitSession", "JoinedFit", "join_fit"]


@dataclass(frozen=True, slots=True)
class FitSession:
    """One stretch of work at a fit.

    Attributes
    ----------
    callbacks : sequence of Callback
        That keep its account of time, its partitions and its ensembles.
    deadline_s : float, optional
        When the search is over, on the monotonic clock.
    trial_s : float, optional
        Limit of a trial.
    memory_mb : float
        Limit of a trial.
    over : callable
        To be called when the stretch has ended.
    """

    callbacks: Sequence[Callback]
    deadline_s: float | None
    trial_s: float | None
    memory_mb: float
    over: Callable[[], None]


class JoinedFit:
    """A fit that this process takes part in.

    Parameters
    ----------
    study : Study
        Its study.
    run : Run
        Its folder, or a copy of what trials need of it.
    elsewhere : bool
        Whether it is a copy.
    settings : FitSettings
        As they are in the folder and the ledger.
    memory_mb : float
        Limit of a trial.

    Attributes
    ----------
    study : Study
        The study.
    function : TrialFunction
        The objective.
    """

    def __init__(
        self, study: Study, run: Run, settings: FitSettings, memory_mb: float, *, elsewhere: bool = False
    ) -> None:
        self.study = study
        self._run = run
        self._elsewhere = elsewhere
        self._settings = settings
        self._memory_mb = memory_mb
        trial_s = TimeBudget(study, settings.time_s, time.monotonic()).trial_s
        self.function = TrialFunction(
            str(run.folder.data.absolute()),
            list(settings.methods or ()),
            soft_limit_s=None if trial_s is None else SOFT_SHARE * trial_s,
        )

    @property
    def folder(self) -> Path:
        """The folder of the run, or of the copy."""
        return self._run.folder.path

    def begin(self) -> FitSession | None:
        """Begin a stretch of work; None where the time of the fit is used up, which ends its study."""
        budget = TimeBudget(self.study, self._settings.time_s, time.monotonic())
        if budget.is_spent:
            self._close()
            return None
        callbacks: list[Callback] = [
            budget,
            PartitionStatusCallback(self._run.search(self._settings), self.study.space),
        ]
        if not self._elsewhere:
            callbacks.append(
                EnsembleCallback(
                    self._run.folder,
                    self._run.prepared,
                    memory_mb=self._memory_mb,
                    until_s=budget.build_until_s,
                    seed=self._settings.seed,
                )
            )
        search_s = budget.search_s
        deadline_s = None if search_s is None else time.monotonic() + search_s

        def over() -> None:
            budget.save()
            if deadline_s is not None and time.monotonic() >= deadline_s:
                self._close()

        return FitSession(callbacks, deadline_s, budget.trial_s, self._memory_mb, over)

    def _close(self) -> None:
        self.study.storage.set_state(self.study.record.id, StudyState.COMPLETE)


def join_fit(
    storage: Storage, record: StudyRecord, *, slots: int = 1, memory_mb: float | None = None
) -> JoinedFit:
    """Take part in the fit that a study belongs to.

    Parameters
    ----------
    storage : Storage
        The ledger.
    record : StudyRecord
        The study.
    slots : int, default=1
        How many trials run at a time on this machine, by all who share its memory.
    memory_mb : float, optional
        Limit of a trial; a fair share of what is free by default.

    Raises
    ------
    InputError
        The run's folder is not named, not to be reached, or of another run, and there is no copy.
    """
    found = _find_run(storage, record)
    elsewhere = found is None
    folder, content = found or _fetch_run(storage, record)
    settings = _settings(content, record)
    prepared = open_prepared(folder.data)
    methods = load_methods(record.spec.optimizer.options["methods"], prepared.schema.task)
    run = Run(folder, content, prepared, methods)
    study = Study.load(record.spec.name, storage=storage, folder=None if elsewhere else folder.path)
    return JoinedFit(study, run, settings, memory_mb or fair_memory_mb(slots), elsewhere=elsewhere)


def _find_run(storage: Storage, record: StudyRecord) -> tuple[RunFolder, dict[str, Any]] | None:
    """Return the run's folder, and what its ``run.json`` says; None where it is not reached from here."""
    places = []
    if storage.url.startswith("sqlite:///"):  # a ledger in its run's folder, which may have been moved
        places.append(Path(storage.url.removeprefix("sqlite:///").partition("?")[0]).parent)
    if named := record.user_attrs.get(RUN_FOLDER):
        places.append(Path(str(named)))
    for place in places:
        folder = RunFolder(place)
        try:
            content = folder.read() if folder.manifest.exists() else None
        except PermissionError:  # it is another user's
            continue
        if content is not None and content["study"] == record.spec.name:
            return folder, content
    return None


def _fetch_run(storage: Storage, record: StudyRecord) -> tuple[RunFolder, dict[str, Any]]:
    """Return a copy of the run's folder from the server that has the ledger."""
    folder = fetch_shared(storage, record)
    content = None if folder is None else folder.read()
    if folder is not None and content is not None:
        return folder, content
    named = record.user_attrs.get(RUN_FOLDER)
    where = f"in the folder {named!r}" if named else "in its run's folder, which the ledger does not name"
    raise InputError(
        f"the study {record.spec.name!r} is a search over models, whose data lie {where}; "
        "they cannot be reached from here.",
        hint="Run workers where that folder can be reached under the same path, or keep the ledger with "
        "`modelwright serve`: then the fit sends the data there."
        if named
        else "Run its `modelwright fit` once more, which writes it down.",
        code="E_RUN_FOLDER",
    )


def _settings(content: dict[str, Any], record: StudyRecord) -> FitSettings:
    """Return the settings of the run: what its models depend on, and the budget as it is now."""
    known = dict(content["settings"])
    options = record.spec.optimizer.options
    time_s = record.user_attrs.get("budget_s")
    return FitSettings(
        **{**known, "methods": None if known.get("methods") is None else tuple(known["methods"])},
        k_window=options["k_window"],
        r_minimum=options["r_minimum"],
        time_s=None if time_s is None else float(time_s),
        trials=record.budget.trials,
    ).with_budget()
