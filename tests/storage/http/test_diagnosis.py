"""What is said of an address at which no ledger is to be had."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from certificates import make_certificate

from modelwright.errors import InputError, StorageError, StorageUnavailableError
from modelwright.server import Limits, make_app
from modelwright.server.run import Server, listen, serving
from modelwright.storage import MemoryStorage
from modelwright.storage.http import HTTPStorage, open_http, transport

TOKEN = "a-token-of-the-tests-0123456789"


@pytest.fixture
def url() -> Iterator[str]:
    """Return the address of a server of ours."""
    with serving(MemoryStorage(), TOKEN) as url:
        yield url


@contextmanager
def another(status: int, headers: dict[str, str]) -> Iterator[str]:
    """Run a web server that is not ours, and yield its address."""

    class Handler(BaseHTTPRequestHandler):
        server_version, sys_version = "Other/1", ""

        def do_GET(self) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": "2", **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"[]")

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@contextmanager
def saying(words: bytes) -> Iterator[int]:
    """Run a server that says these words to whoever comes, and yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(4096)
                    connection.sendall(words)

        thread = threading.Thread(target=run)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture
def certified(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Return the address of a server that speaks TLS, and the file of its certificate."""
    certificate, key = make_certificate(tmp_path)
    app = make_app(MemoryStorage(), TOKEN)
    server = Server(app, Limits(), certfile=certificate, keyfile=key)
    opened = listen("127.0.0.1", 0)
    ready = threading.Event()
    thread = threading.Thread(target=server.run, args=(opened, ready.set))
    thread.start()
    ready.wait()
    yield f"https://127.0.0.1:{opened.getsockname()[1]}", str(certificate)
    server.stop()
    thread.join()
    app.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Replace the clock of requests by one whose time passes only when they wait."""
    clock = SimpleNamespace(now=0.0)

    def sleep(seconds: float) -> None:
        clock.now += seconds

    monkeypatch.setattr(transport, "time", SimpleNamespace(monotonic=lambda: clock.now, sleep=sleep))
    return clock


def test_an_address_where_nobody_listens_is_told_soon(clock: SimpleNamespace) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(StorageUnavailableError, match="cannot be reached: Connection refused") as caught:
            open_http(address, token=TOKEN)
    assert caught.value.code == "E_DB_UNREACHABLE"
    assert "modelwright serve" in caught.value.hint
    assert clock.now <= 2


def test_a_server_that_has_answered_is_waited_for(clock: SimpleNamespace) -> None:
    with serving(MemoryStorage(), TOKEN) as url:
        storage = open_http(url, token=TOKEN, patience_s=100)
    with pytest.raises(StorageUnavailableError):
        storage.studies()
    assert 95 < clock.now <= 100
    storage.close()


def test_a_name_that_nobody_has(clock: SimpleNamespace) -> None:
    with pytest.raises(StorageUnavailableError, match="cannot be reached"):
        open_http("http://no.such.host.invalid", token=TOKEN)


@pytest.mark.parametrize("path", ["/api", "/api/v1", "/x/y/"])
def test_a_path_too_many(url: str, path: str) -> None:
    with pytest.raises(InputError, match=f"nothing of it below '{path.rstrip('/')}'") as caught:
        open_http(url + path, token=TOKEN)
    assert caught.value.hint == f"Write {url}."


def test_another_program(url: str) -> None:
    with another(404, {}) as other, pytest.raises(StorageError) as caught:
        open_http(other, token=TOKEN)
    assert caught.value.message == (
        f"what answers at {other} is not a Modelwright server: status 404 from 'Other/1', "
        "without the header Modelwright-Wire."
    )
    with another(302, {"Location": url}) as other, pytest.raises(StorageError) as caught:
        open_http(other, token=TOKEN)
    assert f"which sends on to '{url}'" in caught.value.message
    assert "the address of the server itself" in caught.value.hint


def test_another_version() -> None:
    newer = another(200, {"Modelwright-Wire": "99"})
    with newer as other, pytest.raises(StorageError, match="version 99 of the protocol") as caught:
        open_http(other, token=TOKEN)
    assert caught.value.code == "E_DB_VERSION"
    with another(200, {"Modelwright-Wire": "1"}) as other, closing(HTTPStorage(other, TOKEN)) as storage:
        assert storage.studies() == []


@pytest.mark.parametrize(
    ("scheme", "words", "message"),
    [
        ("http", b"SSH-2.0-OpenSSH_9.6\r\n", "does not speak HTTP"),
        ("http", b"", "closed the connection without an answer.*It may expect https://"),
        ("https", b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak TLS.*write http://"),
        ("https", b"", "closed the connection without an answer.*It may expect http://"),
    ],
)
def test_another_protocol(clock: SimpleNamespace, scheme: str, words: bytes, message: str) -> None:
    with saying(words) as port, pytest.raises(StorageError, match=message):
        open_http(f"{scheme}://127.0.0.1:{port}", token=TOKEN)


def test_a_server_under_another_name(url: str) -> None:
    with pytest.raises(StorageError, match="not called by the name") as caught:
        open_http(url.replace("127.0.0.1", "127.1"), token=TOKEN)
    assert "--name" in caught.value.hint


def test_certificates_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    for name, reason in (("missing.pem", "No such file"), ("empty.pem", "")):
        with pytest.raises(InputError, match=f"certificates in '.*{name}': {reason}"):
            open_http("https://127.0.0.1:1", token=TOKEN, cafile=str(tmp_path / name))


def test_a_certificate_that_nobody_trusts(
    certified: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names what to set, and that helps."""
    url, certificate = certified
    with pytest.raises(StorageError, match=r"is not trusted: self.signed certificate") as caught:
        open_http(url, token=TOKEN)
    assert (caught.value.code, "SSL_CERT_FILE" in caught.value.hint) == ("E_DB_TLS", True)
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    open_http(url, token=TOKEN).close()
    monkeypatch.delenv("SSL_CERT_FILE")
    open_http(url, token=TOKEN, cafile=certificate).close()
    with pytest.raises(StorageError, match=r"not trusted: .*mismatch"):
        open_http(url.replace("127.0.0.1", "localhost"), token=TOKEN, cafile=certificate)
