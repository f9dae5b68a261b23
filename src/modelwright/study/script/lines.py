"""Whole lines of a file that others append to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

__all__ = ["MAX_LINE", "Lines"]

MAX_LINE = 2**20
"""The most bytes of a line; what is longer is passed over and given as None."""

_CHUNK = 2**18


class Lines:
    r"""Reads the lines that were appended since the last look.

    A last line without its end is not there yet. A file that was put in the place of the old one, or cut
    off, is read from its beginning.

    Parameters
    ----------
    path : Path
        It may come and go.

    Attributes
    ----------
    restarts : int
        How often the file was replaced or cut off.

    Examples
    --------
    >>> path = Path("requests.jsonl")
    >>> lines = Lines(path)
    >>> _ = path.write_bytes(b'{"report": 1, "step": 1}\n{"rep')
    >>> list(lines.new()), list(lines.new())
    ([b'{"report": 1, "step": 1}'], [])
    >>> lines.close()
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._inode = 0
        self._at = 0
        self._rest = b""
        self._passing_over = False
        self.restarts = 0

    def new(self) -> Iterator[bytes | None]:
        """Yield each whole line, without its end; None for one that is too long."""
        size = self._look()
        while self._at < size:
            assert self._file is not None
            piece = self._file.read(min(_CHUNK, size - self._at))
            if not piece:
                return  # it was cut off this very moment
            self._at += len(piece)
            yield from self._split(piece)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _look(self) -> int:
        """Open the file if need be, and return its size."""
        try:
            found = os.stat(self._path)  # noqa: PTH116 - asked many times a second
            if self._file is None or found.st_ino != self._inode or found.st_size < self._at:
                if self._file is not None:
                    self.restarts += 1
                self._restart()
        except OSError:  # gone, for now or for good
            return 0
        return found.st_size

    def _restart(self) -> None:
        self.close()
        self._file = self._path.open("rb")
        self._inode = os.fstat(self._file.fileno()).st_ino
        self._at, self._rest, self._passing_over = 0, b"", False

    def _split(self, piece: bytes) -> Iterator[bytes | None]:
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            if self._passing_over or len(line) > MAX_LINE:
                self._passing_over = False
                yield None
            elif line.strip():
                yield line
        if len(self._rest) > MAX_LINE:
            self._passing_over, self._rest = True, b""
