"""Whether the disk under a database has room, told in a line when it has none and when it has some again."""

from __future__ import annotations

import logging
import time

__all__ = ["Room"]

_log = logging.getLogger("modelwright")


class Room:
    """What this process has seen of the room on a disk.

    A full disk is mostly a matter of minutes: somebody deletes something, or another program ends. So writes
    wait for room, but not for ever, and all of them for the same while.

    Parameters
    ----------
    url : str
        The database, without a password.
    patience_s : float
        How long writes wait, from the first that found no room.
    """

    def __init__(self, url: str, patience_s: float) -> None:
        self._url = url
        self._patience_s = patience_s
        self._since: float | None = None

    @property
    def lacking(self) -> bool:
        """Whether the last write that was told of found none."""
        return self._since is not None

    def lacks(self, said: str) -> bool:
        """Take note that a write found no room; return whether it should wait for some."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
            _log.warning(
                "the disk of %s is full; waiting up to %g s for room. (%s)", self._url, self._patience_s, said
            )
        return now < self._since + self._patience_s

    def is_there(self) -> bool:
        """Take note that a write was done; return whether there had been no room."""
        if self._since is None:
            return False
        _log.warning("%s has room again after %.1f s.", self._url, time.monotonic() - self._since)
        self._since = None
        return True
