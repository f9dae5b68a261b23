"""Storages that commands write new studies to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelwright.errors import InputError

if TYPE_CHECKING:
    from modelwright.storage import Storage

__all__ = ["open_target"]


def open_target(url: str) -> Storage:
    """Open the storage that a study is to be written to, and make it if it is not there."""
    from modelwright.storage import open_storage

    if url == "memory://":
        raise InputError(
            "a storage in memory is gone when this command ends.",
            hint="Name another, such as sqlite:///file.db.",
        )
    return open_storage(url)
