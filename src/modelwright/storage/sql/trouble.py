"""What goes wrong with a database server, and in which words it is told."""

from __future__ import annotations

from enum import Enum

from modelwright.errors import SchemaError, StorageError, StorageUnavailableError

__all__ = ["Trouble", "final_error", "gave_up"]


class Trouble(Enum):
    """Kinds of errors, by what is to be done about them.

    LOST
        There is no connection: connect again, and repeat.
    FULL
        The server has no connection left: wait for one.
    BUSY
        Somebody else was in the way: repeat.
    NO_ROOM
        The server's disk is full: wait until somebody has made room.
    DUPLICATE
        A row with this key has come in between: repeat, and see it.
    FINAL
        Trying again does not help.
    """

    LOST = "lost"
    FULL = "full"
    BUSY = "busy"
    NO_ROOM = "no room"
    DUPLICATE = "duplicate"
    FINAL = "final"


_MEANING = {
    "E_DB_AUTH": (
        "does not let this user in",
        "Check the user, the password and what the user may do there.",
    ),
    "E_DB_CONNECT": ("cannot be used", "Check the address; the database must exist."),
    "E_DB_FULL": ("cannot grow: its disk is full", "Make room and run the same command again."),
    "E_DB_READONLY": ("cannot be written", "Give the address of the server that takes writes."),
    "E_DB_IO": ("could not read or write its files", "Check the server's disk and its log."),
    "E_DB_CORRUPT": ("is damaged", "Restore a copy, or give another database."),
    "E_DB_TOO_LARGE": ("does not take a value of this size", "Store less in one value."),
}


def final_error(url: str, code: str, said: str) -> StorageError:
    """Return the error for what trying again does not mend.

    Parameters
    ----------
    url : str
        The database, without a password.
    code : str
        What kind of error it is; empty if it is none that has words of its own.
    said : str
        What the driver said.
    """
    if code == "E_SCHEMA":
        return SchemaError(f"{url} does not hold what a ledger should ({said}).", code=code)
    if code in _MEANING:
        message, hint = _MEANING[code]
        return StorageUnavailableError(f"{url} {message} ({said}).", hint=hint, code=code)
    return StorageError(f"{url} refused a statement ({said}).", code="E_DB")


def gave_up(url: str, trouble: Trouble, patience_s: float, said: str) -> StorageUnavailableError:
    """Return the error for what trying again has not mended in `patience_s`."""
    if trouble is Trouble.FULL:
        return StorageUnavailableError(
            f"{url} had no free connection for {patience_s:g} s ({said}).",
            hint="Raise max_connections on the server, or run fewer workers.",
            code="E_DB_CONNECTIONS",
        )
    if trouble is Trouble.BUSY:
        return StorageUnavailableError(
            f"{url} was kept busy or locked by others for {patience_s:g} s ({said}).",
            hint="Look for a program that holds a transaction open there.",
            code="E_DB_LOCKED",
        )
    return StorageUnavailableError(
        f"{url} could not be reached for {patience_s:g} s ({said}).",
        hint="Check that the server runs, and the host and the port.",
        code="E_DB_CONNECT",
    )
