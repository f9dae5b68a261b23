"""Requests to a `modelwright serve`, repeated until they are answered.

Every request may be repeated: its ids make a second one harmless. So a connection that breaks, a server that
is restarted and an answer that never comes are waited out, with full jitter, for as long as `patience_s`. A
server that has never answered is given a moment only, since its address is probably wrong.
"""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from modelwright._base.optional import require
from modelwright.errors import InputError, StorageError, StorageUnavailableError
from modelwright.storage.http.diagnosis import PASSING, check_is_ours, error_of, trouble_of, wrong_path
from modelwright.storage.http.routes import GREETING, WIRE_HEADER
from modelwright.storage.wire import WIRE_VERSION

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, HTTPConnectionPool

__all__ = ["Transport"]

_FIRST_PATIENCE_S = 1.5
_OUTAGE_S = 2.0  # less than this is a hiccup, of which nobody is told
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.02, 2.0
_DOWNLOADS = 5
_CHUNK = 2**20

_log = logging.getLogger("modelwright")


class Sink(Protocol):
    """Where a download goes."""

    size: int

    def write(self, piece: bytes) -> None:
        """Append."""

    def restart(self) -> None:
        """Forget what has come."""


class Transport:
    """A pool of connections to one server; safe to use from any thread, and in processes forked later.

    Parameters
    ----------
    url : str
        Where the server is, such as ``"http://host:8090"``; without secrets.
    token : str
        What it asks for.
    cafile : str, optional
        Certificates to trust beside the system's, for ``https``.
    connect_timeout_s, read_timeout_s : float
        How long to wait for a connection, and for each piece of an answer.
    patience_s : float
        How long to go on trying.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        cafile: str | None = None,
        connect_timeout_s: float = 5.0,
        read_timeout_s: float = 30.0,
        patience_s: float = 600.0,
    ) -> None:
        self._urllib3 = require("urllib3", extra="http", feature="a storage at an http:// address")
        self.url = url
        self._token = token
        self._tls = {"ssl_context": _trusting(cafile)} if url.startswith("https:") else {}
        self._timeout = self._urllib3.Timeout(connect=connect_timeout_s, read=read_timeout_s)
        self._patience_s = patience_s
        self._prefix = self._urllib3.util.parse_url(url).path or ""
        self._answered = False
        self._away_since: float | None = None  # set once people have been told
        self._pid = os.getpid()
        self._pool = self._new_pool()
        self._left_behind: list[HTTPConnectionPool] = []

    def _new_pool(self) -> HTTPConnectionPool:
        pool: HTTPConnectionPool = self._urllib3.connection_from_url(self.url, maxsize=16, **self._tls)
        return pool

    def _own_pool(self) -> HTTPConnectionPool:
        if self._pid != os.getpid():
            # The sockets of the parent are the parent's: it may be in the middle of a request.
            self._left_behind.append(self._pool)
            self._pool, self._pid = self._new_pool(), os.getpid()
        return self._pool

    def greet(self) -> None:
        """Make sure that a Modelwright server is there, and that it accepts the token.

        Raises
        ------
        StorageUnavailableError
            Nothing answers.
        StorageError or InputError
            Something else does, or the server lets nobody in with this token.
        """
        try:
            self.request("GET", GREETING)
        except StorageError as error:
            if self._prefix and error.code == "E_NOT_FOUND":
                raise wrong_path(self.url) from None
            raise

    def request(
        self,
        verb: str,
        path: str,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        stream: bool = False,
        before_repeat: Callable[[], None] | None = None,
    ) -> BaseHTTPResponse:
        """Return the answer to a request, once there is one that is no passing trouble.

        `before_repeat` is called each time before the request is sent again; what it raises passes.

        Raises
        ------
        StorageUnavailableError
            The server cannot be reached.
        Exception
            What the server refused the request with, as if it had been raised here.
        """
        begun = time.monotonic()
        patience_s = self._patience_s if self._answered else min(_FIRST_PATIENCE_S, self._patience_s)
        sent = {"Authorization": f"Bearer {self._token}", WIRE_HEADER: str(WIRE_VERSION), **(headers or {})}
        longest_s = _FIRST_WAIT_S
        while True:
            trouble = self._attempt(verb, path, body, sent, stream)
            if not isinstance(trouble, Exception):
                self._say_back()
                return trouble
            wait_s = random.uniform(0, longest_s)
            if time.monotonic() + wait_s > begun + patience_s:
                raise trouble
            self._say_away(begun, patience_s)
            time.sleep(wait_s)
            longest_s = min(2 * longest_s, _LONGEST_WAIT_S)
            if before_repeat is not None:
                before_repeat()
            if hasattr(body, "seek"):
                body.seek(0)

    def _attempt(
        self, verb: str, path: str, body: Any, headers: Mapping[str, str], stream: bool
    ) -> BaseHTTPResponse | Exception:
        """Return the answer, or what kept it away and may pass; raise what will not."""
        try:
            answer = self._own_pool().urlopen(
                verb,
                self._prefix + path,
                body=body,
                headers=headers,
                retries=False,
                redirect=False,
                timeout=self._timeout,
                preload_content=not stream,
            )
            if answer.status not in PASSING or WIRE_HEADER in answer.headers:
                check_is_ours(self.url, answer)
                self._answered = True
            if answer.status < 400:
                return answer
            trouble = error_of(self.url, answer)
            may_pass = answer.status in PASSING and isinstance(trouble, StorageUnavailableError)
        except self._urllib3.exceptions.LocationValueError:
            raise InputError(f"{self.url!r} is not an address.", code="E_DB_URL") from None
        except self._urllib3.exceptions.HTTPError as error:
            trouble = trouble_of(self.url, error, known=self._answered)
            # A server that has been ours will be again, whatever stands in its place for a moment.
            may_pass = self._answered or isinstance(trouble, StorageUnavailableError)
        if may_pass:
            return trouble
        raise trouble

    def _say_away(self, since: float, patience_s: float) -> None:
        if self._away_since is None and time.monotonic() - since > _OUTAGE_S:
            self._away_since = since
            _log.warning("%s is out of reach or too busy; trying again for up to %g s.", self.url, patience_s)

    def _say_back(self) -> None:
        since, self._away_since = self._away_since, None
        if since is not None:
            _log.warning("%s is back after %.1f s.", self.url, time.monotonic() - since)

    def download(self, path: str, sink: Sink, most: int) -> None:
        """Write what is at `path` into `sink`, no more than a little over `most` bytes of it.

        A download that breaks off begins again from the start.

        Raises
        ------
        StorageUnavailableError
            It broke off each time.
        """
        for left in reversed(range(_DOWNLOADS)):
            answer = self.request("GET", path, stream=True)
            try:
                for piece in answer.stream(_CHUNK):
                    sink.write(piece)
                    if sink.size > most:
                        return
                return
            except self._urllib3.exceptions.HTTPError as error:
                if not left:
                    raise trouble_of(self.url, error, known=True) from None
                sink.restart()
            finally:
                answer.close()  # of a body that was read whole this is nothing: its connection is in the pool

    def close(self) -> None:
        """Close the connections of this process."""
        self._own_pool().close()


def _trusting(cafile: str | None) -> Any:
    """Return the settings of TLS with the system's certificates, and those in a file.

    Raises
    ------
    InputError
        The file cannot be used.
    """
    import ssl

    context = ssl.create_default_context()
    if cafile is not None:
        try:
            context.load_verify_locations(cafile)
        except OSError as error:
            reason = error.strerror or error
            raise InputError(
                f"cannot use the certificates in {cafile!r}: {reason}.", code="E_DB_TLS"
            ) from None
    return context
