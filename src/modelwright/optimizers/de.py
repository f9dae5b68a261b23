"""Differential evolution: move along the differences between members of a population.

R. Storn and K. Price, "Differential evolution: a simple and efficient heuristic for global optimization over
continuous spaces", Journal of Global Optimization 11, 1997; J. Zhang and A. C. Sanderson, "JADE: adaptive
differential evolution with optional external archive", IEEE Transactions on Evolutionary Computation 13(5),
2009 (towards one of the best, and the way back from a bound); S. Das, A. Konar and U. K. Chakraborty, "Two
improved differential evolution schemes for faster global search", GECCO 2005 (dither).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from modelwright.errors import InputError
from modelwright.optimizers.base import Abilities
from modelwright.optimizers.generations import Generations, Worth, worth
from modelwright.optimizers.genes import Genes, first_valid
from modelwright.optimizers.novelty import Novelty
from modelwright.optimizers.refusing import need_at_least, need_one_objective
from modelwright.optimizers.starting import Starting
from modelwright.records import Exhausted, History, Objective, Proposal, Ticket, Wait

if TYPE_CHECKING:
    from numpy.random import Generator

    from modelwright.space import Space

__all__ = ["DifferentialEvolution"]

Floats = NDArray[np.float64]

Seats = tuple[tuple[Worth, int], ...]  # of each seat: the worth and the row of who sits there
_FEWEST = 4  # members that a difference can be taken of
_BEST_SHARE = 0.2
_GOLDEN = 0x9E3779B1  # 2**32 by the golden ratio: multiples of it spread evenly, from whatever numbers


class DifferentialEvolution:
    """Adds scaled differences between good configurations to a good one.

    The first results take the seats of the population. From then on each trial's number says for which seat
    it competes, and it takes that if it is better than who sits there. So each result counts as soon as it is
    there, in whatever order results come.

    Parameters
    ----------
    space : Space
        Where configurations come from. Numbers move in the unit interval; a choice is taken over from the
        member that it is moved towards, or where two members differ in it. What is inactive in a member is
        taken from the others.
    objectives : sequence of Objective
        One.
    deterministic : bool, default=False
        Propose no configuration twice.
    population : int, optional
        Number of seats; twice the parameters unless given, but from 10 to 40.
    strategy : {"current-to-best", "rand"}, default="current-to-best"
        Whether a seat's member moves towards one of the best 20%, or a random member is moved.
    scale : pair of float, default=(0.4, 0.9)
        The factor of differences is drawn from this range for each proposal (dither).
    crossover : pair of float, default=(0.5, 1.0)
        The share of parameters that change, likewise.
    default_first : bool, default=True
        Start with the space's default configuration.

    Raises
    ------
    AbilityError
        There are several objectives.
    InputError
        An option makes no sense.

    Examples
    --------
    >>> import numpy as np
    >>> from modelwright.records import History, Objective, Ticket, Trial, TrialState
    >>> from modelwright.space import Float, Space
    >>> space, objectives = Space(x=Float(-5, 5), y=Float(-5, 5)), [Objective()]
    >>> history, optimizer = History(space, objectives), DifferentialEvolution(space, objectives)
    >>> for k in range(200):
    ...     [proposal] = optimizer.ask(history, [Ticket(k, np.random.default_rng(k))])
    ...     x, y = proposal.params["x"], proposal.params["y"]
    ...     history.add([Trial(k, TrialState.COMPLETE, proposal.params, ((x - 2) ** 2 + (y + 1) ** 2,))])
    >>> bool(history.losses.min() < 0.01)
    True
    """

    abilities = Abilities()

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        *,
        deterministic: bool = False,
        population: int | None = None,
        strategy: Literal["current-to-best", "rand"] = "current-to-best",
        scale: tuple[float, float] = (0.4, 0.9),
        crossover: tuple[float, float] = (0.5, 1.0),
        default_first: bool = True,
    ) -> None:
        need_one_objective("de", objectives)
        need_at_least("de", "population", population, _FEWEST)
        if strategy not in ("current-to-best", "rand"):
            raise InputError(f"expected the strategy 'current-to-best' or 'rand' for de, got {strategy!r}.")
        self._scale = _checked_range("scale", scale, 2.0)
        self._crossover = _checked_range("crossover", crossover, 1.0)
        self._space = space
        self._deterministic = deterministic
        self._to_best = strategy == "current-to-best"
        self._genes = Genes(space)
        self._size = population or min(max(10, 2 * len(space)), 40)
        self._novelty = Novelty(space)
        self._starting = Starting(space, self._novelty, default_first=default_first)
        self._seats: Generations[Seats] = Generations((), lambda seats: 1, self._seated)

    def __repr__(self) -> str:
        return "DifferentialEvolution()"

    def ask(self, history: History, tickets: Sequence[Ticket]) -> list[Proposal] | Wait | Exhausted:
        """Return one proposal per ticket."""
        draw = partial(self._draw, history, self._seats.after(history))
        return self._novelty.fill(history, tickets, draw, unique=self._deterministic)

    def _seated(self, seats: Seats, history: History, rows: NDArray[np.intp]) -> Seats:
        """Return the seats after one more result."""
        row = int(rows[0])
        found = worth(history, row)
        if len(seats) < self._size:
            return (*seats, (found, row))
        seat = self._seat(history.trials[row].number)
        return (*seats[:seat], (found, row), *seats[seat + 1 :]) if found <= seats[seat][0] else seats

    def _seat(self, number: int) -> int:
        """Return the seat that a trial competes for."""
        return (number * _GOLDEN % 2**32) * self._size >> 32

    def _draw(
        self, history: History, seats: Seats, ticket: Ticket, _batch: list[dict[str, Any]]
    ) -> tuple[dict[str, Any], str]:
        if len(seats) < self._size:
            why = f"random: {len(seats)} of the {self._size} first are finished"
            return self._starting(history, ticket, why)
        seat = self._seat(ticket.number)
        order = sorted(range(self._size), key=lambda other: seats[other])
        members = history.X[[seats[other][1] for other in order]]  # the best first
        here = order.index(seat)

        def mutants(count: int) -> Floats:
            return np.stack([self._mutant(members, here, ticket.rng) for _ in range(count)])

        config = first_valid(self._space, mutants, ticket.rng, self._novelty.is_new)
        return config, f"seat {seat} of {self._size}" + (", towards one of the best" if self._to_best else "")

    def _mutant(self, members: Floats, here: int, rng: Generator) -> Floats:
        """Return one row; `members`, shape (n, d), are sorted by worth."""
        n, d = len(members), len(self._space)
        if not d:
            return np.asarray(members[here])
        others = rng.permutation(np.delete(np.arange(n), here))[:3]
        best = members[rng.integers(max(2, round(_BEST_SHARE * n)))]
        current = members[here]
        base = current if self._to_best else members[others[2]]
        target = best if self._to_best else base
        one, two = members[others[0]], members[others[1]]
        factor = rng.uniform(*self._scale)

        base = _filled(base, target, one, two, rng.random(d))
        target = _filled(target, base)
        # Where a member says nothing, anything may be what it stands for: else its kind would be mere copies.
        apart = _filled(one, rng.random(d)) - _filled(two, rng.random(d))
        moved = base + factor * (target - base) + factor * apart
        moved = np.where(moved < 0, base / 2, np.where(moved > 1, (base + 1) / 2, moved))
        choices = self._genes.choices
        moved[choices] = self._choice(base[choices], target[choices], one[choices], two[choices], factor, rng)
        crossed = rng.random(d) < rng.uniform(*self._crossover)
        crossed[rng.integers(d)] = True
        return np.where(crossed, moved, _filled(current, moved))

    def _choice(
        self, base: Floats, target: Floats, one: Floats, two: Floats, factor: float, rng: Generator
    ) -> Floats:
        """Return choices: with the chance `factor` the target's, and one member's where two differ."""
        taken = np.where(rng.random(len(base)) < factor, target, base)
        differ = (one != two) & ~np.isnan(one) & (rng.random(len(base)) < factor)
        return np.where(differ, one, taken)


def _filled(row: Floats, *others: Floats) -> Floats:
    """Return `row` with the value of the first of `others` that has one where it has none."""
    for other in others:
        row = np.where(np.isnan(row), other, row)
    return row


def _checked_range(name: str, given: Sequence[float], most: float) -> tuple[float, float]:
    try:
        low, high = map(float, given)
    except (TypeError, ValueError):
        low, high = 1.0, 0.0
    if not 0.0 <= low <= high <= most:
        raise InputError(f"expected {name} of de as (low, high) within 0 and {most:g}, got {given!r}.")
    return low, high
