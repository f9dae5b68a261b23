"""What a fit was asked to do, checked before anything else happens."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from numbers import Integral, Real
from typing import Any

from modelwright.automl.selectors import SELECTORS
from modelwright.errors import InputError, UnknownNameError
from modelwright.execution.where import Where
from modelwright.optimizers import OPTIMIZERS

__all__ = ["DEFAULT_TIME_S", "FitSettings"]

DEFAULT_TIME_S = 60.0

# Optimizers that need what a partition does not give: a finite space, a list of points, other partitions, or
# somebody who enqueues.
_NO_TUNERS = ("grid", "sequence", "partitions", "manual", "passive")

# What decides which models are found. The rest (time, trials, jobs, memory) may differ when a run goes on.
_IDENTITY = (
    "target",
    "task",
    "metric",
    "seed",
    "holdout",
    "methods",
    "selector",
    "tuner",
    "folds",
)


@dataclass(frozen=True, slots=True)
class FitSettings:
    """The settings of one `fit`.

    Attributes
    ----------
    target : str
        Column to predict.
    task : {"binary", "multiclass", "regression"}, optional
        Found out by default.
    metric : str, optional
        What to optimize; by task by default.
    time_s : float, optional
        Seconds for the whole run, all its sessions together, saving included. With neither `time_s` nor
        `trials`, `DEFAULT_TIME_S`.
    trials : int, optional
        Models to try in all.
    seed : int
        All randomness derives from it.
    holdout : float
        Share of the rows set aside for the test score when no test table is given.
    folds : int, optional
        Cross-validation folds; 1 for a holdout; chosen by the size of the table by default.
    methods : sequence of str, optional
        Codes of methods or paths of method files; those for the task by default.
    selector, tuner : str
        Who picks the partition, and who its numbers.
    jobs : int
        Trials at a time.
    memory_mb : float, optional
        Limit of each trial's process tree; a fair share of the machine by default.
    trial_timeout_s : float, optional
        Limit of each trial; a part of `time_s` by default.
    trial_cpu_s, trial_output_mb, trial_disk_mb : float, optional
        Further limits of each trial: seconds of computing, what it prints, what lies in its folders.
    executor, address : str
        Where trials run: ``"local"``, or ``"dask"`` and the address of its scheduler.
    """

    target: str
    task: str | None = None
    metric: str | None = None
    time_s: float | None = None
    trials: int | None = None
    seed: int = 0
    holdout: float = 0.2
    folds: int | None = None
    methods: Sequence[str] | None = None
    selector: str = "bestk"
    tuner: str = "tpe"
    k_window: int = 3
    r_minimum: int = 2
    jobs: int = 0
    memory_mb: float | None = None
    trial_timeout_s: float | None = None
    trial_cpu_s: float | None = None
    trial_output_mb: float | None = None
    trial_disk_mb: float | None = None
    executor: str = "local"
    address: str = ""

    def __post_init__(self) -> None:
        _check_number("time", self.time_s, "seconds, more than 0")
        _check_number("memory", self.memory_mb, "megabytes, more than 0")
        _check_number("trial timeout", self.trial_timeout_s, "seconds, more than 0")
        _check_number("trial cpu", self.trial_cpu_s, "seconds, more than 0")
        _check_number("trial output", self.trial_output_mb, "megabytes, more than 0")
        _check_number("trial disk", self.trial_disk_mb, "megabytes, more than 0")
        _check_count("trials", self.trials)
        _check_count("folds", self.folds)
        if not _is(Real, self.holdout) or not 0 <= self.holdout < 1:
            raise InputError(
                f"expected holdout to be a share from 0 up to, not including, 1, got {self.holdout!r}.",
                hint="0.2 sets a fifth of the rows aside; 0 uses all rows.",
                code="E_RANGE",
            )
        if not _is(Integral, self.seed) or not 0 <= self.seed < 2**32:
            raise InputError(
                f"expected seed to be a whole number from 0 to {2**32 - 1}, got {self.seed!r}.",
                code="E_RANGE",
            )
        if not _is(Integral, self.jobs) or self.jobs != 0:  # 0 stands for one per core
            _check_count("jobs", self.jobs)
        if self.methods is not None and not self.methods:
            raise InputError("expected at least one method, got none.", code="E_RANGE")
        self.where  # noqa: B018 - refuses what makes no sense
        _check_name("selector", self.selector, SELECTORS.names())
        _check_name("tuner", self.tuner, [name for name in OPTIMIZERS.names() if name not in _NO_TUNERS])

    @property
    def where(self) -> Where:
        """Where trials run."""
        return Where(self.executor, self.address)

    @property
    def slots(self) -> int:
        """How many trials to run at a time: `jobs`, or one per core."""
        if self.jobs:
            return self.jobs
        if hasattr(os, "sched_getaffinity"):  # a container's share, where the system tells it
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1

    def with_budget(self) -> FitSettings:
        """Return the settings with the default time where neither time nor trials are given."""
        limited = self.time_s is not None or self.trials is not None
        return self if limited else replace(self, time_s=DEFAULT_TIME_S)

    def with_room(self) -> FitSettings:
        """Return the settings with what a cluster offers, where trials run on one and nothing else is given.

        Raises
        ------
        InputError
            There is no scheduler at the address.
        ExecutionError
            The cluster has no workers.
        """
        if not self.where.is_cluster:
            return self
        trials, memory_mb = self.where.room()
        return replace(self, jobs=self.jobs or trials, memory_mb=self.memory_mb or memory_mb)

    def identity(self) -> dict[str, Any]:
        """Return the settings that a run's models depend on, as JSON."""
        return {
            name: list(value) if isinstance(value, (list, tuple)) else value
            for name, value in asdict(self).items()
            if name in _IDENTITY
        }


def _is(kind: type, value: object) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _check_number(name: str, value: float | None, expected: str) -> None:
    if value is not None and not (_is(Real, value) and 0 < value < math.inf):
        raise InputError(f"expected {name} in {expected}, got {value!r}.", code="E_RANGE")


def _check_count(name: str, value: int | None) -> None:
    if value is not None and not (_is(Integral, value) and value >= 1):
        raise InputError(
            f"expected {name} to be a whole number of at least 1, got {value!r}.", code="E_RANGE"
        )


def _check_name(kind: str, value: str, known: Sequence[str]) -> None:
    if not isinstance(value, str) or (value not in known and ":" not in value):
        raise UnknownNameError(
            f"expected the {kind} to be one of {', '.join(known)}, or 'path/to/file.py:Class'; got {value!r}."
        )
