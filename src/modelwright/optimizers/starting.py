"""The first few proposals of optimizers with a model: the default, then points spread evenly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelwright._base.seeds import generator
from modelwright.numerics.qmc import SobolPoints
from modelwright.optimizers.novelty import Novelty
from modelwright.records import Ticket

if TYPE_CHECKING:
    from modelwright.space import Space

__all__ = ["Starting"]

_MOST_POINTS = 1000  # read for each that is needed, where constraints refuse most


class Starting:
    """Proposes the space's default, and after it the Sobol' point that belongs to the ticket's number.

    Parameters
    ----------
    space : Space
        Where configurations come from.
    novelty : Novelty
        Tells whether the default is used.
    seed : int
        Scrambles the points.
    default_first : bool
        Whether the default comes before them.

    Examples
    --------
    >>> from modelwright.records import History, Objective
    >>> from modelwright.space import Float, Space
    >>> space = Space(x=Float(0, 1))
    >>> novelty = Novelty(space)
    >>> novelty.catch_up(History(space, [Objective()]))
    >>> Starting(space, novelty, seed=0, default_first=True)(Ticket(0, np.random.default_rng(0)))
    ({'x': 0.5}, "the space's default first")
    """

    def __init__(self, space: Space, novelty: Novelty, *, seed: int, default_first: bool) -> None:
        self._space = space
        self._novelty = novelty
        self._default_first = default_first
        self._points = SobolPoints(len(space), generator(seed, "sobol"))
        self._first: list[NDArray[np.float64]] = []

    def __call__(self, ticket: Ticket) -> tuple[dict[str, Any], str]:
        """Return a configuration and the reason for it."""
        if self._default_first:
            default = self._space.default()
            if self._novelty.is_new(default):
                return default, "the space's default first"
        while len(self._first) <= ticket.number and self._points.read < _MOST_POINTS * (ticket.number + 1):
            block = self._points.next_block()
            self._first += list(block[self._space.feasible(block)])
        if ticket.number < len(self._first):
            return self._space.from_unit(self._first[ticket.number]), f"Sobol' point {ticket.number}"
        return self._space.sample(ticket.rng), "random"
