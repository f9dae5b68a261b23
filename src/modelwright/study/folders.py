"""Where a study keeps the files of its trials, and where this user's processes keep theirs."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from modelwright.storage.base import Storage, StudyRecord

__all__ = ["default_folder", "folder_below", "remove_folder", "user_cache", "user_state"]

_SHARED = "MODELWRIGHT_FILES"


def default_folder(storage: Storage, record: StudyRecord, shared: str = "") -> Path | None:
    """Return the study's folder, which is beside a SQLite file.

    Where a database server has the ledger it is below `shared`, a folder that all machines reach, or the one
    that the environment variable ``MODELWRIGHT_FILES`` names. None for a ledger in memory, and for one behind
    `modelwright serve`, which keeps files itself.
    """
    if storage.url.startswith("sqlite:///"):
        return _beside(Path(storage.url.removeprefix("sqlite:///").partition("?")[0]), record)
    shared = shared or os.environ.get(_SHARED, "")
    if not shared or storage.url.startswith(("memory:", "http:", "https:")):
        return None
    return folder_below(Path(shared), record)


def folder_below(shared: Path, record: StudyRecord) -> Path:
    """Return a study's folder in one that the studies of a ledger share."""
    return shared / f"study-{record.id}"


def _beside(file: Path, record: StudyRecord) -> Path:
    files = file.with_suffix(".files")
    usual = files / f"{_safe(record.spec.name)}-{record.id}"
    if usual.is_dir():
        return usual
    # A study that was renamed, by whomever, keeps its folder: the number at the end is its own for ever. An
    # older folder is of a study in a file that has been replaced by this one.
    for found in sorted(files.glob(f"*-{record.id}")):
        if found.stat().st_mtime >= record.created_us / 1e6 - 1:
            return found
    return usual


def _safe(name: str) -> str:
    """Return a name that is one folder's: a study's may be anything, and ".." would lead out of it."""
    return re.sub(r"[^\w=+-]+", "-", name)[:60].strip("-")


def remove_folder(folder: Path | None) -> None:
    """Remove the folder of a study that is deleted, and the one around it if nothing else is there."""
    import shutil  # loads three kinds of compression, and nothing else that a study needs does

    if folder is None or folder.is_symlink():
        return
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        folder.parent.rmdir()


def user_state() -> Path:
    """Return the folder of what this user's processes leave for later ones; it need not exist."""
    return _base("XDG_STATE_HOME", ".local/state")


def user_cache() -> Path:
    """Return the folder of what this user may delete at any time; it need not exist."""
    return _base("XDG_CACHE_HOME", ".cache")


def _base(variable: str, usual: str) -> Path:
    home = os.environ.get(variable, "")
    return (Path(home) if home else Path.home() / usual) / "modelwright"
