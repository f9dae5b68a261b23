"""What a study is, as fixed when it is created."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from modelwright.errors import InputError

if TYPE_CHECKING:
    from modelwright.space import Space

__all__ = ["Component", "Direction", "Objective", "SearchSettings", "StudySpec"]

Direction = Literal["minimize", "maximize"]


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
    """

    name: str
    space: Space
    objectives: tuple[Objective, ...] = (Objective(),)
    optimizer: Component = Component("tpe")
    scheduler: Component | None = None
    seed: int = 0
    deterministic: bool = False
    reproducible: bool = False
    lease_s: float = 60.0
    max_attempts: int = 3
    priority: int = 1
    objective_ref: str = ""
    description: str = ""
    dataset_id: int | None = None
    search: SearchSettings = SearchSettings()

    def __post_init__(self) -> None:
        if not self.name or len(self.name) > 200 or any(ord(c) < 32 for c in self.name) or "/" in self.name:
            raise InputError(
                f"expected a study name of 1 to 200 printable characters without '/', got {self.name[:50]!r}."
            )
        if not self.objectives:
            raise InputError("expected at least one objective, got none.")
        if len({objective.name for objective in self.objectives}) < len(self.objectives):
            raise InputError("expected a different name for each objective; some are the same.")
