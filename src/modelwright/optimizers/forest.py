"""Bayesian optimization with a random forest: for conditional spaces, many choices and long histories.

F. Hutter, H. H. Hoos and K. Leyton-Brown, "Sequential model-based optimization for general algorithm
configuration", LION 5, 2011.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelwright._base.seeds import generator
from modelwright.errors import InputError
from modelwright.numerics.forest import Growth
from modelwright.numerics.improvement import log_expected_improvement
from modelwright.optimizers.base import Abilities
from modelwright.optimizers.beliefs import Belief, Beliefs
from modelwright.optimizers.evidence import Evidence
from modelwright.optimizers.grown import Grown
from modelwright.optimizers.novelty import Novelty
from modelwright.optimizers.refusing import need_one_objective
from modelwright.optimizers.searching import config_at
from modelwright.optimizers.starting import Starting
from modelwright.optimizers.stepping import StepSearch
from modelwright.records import Exhausted, History, Objective, Proposal, Ticket, Wait

if TYPE_CHECKING:
    from modelwright.space import Space

__all__ = ["Forest"]

Floats = NDArray[np.float64]

_KNOWN = 10  # of the best configurations, around which points are drawn
_LEAST_VARIANCE = 1e-6  # of values with the variance 1
_LEAST_CHANCE = 0.01  # of success: no part of the space is given up for good
_DRAWN = 1000  # points by which it is told how much of the space a leaf covers
_NEAR = 0.01  # of the distance from the best to the median: below, differences count little
_DOUBT = 1.0  # rows that the prior of a leaf's variance counts for
_TINY = 1e-300


class Forest:
    """Models the values by a random forest and takes the point of the largest expected improvement.

    Parameters
    ----------
    space : Space
        Where configurations come from. Trees split on whether a parameter is active and on subsets of
        choices, so conditions and choices are part of the model as they are.
    objectives : sequence of Objective
        One.
    deterministic : bool, default=False
        Propose no configuration twice.
    seed : int, default=0
        Trees are drawn from it and from the length of the history.
    n_startup : int, default=5
        So many trials are waited for, proposing points spread evenly, before the model is used, and until one
        of them has come to a value.
    default_first : bool, default=True
        Start with the space's default configuration.
    n_trees : int, default=50
        Of the forest.
    random_every : int, default=20
        Every so many trials, by their number, one is drawn at random, because a forest may be sure of what
        it has never seen; 0 for none.

    Notes
    -----
    Values are modelled as the logarithm of their distance from the best, so that the forest tells good
    configurations apart whether or not values span decades. A leaf that covers much of the space and holds
    few trials has a wide variance, so that a method that began badly is tried again. With failures that say
    something about their configuration a second forest estimates the chance of success, whose logarithm is
    added to that of the expected improvement. Running trials are believed to end at the model's mean.

    Examples
    --------
    >>> from modelwright.records import History, Objective, Ticket, Trial, TrialState
    >>> from modelwright.space import Categorical, Float, Space
    >>> space = Space(kind=Categorical("a", "b"), x=Float(0, 1, when={"kind": "b"}))
    >>> objectives = [Objective()]
    >>> history, optimizer = History(space, objectives), Forest(space, objectives)
    >>> for k in range(25):
    ...     [proposal] = optimizer.ask(history, [Ticket(k, np.random.default_rng(k))])
    ...     loss = abs(proposal.params.get("x", 1.3) - 0.3)
    ...     history.add([Trial(k, TrialState.COMPLETE, space.dump(proposal.params), (loss,))])
    >>> bool(history.losses.min() < 0.05)
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
        n_startup: int = 5,
        default_first: bool = True,
        n_trees: int = 50,
        random_every: int = 20,
    ) -> None:
        need_one_objective("forest", objectives)
        if n_startup < 0 or n_trees < 2 or random_every < 0 or random_every == 1:
            raise InputError(
                "expected n_startup >= 0, n_trees >= 2 and random_every 0 or at least 2 for forest, got "
                f"{n_startup!r}, {n_trees!r} and {random_every!r}."
            )
        self._space = space
        self._deterministic = deterministic
        self._n_startup = max(1, n_startup)
        self._random_every = random_every
        self._search = StepSearch(space)
        self._novelty = Novelty(space)
        self._evidence = Evidence()
        self._beliefs = Beliefs(space)
        self._starting = Starting(space, self._novelty, seed=seed, default_first=default_first)
        growth, choices = Growth(trees=n_trees), _choices(space)
        drawn = space.sample_unit(generator(seed, "drawn"), _DRAWN)
        self._values = Grown(seed, "values", choices, growth, drawn)
        self._chances: defaultdict[str, Grown] = defaultdict(
            lambda: Grown(seed, "chances", choices, growth, drawn)
        )

    def __repr__(self) -> str:
        return "Forest()"

    def ask(self, history: History, tickets: Sequence[Ticket]) -> list[Proposal] | Wait | Exhausted:
        """Return one proposal per ticket."""
        self._evidence.read(history)
        return self._novelty.fill(history, tickets, partial(self._draw, history), unique=self._deterministic)

    def _draw(
        self, history: History, ticket: Ticket, batch: list[dict[str, Any]]
    ) -> tuple[dict[str, Any], str]:
        rows, losses = self._evidence.valued, self._evidence.losses
        if not self._evidence.suffices(self._n_startup):
            return self._starting(history, ticket)
        standing = self._beliefs.after(self._evidence, history)
        instead = self._starting.instead(standing)
        if instead is not None:
            return instead
        if self._random_every and ticket.number % self._random_every == self._random_every - 1:
            return self._space.sample(ticket.rng), f"random: one of every {self._random_every}"
        running = [history.pending_X, self._space.encode(batch)] if batch else [history.pending_X]
        acquisition = self._acquisition(history, rows, losses, np.vstack(running), standing.belief)
        known = history.X[rows[np.argsort(losses, kind="stable")[:_KNOWN]]]
        row = self._search.best(acquisition, known, ticket.rng, self._is_new)
        if row is None:
            return self._space.sample(ticket.rng), "random: all that the model proposes is used"
        return config_at(self._space, row), f"largest expected improvement by the forest{standing.note}"

    def _is_new(self, row: Floats) -> bool:
        # Also where values are noisy: leaves are flat, so a forest would repeat its best for ever.
        return self._novelty.is_new(config_at(self._space, row))

    def _acquisition(
        self, history: History, rows: NDArray[np.intp], losses: Floats, running: Floats, belief: Belief | None
    ) -> Callable[[Floats], Floats]:
        """Return the log of expected improvement times chance of success times belief, for rows."""
        X = history.X
        values = self._values.holding(history, X[rows], losses, _scaled).doubting(_DOUBT)
        if len(running):
            values = values.adding(running, values.predict(running)[0])
        best = float(_scaled(losses).min())
        chances = [
            self._chances[way.name].holding(history, X[way.rows], way.works.astype(float), np.asarray)
            for way in self._evidence.ways_to_fail
        ]

        def acquisition(X: Floats) -> Floats:
            mean, variance = values.predict(X)
            gain, _, _ = log_expected_improvement(mean, variance + _LEAST_VARIANCE, best)
            for chance in chances:
                gain = gain + np.log(np.maximum(chance.predict(X)[0], _LEAST_CHANCE))
            return np.asarray(gain if belief is None else gain + belief(X))

        return acquisition


def _scaled(losses: Floats) -> Floats:
    """Return the log of the distance from the best, at mean 0 and variance 1."""
    y = losses / (np.abs(losses).max() or 1.0)
    y = y - y.min()
    unit = np.median(y) or y.max()
    y = np.log(_NEAR + y / max(unit, _TINY))
    sd = y.std()
    return np.asarray((y - y.mean()) / (sd if sd > 0 else 1.0))


def _choices(space: Space) -> list[int]:
    """Return how many unordered values each parameter has, 0 for numbers and ordinals."""
    from modelwright.space import Float, Int, Ordinal

    parameters = space.parameters.values()
    return [0 if isinstance(p, Float | Int | Ordinal) else p.size or 0 for p in parameters]
