"""Grid search: every combination of a few values per parameter, each once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count, islice, takewhile
from typing import TYPE_CHECKING, Any

import numpy as np

from modelwright._base.registry import nearest
from modelwright._base.seeds import generator
from modelwright.errors import AbilityError, InputError
from modelwright.optimizers.base import Abilities
from modelwright.optimizers.novelty import Novelty
from modelwright.records import Exhausted, History, Objective, Proposal, Ticket, Wait

if TYPE_CHECKING:
    from modelwright.space import Space
    from modelwright.space.parameters import Parameter

__all__ = ["GridSearch"]

_MAX_SHUFFLED = 1_000_000


class GridSearch:
    """Proposes each configuration of a finite grid once, the objective being deterministic or not.

    Parameters
    ----------
    space : Space
        Conditions and constraints hold: combinations that differ only in inactive parameters are one, and
        those that break a constraint are left out.
    objectives : sequence of Objective
        Any number; they are not looked at.
    deterministic : bool, default=False
        Makes no difference.
    points : mapping of str to int, optional
        How many values of a parameter to take, evenly spread from end to end (in the logarithm, where it has
        one).
    resolution : int, optional
        The same for all parameters without steps that `points` does not name.
    shuffle : bool, default=False
        Go through the grid in a random order, so that a search that ends early has seen all of its parts.
    seed : int, default=0
        Chooses that order.

    Raises
    ------
    AbilityError
        The grid is not finite: a parameter without steps has no number of points.
    InputError
        `points` names no parameter, or a number is below 1, or a shuffled grid is too large to keep.

    Examples
    --------
    >>> import numpy as np
    >>> from modelwright.records import History, Objective, Ticket
    >>> from modelwright.space import Bool, Float, Space
    >>> space, objectives = Space(x=Float(0, 1), b=Bool()), [Objective()]
    >>> grid = GridSearch(space, objectives, points={"x": 3})
    >>> tickets = [Ticket(k, np.random.default_rng(k)) for k in range(8)]
    >>> len(grid.ask(History(space, objectives), tickets))
    6
    """

    abilities = Abilities(multi_objective=True, learns=False, infinite=False)

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        *,
        deterministic: bool = False,
        points: Mapping[str, int] | None = None,
        resolution: int | None = None,
        shuffle: bool = False,
        seed: int = 0,
    ) -> None:
        self._grid = _Grid(_with_levels(space, points or {}, resolution))
        if shuffle:
            self._grid.shuffle(seed)
        self._novelty = Novelty(space)

    def __repr__(self) -> str:
        return "GridSearch()"

    def ask(self, history: History, tickets: Sequence[Ticket]) -> list[Proposal] | Wait | Exhausted:
        """Return, for each ticket, the first unused point from its number on, and round the end."""
        self._novelty.catch_up(history)
        proposals = []
        for ticket in tickets:
            found = self._first_unused(ticket.number)
            if found is None:
                break
            place, config = found
            self._novelty.take(config)
            proposals.append(Proposal(dict(config), f"grid point {place}"))
        return proposals or self._novelty.ending(self._grid.length())

    def _first_unused(self, number: int) -> tuple[int, dict[str, Any]] | None:
        # Past the end the places start again; only then must the length be known.
        start = number if self._grid.has(number) else number % self._grid.length()
        for place in self._grid.places_from(start):
            config = self._grid.at(place)
            if self._novelty.is_new(config):
                return place, config
        return None


class _Grid:
    """The configurations of a finite space by place, listed only as far as they are needed."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._rest: Iterator[dict[str, Any]] = iter(space.enumerate())
        self._listed: list[dict[str, Any]] = []

    def has(self, place: int) -> bool:
        """Whether there are so many configurations that `place`, counted from 0, is one of them."""
        self._listed += islice(self._rest, max(0, place + 1 - len(self._listed)))
        return place < len(self._listed)

    def at(self, place: int) -> dict[str, Any]:
        """Return the configuration at a place that `has` has confirmed."""
        return self._listed[place]

    def length(self) -> int:
        """Return how many there are; where the space cannot tell, they are listed."""
        if self._space.size is not None:
            return self._space.size
        self._listed += self._rest
        return len(self._listed)

    def places_from(self, start: int) -> Iterator[int]:
        """Yield all places once, from `start` to the end and then those before it."""
        yield from takewhile(self.has, count(start))
        yield from range(start)

    def shuffle(self, seed: int) -> None:
        """Put all of them into an order that `seed` decides."""
        size = self._space.size
        if self.has(_MAX_SHUFFLED) if size is None else size > _MAX_SHUFFLED:
            raise AbilityError(
                f"expected a grid of at most {_MAX_SHUFFLED:,} points to shuffle, this one has more.",
                hint="Take fewer points per parameter, or shuffle=False.",
            )
        self._listed += self._rest
        order = generator(seed, "grid").permutation(len(self._listed))
        self._listed = [self._listed[place] for place in order]


def _with_levels(space: Space, points: Mapping[str, int], resolution: int | None) -> Space:
    """Return `space` with those parameters that are to be thinned out as ordered lists of values."""
    from modelwright.space import Space as SpaceClass

    for name in points:
        if name not in space.names:
            raise InputError(
                f"points of the grid names no parameter: {name!r}.", hint=nearest(name, list(space.names))
            )
    parameters: dict[str, Any] = {}
    for name, parameter in space.parameters.items():
        levels = points.get(name, resolution if parameter.size is None else None)
        if levels is None and parameter.size is None:
            raise AbilityError(
                f"a grid needs a number of values for {name!r}, which has no steps.",
                hint=f"Give points={{{name!r}: 5}}, resolution=5 for all such parameters, or a step.",
            )
        parameters[name] = parameter if levels is None else _thinned(name, parameter, levels)
    return SpaceClass(parameters, constraints=space.constraints)


def _thinned(name: str, parameter: Parameter, levels: int) -> Parameter:
    from modelwright.space import Ordinal

    if levels < 1:
        raise InputError(f"expected at least 1 point for {name!r}, got {levels!r}.")
    places = np.linspace(0.0, 1.0, levels).tolist() if levels > 1 else [0.5]
    values = list(dict.fromkeys(parameter.decode(place) for place in places))
    labels = None if parameter.plain else [parameter.dump(value) for value in values]
    return Ordinal(values, when=parameter.when, labels=labels)
