"""Whether a server is there: since when it has been away, and what is said about it."""

from __future__ import annotations

import logging
import time

__all__ = ["Presence"]

_OUTAGE_S = 1.0  # less than this is a hiccup, which no lease notices

_log = logging.getLogger("modelwright")


class Presence:
    """What this process has seen of a server, told in one line when it goes and one when it is back.

    Parameters
    ----------
    url : str
        The database, without a password.

    Attributes
    ----------
    reached : bool
        Whether the server has ever answered.
    outage_end_us : int
        When, on the server's clock, it was last back after an outage, or was started if that was later.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self.reached = False
        self.outage_end_us = 0
        self._lost_at: float | None = None
        self._told = False
        self._warned = False

    def lost(self, since: float) -> None:
        """Take note that a connection broke; `since` is of the monotonic clock."""
        if self._lost_at is None:
            self._lost_at = since

    def is_away(self, said: str, patience_s: float) -> None:
        """Take note that no connection comes about; `patience_s` is for how long that will be tried."""
        self.lost(time.monotonic())
        if patience_s and not self._told:
            self._told = True
            _log.warning("%s is out of reach; trying again for up to %g s. (%s)", self._url, patience_s, said)

    def is_there(self, now_us: int, started_us: int) -> None:
        """Take note of a new connection, with the server's clock and when it was started."""
        self.reached = True
        self.outage_end_us = max(self.outage_end_us, started_us)
        if self._lost_at is not None:
            away_s = time.monotonic() - self._lost_at
            if away_s > _OUTAGE_S:
                self.outage_end_us = max(self.outage_end_us, now_us)
            if self._told:
                _log.warning("%s is back after %.1f s.", self._url, away_s)
        self._lost_at = None
        self._told = False

    def is_risky(self, risk: str) -> None:
        """Say once what the server may lose."""
        if risk and not self._warned:
            self._warned = True
            _log.warning("%s may lose finished results in a power failure: %s.", self._url, risk)

    def forget_outage(self) -> None:
        """Start without an outage under way, as a forked child does."""
        self._lost_at = None
        self._told = False
