"""Trials of a study by number: reading, adding and ending them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelwright.records import Report, Trial, TrialState
from modelwright.server.bounds import check_limit
from modelwright.server.studies.actions import MOST_ON_PAGE, Action, Asked
from modelwright.server.studies.desk import Desk
from modelwright.storage.base import Attempt
from modelwright.storage.wire import write

__all__ = ["ACTIONS"]


@dataclass(frozen=True, slots=True)
class TrialPage:
    """Which trials: those with numbers above `after`, in one state if it is named."""

    after: int = -1
    limit: int = 100
    state: TrialState | None = None

    def __post_init__(self) -> None:
        check_limit(self.limit, MOST_ON_PAGE)


@dataclass(frozen=True, slots=True)
class Queued:
    """A configuration to try next."""

    params: Mapping[str, Any]
    user_attrs: Mapping[str, Any] = field(default_factory=dict)
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Changed:
    """What is to differ from another trial's configuration."""

    changes: Mapping[str, Any]
    request_id: str = ""

    def __post_init__(self) -> None:
        if taken := sorted({"self", "number", "request_id"} & set(self.changes)):
            # In Python they are arguments of `Study.enqueue_like`, and so cannot name parameters.
            raise ValueError(f"a parameter called {taken[0]!r} cannot be changed here; enqueue it whole")


def list_trials(desk: Desk, asked: Asked) -> Any:
    """List trials by number, a page at a time: ask for those `after` the last one until none is left."""
    page: TrialPage = asked.body
    with desk.turn(asked.name) as (study, _):
        found = study.page(page.after, page.limit, page.state)
    return [write(Trial, trial) for trial in found]


def show_trial(desk: Desk, asked: Asked) -> Any:
    """Show a trial with its reports and attempts."""
    record = desk.storage.study(asked.name)
    trial = desk.storage.trial(record.id, asked.number)
    reports = desk.storage.reports(record.id, asked.number)
    attempts = desk.storage.attempts(record.id, asked.number)
    return {
        **write(Trial, trial),
        "reports": [write(Report, item) for item in reports],
        "attempt_list": [write(Attempt, item) for item in attempts],
    }


def best(desk: Desk, asked: Asked) -> Any:
    """List the complete trials that no other beats in every objective."""
    with desk.turn(asked.name) as (study, _):
        return [write(Trial, result.record) for result in study.best_trials]


def enqueue(desk: Desk, asked: Asked) -> Any:
    """Add a configuration to be tried next."""
    body: Queued = asked.body
    study = desk.study(asked.name)
    number = study.enqueue(body.params, body.user_attrs, request_id=body.request_id or asked.key)
    return write(Trial, study.trial(number).record)


def enqueue_like(desk: Desk, asked: Asked) -> Any:
    """Add the configuration of a trial with some values changed."""
    body: Changed = asked.body
    added = desk.study(asked.name).enqueue_like(
        asked.number, request_id=body.request_id or asked.key, **body.changes
    )
    return write(Trial, added.record)


def kill(desk: Desk, asked: Asked) -> Any:
    """End a trial as failed; one that runs is ended by its worker."""
    return write(Trial, desk.study(asked.name).kill(asked.number).record)


def retry(desk: Desk, asked: Asked) -> Any:
    """Try the configuration of a finished trial again, as a new trial."""
    return write(Trial, desk.study(asked.name).retry(asked.number).record)


ACTIONS = (
    Action("GET", "/{name}/trials", TrialPage, list_trials),
    Action("POST", "/{name}/trials", Queued, enqueue, lane="write"),
    Action("GET", "/{name}/best", None, best),
    Action("GET", "/{name}/trials/{number}", None, show_trial, lane="read"),
    Action("POST", "/{name}/trials/{number}/like", Changed, enqueue_like, lane="write"),
    Action("POST", "/{name}/trials/{number}/kill", None, kill, lane="write"),
    Action("POST", "/{name}/trials/{number}/retry", None, retry, lane="write"),
)
