"""The outermost layer: nothing behind it sees a request that has no right to be there.

In this order: size of the head, Host (so that a foreign page cannot reach us under a name of its own), token,
shape of the request, method, Origin of what changes something. Every path is treated alike, known or not.
"""

from __future__ import annotations

import hmac
import re
import time
from collections import deque
from collections.abc import Callable, Iterable
from urllib.parse import parse_qsl, unquote_to_bytes

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modelwright.server.answers import HEADERS, RefusedError, refusal_answer
from modelwright.server.bodies import drain
from modelwright.server.limits import Limits

__all__ = ["LOOPBACK", "Guard"]

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
"""The names by which this machine calls itself."""

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_UNSAFE = frozenset(_METHODS) - {"GET"}
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?")
_SECRETS = frozenset({"token", "access_token", "api_key", "apikey", "authorization", "key"})
_TOKEN_HINT = "Send the header 'Authorization: Bearer TOKEN'; `modelwright serve` says where the token is."
_WINDOW_S = 60.0


class Guard:
    """An ASGI application around another, which it protects.

    Parameters
    ----------
    app : ASGIApp
        What is protected.
    token : str
        What every request has to carry.
    hosts : iterable of str
        Names, without ports, under which the server may be called, beside those of the loopback.
    limits : Limits
        Bounds on the head of a request and on wrong tokens.
    on_close : callable
        What `close` calls.
    """

    def __init__(
        self,
        app: ASGIApp,
        token: str,
        hosts: Iterable[str] = (),
        limits: Limits | None = None,
        on_close: Callable[[], bool] = lambda: True,
    ) -> None:
        self.app = app
        self._on_close = on_close
        self._token = token.encode()
        self._hosts = frozenset(LOOPBACK) | {host.lower() for host in hosts}
        self._limits = limits or Limits()
        self._wrong: deque[float] = deque(maxlen=self._limits.wrong_tokens)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        try:
            self._check(scope)
        except RefusedError as refusal:
            # What is still on its way is read for a moment: closing at once would destroy the answer with it.
            await drain(receive, self._limits.body)
            refusal.headers["connection"] = "close"
            await refusal_answer(refusal)(scope, receive, send_guarded)
            return
        await self.app(scope, receive, send_guarded)

    def close(self) -> bool:
        """Begin no further call of the ledger; return whether all have ended."""
        return self._on_close()

    def _check(self, scope: Scope) -> None:
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name, []).append(value)
        self._check_size(scope)
        host = self._check_host(headers)
        self._check_token(scope, headers)
        _check_target(scope)
        _check_body_headers(scope["method"], headers)
        if scope["method"] not in _METHODS:
            raise RefusedError(
                405,
                "E_METHOD",
                f"expected one of {', '.join(_METHODS)}.",
                headers={"allow": ", ".join(_METHODS)},
            )
        if scope["method"] in _UNSAFE:
            _check_origin(headers, host)

    def _check_size(self, scope: Scope) -> None:
        if scope.get("http_version", "1.1") not in ("1.0", "1.1"):
            raise RefusedError(505, "E_HTTP", "expected HTTP/1.1.")
        size = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
        if len(scope["headers"]) > self._limits.headers or size > self._limits.header_bytes:
            raise RefusedError(431, "E_HEADERS", "the headers of the request are too many or too long.")
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > self._limits.target:
            raise RefusedError(414, "E_TARGET", "the address of the request is too long.")

    def _check_host(self, headers: dict[bytes, list[bytes]]) -> str:
        given = headers.get(b"host", [])
        text = given[0].decode("latin-1").lower() if len(given) == 1 else ""
        found = _HOST.fullmatch(text)
        if found is None or not 0 < int(found[2] or 80) < 65536:
            raise RefusedError(400, "E_HOST", "expected one header Host with a name and a port.")
        if found[1] not in self._hosts:
            raise RefusedError(
                421,
                "E_HOST",
                "this server is not called by the name in the header Host.",
                "Start it with --name NAME to have it answer to that name.",
            )
        return text

    def _check_token(self, scope: Scope, headers: dict[bytes, list[bytes]]) -> None:
        given = headers.get(b"authorization", [])
        scheme, _, token = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        right = scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), self._token)
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        in_query = any(name.lower() in _SECRETS for name, _ in query)
        if right and not in_query:
            return
        now = time.monotonic()
        if token and not right:
            many = len(self._wrong) == self._wrong.maxlen and now - self._wrong[0] < _WINDOW_S
            self._wrong.append(now)
            if many:
                raise RefusedError(
                    429, "E_HTTP_TOKEN", "too many wrong tokens.", _TOKEN_HINT, headers={"retry-after": "60"}
                )
        message = (
            "a token in an address is not accepted." if in_query else "the request carries no valid token."
        )
        raise RefusedError(401, "E_HTTP_TOKEN", message, _TOKEN_HINT, headers={"www-authenticate": "Bearer"})


def _check_target(scope: Scope) -> None:
    """Refuse paths that could mean two things. They are decoded once; what still looks coded then stays."""
    raw = scope.get("raw_path") or scope["path"].encode()
    decoded = unquote_to_bytes(raw)
    try:
        text = decoded.decode("utf-8")
        query = unquote_to_bytes(scope["query_string"].replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError:
        raise RefusedError(400, "E_TARGET", "the address of the request is not UTF-8.") from None
    if not raw.startswith(b"/") or b"%2f" in raw.lower() or b"\\" in decoded:
        raise RefusedError(
            400, "E_TARGET", "expected a path that begins with '/', and no coded '/' or '\\' in it."
        )
    if any(ord(sign) < 32 or ord(sign) == 127 for sign in text + query):
        raise RefusedError(400, "E_TARGET", "the address of the request holds control characters.")


def _check_body_headers(method: str, headers: dict[bytes, list[bytes]]) -> None:
    length, coding = headers.get(b"content-length", []), headers.get(b"transfer-encoding", [])
    if length and coding:
        raise RefusedError(400, "E_FRAMING", "expected Content-Length or Transfer-Encoding, got both.")
    if method not in ("POST", "PUT", "PATCH") and (coding or (length and length[0] != b"0")):
        raise RefusedError(400, "E_FRAMING", f"a request with the method {method[:20]} has no body.")


def _check_origin(headers: dict[bytes, list[bytes]], host: str) -> None:
    origin = headers.get(b"origin", [])
    if origin:
        # Equal to the Host that was checked before, so it is ours; "null" is nobody's.
        place = origin[0].decode("latin-1").lower()
        if len(origin) > 1 or place not in (f"http://{host}", f"https://{host}"):
            raise RefusedError(403, "E_ORIGIN", "the request comes from a page of another origin.")
    site = headers.get(b"sec-fetch-site", [])
    if site and site[0] not in (b"same-origin", b"none"):
        raise RefusedError(403, "E_ORIGIN", "the request comes from a page of another site.")
