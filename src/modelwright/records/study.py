"""What a study is, as fixed when it is created."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from modelwright.errors import InputError
from modelwright.records.outcomes import OutcomeConstraint

if TYPE_CHECKING:
    from modelwright.space import Space

__all__ = ["Budget", "Component", "Direction", "Objective", "SearchSettings", "StudySpec"]

Direction = Literal["minimize", "maximize"]

_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control and format characters, half pairs, breaks of lines
_RETRIED = ("error", "timeout", "memory", "nan", "invalid")


@dataclass(frozen=True, slots=True)
class Objective:
    """One thing to optimize."""

    name: str = "value"
    direction: Direction = "minimize"

    def __post_init__(self) -> None:
        if self.direction not in ("minimize", "maximize"):
            raise InputError(
                f"expected the direction 'minimize' or 'maximize' for {self.name!r}, got {self.direction!r}."
            )

    @property
    def sign(self) -> float:
        """1 to minimize, -1 to maximize: value times sign is a loss."""
        return 1.0 if self.direction == "minimize" else -1.0


@dataclass(frozen=True, slots=True)
class Component:
    """An optimizer or a scheduler by name, with its options as JSON."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """How a search over methods chooses, under the names that ATM's dataruns gave these settings."""

    selector: str = ""
    tuner: str = ""
    k_window: int | None = None
    r_minimum: int | None = None
    gridding: int | None = None
    metric: str = ""
    score_target: str = "cv"
    budget_type: str = "classifier"


@dataclass(frozen=True, slots=True)
class Budget:
    """What a study may spend in all; None is no limit.

    Attributes
    ----------
    trials : int, optional
        How many trial numbers may be issued.
    time_s : float, optional
        Wall time in seconds, counted from the moment at which the study first ran.
    deadline_us : int, optional
        The moment, in microseconds since 1970 on the ledger's clock, after which no trial is given out.
    cost : float, optional
        What all attempts together may cost: seconds of their run time, unless outcomes name a cost.
    parallel : int, optional
        How many trials may run at a time, whoever runs them.
    """

    trials: int | None = None
    time_s: float | None = None
    deadline_us: int | None = None
    cost: float | None = None
    parallel: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("trials", 0), ("parallel", 1), ("deadline_us", 0)):
            value = getattr(self, name)
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, int) or not least <= value < 2**53
            ):
                raise InputError(
                    f"expected {name} to be a whole number of at least {least}, or None, got {value!r}."
                )
        for name in ("time_s", "cost"):
            value = getattr(self, name)
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf
            ):
                raise InputError(f"expected {name} to be a number of at least 0, or None, got {value!r}.")


def _check_name(name: object) -> None:
    """Refuse a name that a terminal, a path or a page would not show as it is."""
    if not isinstance(name, str) or not 1 <= len(name) <= 200 or "/" in name or any(map(_is_hidden, name)):
        shown = ascii(name[:50]) if isinstance(name, str) else type(name).__name__
        raise InputError(
            f"expected a study name of 1 to 200 printable characters without '/', got {shown}.",
            hint="Leave out control characters and marks that only change how text is shown.",
            code="E_NAME",
        )


def _is_hidden(character: str) -> bool:
    if " " <= character <= "~":
        return False
    import unicodedata  # names are hardly ever that odd

    return unicodedata.category(character) in _HIDDEN


@dataclass(frozen=True, slots=True)
class StudySpec:
    """All that is fixed about a study when it is created.

    Attributes
    ----------
    name : str
        Unique in its storage.
    space : Space
        Where configurations come from; version 0 of it.
    objectives : tuple of Objective
        At least one.
    optimizer, scheduler : Component
        Who proposes, and who stops trials early (None: nobody).
    seed : int
        All randomness of the study derives from it.
    deterministic : bool
        Equal configurations give equal values, so none is proposed twice.
    reproducible : bool
        Lock-step: proposal k uses results of trials up to k - window only.
    lease_s : float
        How long a silent worker keeps a trial.
    max_attempts : int
        After so many lost attempts a trial fails with the kind ``lost``.
    retry : mapping of str to int
        How many further attempts a trial gets that failed, by the kind of failure, such as ``{"error": 1}``.
        None by default: a configuration that failed once will fail again.
    priority : int
        Workers take studies of the highest priority first.
    objective_ref : str
        ``module:function``, a script or a data set, by which a worker can find the objective; may be empty.
    description : str
        For people.
    dataset_id : int, optional
        The data set that the study searches models for.
    search : SearchSettings
        For studies over methods.
    outcome_constraints : tuple of OutcomeConstraint, optional
        What trials have to measure to count as best; None where there are none.
    """

    name: str
    space: Space
    objectives: tuple[Objective, ...] = (Objective(),)
    optimizer: Component = Component("auto")
    scheduler: Component | None = None
    seed: int = 0
    deterministic: bool = False
    reproducible: bool = False
    lease_s: float = 60.0
    max_attempts: int = 3
    retry: Mapping[str, int] = field(default_factory=dict)
    priority: int = 1
    objective_ref: str = ""
    description: str = ""
    dataset_id: int | None = None
    search: SearchSettings = SearchSettings()
    outcome_constraints: tuple[OutcomeConstraint, ...] | None = None

    def __post_init__(self) -> None:
        _check_name(self.name)
        if not self.objectives:
            raise InputError("expected at least one objective, got none.")
        if len({objective.name for objective in self.objectives}) < len(self.objectives):
            raise InputError("expected a different name for each objective; some are the same.")
        for kind, times in self.retry.items():
            if kind not in _RETRIED or isinstance(times, bool) or not isinstance(times, int) or times < 0:
                raise InputError(
                    f"expected `retry` to map kinds of failure ({', '.join(_RETRIED)}) to whole numbers, "
                    f"got {kind!r}: {times!r}.",
                    hint="What happens to lost trials is said by max_attempts.",
                )
