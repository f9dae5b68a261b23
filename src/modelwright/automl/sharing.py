"""A run's table and settings for machines that do not reach its folder, through the server with its ledger.

Whoever sets a run up sends them there, beside the search; a worker elsewhere fetches them into its user's
cache, which then looks like the run's folder as far as trials are concerned.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from modelwright.automl.folder import RunFolder
from modelwright.errors import InputError, ModelwrightError
from modelwright.records import Artifact
from modelwright.storage.artifacts import ArtifactStore, store_for
from modelwright.storage.base import Storage, StudyRecord
from modelwright.study import Callback, Runner
from modelwright.study.fetching import cache_for

__all__ = ["TableSharing", "fetch_shared"]

_ATTR = "shared_files"  # of the study: what there is to fetch
_PLACE = "run"  # in the store


class TableSharing(Callback):
    """Sends the encoded table to the server that has the ledger, if it is one, while the search begins.

    Parameters
    ----------
    folder : RunFolder
        The run's.
    note : callable
        Hears why workers elsewhere cannot take part.
    """

    def __init__(self, folder: RunFolder, note: Callable[[str], None]) -> None:
        self._folder = folder
        self._note = note
        self._trouble = ""

    def on_start(self, run: Runner) -> None:
        """Begin."""
        storage, record = run.study.storage, run.study.record
        store = store_for(storage, record.id, None)
        if store is not None:
            arguments = (storage, record, store)
            threading.Thread(target=self._send, args=arguments, name="modelwright-table", daemon=True).start()

    def _send(self, storage: Storage, record: StudyRecord, store: ArtifactStore) -> None:
        try:
            self._send_all(storage, record, store)
        except (ModelwrightError, OSError) as error:
            self._trouble = str(error)
            with suppress(ModelwrightError):  # for workers that wait for it
                storage.set_user_attrs(record.id, {_ATTR: self._trouble})

    def _send_all(self, storage: Storage, record: StudyRecord, store: ArtifactStore) -> None:
        known = record.user_attrs.get(_ATTR)
        if isinstance(known, list) and {form["location"] for form in known} <= set(store.locations()):
            return
        sent = [store.put_at(location, path) for location, path in self._files()]
        storage.set_user_attrs(record.id, {_ATTR: [asdict(item) for item in sent]})

    def _files(self) -> list[tuple[str, Path]]:
        paths = [*sorted(self._folder.data.iterdir()), self._folder.manifest]
        return [(f"{_PLACE}/{path.relative_to(self._folder.path).as_posix()}", path) for path in paths]

    def on_tick(self, run: Runner) -> None:
        """Say, once, if it did not work."""
        trouble, self._trouble = self._trouble, ""
        if trouble:
            self._note(
                f"warning: workers that cannot reach {str(self._folder.path)!r} take no part: {trouble}"
            )


def fetch_shared(storage: Storage, record: StudyRecord) -> RunFolder | None:
    """Return a copy of a run's folder with all that trials need; None for a ledger without a server.

    Raises
    ------
    InputError
        It is not there yet (``E_NOT_YET``), or cannot be had.
    StorageError
        A file is gone, or not what was sent.
    """
    store = store_for(storage, record.id, None)
    if store is None:
        return None
    forms = record.user_attrs.get(_ATTR)
    if forms is None:
        raise InputError(
            f"the data of {record.spec.name!r} are not at {storage.url} yet.",
            hint="Its `modelwright fit` sends them when it begins to search.",
            code="E_NOT_YET",
        )
    if isinstance(forms, str):
        raise InputError(
            f"the data of {record.spec.name!r} could not be sent to {storage.url}: {forms}",
            code="E_RUN_FOLDER",
        )
    cache = cache_for(storage, record)
    for form in forms:
        store.get(Artifact(**form), cache)
    return RunFolder(cache / _PLACE)
