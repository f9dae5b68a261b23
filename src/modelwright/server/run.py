"""The server as a process: one socket, one event loop, and an end within seconds of being asked to."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn

from modelwright.errors import InputError
from modelwright.server.app import make_app
from modelwright.server.guard import Guard
from modelwright.server.limits import Limits
from modelwright.server.protocol import protocol_for
from modelwright.storage import Storage

__all__ = ["Server", "check_exposure", "listen", "serving"]

_GRACE_S = 5
_LOCAL = ("127.0.0.1", "::1", "localhost")


def check_exposure(host: str, *, certfile: Path | None, keyfile: Path | None, behind_proxy: bool) -> None:
    """Refuse to listen to other machines without encryption, unless somebody else takes care of it.

    Raises
    ------
    InputError
        The address is not this machine's own, and neither TLS nor a proxy is there; or the certificate cannot
        be used.
    """
    if certfile is not None and keyfile is not None:
        _check_certificate(certfile, keyfile)
    elif certfile is not None or keyfile is not None:
        raise InputError("expected --certfile and --keyfile together, got one of them.", code="E_CONFLICT")
    if host not in _LOCAL and certfile is None and not behind_proxy:
        raise InputError(
            f"other machines could reach {host!r}, and the token would cross the network in clear.",
            hint="Give --certfile and --keyfile, or --behind-proxy if a proxy in front encrypts. Or keep "
            "127.0.0.1 and use an SSH tunnel.",
            code="E_EXPOSED",
        )


def _check_certificate(certfile: Path, keyfile: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certfile, keyfile, password=lambda: b"")  # rather than ask for one
    except OSError as error:
        reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
        raise InputError(
            f"cannot use the certificate in {str(certfile)!r} with the key in {str(keyfile)!r}: {reason}.",
            hint="Both have to be PEM files, and the key without a pass phrase.",
            code="E_CERTIFICATE",
        ) from None


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at `host` and `port`; port 0 takes any that is free.

    Raises
    ------
    InputError
        The address cannot be used.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        opened = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _cannot_listen(host, port, error) from None
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen(512)
    except OSError as error:
        opened.close()
        raise _cannot_listen(host, port, error) from None
    return opened


def _cannot_listen(host: str, port: int, error: OSError) -> InputError:
    return InputError(
        f"cannot listen at {host}, port {port}: {error.strerror or error}.",
        hint="Another program may use the port; give another with --port.",
        code="E_PORT",
    )


class Server:
    """Serves an application at a socket until it is stopped.

    Parameters
    ----------
    app : Guard
        What answers.
    limits : Limits
        Bounds on connections.
    certfile, keyfile : Path, optional
        For TLS.
    """

    def __init__(
        self, app: Guard, limits: Limits, *, certfile: Path | None = None, keyfile: Path | None = None
    ) -> None:
        config = uvicorn.Config(
            app,
            http=protocol_for(limits),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=round(limits.idle_timeout_s),
            timeout_graceful_shutdown=_GRACE_S,
            h11_max_incomplete_event_size=limits.header_bytes + limits.target,
            ssl_certfile=None if certfile is None else str(certfile),
            ssl_keyfile=None if keyfile is None else str(keyfile),
        )
        self._server = uvicorn.Server(config)
        self._handshake_s = None if certfile is None else limits.head_timeout_s

    def run(self, opened: socket.socket, ready: Callable[[], None] | None = None) -> None:
        """Serve until `stop`, or, in the main thread, until SIGINT or SIGTERM."""
        if threading.current_thread() is not threading.main_thread():
            asyncio.run(self._serve(opened, ready))
            return
        # The library raises the signal again when it has ended; to us that is a proper end.
        before = {name: signal.signal(name, lambda *_: None) for name in (signal.SIGINT, signal.SIGTERM)}
        try:
            asyncio.run(self._serve(opened, ready))
        finally:
            for name, handler in before.items():
                signal.signal(name, handler)

    async def _serve(self, opened: socket.socket, ready: Callable[[], None] | None) -> None:
        if self._handshake_s is not None:
            # Nothing else limits how long a client may hold a connection before it has said hello.
            loop = asyncio.get_running_loop()
            timed = partial(loop.create_server, ssl_handshake_timeout=self._handshake_s)
            loop.create_server = timed  # type: ignore[method-assign]
        serving = asyncio.create_task(self._server.serve(sockets=[opened]))
        while not self._server.started and not serving.done():
            await asyncio.sleep(0.01)
        if ready is not None and not serving.done():
            ready()
        await serving

    def stop(self) -> None:
        """End within seconds; callable from any thread."""
        self._server.should_exit = True


@contextmanager
def serving(
    storage: Storage, token: str, *, limits: Limits | None = None, port: int = 0, **options: Any
) -> Iterator[str]:
    """Serve a ledger at the loopback from a thread of this process, and yield the address.

    Parameters
    ----------
    storage : Storage
        The ledger; it stays open.
    token : str
        What requests have to carry.
    limits : Limits, optional
        Bounds on what a client may use.
    port : int, default=0
        Where; 0 takes any port that is free.
    **options
        See `make_app`.
    """
    bounds = limits or Limits()
    app = make_app(storage, token, limits=bounds, **options)
    server = Server(app, bounds)
    opened = listen("127.0.0.1", port)
    address = f"http://127.0.0.1:{opened.getsockname()[1]}"
    ready = threading.Event()

    def run() -> None:
        try:
            server.run(opened, ready.set)
        finally:
            ready.set()  # whatever became of it, nobody waits for ever

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        ready.wait()
        yield address
    finally:
        server.stop()
        thread.join()
        app.close()
