"""NSGA-II: a population that spreads along the front of several objectives.

K. Deb, A. Pratap, S. Agarwal and T. Meyarivan, "A fast and elitist multiobjective genetic algorithm:
NSGA-II", IEEE Transactions on Evolutionary Computation 6(2), 2002; K. Deb and R. B. Agrawal, "Simulated
binary crossover for continuous search space", Complex Systems 9, 1995; K. Deb and M. Goyal, "A combined
genetic adaptive search (GeneAS) for engineering design", Computer Science and Informatics 26, 1996
(polynomial mutation); J. J. Durillo, A. J. Nebro, F. Luna and E. Alba, "On the effect of the steady-state
selection scheme in multi-objective genetic algorithms", EMO 2009 (small generations).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelwright.numerics.pareto import best_first
from modelwright.optimizers.base import Abilities
from modelwright.optimizers.generations import Generations, worth
from modelwright.optimizers.genes import Genes, first_valid
from modelwright.optimizers.novelty import Novelty
from modelwright.optimizers.refusing import need_at_least
from modelwright.optimizers.starting import Starting
from modelwright.records import Exhausted, History, Objective, Proposal, Ticket, TrialState, Wait

if TYPE_CHECKING:
    from numpy.random import Generator

    from modelwright.space import Space

__all__ = ["NSGA2"]

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

_CROSSED = 0.9  # share of children that have two parents
# The larger these are, the nearer children stay to their parents. Larger ones are meant for 10,000 trials.
_CROSSOVER_INDEX = 2.0
_MUTATION_INDEX = 5.0


class NSGA2:
    """Crosses and mutates the best by nondominated fronts, the least crowded first.

    Parameters
    ----------
    space : Space
        Where configurations come from. A child's numbers lie near those of its two parents, its choices are
        one parent's; what both parents lack is drawn.
    objectives : sequence of Objective
        Any number. With one, the population holds the best.
    deterministic : bool, default=False
        Propose no configuration twice.
    population : int, default=20
        How many survive a generation. So many trials make the first one, and a quarter of it each later one:
        where trials are dear, what was found is used soon.
    mutation : float, optional
        The chance of each parameter to mutate; 1 / parameters unless given.
    default_first : bool, default=True
        Start with the space's default configuration.

    Notes
    -----
    Failures survive only where there is nothing better; pruned trials come before them.

    Examples
    --------
    >>> import numpy as np
    >>> from modelwright.numerics.pareto import nondominated
    >>> from modelwright.records import History, Objective, Ticket, Trial, TrialState
    >>> from modelwright.space import Float, Space
    >>> space, objectives = Space(x=Float(-5, 5), y=Float(-5, 5)), [Objective("a"), Objective("b")]
    >>> history, optimizer = History(space, objectives), NSGA2(space, objectives)
    >>> for k in range(200):
    ...     [proposal] = optimizer.ask(history, [Ticket(k, np.random.default_rng(k))])
    ...     x, y = proposal.params["x"], proposal.params["y"]
    ...     values = x**2 + y**2, (x - 1) ** 2 + y**2
    ...     history.add([Trial(k, TrialState.COMPLETE, proposal.params, values)])
    >>> bool(nondominated(history.losses).sum() > 10)
    True
    """

    abilities = Abilities(multi_objective=True)

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        *,
        deterministic: bool = False,
        population: int = 20,
        mutation: float | None = None,
        default_first: bool = True,
    ) -> None:
        need_at_least("nsga2", "population", population, 2)
        need_at_least("nsga2", "mutation", mutation, 0.0)
        self._space = space
        self._deterministic = deterministic
        self._size = population
        self._genes = Genes(space)
        free = len(self._genes.numbers) + len(self._genes.choices)
        self._mutation = 1.0 / max(1, free) if mutation is None else mutation
        self._novelty = Novelty(space)
        self._starting = Starting(space, self._novelty, default_first=default_first)
        nobody = np.empty(0, dtype=np.intp)
        self._survivors: Generations[Rows] = Generations(nobody, self._wanted, self._survive)

    def __repr__(self) -> str:
        return "NSGA2()"

    def ask(self, history: History, tickets: Sequence[Ticket]) -> list[Proposal] | Wait | Exhausted:
        """Return one proposal per ticket."""
        draw = partial(self._draw, history, self._survivors.after(history))
        return self._novelty.fill(history, tickets, draw, unique=self._deterministic)

    def _wanted(self, survivors: Rows) -> int:
        return max(1, self._size // 4) if len(survivors) else self._size

    def _survive(self, parents: Rows, history: History, children: Rows) -> Rows:
        """Return the best of both, best first."""
        rows = np.concatenate([parents, children])
        whole = np.array(
            [history.trials[row].state is TrialState.COMPLETE for row in rows.tolist()], dtype=bool
        ) & ~np.isnan(history.losses[rows]).any(axis=1)
        losses = history.losses[rows[whole]]
        single = losses.shape[1] == 1
        order = np.argsort(losses[:, 0], kind="stable") if single else best_first(losses, self._size)
        ranked = rows[whole][order]
        others = sorted(rows[~whole].tolist(), key=lambda row: (worth(history, row), row))
        return np.concatenate([ranked, np.array(others, dtype=np.intp)])[: self._size]

    # proposing ---------------------------------------------------------------------------------------

    def _draw(
        self, history: History, survivors: Rows, ticket: Ticket, _batch: list[dict[str, Any]]
    ) -> tuple[dict[str, Any], str]:
        if not len(survivors):
            return self._starting(history, ticket, f"random: the first {self._size} are not all finished")
        members, rng = history.X[survivors], ticket.rng

        def children(count: int) -> Floats:
            return np.stack([self._child(members, rng) for _ in range(count)])

        config = first_valid(self._space, children, rng, self._novelty.is_new)
        return config, f"a child of the best {len(survivors)} of {len(history)} trials"

    def _child(self, members: Floats, rng: Generator) -> Floats:
        """Return one row; `members`, shape (n, d), are sorted by worth."""
        # In a tournament of two the one that stands first wins.
        one, two = (members[rng.integers(len(members), size=2).min()] for _ in range(2))
        child = one.copy()
        if rng.random() < _CROSSED:
            child = self._crossed(one, two, rng)
        mutated = rng.random(len(child)) < self._mutation
        numbers, choices = self._genes.numbers, self._genes.choices
        changed = child.copy()
        changed[numbers] = _nudged(child[numbers], rng)
        changed[choices] = self._genes.at_slots(rng.integers(self._genes.sizes))
        return np.asarray(np.where(mutated, changed, child))

    def _crossed(self, one: Floats, two: Floats, rng: Generator) -> Floats:
        """Return a row between or near two rows, each parameter mixed with the chance 1/2.

        A parameter that is inactive in one of them comes from the other.
        """
        one, two = np.where(np.isnan(one), two, one), np.where(np.isnan(two), one, two)
        swapped = rng.random(len(one)) < 0.5
        child = np.where(swapped, two, one)
        numbers = self._genes.numbers
        u = rng.random(len(numbers))
        factor = np.where(u <= 0.5, 2 * u, 1 / (2 * (1 - u))) ** (1 / (_CROSSOVER_INDEX + 1))
        near, far = child[numbers], np.where(swapped, one, two)[numbers]
        mixed = 0.5 * ((1 + factor) * near + (1 - factor) * far)
        child[numbers] = np.where(rng.random(len(numbers)) < 0.5, np.clip(mixed, 0.0, 1.0), one[numbers])
        return child


def _nudged(values: Floats, rng: Generator) -> Floats:
    """Return values in the unit interval moved by polynomial mutation."""
    u = rng.random(len(values))
    power = 1 / (_MUTATION_INDEX + 1)
    down = (2 * u + (1 - 2 * u) * (1 - values) ** (_MUTATION_INDEX + 1)) ** power - 1
    up = 1 - (2 * (1 - u) + 2 * (u - 0.5) * values ** (_MUTATION_INDEX + 1)) ** power
    return np.asarray(np.clip(values + np.where(u < 0.5, down, up), 0.0, 1.0))
