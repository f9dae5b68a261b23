"""Faults at named points of a storage's methods, for tests of what survives them.

The library knows nothing of this: the faults are hung on a storage from outside, in the process that is to
suffer them.

::

    storage = FaultyStorage(open_storage(url), [Fault("claim", "committed", die)])
    storage.claim(...)      # this process ends with SIGKILL; the ledger holds the claim

The points of a method, in the order in which they come::

    call          the method is called, and nothing has happened yet
    commit        its statements are done, and their commit is not sent
    committed     the commit stands, and the library has not seen the answer
    answer        the library has seen it, and the caller has not

`commit` and `committed` need a storage in a database. In text, a fault is ``METHOD:POINT:ACTION``, with
``@N`` behind it for the N-th time and ``/M`` for each M-th time from then on: ``finish:commit:deadlock@5/5``.
"""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from modelwright.errors import InputError
from modelwright.storage import Storage, open_storage

__all__ = [
    "ERRORS",
    "POINTS",
    "Fault",
    "FaultyStorage",
    "die",
    "driver_error",
    "freeze",
    "open_clocked",
    "parse_fault",
]

POINTS = ("call", "commit", "committed", "answer")
ERRORS = ("busy", "deadlock", "serialization", "lost")


@dataclass(slots=True)
class Fault:
    """Something that happens when a method of a storage passes a point.

    Attributes
    ----------
    method : str
        Name of the method; ``"*"`` for any.
    point : {"call", "commit", "committed", "answer"}
        Where; see the head of this module.
    act : callable or str
        What; a text is one of `ERRORS`, which is raised as the database's driver would. Before a commit it
        undoes the transaction, as databases do; but for ``"busy"`` in SQLite, which leaves it open.
    first : int
        How many times the point is passed until it happens first.
    every : int
        After how many more times it happens again; 0 for never.
    """

    method: str
    point: str
    act: Callable[[], None] | str
    first: int = 1
    every: int = 0
    passed: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.point not in POINTS:
            raise InputError(f"expected a point among {', '.join(POINTS)}, got {self.point!r}.")
        if isinstance(self.act, str) and (self.act not in ERRORS or self.point in ("call", "answer")):
            raise InputError(
                f"expected an error among {', '.join(ERRORS)} around a commit, "
                f"got {self.act!r} at {self.point!r}."
            )

    def is_due(self) -> bool:
        """Take note that the point is passed, and say whether it happens."""
        self.passed += 1
        if self.every and self.passed > self.first:
            return (self.passed - self.first) % self.every == 0
        return self.passed == self.first


class FaultyStorage:
    """A storage that answers as another one does, with faults.

    Parameters
    ----------
    storage : Storage
        The one that does the work; only the threads that call this wrapper meet the faults.
    faults : sequence of Fault
        What happens.
    """

    def __init__(self, storage: Storage, faults: Sequence[Fault]) -> None:
        self._inner = storage
        self._faults = list(faults)
        self._here = threading.local()
        self._lock = threading.Lock()
        self.url = storage.url
        if any(fault.point in ("commit", "committed") for fault in faults):
            self._hang_on_commits()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return partial(self._call, name, found) if callable(found) and not name.startswith("_") else found

    def _call(self, name: str, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self._here.method = name
        try:
            self._pass("call")
            answer = method(*args, **kwargs)
            self._pass("answer")
        finally:
            self._here.method = ""
        return answer

    def _hang_on_commits(self) -> None:
        dialect = self._inner._db._engine.dialect  # type: ignore[attr-defined]
        commit = dialect.do_commit

        def undo(kind: str, connection: Any) -> None:
            if not (kind == "busy" and dialect.name == "sqlite"):
                dialect.do_rollback(connection)

        def do_commit(connection: Any) -> None:
            self._pass("commit", lambda kind: undo(kind, connection))
            commit(connection)
            self._pass("committed")

        dialect.do_commit = do_commit

    def _pass(self, point: str, before_error: Callable[[str], None] = lambda kind: None) -> None:
        method = getattr(self._here, "method", "")
        if not method:
            return
        with self._lock:
            due = [f for f in self._faults if f.point == point and f.method in (method, "*") and f.is_due()]
        for fault in due:
            if isinstance(fault.act, str):
                before_error(fault.act)
                raise driver_error(self.url, fault.act)
            fault.act()


# what can happen ----------------------------------------------------------------------------------------


def die() -> None:
    """End this process at once, with no last words."""
    os.kill(os.getpid(), signal.SIGKILL)


def freeze() -> None:
    """Stop this process until somebody sends SIGCONT."""
    os.kill(os.getpid(), signal.SIGSTOP)


def driver_error(url: str, kind: str) -> Exception:
    """Return the error by which the driver of a database says that something went wrong.

    Parameters
    ----------
    url : str
        Address of the storage.
    kind : {"busy", "deadlock", "serialization", "lost"}
        A lock that others hold, a deadlock, a transaction that came too late, a connection that is gone.
        SQLite has but locks.
    """
    scheme = url.partition(":")[0]
    if scheme.startswith("postgresql"):
        return _postgresql_error(kind)
    if scheme.startswith(("mysql", "mariadb")):
        return _mysql_error(kind)
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return error


def _postgresql_error(kind: str) -> Exception:
    from psycopg import errors

    states = {"busy": "55P03", "deadlock": "40P01", "serialization": "40001", "lost": "57P01"}
    error: Exception = errors.lookup(states[kind])(f"{kind}, raised by a test")
    return error


def _mysql_error(kind: str) -> Exception:
    from pymysql.err import OperationalError

    numbers = {"busy": 1205, "deadlock": 1213, "serialization": 1020, "lost": 2013}
    return OperationalError(numbers[kind], f"{kind}, raised by a test")


def open_clocked(url: str, clock: Callable[[], int], **options: Any) -> Storage:
    """Open a storage in a database whose leases go by `clock`, in microseconds, not by its own.

    Other options are those of `modelwright.storage.sql.SQLiteDatabase` or `ServerDatabase`.
    """
    from modelwright.storage.sql import SQLiteDatabase, SQLStorage

    with closing(open_storage(url)) as storage:
        database = storage._db  # type: ignore[attr-defined]
    place = database.path if isinstance(database, SQLiteDatabase) else database.address
    return SQLStorage(type(database)(place, clock=clock, **options))


# text ---------------------------------------------------------------------------------------------------

_TEXT = re.compile(r"(\*|[a-z_]+):([a-z]+):([a-z]+)(?:=([0-9.]+))?(?:@([0-9]+))?(?:/([0-9]+))?")


def parse_fault(text: str) -> Fault:
    """Return the fault that a text describes; see the head of this module.

    The actions are ``die``, ``freeze``, ``pause=SECONDS`` and the kinds of `ERRORS`.

    Examples
    --------
    >>> fault = parse_fault("finish:commit:deadlock@5/5")
    >>> fault.method, fault.point, fault.act, fault.first, fault.every
    ('finish', 'commit', 'deadlock', 5, 5)
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        raise InputError(f"expected METHOD:POINT:ACTION@N/M, such as 'claim:committed:die', got {text!r}.")
    method, point, action, amount, first, every = match.groups()
    acts: dict[str, Callable[[], None] | str] = {
        "die": die,
        "freeze": freeze,
        "pause": partial(time.sleep, float(amount or 0)),
        **{kind: kind for kind in ERRORS},
    }
    if action not in acts:
        raise InputError(f"expected an action among {', '.join(acts)}, got {action!r}.")
    return Fault(method, point, acts[action], int(first or 1), int(every or 0))
