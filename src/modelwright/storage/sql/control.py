"""Transactions that move a study: its state, budget, name, priority, window, attributes and space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import bindparam, select

from modelwright.records import Budget, StudyState
from modelwright.storage.base import Keep, StudyRecord
from modelwright.storage.ledger_head import signed
from modelwright.storage.ledger_rows import silent_form
from modelwright.storage.plain import merged, plain
from modelwright.storage.sql import schema
from modelwright.storage.sql.attempts import lose_attempt
from modelwright.storage.sql.encoding import decode, encode
from modelwright.storage.sql.engine import Transaction
from modelwright.storage.sql.heads import head_of, save_columns
from modelwright.storage.sql.leases import silent_rows, take_back
from modelwright.storage.sql.studies import ADD_SPACE, refuse_taken, spec_of, study_by_id

__all__ = [
    "add_space",
    "rename_study",
    "set_budget",
    "set_priority",
    "set_started",
    "set_state",
    "set_user_attrs",
    "set_window",
]

_S = schema.studies.c
_SHOWN = select(_S.name, _S.priority, _S.user_attrs).where(_S.id == bindparam("id"))
_AWAKE = (StudyState.PENDING, StudyState.RUNNING)


def set_state(
    tx: Transaction, study_id: int, state: StudyState, expected: StudyState | None, abort: bool, who: str
) -> StudyRecord:
    """See `Storage.set_state`."""
    # A study that ends takes back what silent workers held; trials are locked before their study.
    silent = silent_rows(tx, study_id) if state is StudyState.COMPLETE else []
    head = head_of(tx, study_id)
    barred = state is StudyState.RUNNING and head.state not in _AWAKE
    if not barred and (expected is None or head.state == expected.value):
        wish = int(state not in _AWAKE and (abort or bool(head.abort)))
        if silent or (state.value, wish) != (head.state, head.abort):
            head.abort = wish
            head.move_to(state, tx.now_us)
            for row in silent:
                lose_attempt(tx, head, row)
            fates = silent_form(silent, head.max_attempts)
            extra = {"abort": True} if wish else {}
            revision = head.write(tx, "state", state=state.value, **extra, **fates, **signed(who))
            for row in silent:
                take_back(tx, study_id, row, row.number in fates.get("waiting", ()), revision)
    return study_by_id(tx, study_id)


def set_budget(tx: Transaction, study_id: int, parts: Mapping[str, Any], who: str) -> StudyRecord:
    """See `Storage.set_budget`; `parts` are those of `Budget`, or `KEEP`."""
    head = head_of(tx, study_id)
    old = head.budget
    named = {name: value for name, value in parts.items() if not isinstance(value, Keep)}
    new = replace(old, **named)
    changed = {name: value for name, value in named.items() if value != getattr(old, name)}
    if changed:
        save_columns(
            tx,
            study_id,
            budget_s=new.time_s,
            deadline_us=new.deadline_us,
            budget_cost=new.cost,
            budget_parallel=new.parallel,
        )
        head.budget_trials = new.trials
        if _grows(old, changed):
            head.reopen(tx.now_us)
        head.write(tx, "budget", **changed, **signed(who))
    return study_by_id(tx, study_id)


def _grows(old: Budget, changed: Mapping[str, Any]) -> bool:
    """Say whether a budget allows more in all; more at a time does not count."""
    for name, value in changed.items():
        before = getattr(old, name)
        if name != "parallel" and before is not None and (value is None or value > before):
            return True
    return False


def rename_study(tx: Transaction, study_id: int, name: str, who: str) -> StudyRecord:
    """See `Storage.rename_study`."""
    head = head_of(tx, study_id)
    before = _shown(tx, study_id).name
    if name != before:
        replace(spec_of(tx, study_id), name=name)  # refuses a name that cannot be one
        refuse_taken(tx, name)
        save_columns(tx, study_id, name=name)
        head.write(tx, "rename", name=name, before=before, **signed(who))
    return study_by_id(tx, study_id)


def set_priority(tx: Transaction, study_id: int, priority: int, who: str) -> StudyRecord:
    """See `Storage.set_priority`."""
    head = head_of(tx, study_id)
    if priority != _shown(tx, study_id).priority:
        save_columns(tx, study_id, priority=priority)
        head.write(tx, "priority", priority=priority, **signed(who))
    return study_by_id(tx, study_id)


def _shown(tx: Transaction, study_id: int) -> Any:
    row = tx.first(_SHOWN, {"id": study_id})
    assert row is not None
    return row


def set_window(tx: Transaction, study_id: int, window: int) -> StudyRecord:
    """See `Storage.set_window`."""
    head = head_of(tx, study_id)
    if head.window_size is None:
        save_columns(tx, study_id, window_size=window)
        head.write(tx, "window", window=window)
    return study_by_id(tx, study_id)


def set_started(tx: Transaction, study_id: int, started_us: int) -> StudyRecord:
    """See `Storage.set_started`."""
    head = head_of(tx, study_id)
    if head.started_us is None:
        head.started_us = started_us
        head.write(tx, "started", started_us=started_us)
    return study_by_id(tx, study_id)


def set_user_attrs(tx: Transaction, study_id: int, attrs: Mapping[str, Any]) -> StudyRecord:
    """See `Storage.set_user_attrs`."""
    head = head_of(tx, study_id)
    all_attrs = merged(decode(_shown(tx, study_id).user_attrs), attrs, "user_attrs")
    save_columns(tx, study_id, user_attrs=encode(all_attrs))
    head.write(tx, "attrs", names=list(attrs))
    return study_by_id(tx, study_id)


def add_space(
    tx: Transaction, study_id: int, space: Mapping[str, Any], based_on: int, who: str
) -> StudyRecord:
    """See `Storage.add_space`."""
    head = head_of(tx, study_id)
    if head.space_version == based_on:
        version = based_on + 1
        form = encode(plain(space, "the space"))
        tx.run(ADD_SPACE, {"study_id": study_id, "version": version, "space": form, "created_us": tx.now_us})
        save_columns(tx, study_id, space_version=version)
        head.closed = ""  # a wider space holds configurations that nobody has tried
        head.write(tx, "space", version=version, **signed(who))
    return study_by_id(tx, study_id)
