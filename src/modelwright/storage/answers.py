"""What a storage answers with: studies, claims, changes, workers and events, as immutable records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any, Literal

from modelwright.records import Budget, Report, StudySpec, StudyState, Trial

__all__ = [
    "KEEP",
    "Changes",
    "Claim",
    "Controls",
    "Event",
    "Finish",
    "Keep",
    "NoClaim",
    "StudyRecord",
    "WorkerInfo",
]


class Keep(Enum):
    """The type of `KEEP`: leave this setting as it is."""

    KEEP = "keep"


KEEP = Keep.KEEP


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """A study as the ledger shows it.

    Attributes
    ----------
    id : int
        Key in this storage.
    spec : StudySpec
        What was fixed at creation.
    state : StudyState
        Where it stands.
    revision : int
        Of the last write.
    budget : Budget
        What it may spend.
    issued : int
        How many trial numbers have been issued.
    cost : float
        What the attempts that have ended cost together.
    window : int, optional
        W of lock-step mode; set once, by the first run.
    space_version : int
        Version of the newest space.
    space : Mapping
        JSON form of the newest space.
    closed : str
        Why no further trial will be issued, such as ``"all 96 tried"``; empty while open.
    abort : bool
        Whether trials that still run are to be broken off, now that the state is not RUNNING.
    """

    id: int
    spec: StudySpec
    state: StudyState
    revision: int
    budget: Budget
    issued: int
    cost: float
    window: int | None
    space_version: int
    space: Mapping[str, Any]
    closed: str = ""
    user_attrs: Mapping[str, Any] = field(default_factory=dict)
    created_us: int = 0
    started_us: int | None = None
    ended_us: int | None = None
    abort: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on a trial until the lease runs out or a newer claim exists.

    `params` is set when the trial has a configuration already (enqueued, or from an earlier attempt): it is
    then run as it stands and `propose` is not called.
    """

    study_id: int
    number: int
    fence: int
    claim_id: str
    attempts: int
    params: Mapping[str, Any] | None = None
    space_version: int = 0
    fidelity: float | None = None
    parent: int | None = None
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class NoClaim:
    """Why there was nothing to claim.

    ``spent``, ``deadline``, ``cost``: this part of the budget is used up and nothing runs: the study is
    over. ``closed``: the space is exhausted, and nothing runs. ``busy``: others' trials still run and may
    come back, or as many run as may run at a time. ``paused``, ``complete``: the study's state says so.
    """

    reason: Literal["spent", "deadline", "cost", "busy", "closed", "paused", "complete"]


class Finish(StrEnum):
    """How the ledger answered a result.

    RETRY is accepted too: the attempt counts, and the trial waits for the next one.
    """

    ACCEPTED = "accepted"
    RETRY = "retry"
    DUPLICATE = "duplicate"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Controls:
    """The answer to `renew`.

    Attributes
    ----------
    lost : frozenset of int
        Trial numbers whose claim is no longer the newest.
    stop : frozenset of int
        Trial numbers that somebody asked to kill.
    state : Mapping of int to StudyState
        The present state by study id.
    abort : frozenset of int
        Ids of the studies whose running trials are to be broken off and given back.
    """

    lost: frozenset[int]
    stop: frozenset[int]
    state: Mapping[int, StudyState]
    abort: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Changes:
    """What moved in a study since a revision.

    `trials` holds each trial that changed, once, as it is now, in order of its revision; `reports` each
    report written since, in order. Deleted studies raise.
    """

    revision: int
    trials: Sequence[Trial]
    reports: Sequence[tuple[int, Report]]
    study: StudyRecord


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A process that runs trials.

    Attributes
    ----------
    id : str
        Unique for ever.
    host, pid, boot_id, process_started
        Where it is; the last two tell a process id that was used again from the same process.
    group : str
        The id of the command that started it, for workers with several slots; its own otherwise.
    asked : {"", "drain", "now"}
        What somebody asked of it: to leave after its trial, or to give its trial back and leave.
    registered_us, seen_us, left_us
        When it came, was last heard of, and left; of the storage's clock, set by the storage.
    """

    id: str
    host: str
    pid: int
    boot_id: str
    process_started: float
    version: str = ""
    group: str = ""
    asked: Literal["", "drain", "now"] = ""
    registered_us: int = 0
    seen_us: int = 0
    left_us: int | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One transition, in the order of revisions."""

    revision: int
    kind: str
    number: int | None
    fence: int | None
    payload: Mapping[str, Any]
    at_us: int
