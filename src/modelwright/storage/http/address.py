"""Addresses of servers, and where their tokens come from."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from modelwright._base.registry import nearest
from modelwright.errors import InputError
from modelwright.storage.http.client import HTTPStorage
from modelwright.storage.http.diagnosis import TOKEN_HINT

__all__ = ["open_http", "read_address", "read_token_file"]

_OPTIONS = ("token", "cafile", "connect_timeout_s", "read_timeout_s", "patience_s")

_log = logging.getLogger("modelwright")


def open_http(url: str, **options: Any) -> HTTPStorage:
    """Return the storage of the server at `url`, which has to be there.

    The token is the option ``token``, else what the environment variable ``MODELWRIGHT_TOKEN`` holds, else
    the file that ``MODELWRIGHT_TOKEN_FILE`` names, which nobody but its owner may read.

    Raises
    ------
    InputError
        The address or an option makes no sense, or there is no token.
    StorageUnavailableError
        Nothing answers at the address.
    StorageError
        What answers is no Modelwright server, or does not accept the token.
    """
    for name in options:
        if name not in _OPTIONS:
            raise InputError(
                f"this kind of storage has no option {name!r}.",
                hint=nearest(name, list(_OPTIONS)),
                code="E_DB_URL",
            )
    address, inside = read_address(url)
    token = options.pop("token", None) or inside or _from_environment()
    if not token:
        raise InputError(f"the server at {address} needs a token.", hint=TOKEN_HINT, code="E_DB_TOKEN")
    storage = HTTPStorage(address, _checked(token), **options)
    storage.transport.greet()
    return storage


def read_address(url: str) -> tuple[str, str]:
    """Return the address without secrets, and the token that it held, if any.

    Examples
    --------
    >>> read_address("https://Ledger.example:8090/")
    ('https://ledger.example:8090', '')
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if not parts.hostname or parts.query or parts.fragment:
        # The rest of the address may hold a secret, so it is not shown.
        raise InputError(
            "expected the address of a server like 'http://host:8090'.",
            hint="It takes no '?' and no '#'; the token has a place of its own. " + TOKEN_HINT,
            code="E_DB_URL",
        )
    token = unquote(parts.password or parts.username or "")
    if token:
        _log.warning("warning: a token within an address is easily shown to others. %s", TOKEN_HINT)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = host if port is None else f"{host}:{port}"
    return f"{parts.scheme.lower()}://{place}{parts.path.rstrip('/')}", token


def _from_environment() -> str:
    token = os.environ.get("MODELWRIGHT_TOKEN", "").strip()
    if token:
        return token
    path = os.environ.get("MODELWRIGHT_TOKEN_FILE", "")
    return read_token_file(Path(path)) if path else ""


def read_token_file(path: Path) -> str:
    """Return the token that a file holds.

    Raises
    ------
    InputError
        There is no such file, it holds no token, or others may read it.
    """
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(1000).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise InputError(
            f"cannot read the token in {str(path)!r}: {reason}.", hint=TOKEN_HINT, code="E_DB_TOKEN"
        ) from None
    if not stat.S_ISREG(mode) or mode & 0o077:
        raise InputError(
            f"the file {str(path)!r} with the token may be read by others (mode {stat.S_IMODE(mode):o}).",
            hint=f"Make it yours alone: chmod 600 {path}. If somebody has read it, delete it for a new one.",
            code="E_TOKEN_FILE",
        )
    return _checked(text)


def _checked(token: str) -> str:
    if not (16 <= len(token) <= 500 and token.isascii() and token.isprintable() and " " not in token):
        raise InputError(
            "expected a token of 16 to 500 printable characters without spaces.",
            hint=TOKEN_HINT,
            code="E_DB_TOKEN",
        )
    return token
