"""The first few proposals of optimizers: the default, then points spread evenly or drawn at random."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelwright._base.seeds import generator
from modelwright.numerics.qmc import SobolPoints
from modelwright.optimizers.beliefs import Beliefs, Standing
from modelwright.optimizers.evidence import Evidence
from modelwright.optimizers.novelty import Novelty
from modelwright.records import History, Ticket

if TYPE_CHECKING:
    from modelwright.space import Space

__all__ = ["Starting"]

_BELIEVED = 5  # trials at most: a prior may be wrong, and what it is compared with has to be tried as well
_MOST_POINTS = 1000  # read for each that is needed, where constraints refuse most


class Starting:
    """Proposes the space's default, and after it points that nothing is known of.

    Where parameters have priors, every other one of the first ten trials, by their numbers, is drawn from
    them until they prove wrong; then what would have come first without them follows.

    Parameters
    ----------
    space : Space
        Where configurations come from.
    novelty : Novelty
        Tells whether the default is used.
    default_first : bool
        Whether the default comes before them.
    seed : int, optional
        Scrambles Sobol' points, of which each ticket gets the one that belongs to its number. Without a seed
        points are drawn from the ticket's generator: a population, which is built from many of them, learns
        nothing from their being even.

    Examples
    --------
    >>> from modelwright.records import History, Objective
    >>> from modelwright.space import Float, Space
    >>> space = Space(x=Float(0, 1))
    >>> novelty = Novelty(space)
    >>> history = History(space, [Objective()])
    >>> novelty.catch_up(history)
    >>> Starting(space, novelty, default_first=True, seed=0)(history, Ticket(0, np.random.default_rng(0)))
    ({'x': 0.5}, "the space's default first")
    """

    def __init__(
        self, space: Space, novelty: Novelty, *, default_first: bool, seed: int | None = None
    ) -> None:
        self._space = space
        self._novelty = novelty
        self._default_first = default_first
        self._points = None if seed is None else SobolPoints(len(space), generator(seed, "sobol"))
        self._first: list[NDArray[np.float64]] = []
        self._beliefs, self._evidence = Beliefs(space), Evidence()

    def __call__(self, history: History, ticket: Ticket, why: str = "random") -> tuple[dict[str, Any], str]:
        """Return a configuration and the reason for it; `why` is that of a random one."""
        if self._default_first:
            default = self._space.default()
            if self._novelty.is_new(default):
                return default, "the space's default first"
        note = ""
        if self._beliefs:
            self._evidence.read(history)
            standing = self._beliefs.after(self._evidence, history)
            instead = self.instead(standing)
            if instead is not None:
                return instead
            if standing.belief is None:
                note = standing.note
            elif ticket.number % 2 and ticket.number < 2 * _BELIEVED:
                return self._beliefs.draw(ticket.rng), "drawn from the prior"
        point = None if self._points is None else self._point(self._points, ticket.number)
        if point is not None:
            return self._space.from_unit(point), f"Sobol' point {ticket.number}{note}"
        return self._space.sample(ticket.rng), why + note

    def instead(self, standing: Standing) -> tuple[dict[str, Any], str] | None:
        """Return what would have come first but for beliefs that have proved wrong; None where it is used."""
        if standing.belief is not None or not standing.note or not self._default_first:
            return None
        neutral = self._beliefs.neutral()
        if neutral is None or not self._novelty.is_new(neutral):
            return None
        return neutral, "the default that there is without a prior" + standing.note

    def _point(self, points: SobolPoints, number: int) -> NDArray[np.float64] | None:
        """Return the point of that number among those that meet the constraints."""
        while len(self._first) <= number and points.read < _MOST_POINTS * (number + 1):
            block = points.next_block()
            self._first += list(block[self._space.feasible(block)])
        return self._first[number] if number < len(self._first) else None
