"""Frames between coordinator, launcher, keepers and trials.

::

    1 byte  4 bytes      4 bytes
    tag     head length  body length   head (JSON, small)   body (bytes)

Upward, from trials to the coordinator, a body is JSON and never unpickled. Downward, functions and arguments
travel as pickles that the coordinator itself wrote, over a socket that nobody else holds.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import time
from collections import deque
from enum import IntEnum
from typing import Any, NamedTuple

from modelwright.execution._waker import wait_for

__all__ = ["BrokenWireError", "Frame", "Link", "Tag", "pack", "unpack"]

_HEADER = struct.Struct("!BII")
_MAX_UP = 64 * 1024 * 1024  # longer than any honest frame from a trial: see `_payload.MAX_BYTES`
_CHUNK = 256 * 1024


class Tag(IntEnum):
    """What a frame is."""

    # coordinator -> launcher
    HELLO = 1
    LOAD = 2  # body: a pickled function
    OPEN = 3  # make a keeper; comes with its end of a socket
    # launcher -> coordinator
    LOADED = 4
    GONE = 5  # a keeper has ended, and nothing is left of its trial
    # coordinator -> keeper
    RUN = 6  # body: a pickled argument
    CANCEL = 7
    # coordinator -> keeper -> trial
    TELL = 8
    REPLY = 9
    # trial -> keeper -> coordinator
    SEND = 10
    ASK = 11
    # trial -> keeper
    RESULT = 12
    ERROR = 13
    # keeper -> coordinator
    BEGUN = 14
    OVER = 15


class Frame(NamedTuple):
    """One message on a wire."""

    tag: Tag
    head: dict[str, Any]
    body: bytes


class BrokenWireError(ValueError):
    """Bytes came that are no frame: somebody wrote to a socket that is not theirs."""


def pack(tag: Tag, head: dict[str, Any] | None = None, body: bytes = b"") -> bytes:
    """Return a frame as bytes.

    Examples
    --------
    >>> buffer = bytearray(pack(Tag.SEND, {"kind": "report"}, b"[1]") + b"and the beginning of another")
    >>> unpack(buffer)
    Frame(tag=<Tag.SEND: 10>, head={'kind': 'report'}, body=b'[1]')
    >>> len(buffer)
    28
    """
    text = json.dumps(head or {}, separators=(",", ":")).encode()
    return _HEADER.pack(tag, len(text), len(body)) + text + body


def unpack(buffer: bytearray, limit: int | None = None) -> Frame | None:
    """Take the first frame off `buffer`; None while it is not complete.

    Raises
    ------
    BrokenWireError
        What lies there is not a frame, or longer than `limit`.
    """
    if len(buffer) < _HEADER.size:
        return None
    tag, head_size, body_size = _HEADER.unpack_from(buffer)
    if limit is not None and head_size + body_size > limit:
        raise BrokenWireError(f"a frame of {head_size + body_size} bytes")
    end = _HEADER.size + head_size + body_size
    if len(buffer) < end:
        return None
    middle = _HEADER.size + head_size
    try:
        frame = Frame(Tag(tag), json.loads(buffer[_HEADER.size : middle]), bytes(buffer[middle:end]))
    except ValueError as error:
        raise BrokenWireError(str(error)) from None
    del buffer[:end]
    return frame


class Link:
    """One end of a wire, which never blocks: what cannot be sent at once waits in it.

    Attributes
    ----------
    frames : deque of Frame
        What has come and was not taken yet.
    fds : deque of int
        Descriptors that came with the frames.
    closed : bool
        Whether the other end is gone. Frames that came before may still wait.
    """

    def __init__(self, sock: socket.socket, *, trusted: bool = True) -> None:
        sock.setblocking(False)
        self.frames: deque[Frame] = deque()
        self.fds: deque[int] = deque()
        self.closed = False
        self._sock = sock
        self._limit = None if trusted else _MAX_UP
        self._incoming = bytearray()
        self._outgoing = bytearray()

    def fileno(self) -> int:
        """Return the descriptor of the socket."""
        return self._sock.fileno()

    @property
    def pending(self) -> int:
        """Bytes that wait to be sent."""
        return len(self._outgoing)

    def send(self, tag: Tag, head: dict[str, Any] | None = None, body: bytes = b"") -> None:
        """Send a frame, now or with the next calls of `flush`; nowhere when the other end is gone."""
        if not self.closed:
            self._outgoing += pack(tag, head, body)
            self.flush()

    def send_with_fd(self, tag: Tag, head: dict[str, Any], fd: int) -> None:
        """Send a frame and a descriptor with it, waiting until they are on their way."""
        data = pack(tag, head)
        while not self.closed:
            self.flush()
            if not self._outgoing:
                try:
                    sent = socket.send_fds(self._sock, [data], [fd])
                except BlockingIOError:
                    pass
                except OSError:
                    self.closed = True
                else:
                    self._outgoing += data[sent:]
                    return
            wait_for(self._sock, write=True)

    def flush(self) -> None:
        """Send what the other end takes now."""
        while self._outgoing and not self.closed:
            try:
                with memoryview(self._outgoing) as waiting:
                    sent = self._sock.send(waiting[:_CHUNK])
            except BlockingIOError:
                return
            except OSError:
                self.closed = True
                sent = len(self._outgoing)
            del self._outgoing[:sent]

    def receive(self) -> None:
        """Take in what has come, up to some megabytes; never waits.

        Raises
        ------
        BrokenWireError
            Something came that is not a frame.
        """
        for _ in range(16):
            try:
                data, fds, _, _ = socket.recv_fds(self._sock, _CHUNK, 8)
            except BlockingIOError:
                break
            except OSError:
                data, fds = b"", []
            self.fds.extend(fds)
            if not data:
                self.closed = True
                break
            self._incoming += data
            if len(data) < _CHUNK:
                break
        while (frame := unpack(self._incoming, self._limit)) is not None:
            self.frames.append(frame)

    def ended(self) -> bool:
        """Whether the other end is gone, as far as can be seen without reading."""
        with contextlib.suppress(BlockingIOError):
            return self.closed or not self._sock.recv(1, socket.MSG_PEEK)
        return False

    def hang_up(self) -> None:
        """Tell the other end that nothing more will come."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def wait_for_end(self, timeout_s: float) -> None:
        """Read, and forget, until the other end is closed."""
        until = time.monotonic() + timeout_s
        while not self.closed and (remaining_s := until - time.monotonic()) > 0:
            wait_for(self._sock, remaining_s)
            self.receive()
            self.frames.clear()

    def close(self) -> None:
        """Give the socket back."""
        self.closed = True
        self._sock.close()
