"""The trials that a run holds, by what they are at."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

__all__ = ["Flight", "Flights", "Phase"]


class Phase(Enum):
    """What a trial that is claimed and not over is at."""

    CLAIMED = "claimed"  # its proposal waits
    READY = "ready"  # has its configuration, and no slot is free
    HELD = "held"  # there will be no proposal; goes back with the others like it
    RUNNING = "running"
    RELEASING = "releasing"  # cancelled; goes back to the ledger when its task is over
    KILLING = "killing"  # cancelled; counts as failed
    LOST = "lost"  # cancelled; somebody else's


_NOT_STARTED = (Phase.CLAIMED, Phase.READY, Phase.HELD)


class Flight(NamedTuple):
    """What a trial is at, and why if it was cancelled."""

    phase: Phase
    why: str = ""

    @property
    def started(self) -> bool:
        """Whether its task was submitted."""
        return self.phase not in _NOT_STARTED


class Flights:
    """Trials by number. Each question costs the same whatever their number.

    Examples
    --------
    >>> flights = Flights()
    >>> flights.put(4, Phase.CLAIMED)
    >>> flights.put(4, Phase.RUNNING)
    >>> len(flights), flights.started, flights.at(Phase.RUNNING), flights.at(Phase.CLAIMED)
    (1, 1, [4], [])
    """

    def __init__(self) -> None:
        self._flights: dict[int, Flight] = {}
        self._at: dict[Phase, dict[int, None]] = {phase: {} for phase in Phase}
        self._before_start = [self._at[phase] for phase in _NOT_STARTED]

    def __len__(self) -> int:
        return len(self._flights)

    def get(self, number: int) -> Flight | None:
        """Return what a trial is at; None for one that is not here."""
        return self._flights.get(number)

    def put(self, number: int, phase: Phase, why: str = "") -> None:
        """Add a trial, or move it."""
        before = self._flights.get(number)
        if before is not None:
            del self._at[before.phase][number]
        self._flights[number] = Flight(phase, why)
        self._at[phase][number] = None

    def pop(self, number: int) -> Flight:
        """Remove a trial and return what it was at."""
        flight = self._flights.pop(number)
        del self._at[flight.phase][number]
        return flight

    def at(self, *phases: Phase) -> list[int]:
        """Return the trials that are at one of `phases`, in the order in which they came to it."""
        return [number for phase in phases for number in self._at[phase]]

    def any_at(self, phase: Phase) -> bool:
        """Whether some trial is at `phase`."""
        return bool(self._at[phase])

    @property
    def started(self) -> int:
        """How many tasks were submitted."""
        return len(self._flights) - sum(map(len, self._before_start))

    @property
    def waiting(self) -> list[int]:
        """The trials whose tasks were not submitted."""
        return self.at(*_NOT_STARTED)
