"""Folders of this user in which workers keep what must outlive them."""

from __future__ import annotations

import stat
from pathlib import Path

from modelwright.errors import InputError
from modelwright.study.folders import user_state

__all__ = ["spool_folder", "state_folder"]


def state_folder() -> Path:
    """Return the folder of the groups in the background, made if need be.

    Raises
    ------
    InputError
        Others may look into it.
    """
    return _own(user_state() / "workers")


def spool_folder() -> Path:
    """Return the folder of results that could not be told to a ledger out of reach; it need not exist."""
    return user_state() / "spool"


def _own(folder: Path) -> Path:
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    if stat.S_IMODE(folder.stat().st_mode) & 0o077:
        raise InputError(
            f"others may look into {str(folder)!r}, where addresses of ledgers are kept.",
            hint=f"Run: chmod 700 {folder}",
            code="E_PERMISSIONS",
        )
    return folder
