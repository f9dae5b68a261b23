"""Random search: independent draws from the space.

J. Bergstra and Y. Bengio, "Random search for hyper-parameter optimization", JMLR 13, 2012.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelwright.optimizers.base import Abilities
from modelwright.optimizers.novelty import Novelty, always_differs
from modelwright.records import Exhausted, History, Objective, Proposal, Ticket, Wait

if TYPE_CHECKING:
    from modelwright.space import Space

__all__ = ["RandomSearch"]


class RandomSearch:
    """Draws each configuration independently.

    Parameters
    ----------
    space : Space
        Where configurations come from.
    objectives : sequence of Objective
        Any number; they are not looked at.
    deterministic : bool, default=False
        Propose no configuration twice.

    Examples
    --------
    >>> import numpy as np
    >>> from modelwright.records import History, Objective, Ticket
    >>> from modelwright.space import Int, Space
    >>> space, objectives = Space(n=Int(1, 3)), [Objective()]
    >>> optimizer = RandomSearch(space, objectives, deterministic=True)
    >>> tickets = [Ticket(k, np.random.default_rng(k)) for k in range(5)]
    >>> sorted(p.params["n"] for p in optimizer.ask(History(space, objectives), tickets))
    [1, 2, 3]
    """

    abilities = Abilities(multi_objective=True, learns=False)

    def __init__(self, space: Space, objectives: Sequence[Objective], *, deterministic: bool = False) -> None:
        self._space = space
        # Where draws never agree by themselves, there is nothing to look out for.
        self._novelty = Novelty(space) if deterministic and not always_differs(space) else None

    def __repr__(self) -> str:
        return "RandomSearch()"

    def ask(self, history: History, tickets: Sequence[Ticket]) -> list[Proposal] | Wait | Exhausted:
        """Return one draw per ticket; costs the same at any length of the history."""
        if self._novelty is None:
            return [Proposal(self._space.sample(ticket.rng), "random") for ticket in tickets]
        return self._novelty.fill(history, tickets, self._draw)

    def _draw(self, ticket: Ticket, _batch: list[dict[str, Any]]) -> tuple[dict[str, Any], str]:
        return self._space.sample(ticket.rng), "random"
