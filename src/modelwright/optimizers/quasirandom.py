"""Quasirandom search: a scrambled Sobol' sequence, which fills the space more evenly than random draws.

I. M. Sobol', "On the distribution of points in a cube and the approximate evaluation of integrals", 1967;
A. B. Owen, "Randomly permuted (t,m,s)-nets and (t,s)-sequences", 1995 (scrambling).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelwright._base.seeds import generator
from modelwright.numerics.qmc import SobolPoints
from modelwright.optimizers.base import Abilities
from modelwright.optimizers.novelty import Novelty, always_differs
from modelwright.records import Exhausted, History, Objective, Proposal, Ticket, Wait

if TYPE_CHECKING:
    from modelwright.space import Space

__all__ = ["QuasiRandomSearch"]

_POINTS_PER_TRIAL = 1000  # read before a trial gives up on the sequence, where hardly any point is feasible


class QuasiRandomSearch:
    """Proposes the points of one Sobol' sequence: trial k gets the k-th that meets the constraints.

    Inactive parameters are left out of a point. Where a deterministic objective has had a configuration
    already, which a space of few values makes likely, a random unused one takes its place.

    Parameters
    ----------
    space : Space
        Where configurations come from.
    objectives : sequence of Objective
        Any number; they are not looked at.
    deterministic : bool, default=False
        Propose no configuration twice.
    seed : int, default=0
        Scrambles the sequence.

    Examples
    --------
    >>> import numpy as np
    >>> from modelwright.records import History, Objective, Ticket
    >>> from modelwright.space import Float, Space
    >>> space, objectives = Space(x=Float(0, 1)), [Objective()]
    >>> optimizer = QuasiRandomSearch(space, objectives, seed=1)
    >>> tickets = [Ticket(k, np.random.default_rng(k)) for k in range(4)]
    >>> sorted(int(4 * p.params["x"]) for p in optimizer.ask(History(space, objectives), tickets))
    [0, 1, 2, 3]
    """

    abilities = Abilities(multi_objective=True, learns=False)

    def __init__(
        self, space: Space, objectives: Sequence[Objective], *, deterministic: bool = False, seed: int = 0
    ) -> None:
        self._space = space
        self._unique = deterministic and not always_differs(space)
        self._novelty = Novelty(space)
        self._points = SobolPoints(len(space), generator(seed, "sobol"))
        self._feasible: list[NDArray[np.float64]] = []

    def __repr__(self) -> str:
        return "QuasiRandomSearch()"

    def ask(self, history: History, tickets: Sequence[Ticket]) -> list[Proposal] | Wait | Exhausted:
        """Return the points that belong to the tickets' numbers."""
        return self._novelty.fill(history, tickets, self._draw, unique=self._unique)

    def _draw(self, ticket: Ticket, _batch: list[dict[str, Any]]) -> tuple[dict[str, Any], str]:
        limit = _POINTS_PER_TRIAL * (ticket.number + 1)
        while len(self._feasible) <= ticket.number and self._points.read < limit:
            block = self._points.next_block()
            self._feasible += list(block[self._space.feasible(block)] if self._space.constraints else block)
        if ticket.number < len(self._feasible):
            return self._space.from_unit(self._feasible[ticket.number]), f"Sobol' point {ticket.number}"
        return self._space.sample(ticket.rng), "random: the Sobol' sequence hardly meets the constraints"
