"""Leases kept alive beside the run, so that a busy or blocked objective does not lose its trial."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from modelwright._base.clock import Clock
from modelwright.errors import StorageError, StudyNotFoundError
from modelwright.records import StudyState
from modelwright.storage.base import Claim, Controls, Storage
from modelwright.study.stand_in import StandIn

__all__ = ["Heard", "LeaseKeeper"]

_JOIN_S = 5.0  # a storage that is out of reach may hold the thread for minutes; it ends with the process


@dataclass(slots=True)
class Heard:
    """What the ledger said since the last look.

    Attributes
    ----------
    lost : set of int
        Trials whose claim is no longer the newest.
    stop : set of int
        Trials that somebody asked to kill.
    state : StudyState, optional
        The study's state, if the ledger was asked.
    abort : bool
        Whether running trials are to be broken off and given back.
    deleted : bool
        Whether the study is gone.
    """

    lost: set[int] = field(default_factory=set)
    stop: set[int] = field(default_factory=set)
    state: StudyState | None = None
    abort: bool = False
    deleted: bool = False


class LeaseKeeper:
    """Renews the leases of one study's claims from a thread, and passes on what the ledger answers.

    Parameters
    ----------
    storage : Storage
        The ledger; safe to use from any thread.
    lease_s : float
        Length of a lease.
    notify : callable
        Called, in the keeper's thread, when there is something to pick up with `take`.
    clock : callable, optional
        A clock that does not go by itself. Then there is no thread: `keep` is called in time, by `due_s`.
    stand_in : StandIn, optional
        Renews while this process cannot, since trials share it.

    Attributes
    ----------
    beat_s : float
        How often leases are renewed: four times in a lease's time, and every two seconds at least, since the
        answer is also how a run learns of a pause, a stop or a kill. One short transaction for all claims.
        On a clock of its own, where days pass in seconds and nobody else looks on, four times in a lease.
    due_s : float
        When `keep` is next to be called; never where a thread renews.
    """

    def __init__(
        self,
        storage: Storage,
        lease_s: float,
        notify: Callable[[], None],
        clock: Clock | None = None,
        stand_in: StandIn | None = None,
    ) -> None:
        self.beat_s = min(lease_s / 4, 2.0) if clock is None else lease_s / 4
        self.due_s = math.inf if clock is None else clock() + self.beat_s
        self._storage = storage
        self._lease_s = lease_s
        self._notify = notify
        self._stand_in = stand_in
        self._claims: dict[int, Claim] = {}
        self._heard = Heard()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, claim: Claim) -> None:
        """Keep this claim's lease alive from now on."""
        with self._lock:
            self._claims[claim.number] = claim
            self._heard.lost.discard(claim.number)  # that was about an earlier claim
            self._heard.stop.discard(claim.number)
            if self._stand_in is not None:
                self._stand_in.tell(self._claims.values())
        if self._thread is None and self.due_s == math.inf:
            self._thread = threading.Thread(target=self._beat, name="modelwright-leases", daemon=True)
            self._thread.start()

    def remove(self, number: int) -> None:
        """Let this trial's lease go."""
        with self._lock:
            self._claims.pop(number, None)
            self._heard.lost.discard(number)
            self._heard.stop.discard(number)

    def take(self) -> Heard:
        """Return, once, what was heard."""
        with self._lock:
            heard, self._heard = self._heard, Heard()
        return heard

    def close(self) -> None:
        """Stop renewing."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(_JOIN_S)
        if self._stand_in is not None:
            with self._lock:
                stand_in, self._stand_in = self._stand_in, None
            stand_in.close()

    def keep(self, now_s: float) -> None:
        """Renew the leases if that is due where no thread does it."""
        if now_s >= self.due_s:
            self.due_s = now_s + self.beat_s
            self._renew()

    def _beat(self) -> None:
        """Be the thread."""
        while not self._closing.wait(self.beat_s):
            if not self._renew():
                return

    def _renew(self) -> bool:
        """Renew all leases; return whether the study is still there."""
        with self._lock:
            claims = list(self._claims.values())
            if self._stand_in is not None:
                self._stand_in.tell(claims)
        if not claims:
            return True
        try:
            controls = self._storage.renew(claims, self._lease_s)
        except StudyNotFoundError:
            with self._lock:
                self._heard.deleted = True
            self._notify()
            return False
        except StorageError:
            return True  # out of reach for now; the fence decides later whether the work still counts
        if self._note(claims, controls):
            self._notify()
        return True

    def _note(self, claims: list[Claim], controls: Controls) -> bool:
        """Keep what was heard; return whether somebody should look at it."""
        study_id = claims[0].study_id
        with self._lock:
            heard = self._heard
            told = controls.lost | controls.stop
            # A trial that was given back and claimed anew meanwhile has another claim now.
            same = {c.number for c in claims if c.number in told and self._claims.get(c.number) is c}
            heard.lost |= controls.lost & same
            heard.stop |= controls.stop & same
            heard.state = controls.state.get(study_id)
            heard.abort = study_id in controls.abort
            moved = heard.state not in (None, StudyState.RUNNING)
            return moved or bool(heard.lost or heard.stop)
