"""What to say of an address at which no ledger is to be had: what was found there, and what to do."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from modelwright.errors import InputError, StorageError, StorageUnavailableError
from modelwright.storage.http.errors import read_error
from modelwright.storage.http.routes import WIRE_HEADER
from modelwright.storage.wire import WIRE_VERSION

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

__all__ = [
    "PASSING",
    "TOKEN_HINT",
    "check_is_ours",
    "error_of",
    "trouble_of",
    "wrong_path",
]

PASSING = frozenset({408, 429, 502, 503, 504})
"""Statuses that say nothing about the request, but about the moment."""

TOKEN_HINT = (
    "Set MODELWRIGHT_TOKEN_FILE to the file that `modelwright serve` names, "
    "or MODELWRIGHT_TOKEN to what is in it."
)
_CERTIFICATE_HINT = (
    "Set SSL_CERT_FILE to the file with the certificate, or with that of who signed it; in Python "
    "open_storage(url, cafile=...) takes it too."
)


def check_is_ours(url: str, answer: BaseHTTPResponse) -> None:
    """Refuse an answer that no Modelwright server of our version has given.

    Raises
    ------
    StorageError
        It comes from another program, or from another version.
    """
    version = answer.headers.get(WIRE_HEADER, "")
    if version == str(WIRE_VERSION):
        return
    answer.drain_conn()
    if version:
        raise StorageError(
            f"the server at {url} speaks version {version[:20]} of the protocol, and this program "
            f"version {WIRE_VERSION}.",
            hint="Bring both to the same version of Modelwright.",
            code="E_DB_VERSION",
        )
    found = f"status {answer.status}"
    hint = "Check host and port; a proxy in between has to pass requests and answers on unchanged."
    if program := answer.headers.get("Server"):
        found += f" from {program.strip()[:60]!r}"
    if target := answer.headers.get("Location"):
        found += f", which sends on to {target[:100]!r}"
        hint = "Give the address of the server itself."
    raise StorageError(
        f"what answers at {url} is not a Modelwright server: {found}, without the header {WIRE_HEADER}.",
        hint=hint,
        code="E_DB_URL",
    )


def wrong_path(url: str) -> InputError:
    """Return the error for an address with a path below which the server has nothing."""
    parts = urlsplit(url)
    return InputError(
        f"there is a Modelwright server at {parts.netloc}, but nothing of it below {parts.path!r}.",
        hint=f"Write {parts.scheme}://{parts.netloc}.",
        code="E_DB_URL",
    )


def error_of(url: str, answer: BaseHTTPResponse) -> Exception:
    """Return the error that an answer from 400 on stands for."""
    try:
        form = json.loads(answer.data)
    except ValueError:
        form = {}
    if not isinstance(form, dict):
        form = {}
    if answer.status == 401 or form.get("code") == "E_HTTP_TOKEN":
        words = f"the server at {url} does not accept the token."
        return StorageError(words, hint=TOKEN_HINT, code="E_DB_TOKEN")
    if answer.status in PASSING and not form.get("error"):
        why = form.get("message") or f"it answers with the status {answer.status}."
        return StorageUnavailableError(f"the server at {url} cannot do it now: {why}")
    return read_error(answer.status, form)


def trouble_of(url: str, error: Exception, *, known: bool) -> StorageError:
    """Return what kept a request from being answered; `known` says whether others have been before.

    It is a `StorageUnavailableError` unless what is there speaks another protocol, or has a certificate that
    nobody trusts.
    """
    cause = _innermost(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return StorageError(
            f"the certificate of the server at {url} is not trusted: {cause.verify_message}.",
            hint=_CERTIFICATE_HINT,
            code="E_DB_TLS",
        )
    if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):
        return StorageError(
            f"what answers at {url} does not speak TLS, or not as this program does ({cause.reason}).",
            hint="If it is meant to, check its settings; otherwise write http:// in place of https://.",
            code="E_DB_TLS",
        )
    if isinstance(cause, http.client.BadStatusLine) and not isinstance(cause, http.client.RemoteDisconnected):
        return StorageError(
            f"what answers at {url} does not speak HTTP.", hint="Check host and port.", code="E_DB_URL"
        )
    what, hint = _passing(cause), "Is `modelwright serve` running there?"
    if not known and isinstance(cause, (http.client.RemoteDisconnected, ssl.SSLEOFError)):
        hint += f" It may expect {'http' if url.startswith('https:') else 'https'}://."
    return StorageUnavailableError(f"the server at {url} {what}.", hint=hint, code="E_DB_UNREACHABLE")


def _passing(cause: BaseException) -> str:
    """Return in words what may pass by itself."""
    if isinstance(cause, TimeoutError) or "timed out" in str(cause):
        return "did not answer in time"
    if isinstance(cause, (http.client.RemoteDisconnected, ssl.SSLEOFError)):
        return "closed the connection without an answer"
    return f"cannot be reached: {getattr(cause, 'strerror', None) or cause}"


def _innermost(error: BaseException) -> BaseException:
    """Return the error at the bottom: libraries wrap those of the system in several of their own."""
    while True:
        within: Any = error.__cause__ or next(
            (item for item in reversed(error.args) if isinstance(item, BaseException)), None
        )
        if within is None or within is error:
            return error
        error = within
