"""Studies by name: making, reading and steering them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from modelwright.errors import StudyNotFoundError
from modelwright.records import Budget, Component, Objective, OutcomeConstraint
from modelwright.server.bounds import check_lease, check_limit
from modelwright.server.studies.actions import MOST_ON_PAGE, Action, Asked
from modelwright.server.studies.desk import Desk, check_parts
from modelwright.space import Space
from modelwright.storage import Event, StudyRecord
from modelwright.storage.base import KEEP, Keep
from modelwright.storage.wire import write
from modelwright.study import Study

__all__ = ["ACTIONS"]

_AUTO = Component("auto")
_UNLIMITED = Budget()


@dataclass(frozen=True, slots=True)
class NewStudy:
    """A study to make."""

    name: str
    space: Space
    objectives: Sequence[Objective] = (Objective(),)
    optimizer: Component = _AUTO
    scheduler: Component | None = None
    seed: int | None = None
    deterministic: bool = False
    reproducible: bool = False
    lease_s: float = 60.0
    max_attempts: int = 3
    retry: Mapping[str, int] = field(default_factory=dict)
    priority: int = 1
    description: str = ""
    objective: str = ""
    user_attrs: Mapping[str, Any] = field(default_factory=dict)
    budget: Budget = _UNLIMITED
    if_exists: Literal["fail", "load"] = "fail"
    outcome_constraints: Sequence[OutcomeConstraint] | None = None

    def __post_init__(self) -> None:
        check_lease(self.lease_s)


@dataclass(frozen=True, slots=True)
class Halt:
    """How to pause or stop: with `now` running trials are broken off and given back."""

    now: bool = False


@dataclass(frozen=True, slots=True)
class NewPriority:
    """How urgent a study is."""

    priority: int


@dataclass(frozen=True, slots=True)
class NewName:
    """Another name."""

    name: str


@dataclass(frozen=True, slots=True)
class NewSpace:
    """Another version of the space."""

    space: Space


@dataclass(frozen=True, slots=True)
class NewBudget:
    """What a study may spend; what is not named stays, and null takes a limit away."""

    trials: int | Keep | None = KEEP
    time_s: float | Keep | None = KEEP
    deadline_us: int | Keep | None = KEEP
    cost: float | Keep | None = KEEP
    parallel: int | Keep | None = KEEP


@dataclass(frozen=True, slots=True)
class Deletion:
    """With `force` also while trials of it run; with `id` only the study that has this one."""

    force: bool = False
    id: int | None = None


@dataclass(frozen=True, slots=True)
class EventPage:
    """Which events: those after a revision."""

    since: int = 0
    limit: int = 100

    def __post_init__(self) -> None:
        check_limit(self.limit, MOST_ON_PAGE)


def create(desk: Desk, asked: Asked) -> Any:
    """Make a study. With the header Idempotency-Key, one that is there just like this is the answer."""
    new: NewStudy = asked.body
    check_parts(new.optimizer, new.scheduler)
    study = Study(
        new.space,
        directions={objective.name: objective.direction for objective in new.objectives},
        storage=desk.signed,
        name=new.name,
        seed=new.seed,
        optimizer=new.optimizer,
        scheduler=new.scheduler,
        deterministic=new.deterministic,
        reproducible=new.reproducible,
        lease_s=new.lease_s,
        max_attempts=new.max_attempts,
        retry=new.retry,
        priority=new.priority,
        description=new.description,
        objective=new.objective or None,
        outcome_constraints=new.outcome_constraints,
        user_attrs=new.user_attrs,
        load_if_exists=new.if_exists == "load" or bool(asked.key),
    )
    limits = _named(new.budget, None)
    if limits:
        desk.signed.set_budget(study.record.id, **limits)
    return _shown(desk.storage.study(new.name))


def _named(budget: Budget | NewBudget, unless: Any) -> dict[str, Any]:
    """Return the limits that are something else than `unless`."""
    limits = {item.name: getattr(budget, item.name) for item in fields(budget)}
    return {name: value for name, value in limits.items() if value is not unless}


def list_studies(desk: Desk, asked: Asked) -> Any:
    """List all studies."""
    return [_shown(record) for record in desk.storage.studies()]


def show(desk: Desk, asked: Asked) -> Any:
    """Show a study: its settings, its state, and how many trials are in each state."""
    record = desk.storage.study(asked.name)
    counts = {state.value: count for state, count in desk.storage.counts(record.id).items()}
    return {**_shown(record), "counts": counts}


def _shown(record: StudyRecord) -> dict[str, Any]:
    form: dict[str, Any] = write(StudyRecord, record)
    del form["spec"]["space"]  # the newest one stands beside it
    return form


def delete(desk: Desk, asked: Asked) -> Any:
    """Delete a study with all that belongs to it. With its `id` repeating is safe: what is gone is gone."""
    body: Deletion = asked.body
    try:
        if body.id in (None, desk.storage.study(asked.name).id):
            desk.storage.delete_study(asked.name, force=body.force)
    except StudyNotFoundError:
        if body.id is None:
            raise
    return {"deleted": asked.name}


def events(desk: Desk, asked: Asked) -> Any:
    """List what happened to a study after a revision: when, what, and who asked for it."""
    record = desk.storage.study(asked.name)
    found = desk.storage.events(record.id, asked.body.since, asked.body.limit)
    return [write(Event, event) for event in found]


# steering ------------------------------------------------------------------------------------------------


def pause(desk: Desk, asked: Asked) -> Any:
    """Start no more trials of a study until it is resumed."""
    return _shown(desk.study(asked.name).pause(now=asked.body.now))


def resume(desk: Desk, asked: Asked) -> Any:
    """Let a paused or stopped study go on."""
    return _shown(desk.study(asked.name).resume())


def stop(desk: Desk, asked: Asked) -> Any:
    """End a study with what it has."""
    return _shown(desk.study(asked.name).stop(now=asked.body.now))


def rename(desk: Desk, asked: Asked) -> Any:
    """Give a study another name."""
    return _shown(desk.study(asked.name).rename(asked.body.name))


def set_priority(desk: Desk, asked: Asked) -> Any:
    """Set how urgent a study is."""
    return _shown(desk.study(asked.name).set_priority(asked.body.priority))


def set_space(desk: Desk, asked: Asked) -> Any:
    """Change the ranges and choices of a study; its parameters stay the same ones."""
    return _shown(desk.study(asked.name).set_space(asked.body.space))


def set_budget(desk: Desk, asked: Asked) -> Any:
    """Change the named limits of a study; null takes one away, and what is not named stays."""
    limits = _named(asked.body, KEEP)
    Budget(**limits)  # checks them
    record = desk.storage.study(asked.name)
    return _shown(desk.signed.set_budget(record.id, **limits))


ACTIONS = (
    Action("POST", "", NewStudy, create, lane="write"),
    Action("GET", "", None, list_studies, lane="read"),
    Action("GET", "/{name}", None, show, lane="read"),
    Action("DELETE", "/{name}", Deletion, delete, lane="write"),
    Action("GET", "/{name}/events", EventPage, events, lane="read"),
    Action("POST", "/{name}/pause", Halt, pause, lane="write"),
    Action("POST", "/{name}/resume", None, resume, lane="write"),
    Action("POST", "/{name}/stop", Halt, stop, lane="write"),
    Action("PUT", "/{name}/name", NewName, rename, lane="write"),
    Action("PUT", "/{name}/priority", NewPriority, set_priority, lane="write"),
    Action("PUT", "/{name}/space", NewSpace, set_space, lane="write"),
    Action("PATCH", "/{name}/budget", NewBudget, set_budget, lane="write"),
)
