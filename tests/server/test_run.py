"""The server as a process, as a user starts and ends it."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import stat
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from certificates import make_certificate

from modelwright.errors import InputError, StorageUnavailableError
from modelwright.server import Limits, make_app
from modelwright.server.run import Server, check_exposure, listen
from modelwright.server.token import default_token_file, kept_token
from modelwright.storage import Claim, MemoryStorage
from modelwright.storage.http import HTTPStorage
from modelwright.testing.storage import make_spec

Start = Callable[..., "subprocess.Popen[str]"]


def started(start_python: Start, *arguments: object) -> tuple[Any, str, list[str]]:
    """Start a server at a free port; return its process, its address, and what it said."""
    process = start_python("-m", "modelwright", "serve", "--port", 0, *arguments)
    assert process.stdout is not None
    lines = [process.stdout.readline(), process.stdout.readline()]
    return process, lines[0].split()[-1], lines


def test_from_start_to_end(start_python: Start, tmp_path: Path) -> None:
    process, url, lines = started(start_python, "--storage", "sqlite:///hub.db")
    file = tmp_path / "hub.token"
    assert lines[0].startswith("serving sqlite:///")
    assert lines[1].strip() == f"token in {file}"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    token = file.read_text().strip()
    assert len(token) >= 43  # 256 bits
    storage = HTTPStorage(url, token)
    study = storage.create_study(make_spec())
    assert isinstance(storage.claim(study.id, "w", "c", 60), Claim)
    idle = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert time.monotonic() - begun < 20
    out, err = process.communicate()
    assert (out, err) == ("", "")
    assert token not in "".join(lines)
    idle.close()
    storage.close()


def test_it_ends_while_the_ledger_does_not_answer(start_python: Start, tmp_path: Path) -> None:
    process, url, _ = started(start_python, "--storage", "sqlite:///hub.db")
    token = (tmp_path / "hub.token").read_text().strip()
    storage = HTTPStorage(url, token)
    study = storage.create_study(make_spec())
    storage.close()
    with closing(sqlite3.connect(tmp_path / "hub.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        hasty = HTTPStorage(url, token, read_timeout_s=0.5, patience_s=0.5)
        with pytest.raises(StorageUnavailableError):
            hasty.claim(study.id, "w", "c", 60)
        hasty.close()
        process.terminate()
        assert process.wait(30) == 0
        other.execute("ROLLBACK")


def test_the_token_stays_over_a_restart(start_python: Start, tmp_path: Path) -> None:
    tokens = []
    for _ in range(2):
        process, _, lines = started(start_python, "--storage", "sqlite:///hub.db", "--show-token")
        tokens.append(lines[1].split()[-1])
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert tokens[0] == tokens[1] == (tmp_path / "hub.token").read_text().strip()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--host", "0.0.0.0"), "E_EXPOSED"),
        (("--host", "0.0.0.0", "--certfile", "a.pem"), "E_CONFLICT"),
        (("--token-file", "loose"), "E_TOKEN_FILE"),
        (("--host", "no.such.host.invalid", "--behind-proxy"), "E_PORT"),
    ],
)
def test_what_it_refuses(start_python: Start, tmp_path: Path, arguments: tuple[str, ...], code: str) -> None:
    (tmp_path / "loose").write_text("a-token-of-the-tests-0123456789")
    (tmp_path / "loose").chmod(0o644)
    process = start_python("-m", "modelwright", "serve", *arguments)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"[{code}]" in err
    assert "Traceback" not in err
    assert "a-token" not in err


def test_tls(start_python: Start, tmp_path: Path) -> None:
    make_certificate(tmp_path)
    process, url, _ = started(start_python, "--certfile", "cert.pem", "--keyfile", "key.pem")
    assert url.startswith("https://")
    token = (tmp_path / "modelwright.token").read_text().strip()
    storage = HTTPStorage(url, token, cafile=str(tmp_path / "cert.pem"))
    assert storage.studies() == []
    storage.close()
    process.terminate()
    assert process.wait(30) == 0


def test_exposure() -> None:
    for host in ("127.0.0.1", "localhost", "::1"):
        check_exposure(host, certfile=None, keyfile=None, behind_proxy=False)
    check_exposure("0.0.0.0", certfile=None, keyfile=None, behind_proxy=True)
    with pytest.raises(InputError, match="clear"):
        check_exposure("0.0.0.0", certfile=None, keyfile=None, behind_proxy=False)
    with pytest.raises(InputError, match="together"):
        check_exposure("127.0.0.1", certfile=Path("a"), keyfile=None, behind_proxy=False)


def test_certificates_are_looked_at_before_anything_else(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    check_exposure("0.0.0.0", certfile=certificate, keyfile=key, behind_proxy=False)
    (tmp_path / "empty").touch()
    encrypted = tmp_path / "encrypted.pem"
    command = f"openssl pkey -in {key} -out {encrypted} -aes256 -passout pass:secret"
    subprocess.run(command.split(), check=True, capture_output=True)
    for files in ((tmp_path / "missing", key), (tmp_path / "empty", key), (certificate, encrypted)):
        with pytest.raises(InputError, match="cannot use the certificate") as caught:
            check_exposure("127.0.0.1", certfile=files[0], keyfile=files[1], behind_proxy=False)
        assert caught.value.code == "E_CERTIFICATE"


def test_whoever_does_not_say_hello_is_left(tmp_path: Path, token: str) -> None:
    """With TLS a connection counts only once it is there; before, its time is limited all the same."""
    certificate, key = make_certificate(tmp_path)
    app, limits = make_app(MemoryStorage(), token), Limits(head_timeout_s=0.5)
    server = Server(app, limits, certfile=certificate, keyfile=key)
    opened = listen("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, args=(opened,))
    thread.start()
    with socket.create_connection(opened.getsockname(), timeout=20) as silent:
        assert silent.recv(100) == b""
    server.stop()
    thread.join()
    app.close()


def test_a_port_that_is_taken() -> None:
    first = listen("127.0.0.1", 0)
    with pytest.raises(InputError, match="cannot listen"):
        listen("127.0.0.1", first.getsockname()[1])
    first.close()


def test_where_tokens_are_kept(tmp_path: Path) -> None:
    assert default_token_file("sqlite:////a/b/hub.db") == Path("/a/b/hub.token")
    assert default_token_file("postgresql://host/db") == Path("modelwright.token")
    path = tmp_path / "token"
    old = os.umask(0)
    try:
        token = kept_token(path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert kept_token(path) == token != kept_token(tmp_path / "other")
    path.chmod(0o644)
    with pytest.raises(InputError, match="others"):
        kept_token(path)
    with pytest.raises(InputError, match="cannot make"):
        kept_token(tmp_path / "missing" / "token")
