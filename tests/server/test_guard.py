"""Deny by default: whatever the path and the method, nobody gets in without the right head."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from modelwright.server import make_app
from modelwright.server.guard import Guard
from modelwright.storage import MemoryStorage

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW")
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
LIST = "/api/v1/studies"


def filled(path: str) -> str:
    """Return a path with something for each name in it."""
    path = re.sub(r"\{[a-z_]+\}", "1", path)
    assert "{" not in path
    return path


def all_paths(app: Guard) -> list[str]:
    """Return each path of the application, and some that it lacks."""
    paths = {filled(route.path) for route in app.app.routes}  # type: ignore[attr-defined]
    return sorted(paths | {"/", "/nothing", "/api/v1/nothing", "/docs"})


def test_every_request_that_is_described_gets_in_with_the_right_head(app: Guard, call: Any) -> None:
    """What the tests below see refused is there, and is refused for their reason and no other."""
    described = call("GET", "/api/v1/openapi.json").json["paths"]
    assert set(map(filled, described)) <= set(all_paths(app))
    requests = [(verb.upper(), filled(path)) for path, verbs in described.items() for verb in verbs]
    assert len(requests) > 60
    for verb, path in requests:
        answer = call(verb, path)
        assert answer.status in (200, 400, 404, 411, 415, 501), (verb, path, answer.body)
        assert b"nothing at this address" not in answer.body, (verb, path)


def test_every_route_and_method_asks_for_the_token(app: Guard, call: Any) -> None:
    for path in all_paths(app):
        for verb in METHODS:
            for headers in (
                {"authorization": None},
                {"authorization": "Bearer wrong-wrong-wrong-wrong"},
                {"authorization": f"Basic {'x' * 30}"},
            ):
                answer = call(verb, path, {}, headers)
                assert answer.status in (401, 429), (verb, path)
                assert answer.code == "E_HTTP_TOKEN"


def test_every_route_and_method_looks_at_the_host_first(app: Guard, call: Any) -> None:
    for path in all_paths(app):
        for verb in METHODS:
            assert call(verb, path, {}, {"host": "evil.example"}).status == 421, (verb, path)
            assert call(verb, path, {}, {"host": "evil.example", "authorization": None}).status == 421


def test_every_route_refuses_a_foreign_origin(app: Guard, call: Any) -> None:
    for path in all_paths(app):
        for verb in UNSAFE:
            for headers in (
                {"origin": "http://evil.example"},
                {"origin": "null"},
                {"origin": "http://127.0.0.1:9999"},
                {"sec-fetch-site": "cross-site"},
                {"sec-fetch-site": "same-site"},
            ):
                raw = b"" if verb == "DELETE" else b"{}"
                answer = call(verb, path, None, headers, raw=raw)
                assert (answer.status, answer.code) == (403, "E_ORIGIN"), (verb, path, headers)


def test_only_five_methods_exist(app: Guard, call: Any) -> None:
    for path in all_paths(app):
        for verb in ("HEAD", "OPTIONS", "TRACE", "CONNECT", "BREW", "get"):
            answer = call(verb, path)
            assert answer.status == 405, (verb, path)
            assert "GET" in answer.headers["allow"]
    assert call("DELETE", LIST).status == 405


def test_the_right_head_gets_in(call: Any) -> None:
    assert call("GET", LIST).json == []
    for host in ("localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:8090"):
        assert call("GET", LIST, None, {"host": host}).status == 200
    same = {"origin": "http://127.0.0.1:8090", "sec-fetch-site": "same-origin"}
    assert call("POST", LIST, {}, same).status == 400


def test_a_name_that_was_given_is_answered_to(call: Any, token: str) -> None:
    app = make_app(MemoryStorage(), token, hosts=["Ledger.example"])
    status: list[int] = []

    async def ask(host: bytes) -> None:
        async def send(message: Any) -> None:
            status.append(message.get("status", 0))

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        headers = [(b"host", host), (b"authorization", b"Bearer " + token.encode())]
        scope = {
            "type": "http",
            "method": "GET",
            "path": LIST,
            "raw_path": LIST.encode(),
            "query_string": b"",
        }
        await app({**scope, "headers": headers, "root_path": "", "client": None}, receive, send)

    asyncio.run(ask(b"ledger.example:443"))
    asyncio.run(ask(b"example"))
    assert [code for code in status if code] == [200, 421]
    app.close()


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "127.0.0.1:8090@evil.example",
        "127.0.0.1.evil.example",
        "localhost:80:80",
        "localhost:99999",
        "localhost:0",
        "localhost:",
        "localhost:8a",
        "localhost ",
        "localhost/",
        "local\thost",
        "[::1",
        "127.1",
        "2130706433",
    ],
)
def test_odd_hosts(call: Any, host: str | None) -> None:
    assert call("GET", LIST, None, {"host": host}).status in (400, 421)


@pytest.mark.parametrize("name", ["token", "access_token", "TOKEN", "api_key", "key"])
def test_a_token_in_the_address_is_refused(call: Any, token: str, name: str) -> None:
    for headers in ({"authorization": None}, {}):
        answer = call("GET", f"{LIST}?{name}={token}", None, headers)
        assert (answer.status, answer.code) == (401, "E_HTTP_TOKEN")
        assert token not in answer.body.decode()


def test_many_wrong_tokens_are_slowed_down_and_the_right_one_is_not(call: Any) -> None:
    wrong = {"authorization": "Bearer wrong-wrong-wrong-wrong"}
    statuses = [call("GET", LIST, None, wrong).status for _ in range(1000)]
    assert statuses[:100] == [401] * 100
    assert set(statuses[100:]) == {429}
    assert call("GET", LIST, None, {"authorization": None}).status == 401
    assert call("GET", LIST).status == 200


@pytest.mark.parametrize(
    "target",
    [
        "http://evil.example/api/v1/studies",
        "api/v1/studies",
        "*",
        "/api/v1/studies/a%2fb",
        "/api/v1/studies/a%5Cb",
        "/api/v1/studies/a%00b",
        "/api/v1/studies/a%0d%0ab",
        "/api/v1/studies/%ff",
        "/api/v1/studies?x=%00",
        "/api/v1/studies?x=%ff",
    ],
)
def test_addresses_that_could_mean_two_things(call: Any, target: str) -> None:
    assert (call("GET", target).status, call("GET", target).code) == (400, "E_TARGET")


def test_the_size_of_a_head(call: Any) -> None:
    assert call("GET", LIST, None, {"x": "y" * 20_000}).status == 431
    assert call("GET", LIST, None, {f"x{i}": "y" for i in range(200)}).status == 431
    assert call("GET", LIST + "?x=" + "y" * 20_000).status == 414


def test_two_lengths_of_one_body(call: Any) -> None:
    answer = call("POST", LIST, {}, {"transfer-encoding": "chunked"})
    assert (answer.status, answer.code) == (400, "E_FRAMING")
    assert call("GET", LIST, {"a": 1}).code == "E_FRAMING"


def test_answers_keep_browsers_out(app: Guard, call: Any) -> None:
    for path in all_paths(app):
        for answer in (call("GET", path), call("GET", path, None, {"host": "evil.example"})):
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["cache-control"] == "no-store"
            assert "access-control-allow-origin" not in answer.headers
            assert answer.headers["content-type"] == "application/json"
            assert {"code", "message", "hint"} <= set(answer.json) or answer.status == 200


def test_websockets_are_closed(app: Guard) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app({"type": "websocket", "headers": []}, None, send))  # type: ignore[arg-type]
    assert sent == [{"type": "websocket.close", "code": 1008}]
