"""The moving columns of a study: locked, changed and written as one revision.

Most writes are a claim's own, and move the *account* only: the revision, and what the attempts cost. Others
take the whole *head*.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from sqlalchemy import ColumnElement, Executable, Update, bindparam, insert, select, update

from modelwright.errors import StudyNotFoundError
from modelwright.records import Budget, StudyState
from modelwright.storage.sql import schema
from modelwright.storage.sql.encoding import encode
from modelwright.storage.sql.engine import Mark, Statement, Transaction

__all__ = [
    "MOVING",
    "STEADY",
    "Account",
    "Head",
    "account_of",
    "account_query",
    "created",
    "head_of",
    "head_query",
    "is_gone",
    "no_study",
    "one_by_one",
    "save_columns",
]

_S, _E = schema.studies.c, schema.events.c
_ENDED = (StudyState.COMPLETE.value, StudyState.FAILED.value)

_ACCOUNT = (_S.revision, _S.report_revision, _S.cost)
MOVING = (
    *_ACCOUNT, _S.state, _S.budget_trials, _S.issued, _S.fence_floor, _S.closed, _S.started_us, _S.ended_us,
    _S.abort,
)  # fmt: skip
"""What a write to a study may save."""

STEADY = (
    _S.space_version, _S.window_size, _S.budget_s, _S.deadline_us, _S.budget_cost, _S.budget_parallel,
    _S.max_attempts,
)  # fmt: skip
"""What else transactions need to know; the few that change it use `save_columns`."""


def _save(columns: Iterable[ColumnElement[Any]]) -> Update:
    return (
        update(schema.studies)
        .where(_S.id == bindparam("key"))
        .values({column.name: bindparam(column.name) for column in columns})
    )


_SAVE_ACCOUNT, _SAVE_HEAD = _save(_ACCOUNT), _save(MOVING)
_LOCK_ACCOUNT = select(*_ACCOUNT).where(_S.id == bindparam("id")).with_for_update()
_LOCK_HEAD = select(*MOVING, *STEADY).where(_S.id == bindparam("id")).with_for_update()
_ADD_EVENT = insert(schema.events)
_WAIT = select(_S.id).where(_S.id == bindparam("id")).with_for_update()
_TURN = select(schema.version.c.version_num).with_for_update()
_EVENT = select(*_E).where(_E.study_id == bindparam("study"), _E.revision == bindparam("at"))


@dataclass(slots=True)
class Account:
    """What every write to a study moves, locked for this transaction.

    The writes to one study come one after another, in the order of their revisions: each takes `account_of`
    or `head_of`, and ends with `write`, which makes it one revision. Rows of trials are locked before the
    study's, always in this order, so that no two transactions wait for each other.
    """

    study_id: int
    revision: int
    report_revision: int
    cost: float

    def write(
        self, tx: Transaction, kind: str, number: int | None = None, fence: int | None = None, **payload: Any
    ) -> int:
        """Save the columns as the next revision, leave its event, and return it."""
        event = self.next_event(tx, kind, number, fence, payload)
        self.save(tx, [event])
        return self.revision

    def next_event(
        self, tx: Transaction, kind: str, number: int | None, fence: int | None, payload: dict[str, Any]
    ) -> dict[str, Any]:
        """Begin the next revision and return the row of its event, for `save`."""
        self.revision += 1
        return {
            "study_id": self.study_id,
            "revision": self.revision,
            "kind": kind,
            "number": number,
            "fence": fence,
            "payload": encode(payload),
            "at_us": tx.now_us,
        }

    def save(self, tx: Transaction, events: list[dict[str, Any]]) -> None:
        """Save the columns, and the events of the revisions since."""
        tx.later(*self._saving())
        tx.run_many(_ADD_EVENT, events)
        tx.mark = partial(_is_written, events[-1])

    def _saving(self) -> Statement:
        return _SAVE_ACCOUNT, {
            "key": self.study_id,
            "revision": self.revision,
            "report_revision": self.report_revision,
            "cost": self.cost,
        }


@dataclass(slots=True)
class Head(Account):
    """The account, and what else may move of a study."""

    state: str
    budget_trials: int | None
    issued: int
    fence_floor: int
    closed: str
    started_us: int | None
    ended_us: int | None
    abort: int
    space_version: int
    window_size: int | None
    budget_s: float | None
    deadline_us: int | None
    budget_cost: float | None
    budget_parallel: int | None
    max_attempts: int

    def _saving(self) -> Statement:
        return _SAVE_HEAD, {
            "key": self.study_id,
            **{column.name: getattr(self, column.name) for column in MOVING},
        }

    # the state ----------------------------------------------------------------------------------------

    def move_to(self, state: StudyState, now_us: int) -> None:
        """Change the state, with the moments that go with it."""
        if state.value in _ENDED:
            if self.state != state.value:
                self.ended_us = now_us
        else:
            self.ended_us = None
        if state is StudyState.RUNNING and self.started_us is None:
            self.started_us = now_us
        self.state = state.value

    def reopen(self, now_us: int) -> None:
        """Let a study that was complete go on, because there is more to do."""
        if self.state == StudyState.COMPLETE.value:
            self.abort = 0
            self.move_to(StudyState.PENDING, now_us)

    # the budget ---------------------------------------------------------------------------------------

    @property
    def budget(self) -> Budget:
        """What the study may spend."""
        return Budget(
            self.budget_trials, self.budget_s, self.deadline_us, self.budget_cost, self.budget_parallel
        )

    def over(self, now_us: int, charges: float) -> Literal["", "deadline", "cost"]:
        """Return which limit but that of trials is reached, if attempts cost `charges` more."""
        limits = [] if self.deadline_us is None else [self.deadline_us]
        if self.budget_s is not None and self.started_us is not None:
            limits.append(self.started_us + int(self.budget_s * 1e6))
        if limits and now_us >= min(limits):
            return "deadline"
        if self.budget_cost is not None and self.cost + charges >= self.budget_cost:
            return "cost"
        return ""

    def hold_all(self) -> None:
        """Raise the budget to hold all numbers that are issued."""
        if self.budget_trials is not None:
            self.budget_trials = max(self.budget_trials, self.issued)


def _is_written(event: dict[str, Any], tx: Transaction) -> bool:
    """Say whether an event was committed: no other transaction writes the same one at the same moment.

    Who began to commit it holds the study's lock until that is over.
    """
    if is_gone(tx, event["study_id"]):
        return False
    row = tx.first(_EVENT, {"study": event["study_id"], "at": event["revision"]})
    return row is not None and dict(row._mapping) == event


def is_gone(tx: Transaction, study_id: int) -> bool:
    """Wait until no other transaction holds a study, and say whether it was deleted."""
    return tx.first(_WAIT, {"id": study_id}) is None


def one_by_one(tx: Transaction) -> None:
    """Let nobody else create a study or a data set before this transaction is over."""
    tx.first(_TURN, {})


def created(query: Executable, key: int, at_us: int) -> Mark:
    """Return the mark of a transaction that created one row in its turn (`one_by_one`)."""

    def is_there(tx: Transaction) -> bool:
        one_by_one(tx)
        return tx.first(query, {"id": key, "at": at_us}) is not None

    return is_there


def account_query(study_id: int) -> Statement:
    """Return the query of `account_of`, for `Transaction.expect`."""
    return _LOCK_ACCOUNT, {"id": study_id}


def account_of(tx: Transaction, study_id: int) -> Account:
    """Lock a study and return its account; `StudyNotFoundError` if there is none."""
    return Account(study_id, *_locked(tx, account_query(study_id)))


def head_query(study_id: int) -> Statement:
    """Return the query of `head_of`, for `Transaction.expect`."""
    return _LOCK_HEAD, {"id": study_id}


def head_of(tx: Transaction, study_id: int) -> Head:
    """Lock a study and return all its moving columns; `StudyNotFoundError` if there is none."""
    return Head(study_id, *_locked(tx, head_query(study_id)))


def _locked(tx: Transaction, query: Statement) -> tuple[Any, ...]:
    row = tx.first(*query)
    if row is None:
        raise no_study(query[1]["id"])
    return tuple(row)


def no_study(study_id: int) -> StudyNotFoundError:
    """Return the error about a key without a study."""
    return StudyNotFoundError(f"there is no study with the id {study_id}; it may have been deleted.")


def save_columns(tx: Transaction, study_id: int, **columns: Any) -> None:
    """Save columns of a study that `Head.write` leaves as they are."""
    tx.run(update(schema.studies).where(_S.id == bindparam("key")).values(columns), {"key": study_id})
