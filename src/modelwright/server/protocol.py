"""Connections that nobody can hold for nothing."""

from __future__ import annotations

import asyncio
import sys
import time
from http import HTTPStatus
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from modelwright.server.answers import HEADERS
from modelwright.server.limits import Limits
from modelwright.storage.jsontext import encode

__all__ = ["protocol_for"]

_LARGE = 65_536


class _Joined:
    """A transport that sends what is written in one turn of the loop as one piece: a head with its body."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if len(data) > _LARGE:
            self._flush()
            self._transport.write(data)
        elif data:
            if not self._held:
                self._loop.call_soon(self._flush)
            self._held.append(data)

    def _flush(self) -> None:
        if self._held:
            self._transport.write(b"".join(self._held))
            self._held.clear()

    def close(self) -> None:
        self._flush()
        self._transport.close()


class _Protocol(H11Protocol):
    """A connection with a time limit on the head of a request, in a set that has a fixed size."""

    limits = Limits()
    _last = 0.0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, _Joined(transport, self.loop)))
        self._last = time.monotonic()
        self._expect_head()
        if len(self.connections) > self.limits.connections:
            others = [cast(_Protocol, item) for item in self.connections if item is not self]
            min(others, key=lambda item: (item._works(), item._last)).transport.abort()

    def _works(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _expect_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.limits.head_timeout_s, self._give_up)

    def _give_up(self) -> None:
        self._head_timer = None
        if not self._works():
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take in what has arrived; the head of a request has to be whole soon after it began."""
        self._last = time.monotonic()
        requests = self.cycle
        super().data_received(data)
        if self.cycle is not requests and self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        elif not self._works() and self.conn.their_state is h11.IDLE:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._head_timer is not None:
            self._head_timer.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, or more of it than a head may have, in the form of our other errors."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.close()  # in the middle of an answer there is no place for another
            return
        status, form = 400, {"code": "E_HTTP", "message": "the request is not valid HTTP.", "hint": ""}
        if getattr(sys.exception(), "error_status_hint", 400) == 431:
            form |= {"code": "E_HEADERS", "message": "the head of the request is too long."}
            status = 431
        body = encode(form).encode()
        headers = [(b"content-type", b"application/json"), (b"connection", b"close"), *HEADERS]
        headers.append((b"content-length", str(len(body)).encode()))
        reason = HTTPStatus(status).phrase.encode()
        head = h11.Response(status_code=status, headers=headers, reason=reason)
        for event in (head, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


def protocol_for(limits: Limits) -> type[asyncio.Protocol]:
    """Return the class of connections with these limits."""
    return type("Protocol", (_Protocol,), {"limits": limits})
