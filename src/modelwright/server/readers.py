"""Connections of their own for those who read, so that a long export keeps nobody else waiting.

A storage in a database has one connection, which its threads take in turns. Whoever only reads gets another
one here. Writes stay with the first: they are short, a SQLite file takes one at a time anyway, and that
connection has seen every outage of the database, by which leases are judged.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from modelwright.storage import Storage, open_existing, open_storage
from modelwright.storage.http.routes import routes

__all__ = ["open_served", "with_readers"]

_PATIENCE_S = 20.0
"""How long a call waits for a database that is away or full. Clients wait longer before they ask again."""


def open_served(url: str) -> Storage:
    """Open the ledger at `url` for many clients at a time; it is made if need be, as by `open_storage`."""
    if url.lower().startswith("memory:"):
        return open_storage(url)
    if url.lower().startswith(("http:", "https:")):
        return open_storage(url, patience_s=_PATIENCE_S)
    patience = {"timeout_s": _PATIENCE_S, "room_s": _PATIENCE_S}
    first = open_storage(url, **patience)
    return with_readers(first, lambda: open_existing(url, **patience, upgrade=False))


def with_readers(storage: Storage, open_another: Callable[[], Storage]) -> Storage:
    """Return `storage` with a connection for each thread that reads at the same time.

    There are never more than there are threads that call it; free ones are used again. What closes the result
    closes all of them.

    Parameters
    ----------
    storage : Storage
        A ledger in a database.
    open_another : callable
        Opens the same one again.
    """
    return cast(Storage, _WithReaders(storage, open_another))


class _WithReaders:
    """Lends each reading call a storage of its own; everything else goes to the first."""

    def __init__(self, first: Storage, open_another: Callable[[], Storage]) -> None:
        self.url = first.url
        self._first = first
        self._open_another = open_another
        self._reads = frozenset(name for name, route in routes().items() if route.verb == "GET")
        self._free: list[Storage] = []
        self._closed = False
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return partial(self._read, name) if name in self._reads else getattr(self._first, name)

    def _read(self, method: str, /, *arguments: Any, **named: Any) -> Any:
        with self._lock:
            reader = self._free.pop() if self._free else None
        if reader is None:
            reader = self._open_another()
        try:
            return getattr(reader, method)(*arguments, **named)
        finally:
            self._give_back(reader)

    def _give_back(self, reader: Storage) -> None:
        with self._lock:
            if not self._closed:
                self._free.append(reader)
                return
        reader.close()

    def close(self) -> None:
        """Close all connections; a reader at work closes its own when it is done."""
        with self._lock:
            self._closed = True
            free, self._free = self._free, []
        for storage in [*free, self._first]:
            storage.close()
