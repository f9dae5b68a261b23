"""A study's log of proposals, recomputed in the order in which they were made."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from modelwright.errors import InputError
from modelwright.records import Provenance
from modelwright.study.replay.recompute import Recomputer
from modelwright.study.replay.report import Difference, LoggedProposal, Origin, Replay
from modelwright.study.replay.rows import changed_rows, is_unreadable, saw_itself
from modelwright.study.replay.story import Story, read_story
from modelwright.study.versions import versions_here

if TYPE_CHECKING:
    from modelwright.space import Space
    from modelwright.storage.base import Storage

__all__ = ["replay"]

_SPOILING = ("row", "configuration")  # what cannot be put right for those that saw it


def replay(
    storage: Storage,
    study_id: int,
    base: Space,
    *,
    trial: int | None = None,
    check: bool = True,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Replay:
    """Read a study's log of proposals, recompute them, and compare rows with what the log says of them.

    Parameters
    ----------
    storage : Storage
        The ledger.
    study_id : int
        The study's key.
    base : Space
        Version 0 of its space, with real choices where they are known.
    trial : int, optional
        Look at this one only.
    check : bool, default=True
        Recompute and compare; otherwise the log is only read.
    progress : callable, optional
        Called with how many proposals have been recomputed, and of how many.

    Raises
    ------
    InputError
        There is no such trial.
    """
    story = read_story(storage, study_id)
    numbers = _numbers(story, trial)
    differences: list[Difference] = []
    recomputed: set[int] = set()
    if check:
        differences += changed_rows(story, numbers)
        recomputed = {number for number in numbers if _can_be_asked_for(story, number)}
        differences += _recomputed(story, base, recomputed, progress)
    differences.sort(key=lambda item: (item.revision, item.trial))
    wrong = {item.trial for item in differences}
    proposals = [
        _logged(story, number, number not in wrong if number in recomputed else None) for number in numbers
    ]
    record = story.record
    return Replay(record.spec.name, record.revision, versions_here(), tuple(proposals), tuple(differences))


def _numbers(story: Story, trial: int | None) -> list[int]:
    numbers = sorted({*story.trials, *(number for number, life in story.lives.items() if life.written)})
    if trial is None:
        return numbers
    if trial not in numbers:
        raise InputError(
            f"the study {story.record.spec.name!r} has no trial {trial!r}.",
            hint=f"Its trials are numbered from 0 to {numbers[-1]}." if numbers else "It has none yet.",
            code="E_NO_TRIAL",
        )
    return [trial]


def _can_be_asked_for(story: Story, number: int) -> bool:
    row = story.trials.get(number)
    if row is None or is_unreadable(row) or saw_itself(row, story.life(number)):
        return False
    return _origin(story, number) == "proposed"


def _origin(story: Story, number: int) -> Origin:
    row, origin = story.trials.get(number), story.life(number).origin
    foreign = row is not None and row.provenance.optimizer != story.record.spec.optimizer.name
    return "other" if origin == "proposed" and foreign else origin


def _recomputed(
    story: Story, base: Space, numbers: set[int], progress: Callable[[int, int], None]
) -> list[Difference]:
    spoilt = [item for item in changed_rows(story, list(story.lives)) if item.what in _SPOILING]
    recomputer = Recomputer(story, base, spoilt)
    found: list[Difference] = []
    # In the order of what they saw, so that the history only ever grows.
    ordered = sorted(numbers, key=lambda number: (story.trials[number].provenance.revision, number))
    for done, number in enumerate(ordered, start=1):
        found += recomputer.differences(number)
        progress(done, len(ordered))
    return found


def _logged(story: Story, number: int, equal: bool | None) -> LoggedProposal:
    row, life = story.trials.get(number), story.life(number)
    provenance = Provenance() if row is None else dataclasses.replace(row.provenance, turn=life.turn)
    return LoggedProposal(number, _origin(story, number), life.written, provenance, equal)
