"""Answers that are kept, so that a request which is sent twice has one effect.

A client that lost an answer repeats the request under the same `Idempotency-Key`: it gets the answer to the
first, and waits for it if that is still at work. The ids in the ledger's rows make most repeats harmless
anyway; this keeps them from leaving second events, and covers the few that have no ids. The memory is this
process's own: when a server dies, clients look for themselves (`modelwright.storage.http.settled`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future

__all__ = ["Repeats"]


class Repeats:
    """The last answers by key.

    Parameters
    ----------
    most : int
        How many are kept.
    most_text : int
        How many characters they may have together.

    Examples
    --------
    >>> repeats = Repeats()
    >>> repeats.once("k", lambda: "first"), repeats.once("k", lambda: "second")
    ('first', 'first')
    """

    def __init__(self, most: int = 5000, most_text: int = 2**25) -> None:
        self._most = most
        self._room = most_text
        self._known: OrderedDict[str, Future[str]] = OrderedDict()
        self._lock = threading.Lock()

    def once(self, key: str, work: Callable[[], str]) -> str:
        """Return what `work` returns, or what it returned for this key before.

        Errors are not kept: what was refused had no effect. Without a key `work` is done.
        """
        if not key:
            return work()
        with self._lock:
            known = self._known.get(key)
            if known is None:
                mine = self._known[key] = Future()
        return self._done(key, mine, work) if known is None else known.result()

    def _done(self, key: str, future: Future[str], work: Callable[[], str]) -> str:
        try:
            text = work()
        except BaseException as error:
            with self._lock:
                del self._known[key]
            future.set_exception(error)
            raise
        future.set_result(text)
        self._make_room(len(text))
        return text

    def _make_room(self, added: int) -> None:
        with self._lock:
            self._room -= added
            while self._room < 0 or len(self._known) > self._most:
                key, oldest = next(iter(self._known.items()))
                if not oldest.done():
                    break
                del self._known[key]
                self._room += len(oldest.result())
