"""A trial as the ledger holds it, and the pieces that come and go with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelwright.records.states import FailureKind, TrialState

__all__ = ["Artifact", "Failure", "Outcome", "Provenance", "Report", "Trial"]


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong in a trial.

    Attributes
    ----------
    kind : FailureKind
        The kind, by which optimizers and people tell failures apart.
    message : str
        One line with the figures, such as ``"memory: 4.1 GB of 4 GB at 12 s"``.
    code : str
        A stable short name, such as ``"E_TIMEOUT"``.
    traceback : str
        The stack of the exception, if there was one, and the last lines that the trial has printed.
    """

    kind: FailureKind
    message: str
    code: str = ""
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """Intermediate values of a trial at one step; the last report for a step counts."""

    step: float
    values: Mapping[str, float]
    fold: int | None = None


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that a trial leaves.

    Attributes
    ----------
    name : str
        Unique within the trial, such as ``"predictions"``.
    location : str
        Path relative to the artifact store.
    sha256 : str
        Checksum of the file's bytes, in hexadecimal.
    size : int
        Bytes.
    format : str
        Such as ``"npy"`` or ``"skops"``.
    """

    name: str
    location: str
    sha256: str
    size: int
    format: str = ""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a configuration came from: which optimizer, what it had seen, and why.

    Attributes
    ----------
    optimizer : str
        Its name.
    version : str
        Of Modelwright and of the libraries that its numbers depend on, such as ``"1.0 numpy 2.3.1"``.
    reason : str
        Why this configuration, for people.
    revision : int
        The ledger's revision that it had seen.
    turn : int
        How many proposals for this trial others had been quicker with. Kept in the event, so 0 in a trial
        that is read.
    """

    optimizer: str = ""
    version: str = ""
    reason: str = ""
    revision: int = 0
    turn: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt at a trial ended.

    Attributes
    ----------
    state : TrialState
        COMPLETE, PRUNED or FAILED.
    values : tuple of float
        One per objective when COMPLETE; of PRUNED the last known ones; of FAILED empty.
    failure : Failure, optional
        Set when, and only when, FAILED.
    user_attrs : mapping
        JSON values that the objective left on the trial.
    metrics : mapping
        Further results as JSON: folds, test scores, sizes. Keys that the storage keeps in columns of
        their own: ``cv_mean``, ``cv_std``, ``test_score``, ``model_location``, ``metrics_location``.
    artifacts : tuple of Artifact
        Files that count only if this outcome is accepted.
    duration_s : float
        Wall time of the attempt.
    peak_memory_mb : float, optional
        Of the whole process tree, where it was measured.
    exit_code : int, optional
        Of the trial's process, where it had one; negative for a signal.
    log_location : str
        Folder of the attempt's standard output and error.
    cost : float, optional
        What the attempt counts for in a budget of costs; `duration_s` by default.
    """

    state: TrialState
    values: tuple[float, ...] = ()
    failure: Failure | None = None
    user_attrs: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    artifacts: tuple[Artifact, ...] = ()
    duration_s: float = 0.0
    peak_memory_mb: float | None = None
    exit_code: int | None = None
    log_location: str = ""
    cost: float | None = None

    def __post_init__(self) -> None:
        if not self.state.finished:
            raise ValueError(f"an outcome is final, so its state cannot be {self.state.value!r}")
        if (self.failure is not None) != (self.state is TrialState.FAILED):
            raise ValueError("an outcome has a failure when, and only when, its state is 'failed'")


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration evaluated at one fidelity, as the ledger shows it at some revision.

    Attributes
    ----------
    number : int
        0, 1, 2 ... in the order of creation within the study.
    state : TrialState
        Where it stands.
    params : mapping, optional
        The configuration in JSON form (`Space.load` gives the real values); None until proposed.
    values : tuple of float
        Results, one per objective, in the objectives' own directions.
    failure : Failure, optional
        Set when FAILED.
    fence : int
        Fencing number of the latest attempt; 0 before the first claim. It only grows.
    attempts : int
        How many attempts have been spent.
    space_version : int
        The version of the study's space that `params` belong to.
    enqueued : bool
        Whether `params` were given by the user.
    finished_revision : int
        The study's revision at which it finished, 0 before: the order of the history.
    queued_us, started_us, ended_us : int, optional
        Microseconds since 1970, UTC.
    """

    number: int
    state: TrialState
    params: Mapping[str, Any] | None = None
    values: tuple[float, ...] = ()
    failure: Failure | None = None
    fidelity: float | None = None
    parent: int | None = None
    partition: int | None = None
    fence: int = 0
    attempts: int = 0
    space_version: int = 0
    enqueued: bool = False
    provenance: Provenance = field(default_factory=Provenance)
    user_attrs: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    duration_s: float | None = None
    revision: int = 0
    finished_revision: int = 0
    worker: str = ""
    queued_us: int | None = None
    started_us: int | None = None
    ended_us: int | None = None
