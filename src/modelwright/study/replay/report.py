"""What a replay tells."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

from modelwright.records import Provenance

__all__ = ["Difference", "LoggedProposal", "Origin", "Replay"]

Origin = Literal["proposed", "other", "enqueued", "adopted", "none"]

_WORDS: dict[Origin, str] = {
    "other": "by others than the study's optimizer",
    "enqueued": "enqueued",
    "adopted": "from elsewhere",
    "none": "without a configuration",
}


@dataclass(frozen=True, slots=True)
class LoggedProposal:
    """Where the configuration of one trial came from.

    Attributes
    ----------
    trial : int
        The trial's number.
    origin : {"proposed", "other", "enqueued", "adopted", "none"}
        From the study's optimizer, from another one, from a person, from another ledger, or none yet. Only
        the first kind is recomputed.
    revision : int
        At which it was written; 0 without one.
    provenance : Provenance
        Which optimizer, of which version, what it had seen, and why.
    equal : bool, optional
        Whether nothing of the trial differs; None where its proposal was not recomputed.
    """

    trial: int
    origin: Origin
    revision: int
    provenance: Provenance
    equal: bool | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """One value of the ledger that is not what its log gives.

    Attributes
    ----------
    trial : int
        The trial's number.
    what : str
        The parameter, or what else of the trial differs: an objective's name, ``"state"``, ``"failure"``,
        ``"fidelity"``, ``"configuration"``, ``"row"``.
    ledger : object
        What the trial's row holds.
    expected : object
        What the log gives: recomputed, or kept by the event about it.
    cause : str
        What probably made the difference.
    revision : int
        At which what differs was written.
    """

    trial: int
    what: str
    ledger: Any
    expected: Any
    cause: str
    revision: int

    def __str__(self) -> str:
        return (
            f"trial {self.trial}, {self.what}: the ledger has {self.ledger!r}, its log gives "
            f"{self.expected!r}: {self.cause}"
        )


@dataclass(frozen=True, slots=True)
class Replay:
    """A study's log of proposals, and what differs from it.

    Attributes
    ----------
    study : str
        The study's name.
    revision : int
        The ledger's revision that was read.
    versions : str
        Of Modelwright and its libraries here.
    proposals : tuple of LoggedProposal
        By number.
    differences : tuple of Difference
        In the order in which what differs was written.
    """

    study: str
    revision: int
    versions: str
    proposals: tuple[LoggedProposal, ...]
    differences: tuple[Difference, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    @property
    def first(self) -> Difference | None:
        """The first difference; None where all is equal."""
        return self.differences[0] if self.differences else None

    @property
    def recomputed(self) -> int:
        """How many proposals were recomputed."""
        return sum(item.equal is not None for item in self.proposals)

    @property
    def counts(self) -> dict[Origin, int]:
        """How many configurations came from where."""
        return dict(Counter(item.origin for item in self.proposals))

    def __str__(self) -> str:
        counts = self.counts
        others = [f"{counts[origin]} {words}" for origin, words in _WORDS.items() if origin in counts]
        return ", ".join([f"{self.study}: {counts.get('proposed', 0)} proposed", *others])
