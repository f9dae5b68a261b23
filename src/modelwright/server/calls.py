"""Calls of the ledger, which block, carried out by a bounded number of threads beside the event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from modelwright.server.answers import RefusedError, json_answer, refusal_answer, text_answer
from modelwright.server.limits import Limits
from modelwright.storage.http.errors import error_form

__all__ = ["Calls", "Endpoint", "Lanes", "answering", "error_answer"]

_log = logging.getLogger("modelwright.server")

T = TypeVar("T")
Endpoint = Callable[[Request], Awaitable[Response]]


class Calls:
    """A pool of threads with a waiting room of fixed size.

    Parameters
    ----------
    limits : Limits
        How many calls run and wait.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._pool = ThreadPoolExecutor(limits.threads, thread_name_prefix="modelwright-call")
        self._open = 0
        self._lock = threading.Lock()

    async def do(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, once a thread has done it.

        Raises
        ------
        RefusedError
            Too many calls wait already.
        """
        with self._lock:
            if self._open >= self._limits.threads + self._limits.waiting:
                words = "the server has too much to do at the moment."
                raise RefusedError(503, "E_BUSY", words, headers={"retry-after": "1"})
            self._open += 1
        future = self._pool.submit(work)
        future.add_done_callback(self._ended)
        return await asyncio.wrap_future(future)

    def _ended(self, _: Future[T]) -> None:
        # A call goes on when the request that made it is given up, so it counts until it has really ended.
        with self._lock:
            self._open -= 1

    async def answer(self, work: Callable[[], str]) -> Response:
        """Answer with the JSON text that `work` returns."""
        return text_answer(await self.do(work))

    def close(self) -> bool:
        """Begin no further call; return whether all have ended."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        return self._open == 0


class Lanes:
    """Pools side by side, so that calls of one kind never wait for those of another.

    Parameters
    ----------
    limits : Limits
        How many calls run and wait in each.

    Attributes
    ----------
    read, write : Calls
        Of the ledger; reads may take long, and writes are short.
    turn : Calls
        What may have to wait for its turn at a study, behind an optimizer that thinks.
    file : Calls
        The disk, for files of trials.
    """

    def __init__(self, limits: Limits) -> None:
        self.read = Calls(limits)
        self.write = Calls(limits)
        self.turn = Calls(limits)
        self.file = Calls(limits)

    def close(self) -> bool:
        """Begin no further call; return whether all have ended."""
        ended = [calls.close() for calls in (self.read, self.write, self.turn, self.file)]
        return all(ended)


def answering(endpoint: Endpoint) -> Endpoint:
    """Return `endpoint` with every error as an answer."""

    async def answered(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Exception as error:
            return error_answer(error)

    return answered


def error_answer(error: Exception) -> Response:
    """Return the answer for an error: ours as they are, and of others no more than a number to look for."""
    if isinstance(error, RefusedError):
        return refusal_answer(error)
    known = error_form(error)
    if known is not None:
        return json_answer(known[1], known[0])
    name = uuid.uuid4().hex[:12]
    _log.error("error %s in a request", name, exc_info=error)
    form = {"code": "E_INTERNAL", "message": f"the server failed; its log has more under {name}.", "hint": ""}
    return json_answer(form, 500)
