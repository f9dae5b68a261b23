"""Opening a ledger that may be out of reach for a while."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import urlsplit

from modelwright.errors import StorageUnavailableError
from modelwright.storage import Storage, open_existing
from modelwright.worker.leaving import Leaving
from modelwright.worker.options import WorkerOptions
from modelwright.worker.speaking import Voice

__all__ = ["full_address", "holds_password", "is_file", "open_ledger", "open_patiently"]

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 5.0


def is_file(url: str) -> bool:
    """Whether the ledger is a file, whose absence is a mistake rather than an outage."""
    return "://" not in url or url.startswith("sqlite")


def full_address(url: str) -> str:
    """Return an address that means the same from every folder; others than those of files as they are.

    Examples
    --------
    >>> full_address("sqlite:////srv/hub.db"), full_address("http://host:8000")
    ('sqlite:////srv/hub.db', 'http://host:8000')
    """
    scheme, separator, rest = url.rpartition("://")
    if not is_file(url) or (separator and not rest.startswith("/")):
        return url
    path = Path(rest[1:] if separator else url)
    return f"{scheme or 'sqlite'}:///{path.absolute()}"


def holds_password(url: str) -> bool:
    """Whether the address of a database holds a password; one that cannot be read may hold one.

    Examples
    --------
    >>> holds_password("postgresql://me:secret@host/db"), holds_password("sqlite:///hub.db")
    (True, False)
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return True
    return parts.password is not None and not parts.scheme.startswith("http")  # tokens: see `open_http`


def open_ledger(options: WorkerOptions) -> Storage:
    """Open the ledger of a worker, which bears with an outage, and never upgrades what others may use."""
    patience = "patience_s" if options.storage.lower().startswith("http") else "timeout_s"
    return open_existing(options.storage, upgrade=False, **{patience: options.patience_s})


def open_patiently(options: WorkerOptions, leaving: Leaving, voice: Voice) -> Storage | None:
    """Open the ledger, waiting for a server that is down, or for a file that is still to be made.

    Returns
    -------
    Storage or None
        None where the worker was asked to leave meanwhile.

    Raises
    ------
    StorageUnavailableError
        It has stayed out of reach, or the file is not there.
    """
    until = time.monotonic() + options.patience_s
    pause_s, waited = _FIRST_PAUSE_S, False
    while not leaving.reason:
        try:
            storage = open_ledger(options)
        except StorageUnavailableError as error:
            if is_file(options.storage):
                if not (options.wait and error.code == "E_DB_PATH"):
                    raise
            elif time.monotonic() >= until:
                raise
            if not waited:  # one line for each change, not for each try
                voice.note(f"waiting for the ledger: {error}")
            waited = True
            leaving.pause(min(pause_s, options.poll_s) if options.wait else pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        else:
            if waited:
                voice.note("the ledger is there")
            return storage
    return None
