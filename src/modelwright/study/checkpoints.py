"""Where attempts keep what the next one goes on from."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["NAME", "attempt_folder", "is_there", "newest_checkpoint", "remove_checkpoints"]

NAME = "checkpoint"
"""The folder's name within that of its attempt."""


def attempt_folder(root: Path, number: int, fence: int) -> Path:
    """Return the folder of an attempt below that of its study."""
    return root / "trials" / f"{number}-{fence}"


def is_there(folder: str | Path) -> bool:
    """Whether a folder is there and holds anything."""
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is not None
    except OSError:
        return False


def newest_checkpoint(root: Path, number: int, fence: int) -> Path | None:
    """Return the newest checkpoint that attempts at a trial up to `fence` have left, if any has."""
    folders = (attempt_folder(root, number, earlier) / NAME for earlier in range(fence, 0, -1))
    return next(filter(is_there, folders), None)


def remove_checkpoints(root: Path, number: int, fence: int, kept: Iterable[str]) -> None:
    """Remove the checkpoints of attempts up to `fence`, except where files lie that are kept.

    `kept` are locations below `root`.
    """
    import shutil  # not loaded by trials

    for earlier in range(fence, 0, -1):
        folder = attempt_folder(root, number, earlier) / NAME
        place = folder.relative_to(root).as_posix() + "/"
        if not any(location.startswith(place) for location in kept):
            shutil.rmtree(folder, ignore_errors=True)
