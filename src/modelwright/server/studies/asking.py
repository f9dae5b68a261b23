"""Ask and tell for programs in any language."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelwright.errors import InputError
from modelwright.records import Report, Trial
from modelwright.server.bounds import check_lease
from modelwright.server.studies.actions import Action, Asked
from modelwright.server.studies.desk import Desk
from modelwright.server.studies.remote import AskedTrial, NoTrial, Told
from modelwright.storage import WorkerInfo
from modelwright.storage.wire import write

__all__ = ["ACTIONS"]


@dataclass(frozen=True, slots=True)
class AskBody:
    """Who asks, and how long it may be silent."""

    worker: str = ""
    lease_s: float | None = None

    def __post_init__(self) -> None:
        if self.lease_s is not None:
            check_lease(self.lease_s)
        if len(self.worker) > 100:
            raise ValueError("expected the name of a worker of at most 100 characters")


@dataclass(frozen=True, slots=True)
class ReportBody:
    """Intermediate values of a trial."""

    fence: int
    reports: Sequence[Report]


@dataclass(frozen=True, slots=True)
class HeartbeatBody:
    """A sign of life."""

    fence: int
    lease_s: float | None = None

    def __post_init__(self) -> None:
        if self.lease_s is not None:
            check_lease(self.lease_s)


@dataclass(frozen=True, slots=True)
class ReleaseBody:
    """A trial that is given back."""

    fence: int
    why: str = "given back"


def ask(desk: Desk, asked: Asked) -> dict[str, Any]:
    """Give out the next trial. The header Idempotency-Key names the claim: repeated, it gets the same one."""
    worker = f"http {asked.body.worker or asked.client}"
    desk.storage.register_worker(WorkerInfo(worker, "http", 0, "http", 0.0))
    with desk.turn(asked.name) as (study, record):
        given = study.hand_out(record, worker, asked.key or uuid.uuid4().hex, asked.body.lease_s)
    if isinstance(given, NoTrial):
        return {"trial": None, **write(NoTrial, given)}
    return {"trial": write(AskedTrial, given)}


def tell(desk: Desk, asked: Asked) -> dict[str, Any]:
    """Write the result of a trial. The header Idempotency-Key, or result_id, names it: it is counted once."""
    told: Told = asked.body
    if asked.key and told.result_id and asked.key != told.result_id:
        raise InputError("expected Idempotency-Key and result_id to be the same.", code="E_FORM")
    finish, trial = desk.study(asked.name).take_in(asked.number, told, told.result_id or asked.key)
    return {"answer": finish.value, "trial": write(Trial, trial)}


def report(desk: Desk, asked: Asked) -> dict[str, Any]:
    """Write intermediate values of a trial; `accepted` is false if it has passed to another worker."""
    return {"accepted": desk.study(asked.name).reported(asked.number, asked.body.fence, asked.body.reports)}


def heartbeat(desk: Desk, asked: Asked) -> dict[str, Any]:
    """Prolong the lease of a trial, and hear what is wanted: go_on, stop, give_back, or that it is lost."""
    study = desk.study(asked.name)
    record = study.record
    controls = study.alive(asked.number, asked.body.fence, asked.body.lease_s)
    wish = "go_on"
    if asked.number in controls.lost:
        wish = "lost"
    elif asked.number in controls.stop:
        wish = "stop"
    elif record.id in controls.abort:
        wish = "give_back"
    states: Mapping[int, Any] = controls.state
    return {"wish": wish, "state": states.get(record.id, record.state).value}


def release(desk: Desk, asked: Asked) -> dict[str, Any]:
    """Give a trial back, unspent; `accepted` is false if it has passed to another worker."""
    return {"accepted": desk.study(asked.name).give_back(asked.number, asked.body.fence, asked.body.why)}


ACTIONS = (
    Action("POST", "/{name}/ask", AskBody, ask),
    Action("POST", "/{name}/trials/{number}/tell", Told, tell, lane="write"),
    Action("POST", "/{name}/trials/{number}/report", ReportBody, report, lane="write"),
    Action("POST", "/{name}/trials/{number}/heartbeat", HeartbeatBody, heartbeat, lane="write"),
    Action("POST", "/{name}/trials/{number}/release", ReleaseBody, release, lane="write"),
)
