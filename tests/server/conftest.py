"""A served ledger, and two ways to talk to it: through the application alone, and through a socket."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from modelwright.server import Limits, make_app
from modelwright.server.guard import Guard
from modelwright.server.run import serving
from modelwright.storage import MemoryStorage

TOKEN = "a-token-of-the-tests-0123456789"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["code"])


@pytest.fixture
def token() -> str:
    return TOKEN


@pytest.fixture
def ledger() -> MemoryStorage:
    return MemoryStorage()


@pytest.fixture
def limits() -> Limits:
    return Limits()


@pytest.fixture
def app(ledger: MemoryStorage, limits: Limits) -> Iterator[Guard]:
    app = make_app(ledger, TOKEN, limits=limits)
    yield app
    app.close()


Call = Callable[..., Answer]


@pytest.fixture
def call(app: Guard) -> Call:
    """Return ``call(verb, path, form, headers={}, raw=b"")``: a request to the application, without a socket.

    Host, token and content type are the right ones; a header that is given as None is left out.
    """

    def call(
        verb: str,
        target: str,
        form: Any = None,
        headers: dict[str, str | None] | None = None,
        raw: bytes | None = None,
    ) -> Answer:
        body = raw if raw is not None else b"" if form is None else json.dumps(form).encode()
        given: dict[str, str | None] = {"host": "127.0.0.1:8090", "authorization": f"Bearer {TOKEN}"}
        if body:
            given |= {"content-type": "application/json", "content-length": str(len(body))}
        given |= {name.lower(): value for name, value in (headers or {}).items()}
        sent = [(name.encode(), value.encode()) for name, value in given.items() if value is not None]
        return asyncio.run(_asked(app, verb, target, sent, body))

    return call


async def _asked(
    app: Guard, verb: str, target: str, headers: list[tuple[bytes, bytes]], body: bytes
) -> Answer:
    from urllib.parse import unquote

    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": verb,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 5),
        "server": ("127.0.0.1", 8090),
        "state": {},
    }
    messages: list[dict[str, Any]] = []
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        messages.append(message)

    await app(scope, receive, send)
    start, *rest = messages
    names = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], names, b"".join(item.get("body", b"") for item in rest))


@pytest.fixture
def address(ledger: MemoryStorage, limits: Limits) -> Iterator[tuple[str, int]]:
    """Return host and port of a server in a thread."""
    with serving(ledger, TOKEN, limits=limits) as url:
        host, _, port = url.removeprefix("http://").rpartition(":")
        yield host, int(port)


Exchange = Callable[[bytes], bytes]


@pytest.fixture
def exchange(address: tuple[str, int]) -> Exchange:
    """Return a function that sends bytes and returns all that comes back until the server closes."""

    def exchange(sent: bytes) -> bytes:
        with socket.create_connection(address, timeout=20) as connection:
            connection.sendall(sent)
            return read_all(connection)

    return exchange


def read_all(connection: socket.socket) -> bytes:
    """Read until the other side closes."""
    parts = []
    while True:
        try:
            part = connection.recv(65536)
        except ConnectionResetError:
            part = b""
        if not part:
            return b"".join(parts)
        parts.append(part)
