"""Connections as hostile clients make them, against a real server."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from typing import Any

import pytest

from modelwright.server import Limits

HEAD = b"Host: 127.0.0.1\r\nAuthorization: Bearer a-token-of-the-tests-0123456789\r\n"
LIST = b"GET /api/v1/studies HTTP/1.1\r\n" + HEAD + b"Connection: close\r\n\r\n"


def status(answer: bytes) -> int:
    """Return the status of the first answer, 0 where there is none."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def form(answer: bytes) -> Any:
    """Return the JSON of the only answer."""
    return json.loads(answer.partition(b"\r\n\r\n")[2])


def test_a_plain_request(exchange: Any) -> None:
    answer = exchange(LIST)
    assert (status(answer), form(answer)) == (200, [])
    assert b"server:" not in answer.lower()


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"GET /api/v1/studies\r\n\r\n", {400}),  # HTTP/0.9
        (b"GET /api/v1/studies HTTP/1.0\r\n\r\n", {400}),
        (b"GET /api/v1/studies HTTP/1.1\r\n\r\n", {400}),
        (b"GET /api/v1/studies HTTP/1.1\r\n" + HEAD + b"Host: localhost\r\n\r\n", {400}),
        (b"GET http://evil.example/ HTTP/1.1\r\n" + HEAD + b"\r\n", {400}),
        (b"CONNECT evil.example:80 HTTP/1.1\r\n" + HEAD + b"\r\n", {400, 405}),
        (b"TRACE / HTTP/1.1\r\n" + HEAD + b"\r\n", {405}),
        (b"BREW / HTTP/1.1\r\n" + HEAD + b"\r\n", {405}),
        (b"GET / HTTP/3.0\r\n" + HEAD + b"\r\n", {400, 505}),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 40 + b"\r\n\r\n", {400}),  # TLS
        (b"GET / HTTP/1.1\r\n" + HEAD + b"Connection: close\r\nX: a\r\n b\r\n\r\n", {400, 404}),
        (b"GET / HTTP/1.1\r\n" + HEAD + b"X : a\r\n\r\n", {400}),
        (b"GET / HTTP/1.1\r\n" + HEAD + b"X: a\x00b\r\n\r\n", {400}),
        (b"POST /api/v1/studies HTTP/1.1\r\n" + HEAD + b"Content-Length: -1\r\n\r\n", {400}),
        (
            b"POST /api/v1/studies HTTP/1.1\r\n" + HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            {400},
        ),
        (
            b"POST /api/v1/studies HTTP/1.1\r\n"
            + HEAD
            + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            {400},
        ),
        (b"POST /api/v1/studies HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: xchunked\r\n\r\n", {400, 501}),
        (
            b"POST /api/v1/studies HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked, gzip\r\n\r\n",
            {400, 501},
        ),
        (
            b"POST /api/v1/studies HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
            {400, 415},
        ),
        (b"GET / HTTP/1.1\r\n" + HEAD + b"X: " + b"y" * 100_000 + b"\r\n\r\n", {431}),
        (
            b"GET / HTTP/1.1\r\n" + HEAD + b"".join(b"X%d: y\r\n" % i for i in range(10_000)) + b"\r\n",
            {431},
        ),
        (b"GET /" + b"y" * 100_000 + b" HTTP/1.1\r\n" + HEAD + b"\r\n", {414, 431}),
    ],
)
def test_shapes_of_smuggling(exchange: Any, request_: bytes, expected: set[int]) -> None:
    answer = exchange(request_)
    assert status(answer) in expected, answer[:300]
    assert answer.count(b"HTTP/1.1 ") == 1, "one request had two answers"
    assert {"code", "message", "hint"} <= set(form(answer))
    assert status(exchange(LIST)) == 200


@pytest.mark.parametrize("limits", [Limits(body_timeout_s=0.5, head_timeout_s=0.5, idle_timeout_s=1)])
def test_slow_senders_are_left(exchange: Any) -> None:
    head = b"POST /api/v1/studies HTTP/1.1\r\n" + HEAD + b"Content-Type: application/json\r\n"
    answer = exchange(head + b'Content-Length: 100\r\n\r\n{"name"')
    assert (status(answer), form(answer)["code"]) == (408, "E_SLOW")
    answer = exchange(head + b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"nam\r\n')
    assert (status(answer), form(answer)["code"]) == (408, "E_SLOW")
    # A head that never ends, and a connection that never begins, have no answer.
    assert exchange(b"GET /api/v1/studies HTTP/1.1\r\nHost: 127") == b""
    assert exchange(b"") == b""
    # Nor has a further head that begins and never ends; what was asked before it was answered.
    answer = exchange(LIST.replace(b"Connection: close\r\n", b"") + b"GET /api")
    assert (status(answer), answer.count(b"HTTP/1.1 ")) == (200, 1)


@pytest.mark.parametrize("limits", [Limits(body=1000, large_body=1000, body_timeout_s=5)])
def test_bodies_without_end(exchange: Any, address: tuple[str, int]) -> None:
    head = b"POST /api/v1/studies HTTP/1.1\r\n" + HEAD + b"Content-Type: application/json\r\n"
    answer = exchange(head + b"Content-Length: 100000\r\n\r\n" + b"x" * 100_000)
    assert status(answer) == 413
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 50_000_000:
                connection.sendall(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")
                sent += 0x1000
        assert sent < 50_000_000, "the server reads for ever"
    assert status(exchange(LIST)) == 200


@pytest.mark.parametrize("limits", [Limits(connections=50)])
def test_idle_connections_make_room(exchange: Any, address: tuple[str, int]) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            idle = stack.enter_context(socket.create_connection(address, timeout=20))
            with contextlib.suppress(ConnectionError):
                idle.sendall(LIST.replace(b"Connection: close\r\n", b""))
        begun = time.monotonic()
        assert status(exchange(LIST)) == 200
        assert time.monotonic() - begun < 10


@pytest.mark.parametrize("limits", [Limits(connections=20)])
def test_answers_that_nobody_reads(exchange: Any, address: tuple[str, int]) -> None:
    request = LIST.replace(b"Connection: close\r\n", b"")
    with contextlib.ExitStack() as stack:
        for _ in range(30):
            deaf = stack.enter_context(socket.create_connection(address, timeout=20))
            deaf.setblocking(False)
            with contextlib.suppress(BlockingIOError, ConnectionError):
                deaf.sendall(request * 5000)
        assert status(exchange(LIST)) == 200
