"""What a trial prints: kept in files of bounded size, counted, and quoted at the end.

The trial writes to its files itself, so output costs the keeper nothing. Now and then the keeper looks at
their sizes. Of a file that becomes too long it gives the middle back to the disk, which leaves a hole and
disturbs nobody who writes; once the trial is over, a note takes the hole's place.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from modelwright.execution.base import EndKind
from modelwright.execution.local.system import free_blocks
from modelwright.execution.local.watch import megabytes

__all__ = ["NAMES", "Output", "open_stream"]

NAMES = ("stdout.txt", "stderr.txt")  # descriptors 1 and 2
_CALM_S = 0.5
_FLOOD_S = 0.05
_TAIL_BYTES = 4000
_TAIL_LINES = 20


def open_stream(folder: Path, name: str) -> int:
    """Open a trial's output file such that all that write to it append."""
    return os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)


class Output:
    """The output of one trial, and its limit.

    Parameters
    ----------
    folder : Path
        Where the files lie; it and they are made new.
    kept_mb : float
        How long each file may be in the end.
    limit_mb : float, optional
        How much may be printed in all.

    Raises
    ------
    OSError
        The files cannot be made.
    """

    kind: ClassVar[EndKind] = EndKind.OUTPUT

    def __init__(self, folder: Path, kept_mb: float, limit_mb: float | None, now: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._streams: list[_Stream] = []
        try:
            for name in NAMES:
                self._streams.append(_Stream(open_stream(folder, name), int(kept_mb * 1e6)))
        except OSError:
            self.close()
            raise
        self._limit_mb = limit_mb
        self._kept_mb = kept_mb
        self.next_at = now + _CALM_S / 2

    @property
    def printed_mb(self) -> float:
        """How much has been printed so far."""
        return sum(stream.printed for stream in self._streams) / 1e6

    def exceeded(self, pids: list[int], now: float) -> bool:
        """Look at the files, and thin out those that are too long; return whether the limit is passed."""
        for stream in self._streams:
            stream.thin_out()
        near = min(self._kept_mb, self._limit_mb or self._kept_mb) / 2
        self.next_at = now + (_FLOOD_S if self.printed_mb > near else _CALM_S)
        return self._limit_mb is not None and self.printed_mb > self._limit_mb

    def figure(self, after_s: float) -> str:
        """Return the figures of an excess in words, such as ``"output: 120 MB of 100 MB at 3 s"``."""
        limit = "" if self._limit_mb is None else f" of {megabytes(self._limit_mb)}"
        return f"output: {megabytes(self.printed_mb)}{limit} at {after_s:.3g} s"

    def settle(self) -> None:
        """Cut the files to their final length; nobody writes to them any more."""
        for stream in self._streams:
            stream.shorten()

    def tail(self) -> str:
        """Return the last lines of each stream, under a heading; empty where nothing was printed."""
        parts = []
        for name, stream in zip(NAMES, self._streams, strict=True):
            if text := stream.tail():
                parts.append(f"The last lines of {name}:\n{text}")
        return "\n\n".join(parts)

    def close(self) -> None:
        """Give the descriptors back."""
        for stream in self._streams:
            os.close(stream.fd)
        self._streams = []


class _Stream:
    """One file: a beginning and an end that stay, and what comes between them.

    Attributes
    ----------
    printed : int
        Bytes written to it so far, as of the last look.
    """

    def __init__(self, fd: int, kept: int) -> None:
        os.ftruncate(fd, 0)
        self.fd = fd
        self.printed = 0
        self._half = max(1, kept // 2)
        self._hole_end = self._half
        self._note = b""
        self._cut = 0

    def thin_out(self) -> None:
        """Give back what lies between the beginning and the end, while the file is being written."""
        size = self._measure()
        begin, end = self._hole_end, size - self._half
        if end - begin < self._half:
            return  # there is little to be won yet
        if free_blocks(self.fd, begin, end - begin):
            self._hole_end = end
        else:
            self.shorten()  # what is written in this very moment may be lost

    def shorten(self) -> None:
        """Cut the middle out of the file, and put a note in its place."""
        size = self._measure()
        if size <= 2 * self._half + len(self._note):
            return
        with suppress(OSError):  # a full disk must not end whoever looks after the trial
            end = os.pread(self.fd, self._half, size - self._half)
            self._cut = self.printed - self._half - len(end)
            self._note = f"\n[... {self._cut / 1e6:.1f} MB of output were cut out here ...]\n".encode()
            os.ftruncate(self.fd, self._half)
            os.write(self.fd, self._note + end)

    def _measure(self) -> int:
        size = os.fstat(self.fd).st_size
        self.printed = size - len(self._note) + self._cut
        return size

    def tail(self) -> str:
        size = os.fstat(self.fd).st_size
        data = os.pread(self.fd, _TAIL_BYTES, max(0, size - _TAIL_BYTES))
        text = data.decode("utf-8", "replace")
        if size > _TAIL_BYTES:
            text = text.partition("\n")[2] or text
        return "\n".join(text.rstrip().splitlines()[-_TAIL_LINES:])
