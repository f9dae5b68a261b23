"""CMA-ES: a normal distribution over the numbers that moves, turns and stretches towards what is good.

N. Hansen and A. Ostermeier, "Completely derandomized self-adaptation in evolution strategies", Evolutionary
Computation 9(2), 2001; A. Auger and N. Hansen, "A restart CMA evolution strategy with increasing population
size", CEC 2005; S. Baluja, "Population-based incremental learning", CMU-CS-94-163, 1994 (the chances of
choices); R. Hamano et al., "CatCMA: stochastic optimization for mixed-category problems", GECCO 2024 (their
least chance).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf, log
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelwright._base.seeds import generator
from modelwright.numerics.cma import Adaptation, Normal
from modelwright.optimizers.base import Abilities
from modelwright.optimizers.cells import Cells
from modelwright.optimizers.generations import Generations, worth
from modelwright.optimizers.genes import Genes, first_valid
from modelwright.optimizers.novelty import Novelty
from modelwright.optimizers.refusing import need_at_least, need_one_objective
from modelwright.records import Exhausted, History, Objective, Proposal, Ticket, Wait

if TYPE_CHECKING:
    from numpy.random import Generator

    from modelwright.space import Space

__all__ = ["CMAES"]

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

_SEPARABLE_FROM = 40  # dimensions; a full covariance is learned too late to be of use
_INSIDE_TRIES = 8
_WIDEST = 0.5
_NARROWEST = 1e-7  # of all standard deviations
_LARGEST_CONDITION = 1e7
_FLAT = 1e-10  # gains below this share of all that was gained are none


@dataclass(frozen=True, eq=False)
class _State:
    """What is known after a generation."""

    normal: Normal
    chances: tuple[Floats, ...]  # of each choice's values
    size: int
    run: int = 0
    bests: tuple[float, ...] = ()  # the lowest loss of each generation of the run
    first: float = inf  # the highest of them


class CMAES:
    """Draws from a normal distribution that adapts to the ranking of each generation.

    Parameters
    ----------
    space : Space
        Where configurations come from. Numbers are searched at their places in the unit interval, numbers
        with steps with a least chance for the next values. Each choice has chances of its own, which are
        learned alongside. Where a parameter is inactive, its trial teaches nothing about it.
    objectives : sequence of Objective
        One.
    deterministic : bool, default=False
        Propose no configuration twice.
    seed : int, default=0
        Decides where restarts begin.
    population : int, optional
        Trials in a generation; ``4 + 3 log(parameters)`` unless given.
    sigma : float, default=0.3
        The first step size, in the unit interval.
    restart : bool, default=True
        Begin again elsewhere with twice the population when a run has come to rest.

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
    >>> from modelwright.space import Float, Space
    >>> space, objectives = Space(x=Float(-5, 5), y=Float(-5, 5)), [Objective()]
    >>> history, optimizer = History(space, objectives), CMAES(space, objectives)
    >>> for k in range(150):
    ...     [proposal] = optimizer.ask(history, [Ticket(k, np.random.default_rng(k))])
    ...     x, y = proposal.params["x"], proposal.params["y"]
    ...     history.add([Trial(k, TrialState.COMPLETE, proposal.params, ((x - 2) ** 2 + (x + y) ** 2,))])
    >>> bool(history.losses.min() < 1e-3)
    True
    """

    abilities = Abilities()

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        *,
        deterministic: bool = False,
        seed: int = 0,
        population: int | None = None,
        sigma: float = 0.3,
        restart: bool = True,
    ) -> None:
        need_one_objective("cmaes", objectives)
        need_at_least("cmaes", "population", population, 3)
        need_at_least("cmaes", "sigma", sigma, _NARROWEST)
        self._space = space
        self._deterministic = deterministic
        self._seed = seed
        self._sigma = min(sigma, _WIDEST)
        self._restart = restart
        self._genes = Genes(space)
        place = {int(j): i for i, j in enumerate(self._genes.numbers)}
        self._cells = Cells({place[j]: column for j, column in self._genes.stepped.items()})
        self._novelty = Novelty(space)
        free = len(self._genes.numbers) + len(self._genes.choices)
        size = population or 4 + int(3 * log(max(1, free)))
        self._generations = Generations(
            self._begin(space.default(), size), lambda state: state.size, self._step
        )

    def __repr__(self) -> str:
        return "CMAES()"

    def ask(self, history: History, tickets: Sequence[Ticket]) -> list[Proposal] | Wait | Exhausted:
        """Return one proposal per ticket."""
        draw = partial(self._draw, self._generations.after(history))
        return self._novelty.fill(history, tickets, draw, unique=self._deterministic)

    # proposing ---------------------------------------------------------------------------------------

    def _draw(
        self, state: _State, ticket: Ticket, _batch: list[dict[str, Any]]
    ) -> tuple[dict[str, Any], str]:
        rng = ticket.rng
        config = first_valid(
            self._space, lambda count: self._rows(state, rng, count), rng, self._novelty.is_new
        )
        again = f" of restart {state.run}" if state.run else ""
        return config, f"generation {len(state.bests)}{again}, {state.size} trials each"

    def _rows(self, state: _State, rng: Generator, count: int) -> Floats:
        """Return draws in the unit cube, shape (count, d)."""
        X = np.full((count, len(self._space)), 0.5)
        X[:, self._genes.numbers] = self._numbers(state, rng, count)
        u = rng.random((count, len(state.chances)))
        if state.chances:
            slots = [
                np.searchsorted(np.cumsum(chances)[:-1], u[:, i], side="right")
                for i, chances in enumerate(state.chances)
            ]
            X[:, self._genes.choices] = self._genes.at_slots(np.stack(slots, axis=1))
        return X

    def _numbers(self, state: _State, rng: Generator, count: int) -> Floats:
        """Return draws that lie inside, or are cut off at the bounds if that does not come about."""
        normal = state.normal
        scale = self._scale(state)
        V = np.empty((count, len(normal.mean)))
        open_ = np.arange(count)
        for _ in range(_INSIDE_TRIES):
            steps = normal.steps(rng.standard_normal((len(open_), len(normal.mean))))
            V[open_] = normal.mean + scale * steps
            open_ = open_[((V[open_] < 0) | (V[open_] > 1)).any(axis=1)]
            if not len(open_):
                break
        return np.clip(V, 0.0, 1.0)

    def _scale(self, state: _State) -> Floats:
        """Return the step size of each number; wider where steps would freeze."""
        normal = state.normal
        chance = min(0.2, 1.0 / (state.size * max(1, len(normal.mean))))
        return np.asarray(
            normal.sigma * self._cells.widened(normal.mean, normal.spread, chance) / normal.spread
        )

    # learning ----------------------------------------------------------------------------------------

    def _begin(self, start: dict[str, Any] | None, size: int, run: int = 0) -> _State:
        """Return the state before the first generation of a run: around `start`, or anywhere."""
        if start is not None:
            row = self._space.encode([start])[0, self._genes.numbers]
            mean = np.where(np.isnan(row), 0.5, row)
        else:
            mean = generator(self._seed, "restart", run).random(len(self._genes.numbers))
        chances = tuple(self._first_chances(run == 0))
        return _State(Normal.round(mean, self._sigma), chances, size, run)

    def _first_chances(self, believing: bool) -> Iterator[Floats]:
        """Yield the chances of each choice's values: all alike, moved half way to the user's prior."""
        parameters = list(self._space.parameters.values())
        for j, size in zip(self._genes.choices.tolist(), self._genes.sizes.tolist(), strict=True):
            alike, prior = np.full(size, 1.0 / size), parameters[j].prior
            believed = believing and isinstance(prior, tuple)
            yield (alike + np.array(prior) / np.sum(prior)) / 2 if believed else alike

    def _step(self, state: _State, history: History, rows: Rows) -> _State:
        """Return the state after a generation."""
        by_worth = sorted((worth(history, row), row) for row in rows.tolist())
        worths = [found for found, _ in by_worth]
        ranked = np.array([row for _, row in by_worth], dtype=np.intp)
        good = sum(len(found) > 1 for found in worths)
        X = history.X[ranked]
        normal = self._moved(state, X, [history.trials[row].number for row in ranked.tolist()], good)
        losses = [found[1] for found in worths if len(found) == 2]
        state = replace(
            state,
            normal=normal,
            chances=self._learned(state, X[: min(good, state.size // 2)]),
            bests=(*state.bests, min(losses, default=inf)),
            first=min(state.first, max(losses, default=inf)) if not state.bests else state.first,
        )
        if self._restart and self._is_at_rest(state):
            return self._begin(None, 2 * state.size, state.run + 1)
        return state

    def _moved(self, state: _State, X: Floats, numbers: list[int], good: int) -> Normal:
        normal, d = state.normal, len(self._genes.numbers)
        if not d:
            return normal
        scale = self._scale(state)
        V = X[:, self._genes.numbers]
        if self._genes.stepped:
            u = np.stack([generator(self._seed, "cell", abs(number)).random(d) for number in numbers])
            V = self._cells.spread_out(V, normal.mean, scale * normal.spread / normal.sigma, u)
        adaptation = Adaptation(d, state.size, separable=d >= _SEPARABLE_FROM)
        moved = adaptation.step(normal, (V - normal.mean) / scale, ~np.isnan(V), good)
        # The steps were measured with the wider ones taken for their plain width: so the mean moves by them.
        mean = np.clip(normal.mean + (moved.mean - normal.mean) * scale / normal.sigma, 0.0, 1.0)
        widest = float((moved.spread).max())
        return replace(moved, mean=mean, sigma=moved.sigma * min(1.0, _WIDEST / widest))

    def _learned(self, state: _State, best: Floats) -> tuple[Floats, ...]:
        """Return the chances of choices moved towards those of `best`, the first most; none gets lost."""
        active = ~np.isnan(best[:, self._genes.choices])
        slots = self._genes.slots(best)
        weights = log(len(best) + 0.5) - np.log(np.arange(1, len(best) + 1))
        learned = []
        for i, chances in enumerate(state.chances):
            taught, counted = slots[active[:, i], i], weights[active[:, i]]
            if len(taught):
                size = len(chances)
                rate = len(taught) / (len(taught) + 2 * len(self._space) + size)
                seen = np.bincount(taught, counted, minlength=size) / counted.sum()
                least = 1.0 / (state.size * len(state.chances) * size)
                chances = np.maximum((1 - rate) * chances + rate * seen, least)
                chances = chances / chances.sum()
            learned.append(chances)
        return tuple(learned)

    def _is_at_rest(self, state: _State) -> bool:
        """Whether a run has converged, or gains nothing any more."""
        normal, d = state.normal, max(1, len(self._genes.numbers))
        if not len(self._genes.numbers):
            return False  # the chances of choices never come to rest
        if normal.spread.max() < _NARROWEST or normal.condition > _LARGEST_CONDITION:
            return True
        span = 10 + 30 * d // state.size
        if len(state.bests) <= span:
            return False
        late, early = min(state.bests[-span:]), min(state.bests[:-span])
        gained = state.first - min(late, early)
        return not early - late > _FLAT * max(gained, 0.0)
