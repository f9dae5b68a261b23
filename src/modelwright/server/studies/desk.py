"""The studies that requests work on by name."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from modelwright.errors import InputError
from modelwright.records import Component
from modelwright.server.studies.remote import RemoteStudy
from modelwright.server.studies.signed import Signed
from modelwright.storage import Storage, StudyRecord

__all__ = ["Desk", "check_parts"]

_MOST = 50


class Desk:
    """Finds studies, and keeps a copy of the ledger of those that trials are asked of.

    Copies that were not used for long are forgotten.

    Parameters
    ----------
    storage : Storage
        The ledger.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.signed = cast(Storage, Signed(storage))
        self._open: OrderedDict[int, tuple[RemoteStudy, threading.Lock]] = OrderedDict()
        self._lock = threading.Lock()

    def study(self, name: str) -> RemoteStudy:
        """Return a study for what needs no copy of its trials, whatever others do with it at the moment."""
        return RemoteStudy.of(self.signed, self._record(name))

    @contextmanager
    def turn(self, name: str) -> Iterator[tuple[RemoteStudy, StudyRecord]]:
        """Lend the study whose copy of the ledger is kept, to one request at a time, with its record."""
        record = self._record(name)
        study, lock = self._kept(record)
        with lock:
            yield study, record

    def _record(self, name: str) -> StudyRecord:
        record = self.storage.study(name)
        check_parts(record.spec.optimizer, record.spec.scheduler)
        return record

    def _kept(self, record: StudyRecord) -> tuple[RemoteStudy, threading.Lock]:
        with self._lock:  # for a moment only: nothing is read from the ledger meanwhile
            kept = self._open.get(record.id)
            if kept is None:
                kept = self._open[record.id] = (RemoteStudy.of(self.signed, record), threading.Lock())
                if len(self._open) > _MOST:
                    self._open.popitem(last=False)
            self._open.move_to_end(record.id)
        return kept


def check_parts(*parts: Component | None) -> None:
    """Refuse optimizers and schedulers that a file or a module of a user's would have to be loaded for."""
    for part in parts:
        if part is not None and ":" in part.name:
            raise InputError(
                f"{part.name[:80]!r} is code of its user's, which a server does not load.",
                hint="Name one of the built-in ones, or run the study with `modelwright worker`.",
                code="E_FOREIGN_CODE",
            )
