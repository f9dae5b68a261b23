"""A folder of a run's own, on this machine, for trials whose files are kept elsewhere."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO

from modelwright.study.folders import user_state

__all__ = ["Scratch", "remove_kept"]

_PREFIX = "run-"
_LOCK = ".lock"
_KEPT = ".kept"


class Scratch:
    """A folder that only this user can look into, and that goes with the run.

    What a killed process has left is removed by the next one on the machine: a lock that ends with its
    process tells whether somebody is there. What was kept on purpose stays.

    Attributes
    ----------
    path : Path
        The folder.
    """

    def __init__(self) -> None:
        self._keeps = False
        self._lock: IO[bytes] | None = None
        try:
            self.path = self._made()
        except (OSError, RuntimeError):  # no home, or none that can be written
            self.path = Path(tempfile.mkdtemp(prefix="modelwright-"))

    def _made(self) -> Path:
        root = user_state() / "scratch"
        root.mkdir(parents=True, exist_ok=True)
        root.chmod(0o700)
        with (root / _LOCK).open("ab") as gate:  # nobody sweeps while a folder is without its lock
            fcntl.flock(gate, fcntl.LOCK_EX)
            _sweep(root)
            path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
            self._lock = _locked(path)
        return path

    def keep(self) -> None:
        """Leave the folder for whoever tells later what is in it."""
        self._keeps = True
        (self.path / _KEPT).touch()

    def close(self) -> None:
        """Remove it, unless it is kept."""
        if not self._keeps:
            shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()


def remove_kept(files: Iterable[Path]) -> None:
    """Remove the kept folders in which files lie."""
    for folder in {parent for file in files for parent in file.parents}:
        if (folder / _KEPT).exists():
            shutil.rmtree(folder, ignore_errors=True)


def _locked(folder: Path) -> IO[bytes] | None:
    """Return the lock of a folder, held until it is closed; None while another process holds it."""
    file = (folder / _LOCK).open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def _sweep(root: Path) -> None:
    """Remove what processes that are gone have left."""
    for folder in root.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if (folder / _KEPT).exists() or (lock := _locked(folder)) is None:
                continue
            shutil.rmtree(folder, ignore_errors=True)
            lock.close()
