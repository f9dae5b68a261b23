"""What a trial stores: its folder, a folder of its own for temporary files, and how much lies in both."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from modelwright.execution.base import EndKind
from modelwright.execution.local.watch import megabytes

__all__ = ["DiskWatch", "make_room", "remove", "use_for_temporary_files", "used_mb"]

_CALM_S = 0.25
_COST_FACTOR = 20  # a look that takes long, at many files, is taken less often


def make_room(root: str, name: str) -> str | None:
    """Make a trial's folder for temporary files; None where there can be none."""
    path = os.path.join(root, name)  # noqa: PTH118 - once for each trial
    try:
        os.mkdir(path, 0o700)  # noqa: PTH102
    except OSError:
        return None
    return path


def use_for_temporary_files(path: str) -> None:
    """Have this process, and those that it starts, put their temporary files into the folder `path`."""
    for name in ("TMPDIR", "TEMP", "TMP"):
        os.environ[name] = path
    tempfile.tempdir = path  # it may have been looked up before


def remove(path: str) -> None:
    """Remove a folder with all that is in it; what cannot be removed stays."""
    with suppress(OSError):
        os.rmdir(path)  # noqa: PTH106 - mostly, it is empty
        return
    shutil.rmtree(path, ignore_errors=True)


def used_mb(folders: Iterable[str]) -> float:
    """Return what the files below `folders` take on the disk; links are not followed."""
    blocks, seen, waiting = 0, set(), list(folders)
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    facts = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(facts.st_mode):
                        waiting.append(entry.path)
                    elif facts.st_ino not in seen:
                        if facts.st_nlink > 1:
                            seen.add(facts.st_ino)
                        blocks += facts.st_blocks if sys.platform != "win32" else facts.st_size // 512
    return blocks * 512 / 1e6


class DiskWatch:
    """What lies in the folders of one trial, and its limit."""

    kind: ClassVar[EndKind] = EndKind.DISK

    def __init__(self, limit_mb: float, folders: Iterable[str | Path], now: float) -> None:
        self._limit_mb = limit_mb
        self._folders = [str(folder) for folder in folders]
        self._used_mb = 0.0
        self.next_at = now + _CALM_S

    def exceeded(self, pids: list[int], now: float) -> bool:
        """Look at the folders; return whether more lies there than the limit."""
        begin = time.monotonic()
        self._used_mb = used_mb(self._folders)
        self.next_at = now + max(_CALM_S, _COST_FACTOR * (time.monotonic() - begin))
        return self._used_mb > self._limit_mb

    def figure(self, after_s: float) -> str:
        """Return the figures of an excess in words, such as ``"disk: 1.2 GB of 1 GB at 8 s"``."""
        return f"disk: {megabytes(self._used_mb)} of {megabytes(self._limit_mb)} at {after_s:.3g} s"
