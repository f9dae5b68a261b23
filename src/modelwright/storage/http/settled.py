"""What came of a request whose answer was lost, for the few methods whose arguments name nothing new.

A server remembers what it has answered until it ends. If it was killed between doing something and saying so,
its successor knows nothing of the request. Most methods carry an id into the ledger, by which a repeated one
is known for ever. Before the others are repeated, the ledger is looked at: a study that is there just as it
was to be made, one that is not there any more, trials that came in meanwhile and are just those.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from modelwright.errors import StudyNotFoundError
from modelwright.records import StudySpec, Trial
from modelwright.storage.base import AdoptedTrial, Storage
from modelwright.storage.plain import plain

__all__ = ["AFTER_ALL", "Settled", "adoption", "creation", "deletion"]

AFTER_ALL = 2**53
"""A revision that no study ever has: what changed after it is nothing, and comes with the study."""

_ALL = 2**40  # events


class Settled(Exception):  # noqa: N818 - it is good news
    """The request was carried out, though nobody said so.

    Attributes
    ----------
    result : object
        What its answer would have been.
    """

    def __init__(self, result: Any) -> None:
        super().__init__()
        self.result = result


def creation(storage: Storage, spec: StudySpec) -> Callable[[], None]:
    """Return a check that raises `Settled` once the study is there, as it was to be."""

    def check() -> None:
        try:
            record = storage.study(spec.name)
        except StudyNotFoundError:
            return
        if replace(record.spec, priority=spec.priority) == spec:  # its priority may have changed since
            raise Settled(record)

    return check


def deletion(storage: Storage, name: str) -> Callable[[], None]:
    """Return a check that raises `Settled` once the study is gone, even if another one has its name."""
    study_id = storage.study(name).id

    def check() -> None:
        names = {record.id: record.spec.name for record in storage.studies()}
        if study_id not in names:
            raise Settled(None)
        if names[study_id] != name:
            raise StudyNotFoundError(f"the study {name!r} has become {names[study_id]!r} meanwhile.")

    return check


def adoption(storage: Storage, study_id: int, trials: Sequence[AdoptedTrial]) -> Callable[[], None]:
    """Return a check that raises `Settled` once the trials have come in, with their numbers."""
    since = storage.changes(study_id, AFTER_ALL).revision

    def check() -> None:
        wanted = [_content(item.trial) for item in trials]
        events = [event for event in storage.events(study_id, since, _ALL) if event.kind == "adopt"]
        numbers = [event.number for event in events if event.number is not None]
        for first in range(len(numbers) - len(wanted) + 1):
            came = numbers[first : first + len(wanted)]
            if [_content(storage.trial(study_id, number)) for number in came] == wanted:
                raise Settled(came)

    return check


def _content(trial: Trial) -> str:
    """Return what a trial keeps wherever it goes, as text: NaN equals nothing."""
    state = trial.state.value if trial.state.finished else "waiting"
    values = [float(value) for value in trial.values]
    return json.dumps(plain([state, trial.params, values, trial.user_attrs]), sort_keys=True)
