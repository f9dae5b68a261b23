"""Leases kept alive beside the run, so that a busy or blocked objective does not lose its trial."""

from __future__ import annotations

import threading
from collections.abc import Callable

from modelwright.errors import StorageError
from modelwright.records import StudyState
from modelwright.storage.base import Claim, Storage

__all__ = ["LeaseKeeper"]


class LeaseKeeper:
    """Renews the leases of claims from a thread, and passes on what the ledger answers.

    Parameters
    ----------
    storage : Storage
        The ledger; safe to use from any thread.
    lease_s : float
        Length of a lease; it is renewed four times in that time.
    notify : callable
        Called, in the keeper's thread, when there is something to pick up with `take`.
    """

    def __init__(self, storage: Storage, lease_s: float, notify: Callable[[], None]) -> None:
        self._storage = storage
        self._lease_s = lease_s
        self._notify = notify
        self._claims: dict[int, Claim] = {}
        self._lost: set[int] = set()
        self._stop: set[int] = set()
        self._states: list[StudyState] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, claim: Claim) -> None:
        """Keep this claim's lease alive from now on."""
        with self._lock:
            self._claims[claim.number] = claim
        if self._thread is None:
            self._thread = threading.Thread(target=self._beat, name="modelwright-leases", daemon=True)
            self._thread.start()

    def remove(self, number: int) -> None:
        """Let this trial's lease go."""
        with self._lock:
            self._claims.pop(number, None)
            self._lost.discard(number)
            self._stop.discard(number)

    def take(self) -> tuple[set[int], set[int], list[StudyState]]:
        """Return, once, the trials that were lost, those that somebody wants killed, the study's states."""
        with self._lock:
            answer = self._lost, self._stop, self._states
            self._lost, self._stop, self._states = set(), set(), []
        return answer

    def close(self) -> None:
        """Stop renewing."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()

    def _beat(self) -> None:
        while not self._closing.wait(self._lease_s / 4):
            with self._lock:
                claims = list(self._claims.values())
            if not claims:
                continue
            try:
                controls = self._storage.renew(claims, self._lease_s)
            except StorageError:
                continue  # out of reach for now; the fence decides later whether the work still counts
            with self._lock:
                # A trial that was given back and claimed anew meanwhile has another claim now.
                same = {claim.number for claim in claims if self._claims.get(claim.number) is claim}
                self._lost |= controls.lost & same
                self._stop |= controls.stop & same
                self._states = list(controls.state.values())
            if controls.lost or controls.stop or StudyState.PAUSED in controls.state.values():
                self._notify()
