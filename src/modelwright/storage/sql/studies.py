"""Transactions on studies."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update

from modelwright._base.registry import nearest
from modelwright.errors import InputError, SchemaError, StudyExistsError, StudyNotFoundError
from modelwright.records import StudySpec, StudyState
from modelwright.storage.base import Event, StudyRecord
from modelwright.storage.plain import merged, plain
from modelwright.storage.sql import rows, schema
from modelwright.storage.sql.encoding import decode, encode, finite, whole
from modelwright.storage.sql.engine import Transaction

__all__ = [
    "Head",
    "add_space",
    "create_study",
    "delete_study",
    "events",
    "head_of",
    "set_budget",
    "set_state",
    "set_user_attrs",
    "set_window",
    "state_of",
    "studies",
    "study_by_id",
    "study_named",
]

_S, _V, _E = schema.studies.c, schema.space_versions.c, schema.events.c
_ENDED = (StudyState.COMPLETE, StudyState.FAILED)

_HEAD = (
    _S.revision, _S.state, _S.budget_trials, _S.issued, _S.fence_floor, _S.window_size, _S.space_version,
    _S.report_revision, _S.closed, _S.started_us, _S.ended_us,
)  # fmt: skip
_LOCK = select(*_HEAD, _S.max_attempts).where(_S.id == bindparam("id")).with_for_update()
_SAVE = (
    update(schema.studies)
    .where(_S.id == bindparam("key"))
    .values({column.name: bindparam(column.name) for column in _HEAD})
)
_ADD_EVENT = insert(schema.events)
_ADD_SPACE = insert(schema.space_versions)
_RECORD = select(_S.id, _S.name, *_HEAD, _S.user_attrs, _S.created_us)
_BY_ID = _RECORD.where(_S.id == bindparam("id"))
_BY_NAME = _RECORD.where(_S.name == bindparam("name"))
_ALL = _RECORD.order_by(_S.id)
_FIXED = select(schema.studies).where(_S.id == bindparam("id"))
_NAMES = select(_S.name)
_SPACE = select(_V.space).where(_V.study_id == bindparam("id"), _V.version == bindparam("version"))
_ATTRS = select(_S.user_attrs).where(_S.id == bindparam("id"))
_SAVE_ATTRS = (
    update(schema.studies)
    .where(_S.id == bindparam("key"))
    .values(
        user_attrs=bindparam("user_attrs"),
        budget_s=bindparam("budget_s"),
        deadline_us=bindparam("deadline_us"),
    )
)
_EVENTS = (
    select(_E.revision, _E.kind, _E.number, _E.fence, _E.payload, _E.at_us)
    .where(_E.study_id == bindparam("id"), _E.revision > bindparam("since"))
    .order_by(_E.revision)
    .limit(bindparam("most"))
)
_DATASET = select(schema.datasets.c.id).where(schema.datasets.c.id == bindparam("id"))


@dataclass(slots=True)
class Head:
    """The moving columns of a study, locked for this transaction.

    Each write to a study begins with `head_of`, so that the writes to one study come one after another and
    always take their locks in the same order; it ends with `write`, which makes them one revision.
    """

    study_id: int
    revision: int
    state: str
    budget_trials: int | None
    issued: int
    fence_floor: int
    window_size: int | None
    space_version: int
    report_revision: int
    closed: str
    started_us: int | None
    ended_us: int | None
    max_attempts: int

    def write(
        self, tx: Transaction, kind: str, number: int | None = None, fence: int | None = None, **payload: Any
    ) -> int:
        """Save the columns as the next revision, leave its event, and return it."""
        self.revision += 1
        tx.run(
            _SAVE,
            {
                "key": self.study_id,
                "revision": self.revision,
                "state": self.state,
                "budget_trials": self.budget_trials,
                "issued": self.issued,
                "fence_floor": self.fence_floor,
                "window_size": self.window_size,
                "space_version": self.space_version,
                "report_revision": self.report_revision,
                "closed": self.closed,
                "started_us": self.started_us,
                "ended_us": self.ended_us,
            },
        )
        tx.run(
            _ADD_EVENT,
            {
                "study_id": self.study_id,
                "revision": self.revision,
                "kind": kind,
                "number": number,
                "fence": fence,
                "payload": encode(payload),
                "at_us": tx.now_us,
            },
        )
        return self.revision

    def move_to(self, state: StudyState, now_us: int) -> None:
        """Change the state, with the moments that go with it."""
        self.state = state.value
        if state is StudyState.RUNNING and self.started_us is None:
            self.started_us = now_us
        self.ended_us = now_us if state in _ENDED else None

    def reopen(self, now_us: int) -> None:
        """Make a complete study pending again, since it got work."""
        if self.state == StudyState.COMPLETE.value:
            self.move_to(StudyState.PENDING, now_us)


def head_of(tx: Transaction, study_id: int) -> Head:
    """Lock a study and return its moving columns."""
    row = tx.first(_LOCK, {"id": study_id})
    if row is None:
        raise _no_study(study_id)
    return Head(study_id, *tuple(row))


def state_of(tx: Transaction, study_id: int) -> StudyState | None:
    """Return where a study stands, and keep it from moving meanwhile; None if there is none."""
    row = tx.first(_LOCK, {"id": study_id})
    return None if row is None else StudyState(row.state)


def _no_study(study_id: int) -> StudyNotFoundError:
    return StudyNotFoundError(f"there is no study with the id {study_id}; it may have been deleted.")


# reading ------------------------------------------------------------------------------------------------


def study_by_id(tx: Transaction, study_id: int) -> StudyRecord:
    """Return a study by its key."""
    row = tx.first(_BY_ID, {"id": study_id})
    if row is None:
        raise _no_study(study_id)
    return _record(tx, row)


def study_named(tx: Transaction, name: str) -> StudyRecord:
    """See `Storage.study`."""
    row = tx.first(_BY_NAME, {"name": name})
    if row is None:
        raise _unknown(tx, name)
    return _record(tx, row)


def _unknown(tx: Transaction, name: str) -> StudyNotFoundError:
    known = [item.name for item in tx.all(_NAMES)]
    hint = nearest(name, known) if known else "It holds no study yet."
    return StudyNotFoundError(f"there is no study called {name!r} in this ledger.", hint=hint)


def studies(tx: Transaction) -> list[StudyRecord]:
    """See `Storage.studies`."""
    found = []
    for row in tx.all(_ALL):
        try:
            found.append(_record(tx, row))
        except SchemaError as error:  # one damaged study does not hide the others
            warnings.warn(f"left out: {error}", stacklevel=2)
    return found


def _record(tx: Transaction, row: Any) -> StudyRecord:
    try:
        return _read_record(tx, row)
    except (ValueError, TypeError) as error:
        raise SchemaError(
            f"the row of the study {row.name!r} cannot be read: {error}.",
            hint="It was edited by hand, or the file is damaged; delete the study or restore a copy.",
            code="E_DB_ROW",
        ) from error


def _read_record(tx: Transaction, row: Any) -> StudyRecord:
    spec: StudySpec = tx.constant(("spec", row.id), lambda: _spec(tx, row.id))
    space: dict[str, Any] = tx.constant(
        ("space", row.id, row.space_version), lambda: decode(_space_text(tx, row.id, row.space_version))
    )
    return StudyRecord(
        row.id,
        spec,
        StudyState(row.state),
        row.revision,
        row.budget_trials,
        row.issued,
        row.window_size,
        row.space_version,
        dict(space),
        row.closed,
        decode(row.user_attrs),
        row.created_us,
        row.started_us,
        row.ended_us,
    )


def _spec(tx: Transaction, study_id: int) -> StudySpec:
    row = tx.first(_FIXED, {"id": study_id})
    assert row is not None
    return rows.spec_from_row(row, _space_text(tx, study_id, 0))


def _space_text(tx: Transaction, study_id: int, version: int) -> str:
    row = tx.first(_SPACE, {"id": study_id, "version": version})
    return "null" if row is None else row.space


def events(tx: Transaction, study_id: int, since: int, limit: int) -> list[Event]:
    """See `Storage.events`."""
    study_by_id(tx, study_id)
    found = tx.all(_EVENTS, {"id": study_id, "since": since, "most": limit})
    return [rows.event_from_row(row) for row in found]


# writing ------------------------------------------------------------------------------------------------


def create_study(tx: Transaction, fixed: Mapping[str, Any], space: str) -> int:
    """Insert a study with its fixed columns and version 0 of its space, and return its key."""
    name = fixed["name"]
    if tx.first(_BY_NAME, {"name": name}) is not None:
        raise StudyExistsError(
            f"a study called {name!r} exists in this ledger.",
            hint="Take another name, or load it (load_if_exists=True).",
        )
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
        "created_us": tx.now_us,
    }
    (study_id,) = tx.run(insert(schema.studies), {**fixed, **start}).inserted_primary_key or (0,)
    tx.run(_ADD_SPACE, {"study_id": study_id, "version": 0, "space": space, "created_us": tx.now_us})
    head_of(tx, study_id).write(tx, "create")
    return int(study_id)


def delete_study(tx: Transaction, name: str) -> None:
    """See `Storage.delete_study`; what belongs to the study goes by the foreign keys."""
    if tx.run(delete(schema.studies).where(_S.name == bindparam("key")), {"key": name}).rowcount == 0:
        raise _unknown(tx, name)


def set_state(tx: Transaction, study_id: int, state: StudyState) -> StudyRecord:
    """See `Storage.set_state`."""
    head = head_of(tx, study_id)
    if head.state != state.value:
        head.move_to(state, tx.now_us)
        head.write(tx, "state", state=state.value)
    return study_by_id(tx, study_id)


def set_budget(tx: Transaction, study_id: int, trials: int | None) -> StudyRecord:
    """See `Storage.set_budget`."""
    head = head_of(tx, study_id)
    old = head.budget_trials
    if trials != old:
        head.budget_trials = trials
        if old is not None and (trials is None or trials > old):
            head.reopen(tx.now_us)
        head.write(tx, "budget", trials=trials)
    return study_by_id(tx, study_id)


def set_window(tx: Transaction, study_id: int, window: int) -> StudyRecord:
    """See `Storage.set_window`."""
    head = head_of(tx, study_id)
    if head.window_size is None:
        head.window_size = window
        head.write(tx, "window", window=window)
    return study_by_id(tx, study_id)


def set_user_attrs(tx: Transaction, study_id: int, attrs: Mapping[str, Any]) -> StudyRecord:
    """See `Storage.set_user_attrs`; ``budget_s`` and ``deadline_us`` also fill the columns of that name."""
    head = head_of(tx, study_id)
    row = tx.first(_ATTRS, {"id": study_id})
    assert row is not None
    all_attrs = merged(decode(row.user_attrs), attrs, "user_attrs")
    tx.run(
        _SAVE_ATTRS,
        {
            "key": study_id,
            "user_attrs": encode(all_attrs),
            "budget_s": finite(all_attrs.get("budget_s")),
            "deadline_us": whole(all_attrs.get("deadline_us")),
        },
    )
    head.write(tx, "attrs", names=list(attrs))
    return study_by_id(tx, study_id)


def add_space(tx: Transaction, study_id: int, space: Mapping[str, Any], based_on: int) -> StudyRecord:
    """See `Storage.add_space`."""
    head = head_of(tx, study_id)
    if head.space_version == based_on:
        head.space_version += 1
        head.closed = ""  # a wider space holds configurations that nobody has tried
        form = encode(plain(space, "the space"))
        tx.run(
            _ADD_SPACE,
            {"study_id": study_id, "version": head.space_version, "space": form, "created_us": tx.now_us},
        )
        head.write(tx, "space", version=head.space_version)
    return study_by_id(tx, study_id)
