"""Bodies of requests, read no further and no longer than allowed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.types import Receive

from modelwright.server.answers import RefusedError
from modelwright.storage.jsontext import decode_foreign

__all__ = ["drain", "is_empty", "pieces", "read_body", "read_json"]

_DRAIN_S = 1.0


async def drain(receive: Receive, most: int) -> None:
    """Read and forget what a client still sends, for a moment: closing at once would lose its answer."""
    left = most
    try:
        async with asyncio.timeout(_DRAIN_S):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
    except TimeoutError:
        return


async def pieces(request: Request, most: int, within_s: float) -> AsyncIterator[bytes]:
    """Yield the body as it comes.

    Raises
    ------
    RefusedError
        It is longer than `most` bytes, takes longer than `within_s`, or breaks off.
    """
    announced = request.headers.get("content-length", "0")
    if not announced.isdecimal() or len(announced) > 18 or int(announced) > most:
        await drain(request.receive, 4 * most)
        raise _too_long(most)
    end = asyncio.get_running_loop().time() + within_s
    size = 0
    while True:
        try:
            async with asyncio.timeout_at(end):
                message = await request.receive()
        except TimeoutError:
            raise RefusedError(
                408, "E_SLOW", f"the body did not arrive within {within_s:g} s.", close=True
            ) from None
        if message["type"] == "http.disconnect":
            raise RefusedError(400, "E_TORN", "the body broke off.", close=True)
        piece = message.get("body", b"")
        size += len(piece)
        if size > most:
            await drain(request.receive, 4 * most)
            raise _too_long(most)
        if piece:
            yield piece
        if not message.get("more_body", False):
            return


def _too_long(most: int) -> RefusedError:
    return RefusedError(
        413, "E_TOO_LARGE", f"the body is longer than {most} bytes.", "Send less at a time.", close=True
    )


async def read_body(request: Request, most: int, within_s: float) -> bytes:
    """Return the whole body of a request that says it is JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        await drain(request.receive, most)
        raise RefusedError(
            415,
            "E_CONTENT_TYPE",
            "expected a body of the content type application/json.",
            "Send the header 'Content-Type: application/json'.",
            close=True,
        )
    if request.headers.get("content-encoding", "identity") != "identity":
        await drain(request.receive, most)
        raise RefusedError(415, "E_CONTENT_TYPE", "expected a body without Content-Encoding.", close=True)
    parts = [piece async for piece in pieces(request, most, within_s)]
    return parts[0] if len(parts) == 1 else b"".join(parts)


def is_empty(request: Request) -> bool:
    """Whether a request has no body at all."""
    headers = request.headers
    return headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers


def read_json(body: bytes) -> dict[str, Any]:
    """Return the JSON object that a body holds."""
    try:
        value = decode_foreign(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise RefusedError(
            400, "E_JSON", f"expected JSON, and it cannot be read: {str(error)[:200]}."
        ) from None
    if not isinstance(value, dict):
        raise RefusedError(400, "E_JSON", f"expected a JSON object, got {type(value).__name__}.")
    return value
