"""Studies in memory: the lock, the clocks, and the ledger of each study."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from modelwright._base.clock import now_us
from modelwright._base.registry import nearest
from modelwright.errors import (
    InputError,
    SpaceError,
    StudyExistsError,
    StudyNotFoundError,
    StudyStateError,
)
from modelwright.records import (
    Component,
    StudySpec,
    StudyState,
)
from modelwright.space import Space
from modelwright.storage.answers import KEEP, Keep, StudyRecord, WorkerInfo
from modelwright.storage.ledger import StudyLedger
from modelwright.storage.plain import plain

if TYPE_CHECKING:
    from modelwright.storage.entries import Dataset

__all__ = ["MemoryStudies", "microseconds"]


def microseconds(seconds: float) -> int:
    """Return `seconds` in the unit of the ledgers."""
    return int(seconds * 1e6)


class _Clock:
    """Both clocks of a ledger, in microseconds."""

    def __init__(self, clock: Callable[[], float], wall: Callable[[], int]) -> None:
        self._clock = clock
        self.wall = wall

    def tick(self) -> int:
        return round(self._clock() * 1e6)


class MemoryStudies:
    """The studies of a `modelwright.storage.MemoryStorage`, with its parameters."""

    url = "memory://"

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, now_us: Callable[[], int] = now_us
    ) -> None:
        self._clock = _Clock(clock, now_us)
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

    def create_study(self, spec: StudySpec) -> StudyRecord:
        """See `Storage.create_study`."""
        with self._lock:
            self._must_be_free(spec.name, "Take another name, or load it (load_if_exists=True).")
            if spec.dataset_id is not None and not 1 <= spec.dataset_id <= len(self._datasets):
                raise InputError(f"the study's data set, {spec.dataset_id}, is not in this ledger.")
            spec = replace(
                spec,
                optimizer=_own(spec.optimizer),
                scheduler=_own(spec.scheduler),
                retry=dict(spec.retry),
            )
            ledger = StudyLedger(self._next_id, spec, _space_form(spec.space), self._clock)
            self._ids[spec.name] = self._next_id
            self._ledgers[self._next_id] = ledger
            self._next_id += 1
            return ledger.record()

    def _must_be_free(self, name: str, hint: str) -> None:
        if name in self._ids:
            raise StudyExistsError(f"a study called {name!r} exists in {self.url}.", hint=hint)

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

    def delete_study(self, name: str, *, force: bool = False) -> None:
        """See `Storage.delete_study`."""
        with self._lock:
            study_id = self._id_of(name)
            if not force and self._ledgers[study_id].holders():
                raise StudyStateError(
                    f"trials of the study {name!r} are running.",
                    hint="Stop it first, or delete it with force=True (--force).",
                )
            del self._ledgers[study_id]
            del self._ids[name]

    def rename_study(self, study_id: int, name: str, *, who: str = "") -> StudyRecord:
        """See `Storage.rename_study`."""
        with self._lock:
            ledger = self._ledger(study_id)
            before = ledger.spec.name
            if name != before:
                self._must_be_free(name, "Take another name.")
                ledger.rename(name, who)
                self._ids[name] = self._ids.pop(before)
            return ledger.record()

    def set_priority(self, study_id: int, priority: int, *, who: str = "") -> StudyRecord:
        """See `Storage.set_priority`."""
        with self._lock:
            ledger = self._ledger(study_id)
            ledger.set_priority(priority, who)
            return ledger.record()

    def set_state(
        self,
        study_id: int,
        state: StudyState,
        *,
        expected: StudyState | None = None,
        abort: bool = False,
        who: str = "",
    ) -> StudyRecord:
        """See `Storage.set_state`."""
        with self._lock:
            ledger = self._ledger(study_id)
            ledger.set_state(
                StudyState(state), None if expected is None else StudyState(expected), abort, who
            )
            return ledger.record()

    def set_budget(
        self,
        study_id: int,
        trials: int | Keep | None = KEEP,
        *,
        time_s: float | Keep | None = KEEP,
        deadline_us: int | Keep | None = KEEP,
        cost: float | Keep | None = KEEP,
        parallel: int | Keep | None = KEEP,
        who: str = "",
    ) -> StudyRecord:
        """See `Storage.set_budget`."""
        parts = {
            "trials": trials,
            "time_s": time_s,
            "deadline_us": deadline_us,
            "cost": cost,
            "parallel": parallel,
        }
        with self._lock:
            ledger = self._ledger(study_id)
            ledger.set_budget(parts, who)
            return ledger.record()

    def set_window(self, study_id: int, window: int) -> StudyRecord:
        """See `Storage.set_window`."""
        with self._lock:
            ledger = self._ledger(study_id)
            ledger.set_window(window)
            return ledger.record()

    def set_started(self, study_id: int, started_us: int) -> StudyRecord:
        """See `Storage.set_started`."""
        with self._lock:
            ledger = self._ledger(study_id)
            ledger.set_started(started_us)
            return ledger.record()

    def set_user_attrs(self, study_id: int, attrs: Mapping[str, Any]) -> StudyRecord:
        """See `Storage.set_user_attrs`."""
        with self._lock:
            ledger = self._ledger(study_id)
            ledger.set_user_attrs(attrs)
            return ledger.record()

    def add_space(
        self, study_id: int, space: Mapping[str, Any], based_on: int, *, who: str = ""
    ) -> StudyRecord:
        """See `Storage.add_space`."""
        with self._lock:
            ledger = self._ledger(study_id)
            ledger.add_space(space, based_on, who)
            return ledger.record()

    def spaces(self, study_id: int) -> list[Mapping[str, Any]]:
        """See `Storage.spaces`."""
        with self._lock:
            return self._ledger(study_id).spaces()


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
