"""Regularized evolution: the best of a few parents changes in one place, and the oldest member dies.

E. Real, A. Aggarwal, Y. Huang and Q. V. Le, "Regularized evolution for image classifier architecture
search", AAAI 2019. Who dies by age, not by worth, makes room for what is good again and again, so a lucky
value of a noisy objective does not stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from modelwright.optimizers.base import Abilities
from modelwright.optimizers.generations import Generations, worth
from modelwright.optimizers.novelty import Novelty
from modelwright.optimizers.refusing import need_at_least, need_one_objective
from modelwright.optimizers.starting import Starting
from modelwright.records import Exhausted, History, Objective, Proposal, Ticket, Wait

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import Generator
    from numpy.typing import NDArray

    from modelwright.space import Space

__all__ = ["RegularizedEvolution"]


class RegularizedEvolution:
    """Changes one parameter of the best of some of the newest trials.

    Parameters
    ----------
    space : Space
        Where configurations come from; `Space.neighbours` says what a change is.
    objectives : sequence of Objective
        One.
    deterministic : bool, default=False
        Propose no configuration twice.
    population : int, default=30
        The newest so many trials are alive; before there are so many, configurations are drawn at random.
    tournament : int, default=8
        So many of them are drawn, and the best of these is the parent.
    default_first : bool, default=True
        Start with the space's default configuration.

    Raises
    ------
    AbilityError
        There are several objectives.
    InputError
        A number is too small.

    Examples
    --------
    >>> import numpy as np
    >>> from modelwright.records import History, Objective, Ticket, Trial, TrialState
    >>> from modelwright.space import Bool, Space
    >>> space, objectives = Space({f"b{i}": Bool() for i in range(20)}), [Objective("ones", "maximize")]
    >>> history, optimizer = History(space, objectives), RegularizedEvolution(space, objectives)
    >>> for k in range(200):
    ...     [proposal] = optimizer.ask(history, [Ticket(k, np.random.default_rng(k))])
    ...     ones = float(sum(proposal.params.values()))
    ...     history.add([Trial(k, TrialState.COMPLETE, proposal.params, (ones,))])
    >>> bool(-history.losses.min() >= 19)
    True
    """

    abilities = Abilities()

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        *,
        deterministic: bool = False,
        population: int = 30,
        tournament: int = 8,
        default_first: bool = True,
    ) -> None:
        need_one_objective("evolution", objectives)
        need_at_least("evolution", "population", population, 1)
        need_at_least("evolution", "tournament", tournament, 1)
        self._space = space
        self._deterministic = deterministic
        self._size = population
        self._tournament = min(tournament, population)
        self._novelty = Novelty(space)
        self._starting = Starting(space, self._novelty, default_first=default_first)
        self._alive: Generations[tuple[int, ...]] = Generations((), lambda alive: 1, self._aged)

    def __repr__(self) -> str:
        return "RegularizedEvolution()"

    def ask(self, history: History, tickets: Sequence[Ticket]) -> list[Proposal] | Wait | Exhausted:
        """Return one proposal per ticket."""
        draw = partial(self._draw, history, self._alive.after(history))
        return self._novelty.fill(history, tickets, draw, unique=self._deterministic)

    def _aged(self, alive: tuple[int, ...], history: History, rows: NDArray[np.intp]) -> tuple[int, ...]:
        return (*alive, int(rows[0]))[-self._size :]

    def _draw(
        self, history: History, alive: tuple[int, ...], ticket: Ticket, _batch: list[dict[str, Any]]
    ) -> tuple[dict[str, Any], str]:
        if len(alive) < self._size:
            why = f"random: {len(alive)} of the {self._size} first are finished"
            return self._starting(history, ticket, why)
        drawn = ticket.rng.choice(alive, size=self._tournament, replace=False).tolist()
        for parent in sorted(drawn, key=lambda row: (worth(history, row), row)):
            child = self._child(history.configs[parent], ticket.rng)
            if child is not None:
                return child, f"a neighbour of trial {history.trials[parent].number}"
        return self._space.sample(ticket.rng), "random: no member has a neighbour that is new"

    def _child(self, parent: dict[str, Any], rng: Generator) -> dict[str, Any] | None:
        """Return a neighbour that is new; None where all are used."""
        for count in (1, 1, 1, None):  # a list of all is dear, and seldom needed
            for child in self._space.neighbours(parent, rng, count):
                if self._novelty.is_new(child):
                    return child
        return None
