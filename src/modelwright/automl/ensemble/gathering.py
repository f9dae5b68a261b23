"""Files of trials that were made on other machines, brought into the run's folder for the ensemble."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from modelwright.automl.folder import RunFolder
from modelwright.errors import ModelwrightError
from modelwright.records import Artifact, Trial
from modelwright.storage.artifacts import ArtifactStore, store_for
from modelwright.storage.base import Storage

__all__ = ["Gathering"]

_MODELS = "models/"  # how the names of models begin

_OOF = "oof.npy"

_log = logging.getLogger("modelwright")


class Gathering:
    """Brings predictions of every complete trial, and models of those that are asked for, in a thread.

    Where no server keeps the files they lie in the run's folder already, and nothing is done.

    Parameters
    ----------
    storage : Storage
        The ledger.
    study_id : int
        The study.
    folder : RunFolder
        Where files go: each to the place in which a trial of this machine leaves it.
    """

    def __init__(self, storage: Storage, study_id: int, folder: RunFolder) -> None:
        self._storage = storage
        self._study_id = study_id
        self._folder = folder
        self._store = store_for(storage, study_id, None)
        self._tasks: queue.SimpleQueue[tuple[Trial, bool] | None] = queue.SimpleQueue()
        self._open = {False: 0, True: 0}  # tasks that are not done: of predictions, and of models
        self._closed = False
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ready: list[Trial] = []
        self._without_models: dict[int, Trial] = {}
        self._lacking: set[int] = set()

    @property
    def busy(self) -> bool:
        """Whether something is still to come."""
        return any(self._open.values())

    @property
    def bringing_models(self) -> bool:
        """Whether models are still to come."""
        return self._open[True] > 0

    def add(self, trials: Iterable[Trial]) -> None:
        """Bring what tells how good these trials are in an ensemble."""
        for trial in trials:
            if self._store is None:
                self._ready.append(trial)
            else:
                self._ask(trial, models=False)

    def take(self) -> list[Trial]:
        """Return, once, the trials that have been dealt with."""
        with self._lock:
            ready, self._ready = self._ready, []
        return ready

    def is_usable(self, trial: Trial) -> bool:
        """Whether the predictions of a trial are here."""
        return trial.number not in self._lacking

    def has_models(self, trial: Trial) -> bool:
        """Whether its models are here, too."""
        return trial.number not in self._without_models

    def bring_models(self, numbers: Sequence[int]) -> None:
        """Bring the models of trials that are to be members."""
        for number in numbers:
            if number in self._without_models:
                self._ask(self._without_models[number], models=True)

    def close(self) -> None:
        """Bring nothing more."""
        self._closed = True
        self._tasks.put(None)

    # the thread --------------------------------------------------------------------------------------

    def _ask(self, trial: Trial, *, models: bool) -> None:
        with self._lock:
            self._open[models] += 1
        self._tasks.put((trial, models))
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="modelwright-gathering", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None and not self._closed:
            trial, models = task
            try:
                lacks_models = self._bring(trial, models)
            except Exception as error:  # the ensemble goes on without it
                if self._closed:  # and the storage with it
                    return
                _log.warning("trial %d takes no part in the ensemble: %s", trial.number, error)
                self._lacking.add(trial.number)
            else:
                self._note(trial, lacks_models)
            with self._lock:
                if not models:
                    self._ready.append(trial)
                self._open[models] -= 1

    def _note(self, trial: Trial, lacks_models: bool) -> None:
        if lacks_models:
            self._without_models[trial.number] = trial
        else:
            self._without_models.pop(trial.number, None)

    def _bring(self, trial: Trial, models: bool) -> bool:
        """Bring files of a trial; return whether models of it are still not here."""
        assert self._store is not None
        items = [item for _, item in self._storage.artifacts(self._study_id, trial.number)]
        if not any(item.name == _OOF for item in items):
            if (self._folder.trial(trial.number, trial.fence) / _OOF).exists():
                return False  # made here, and the server did not take them
            raise ModelwrightError("its predictions were not kept.")
        wanted = [item for item in items if models or not item.name.startswith(_MODELS)]
        # The predictions come last: where they are, all that goes with them is.
        for item in sorted(wanted, key=lambda item: item.name == _OOF):
            _fetch(self._store, item, self._folder.path)
        return any(not _is_here(item, self._folder.path) for item in items)


def _fetch(store: ArtifactStore, item: Artifact, folder: Path) -> None:
    if not _is_here(item, folder):
        store.get(item, folder)


def _is_here(item: Artifact, folder: Path) -> bool:
    """Whether a file is in its place: it was written whole, by a trial or by its way here."""
    try:
        return (folder / item.location).stat().st_size == item.size
    except OSError:
        return False
