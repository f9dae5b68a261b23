"""What a study's log tells of each trial: how it got its configuration, what was added, how it ended."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from modelwright.records import FailureKind, Report, Trial, TrialState
from modelwright.storage.base import Event, Storage, StudyRecord
from modelwright.study.replay.report import Origin

__all__ = ["Addition", "Life", "Story", "read_story"]

_PAGE = 1000
_ENDS = [state.value for state in TrialState if state.finished]
_KINDS = [kind.value for kind in FailureKind]
_ORIGINS: dict[str, Origin] = {"propose": "proposed", "enqueue": "enqueued", "adopt": "adopted"}


@dataclass(frozen=True, slots=True)
class Addition:
    """Parameters that an objective added while it ran."""

    revision: int
    names: Sequence[str]
    space_version: int | None
    key: str


@dataclass(slots=True)
class Life:
    """What the log tells of one trial.

    Attributes
    ----------
    origin : {"proposed", "enqueued", "adopted", "none"}
        Where its configuration came from.
    written : int
        The revision at which it came, 0 without one.
    key : str
        Of the configuration as it was written; empty where an older ledger did not keep it.
    turn : int
        Of its provenance.
    additions : list of Addition
        In their order.
    ended : int
        The revision of its end, as far as the log tells; 0 otherwise.
    end : mapping
        What the log says of its end: ``state``, ``values``, ``failure``; empty where it says nothing.
    reported : list of (int, int)
        Revision and number of reports.
    """

    origin: Origin = "none"
    written: int = 0
    key: str = ""
    turn: int = 0
    additions: list[Addition] = field(default_factory=list)
    ended: int = 0
    end: Mapping[str, Any] = field(default_factory=dict)
    reported: list[tuple[int, int]] = field(default_factory=list)

    def added_after(self, revision: int) -> set[str]:
        """Return the names of the parameters that were added later than `revision`."""
        early = {name for item in self.additions if item.revision <= revision for name in item.names}
        return {name for item in self.additions for name in item.names} - early


@dataclass(frozen=True, slots=True)
class Story:
    """A study's rows, and what its log tells of them, as of one revision.

    Attributes
    ----------
    record : StudyRecord
        The study.
    trials : dict of int to Trial
        The rows by number.
    lives : dict of int to Life
        What the log tells, by number.
    reports : list of (int, int, Report)
        Revision, trial and report, in the order in which they were written.
    spaces : sequence of mapping
        The JSON form of each version of the space.
    space_revisions : list of int
        When each version but the first was made.
    trimmed : set of int
        Trials whose reports were forgotten.
    """

    record: StudyRecord
    trials: dict[int, Trial]
    lives: dict[int, Life]
    reports: list[tuple[int, int, Report]]
    spaces: Sequence[Mapping[str, Any]]
    space_revisions: list[int]
    trimmed: set[int]

    def life(self, number: int) -> Life:
        """Return what the log tells of a trial; nothing where it does not name it."""
        return self.lives.get(number) or Life()

    def space_version(self, revision: int) -> int:
        """Return the version of the space at a revision."""
        return bisect_right(self.space_revisions, revision)

    def record_at(self, revision: int) -> StudyRecord:
        """Return the study with the space that it had at a revision; all else that moves is as of now."""
        version = self.space_version(revision)
        return replace(self.record, revision=revision, space_version=version, space=self.spaces[version])


def read_story(storage: Storage, study_id: int) -> Story:
    """Read all rows and events of a study, as of one moment."""
    changes = storage.changes(study_id, 0)
    lives: dict[int, Life] = {}
    space_revisions: list[int] = []
    trimmed: set[int] = set()
    for event in _events(storage, study_id, changes.revision):
        if event.kind == "space":
            space_revisions.append(event.revision)
        elif event.kind == "trim":
            trimmed.update(event.payload.get("trials", ()))
        elif event.number is not None:
            _note(lives, event.number, event)
    return Story(
        changes.study,
        {trial.number: trial for trial in changes.trials},
        lives,
        _dated(changes.reports, lives),
        storage.spaces(study_id),
        space_revisions,
        trimmed,
    )


def _events(storage: Storage, study_id: int, upto: int) -> Iterator[Event]:
    since = 0
    while since < upto and (page := storage.events(study_id, since, _PAGE)):
        yield from (event for event in page if event.revision <= upto)
        since = page[-1].revision


def _note(lives: dict[int, Life], number: int, event: Event) -> None:
    told, kind = event.payload, event.kind
    life = lives.setdefault(number, Life())
    if kind in _ORIGINS:
        life.origin, life.written = _ORIGINS[kind], event.revision
        life.key, life.turn = told.get("key", ""), told.get("turn", 0)
    if kind == "finish" or (kind == "adopt" and "state" in told):
        life.ended, life.end = event.revision, told if _tells_the_end(told) else {}
    elif kind == "extend":
        names = told.get("names", ())
        life.additions.append(Addition(event.revision, names, told.get("space_version"), told.get("key", "")))
    elif kind == "report":
        life.reported.append((event.revision, told.get("count", 0)))
    elif kind == "release" and told.get("given_back"):
        del lives[number]  # whoever gets the number next is another trial


def _tells_the_end(told: Mapping[str, Any]) -> bool:
    """Return whether an event says how a trial ended, which those of older ledgers do in part only."""
    return (
        told.get("state") in _ENDS
        and isinstance(told.get("values"), list)
        and told.get("failure") in (None, *_KINDS)
    )


def _dated(reports: Sequence[tuple[int, Report]], lives: Mapping[int, Life]) -> list[tuple[int, int, Report]]:
    """Return reports with the revisions of their events; those of a trial from elsewhere came with it."""
    of_trial: dict[int, list[Report]] = {}
    for number, report in reports:
        of_trial.setdefault(number, []).append(report)
    dated = []
    for number, found in of_trial.items():
        life = lives.get(number) or Life()
        revisions = [revision for revision, count in life.reported for _ in range(count)]
        missing = max(0, len(found) - len(revisions))
        revisions = [life.written] * missing + revisions[len(revisions) - len(found) + missing :]
        dated += [(revision, number, report) for revision, report in zip(revisions, found, strict=True)]
    return sorted(dated, key=lambda item: item[0])
