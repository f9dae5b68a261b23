"""Which configurations are used, and how to find one that is not.

An optimizer hands its way of drawing to `Novelty.fill` and gets back proposals of which no two are alike,
or the reason why there is none. Finished trials that say something about their configuration use it up;
pending ones hold it; lost and killed ones give it back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from modelwright.records import Exhausted, History, Proposal, Ticket, Wait

if TYPE_CHECKING:
    from numpy.random import Generator

    from modelwright.space import Space

__all__ = ["Draw", "Novelty", "always_differs"]

Draw = Callable[[Ticket, list[dict[str, Any]]], tuple[dict[str, Any], str]]
"""From a ticket and the configurations drawn before it in this batch to (configuration, reason)."""

_REDRAWS = 32
_REDRAWS_ENDLESS = 1000
_UNUSED_AT_ONCE = 10_000


class Novelty:
    """The used configurations of one history.

    Parameters
    ----------
    space : Space
        Where configurations come from.

    Notes
    -----
    Configurations are compared by their rows in the unit cube, which a history encodes once for all who read
    it. The rows that are used are kept and extended as the history grows, so that an ask costs O(new rows +
    pending), not O(history).
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self._history: History | None = None
        self._rows = 0
        self._tried: set[bytes] = set()
        self._pending: set[bytes] = set()

    def catch_up(self, history: History) -> None:
        """Take in what is new in `history`."""
        if history is not self._history or len(history) < self._rows:
            self._history, self._rows, self._tried = history, 0, set()
        if self._rows < len(history):
            new = history.X[self._rows :][history.teaches[self._rows :]]
            self._tried.update(row.tobytes() for row in new)
            self._rows = len(history)
        self._pending = {row.tobytes() for row in history.pending_X}

    def is_new(self, config: dict[str, Any]) -> bool:
        """Whether no trial that counts has, or runs, this configuration."""
        key = self._key(config)
        return key not in self._tried and key not in self._pending

    def take(self, config: dict[str, Any]) -> None:
        """Hold a configuration until the next `catch_up`."""
        self._pending.add(self._key(config))

    def _key(self, config: dict[str, Any]) -> bytes:
        key: bytes = self._space.encode([config])[0].tobytes()
        return key

    def fill(
        self, history: History, tickets: Sequence[Ticket], draw: Draw, *, unique: bool = True
    ) -> list[Proposal] | Wait | Exhausted:
        """Return one configuration per ticket.

        With `unique` each is new; there are fewer where they run out, or the reason why there is none.
        """
        self.catch_up(history)
        proposals: list[Proposal] = []
        batch: list[dict[str, Any]] = []
        for ticket in tickets:
            found = self._draw_new(ticket, batch, draw) if unique else draw(ticket, batch)
            if found is None:
                break
            self.take(found[0])
            batch.append(found[0])
            proposals.append(Proposal(*found))
        return proposals or self.ending()

    def ending(self, size: int | None = None) -> Wait | Exhausted:
        """Why nothing new is left; `size` is how many there are where it is not the size of the space."""
        size = size or self._space.size
        if self._pending - self._tried:
            return Wait(f"all others tried; {len(self._pending)} of {size or 'them'} still run")
        if size is None:
            return Exhausted(f"nothing new in {_REDRAWS_ENDLESS:,} draws")
        return Exhausted(f"all {size} tried")

    def _draw_new(
        self, ticket: Ticket, batch: list[dict[str, Any]], draw: Draw
    ) -> tuple[dict[str, Any], str] | None:
        finite = self._space.size is not None
        config, reason = draw(ticket, batch)
        for _ in range(_REDRAWS if finite else _REDRAWS_ENDLESS):
            if self.is_new(config):
                return config, reason
            config, reason = self._space.sample(ticket.rng), "random: what was chosen is used"
        left = self._any_unused(ticket.rng) if finite else None
        return None if left is None else (left, "one of the last that are unused")

    def _any_unused(self, rng: Generator) -> dict[str, Any] | None:
        """Draw from the first unused configurations: walks over at most the used ones and a fixed number."""
        unused = list(islice(filter(self.is_new, self._space.enumerate()), _UNUSED_AT_ONCE))
        return unused[int(rng.integers(len(unused)))] if unused else None


def always_differs(space: Space) -> bool:
    """Whether two independent draws practically never agree: some number without steps is always active."""
    return any(parameter.size is None and not parameter.when for parameter in space.parameters.values())
