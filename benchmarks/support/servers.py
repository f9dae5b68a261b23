"""Database servers of a benchmark's own, which it may restart while others work on them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "support"))  # tests start such servers, too

from private_servers import PRIVATE_SERVERS, MissingServerError

if TYPE_CHECKING:
    from private_servers import PrivateServer

__all__ = ["MissingServerError", "private_server", "restart", "restart_once"]

AWAY_S = 3.0


@contextmanager
def private_server(kind: str) -> Iterator[PrivateServer]:
    """Start a server with its default settings on a free port, and end it afterwards.

    Its databases are made by ``places.database(kind, server.url)``.

    Raises
    ------
    MissingServerError
        Its programs are not on this machine.
    """
    server = PRIVATE_SERVERS[kind]()
    try:
        server.start()
        yield server
    finally:
        server.close()


def restart(server: PrivateServer, away_s: float = AWAY_S) -> None:
    """Stop a server as an administrator does, and start it again a little later."""
    server.stop()
    time.sleep(away_s)
    server.start()


@contextmanager
def restart_once(server: PrivateServer, when: Callable[[], bool], away_s: float = AWAY_S) -> Iterator[None]:
    """Restart a server, while the body runs, as soon as `when` says so."""
    failed: list[BaseException] = []

    def wait() -> None:
        try:
            while not when():
                time.sleep(0.1)
            restart(server, away_s)
        except BaseException as error:
            failed.append(error)

    thread = Thread(target=wait, daemon=True)
    thread.start()
    yield
    thread.join(60)
    if thread.is_alive() or failed:
        raise RuntimeError("the server was not restarted") from (failed[0] if failed else None)
