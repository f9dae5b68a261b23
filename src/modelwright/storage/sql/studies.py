"""Transactions that read studies, create them, and delete them; what moves a study is in `control`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Row, bindparam, delete, insert, literal, select

from modelwright._base.registry import nearest
from modelwright.errors import (
    InputError,
    SchemaError,
    StudyExistsError,
    StudyNotFoundError,
    StudyStateError,
)
from modelwright.records import Budget, StudySpec, StudyState
from modelwright.storage.base import Event, StudyRecord
from modelwright.storage.sql import rows, schema
from modelwright.storage.sql.encoding import decode
from modelwright.storage.sql.engine import Statement, Transaction
from modelwright.storage.sql.heads import MOVING, STEADY, created, head_of, is_gone, no_study, one_by_one

__all__ = [
    "ADD_SPACE",
    "create_study",
    "delete_study",
    "events",
    "record_of",
    "refuse_taken",
    "space_text",
    "spaces",
    "spec_of",
    "states_of",
    "studies",
    "study_by_id",
    "study_named",
    "study_query",
    "study_row",
]

_S, _V, _E, _T = schema.studies.c, schema.space_versions.c, schema.events.c, schema.trials.c

ADD_SPACE = insert(schema.space_versions)
_RECORD = select(_S.id, _S.name, _S.priority, *MOVING, *STEADY, _S.user_attrs, _S.created_us)
_BY_ID = _RECORD.where(_S.id == bindparam("id"))
_BY_NAME = _RECORD.where(_S.name == bindparam("name"))
_ALL = _RECORD.order_by(_S.id)
_FIXED = select(schema.studies).where(_S.id == bindparam("id"))
_CREATED = select(_S.id).where(_S.id == bindparam("id"), _S.created_us == bindparam("at"))
_NAMES = select(_S.name)
_ID = select(_S.id).where(_S.name == bindparam("name"))
_STATES = select(_S.id, _S.state, _S.abort).where(_S.id.in_(bindparam("ids", expanding=True)))
_SPACE = select(_V.space).where(_V.study_id == bindparam("id"), _V.version == bindparam("version"))
_SPACES = select(_V.space).where(_V.study_id == bindparam("id")).order_by(_V.version)
_EVENTS = (
    select(_E.revision, _E.kind, _E.number, _E.fence, _E.payload, _E.at_us)
    .where(_E.study_id == bindparam("id"), _E.revision > bindparam("since"))
    .order_by(_E.revision)
    .limit(bindparam("most"))
)
_DATASET = select(schema.datasets.c.id).where(schema.datasets.c.id == bindparam("id"))
_LEASED = (
    select(literal(1))
    .where(_T.state == "running", _T.study_id == bindparam("study"), _T.lease_until_us > bindparam("expired"))
    .limit(bindparam("one"))
)
_DROP_TRIALS = delete(schema.trials).where(_T.study_id == bindparam("study"))
_DROP = delete(schema.studies).where(_S.id == bindparam("key"))


# reading ------------------------------------------------------------------------------------------------


def study_by_id(tx: Transaction, study_id: int) -> StudyRecord:
    """Return a study by its key."""
    return record_of(tx, study_row(tx, study_id))


def study_row(tx: Transaction, study_id: int) -> Row[Any]:
    """Return the row of a study, for `record_of`."""
    row = tx.first(*study_query(study_id))
    if row is None:
        raise no_study(study_id)
    return row


def study_query(study_id: int) -> Statement:
    """Return the query of `study_row`, for `Transaction.expect`."""
    return _BY_ID, {"id": study_id}


def study_named(tx: Transaction, name: str) -> StudyRecord:
    """See `Storage.study`."""
    row = tx.first(_BY_NAME, {"name": name})
    if row is None:
        raise _unknown(tx, name)
    return record_of(tx, row)


def _unknown(tx: Transaction, name: str) -> StudyNotFoundError:
    known = [item.name for item in tx.all(_NAMES)]
    hint = nearest(name, known) if known else "It holds no study yet."
    return StudyNotFoundError(f"there is no study called {name!r} in this ledger.", hint=hint)


def studies(tx: Transaction) -> list[StudyRecord]:
    """See `Storage.studies`."""
    found = []
    for row in tx.all(_ALL):
        try:
            found.append(record_of(tx, row))
        except SchemaError as error:  # one damaged study does not hide the others
            warnings.warn(f"left out: {error}", stacklevel=2)
    return found


def record_of(tx: Transaction, row: Any) -> StudyRecord:
    """Return what a row says of a study."""
    try:
        return _read_record(tx, row)
    except (ValueError, TypeError) as error:
        raise SchemaError(
            f"the row of the study {row.name!r} cannot be read: {error}.",
            hint="It was edited by hand, or the file is damaged; delete the study or restore a copy.",
            code="E_DB_ROW",
        ) from error


def _read_record(tx: Transaction, row: Any) -> StudyRecord:
    spec = spec_of(tx, row.id)
    if (spec.name, spec.priority) != (row.name, row.priority):  # they may change, unlike the rest
        spec = replace(spec, name=row.name, priority=row.priority)
    space: dict[str, Any] = tx.constant(
        ("space", row.id, row.space_version), lambda: decode(space_text(tx, row.id, row.space_version))
    )
    return StudyRecord(
        row.id,
        spec,
        StudyState(row.state),
        row.revision,
        Budget(row.budget_trials, row.budget_s, row.deadline_us, row.budget_cost, row.budget_parallel),
        row.issued,
        row.cost,
        row.window_size,
        row.space_version,
        dict(space),
        row.closed,
        decode(row.user_attrs),
        row.created_us,
        row.started_us,
        row.ended_us,
        bool(row.abort),
    )


def spec_of(tx: Transaction, study_id: int) -> StudySpec:
    """Return what is fixed about a study, with the name and priority of when it was first read."""
    spec: StudySpec = tx.constant(("spec", study_id), lambda: _spec(tx, study_id))
    return spec


def _spec(tx: Transaction, study_id: int) -> StudySpec:
    row = tx.first(_FIXED, {"id": study_id})
    if row is None:
        raise no_study(study_id)
    return rows.spec_from_row(row, space_text(tx, study_id, 0))


def space_text(tx: Transaction, study_id: int, version: int) -> str:
    """Return the JSON text of one version of a space."""
    row = tx.first(_SPACE, {"id": study_id, "version": version})
    return "null" if row is None else row.space


def spaces(tx: Transaction, study_id: int) -> list[Mapping[str, Any]]:
    """See `Storage.spaces`."""
    study_by_id(tx, study_id)
    return [decode(row.space) for row in tx.all(_SPACES, {"id": study_id})]


def states_of(tx: Transaction, study_ids: set[int]) -> dict[int, tuple[StudyState, bool]]:
    """Return the state of each study that exists, and whether its running trials are to be broken off."""
    found = tx.all(_STATES, {"ids": sorted(study_ids)})
    return {row.id: (StudyState(row.state), bool(row.abort)) for row in found}


def events(tx: Transaction, study_id: int, since: int, limit: int) -> list[Event]:
    """See `Storage.events`."""
    study_by_id(tx, study_id)
    found = tx.all(_EVENTS, {"id": study_id, "since": since, "most": limit})
    return [rows.event_from_row(row) for row in found]


# writing ------------------------------------------------------------------------------------------------


def create_study(tx: Transaction, fixed: Mapping[str, Any], space: str) -> int:
    """Insert a study with its fixed columns and version 0 of its space, and return its key."""
    one_by_one(tx)
    refuse_taken(tx, fixed["name"])
    if fixed["dataset_id"] is not None and tx.first(_DATASET, {"id": fixed["dataset_id"]}) is None:
        raise InputError(f"the study's data set, {fixed['dataset_id']}, is not in this ledger.")
    start = {
        "revision": 0,
        "state": StudyState.PENDING.value,
        "issued": 0,
        "fence_floor": 0,
        "space_version": 0,
        "report_revision": 0,
        "closed": "",
        "user_attrs": "{}",
        "ensemble_worker": "",
        "ensemble_lease_us": 0,
        "cost": 0.0,
        "abort": 0,
        "created_us": tx.now_us,
    }
    (study_id,) = tx.run(insert(schema.studies), {**fixed, **start}).inserted_primary_key or (0,)
    tx.run(ADD_SPACE, {"study_id": study_id, "version": 0, "space": space, "created_us": tx.now_us})
    head_of(tx, study_id).write(tx, "create")
    tx.mark = created(_CREATED, study_id, tx.now_us)
    return int(study_id)


def refuse_taken(tx: Transaction, name: str) -> None:
    """Raise if a study has this name."""
    if tx.first(_ID, {"name": name}) is not None:
        raise StudyExistsError(
            f"a study called {name!r} exists in this ledger.",
            hint="Take another name, or load it (load_if_exists=True).",
        )


def delete_study(tx: Transaction, name: str, force: bool, expired: Callable[[Transaction, int], int]) -> None:
    """See `Storage.delete_study`; what belongs to the study goes by the foreign keys.

    `expired` tells which leases of a study have run out (`leases.expired_before`).
    """
    row = tx.first(_ID, {"name": name})
    if row is None:
        raise _unknown(tx, name)
    leased = {"study": row.id, "expired": expired(tx, row.id), "one": 1}
    if not force and tx.first(_LEASED, leased) is not None:
        raise _runs(name)
    tx.run(_DROP_TRIALS, {"study": row.id})  # before the study's row, in the order of all locks
    head_of(tx, row.id)
    if not force and tx.first(_LEASED, leased) is not None:  # claimed meanwhile
        raise _runs(name)
    tx.run(_DROP, {"key": row.id})
    tx.mark = lambda later: is_gone(later, row.id)


def _runs(name: str) -> StudyStateError:
    return StudyStateError(
        f"trials of the study {name!r} run at this moment, so it is not deleted.",
        hint="Stop it first and let its workers leave, or delete it with force=True (--force).",
        code="E_STUDY_RUNNING",
    )
