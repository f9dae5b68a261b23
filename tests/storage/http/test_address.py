"""Addresses of servers, and tokens from the places where they may be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from modelwright.errors import InputError, StorageError
from modelwright.server.run import serving
from modelwright.storage import MemoryStorage, open_existing, open_storage
from modelwright.storage.http import HTTPStorage, open_http
from modelwright.storage.http.address import read_address, read_token_file

TOKEN = "a-token-of-the-tests-0123456789"
WRONG = "another-token-0123456789"


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODELWRIGHT_TOKEN", raising=False)
    monkeypatch.delenv("MODELWRIGHT_TOKEN_FILE", raising=False)


@pytest.fixture
def url() -> Iterator[str]:
    """Return the address of a server."""
    with serving(MemoryStorage(), TOKEN) as url:
        yield url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:8090", "http://127.0.0.1:8090"),
        ("HTTP://Host/", "http://host"),
        ("https://host.example/below/", "https://host.example/below"),
        ("http://[::1]:80", "http://[::1]:80"),
    ],
)
def test_addresses(url: str, shown: str) -> None:
    assert read_address(url) == (shown, "")


def test_a_storage_is_opened_by_its_address(url: str) -> None:
    for opener in (open_storage, open_existing):
        storage = opener(f"{url}/", token=TOKEN)
        assert isinstance(storage, HTTPStorage)
        assert storage.url == url
        storage.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http:///x",
        "http://host:port",
        "http://host?token=secret",
        "http://host#secret",
        "http://[::1",
    ],
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(InputError) as caught:
        open_http(url, token=TOKEN)
    assert caught.value.code == "E_DB_URL"
    assert "secret" not in str(caught.value)


def test_where_the_token_comes_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str) -> None:
    """What is closest to the call is taken."""
    with pytest.raises(InputError, match="needs a token") as caught:
        open_http(url)
    assert caught.value.code == "E_DB_TOKEN"
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    file.chmod(0o600)
    monkeypatch.setenv("MODELWRIGHT_TOKEN_FILE", str(file))
    open_http(url).close()
    monkeypatch.setenv("MODELWRIGHT_TOKEN", WRONG)
    with pytest.raises(StorageError, match="does not accept"):
        open_http(url)
    open_http(url, token=TOKEN).close()
    monkeypatch.setenv("MODELWRIGHT_TOKEN", TOKEN)
    monkeypatch.setenv("MODELWRIGHT_TOKEN_FILE", str(tmp_path / "missing"))
    open_http(url).close()


@pytest.mark.parametrize("form", ["{0}@", "me:{0}@"])
def test_a_token_in_the_address_is_taken_with_a_warning(
    form: str, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(open_http(url.replace("//", f"//{form.format(TOKEN)}"))) as storage:
        assert storage.url == url
    assert "easily shown to others" in caplog.text
    assert TOKEN not in storage.url + repr(storage) + caplog.text


@pytest.mark.parametrize(
    "token",
    ["short", "with spaces in between it", "x" * 501, "über-über-über-über", "line\nbreak-line-break"],
)
def test_tokens_that_are_none(token: str) -> None:
    with pytest.raises(InputError, match="16 to 500") as caught:
        open_http("http://host", token=token)
    assert token not in str(caught.value)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660, 0o666])
def test_a_token_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    file.chmod(mode)
    with pytest.raises(InputError, match="may be read by others") as caught:
        read_token_file(file)
    assert caught.value.code == "E_TOKEN_FILE"
    assert "chmod 600" in caught.value.hint
    assert TOKEN not in str(caught.value)


def test_files_without_a_token(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputError, match="cannot read the token"):
            read_token_file(path)
    for content in (b"", b"\xff" * 20):
        file = tmp_path / "token"
        file.write_bytes(content)
        file.chmod(0o600)
        with pytest.raises(InputError):
            read_token_file(file)


def test_options_are_checked() -> None:
    with pytest.raises(InputError, match="no option 'patience'") as caught:
        open_http("http://host", token=TOKEN, patience=5)
    assert "patience_s" in caught.value.hint
