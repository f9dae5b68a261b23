"""The states of studies and trials, and the kinds of failure."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["FailureKind", "StudyState", "TrialState"]


class StudyState(StrEnum):
    """Where a study stands."""

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETE = "complete"
    FAILED = "failed"


class TrialState(StrEnum):
    """Where a trial stands."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"

    @property
    def finished(self) -> bool:
        """Whether the trial will never change again."""
        return self in _FINISHED


_FINISHED = frozenset({TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED})


class FailureKind(StrEnum):
    """Why a trial failed."""

    ERROR = "error"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    NAN = "nan"
    INVALID = "invalid"
    LOST = "lost"
    KILLED = "killed"

    @property
    def teaches(self) -> bool:
        """Whether the failure says something about the configuration.

        A lost or killed trial tells of the machine or the user, not of the configuration.
        """
        return self not in (FailureKind.LOST, FailureKind.KILLED)
