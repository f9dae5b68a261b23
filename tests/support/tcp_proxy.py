"""A network that fails on request: a TCP proxy between a client and a server on this machine."""

from __future__ import annotations

import contextlib
import random
import re
import socket
import struct
import threading
import time
from typing import Literal

Way = Literal["up", "down"]  # to the server, to the client

_COMMIT = re.compile(rb"COMMIT(\0|;|$)")  # and not the level READ COMMITTED


class TcpProxy:
    """Hands bytes on, later, not at all, or until it breaks the connection.

    Attributes
    ----------
    port : int
        Where to connect to, on 127.0.0.1.
    delay_s : float
        How long each piece of data takes each way.
    reset_share : float
        For how many pieces of data the connection is reset instead.
    cuts, resets, connections : int
        How many commits or answers to them were lost, connections reset by chance, and connections there
        were.
    """

    def __init__(self, target: tuple[str, int], *, seed: int = 0) -> None:
        self._target = target
        self._random = random.Random(seed)
        self.delay_s = 0.0
        self.reset_share = 0.0
        self.resets = 0
        self.cuts = 0
        self.connections = 0
        self._skip: int | None = None
        self._reaches = True
        self._then_refuses = False
        self._silent: set[Way] = set()
        self._refusing = False
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads: list[threading.Thread] = []
        self._closed = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._run(self._accept)

    # what a test asks for -----------------------------------------------------------------------------

    def go_silent(self, *ways: Way) -> None:
        """Hold back all data, of these ways or of both, without a sign to either side."""
        self._silent = set(ways or ("up", "down"))

    def heal(self) -> None:
        """Hand everything on again."""
        self._silent = set()
        self._refusing = False

    def refuse(self) -> None:
        """Break every connection, and each new one at once."""
        self._refusing = True
        self.reset_all()

    def reset_all(self) -> None:
        """Break every connection."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            _reset(*pair)

    def cut_after_commit(self, skip: int = 0, *, refuse: bool = False) -> None:
        """Let the commit after the next `skip` ones reach the server, and lose the answer to it.

        With `refuse` there is no new connection then, until the network is healed.
        """
        with self._lock:
            self._skip, self._reaches, self._then_refuses = skip, True, refuse

    def cut_before_commit(self, skip: int = 0) -> None:
        """Lose the commit after the next `skip` ones."""
        with self._lock:
            self._skip, self._reaches, self._then_refuses = skip, False, False

    def close(self) -> None:
        """End all threads and connections."""
        self._closed = True
        self._silent = set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.reset_all()
        for thread in self._threads:
            thread.join(10)

    def __enter__(self) -> TcpProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # how it is done -----------------------------------------------------------------------------------

    def _run(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self._refusing or self._closed:
                _reset(client)
                continue
            try:
                server = socket.create_connection(self._target, 5)
            except OSError:
                _reset(client)
                continue
            server.settimeout(None)
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._pairs.append((client, server))
            lost = threading.Event()
            self._run(self._pump, client, server, "up", lost)
            self._run(self._pump, server, client, "down", lost)

    def _pump(self, source: socket.socket, sink: socket.socket, way: Way, lost: threading.Event) -> None:
        try:
            while data := source.recv(1 << 16):
                while way in self._silent:
                    time.sleep(0.01)
                if self.delay_s:
                    time.sleep(self.delay_s)
                if way == "up" and self._is_the_one(data):
                    if not self._reaches:
                        self._cut(source, sink)
                        return
                    lost.set()
                if way == "down" and lost.is_set():  # the server has answered, so the commit is done
                    self._cut(source, sink)
                    return
                if self._random.random() < self.reset_share:
                    self.resets += 1
                    _reset(source, sink)
                    return
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        if way == "down":
            source.close()
            sink.close()

    def _cut(self, *ends: socket.socket) -> None:
        self._refusing = self._then_refuses
        self.cuts += 1
        _reset(*ends)

    def _is_the_one(self, data: bytes) -> bool:
        if not _COMMIT.search(data):
            return False
        with self._lock:
            if self._skip is None:
                return False
            self._skip -= 1
            if self._skip >= 0:
                return False
            self._skip = None
            return True


def _reset(*ends: socket.socket) -> None:
    for end in ends:
        with contextlib.suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads from it
        end.close()
