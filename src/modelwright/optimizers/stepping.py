"""Where an acquisition without gradients is highest over a space: many points, then steps from the best.

All climbs go on together: each round tries some neighbours of every row that climbs, changed in one, some or
all parameters, and takes the best of each row's own. A step to an equal value is taken too, because the
values of trees are flat in places.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modelwright.optimizers.searching import around, varied

if TYPE_CHECKING:
    from numpy.random import Generator

    from modelwright.space import Space

__all__ = ["StepSearch"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class StepSearch:
    """How hard to look.

    Attributes
    ----------
    space : Space
        Where configurations come from.
    n_drawn : int
        Points drawn from the whole space.
    n_around : int
        Points around the best known configurations, together.
    n_climbing : int
        Of all points, so many of the best climb.
    n_tried : int
        Neighbours of each in a round.
    rounds : int
        Of all climbs.
    """

    space: Space
    n_drawn: int = 1000
    n_around: int = 500
    n_climbing: int = 10
    n_tried: int = 20
    rounds: int = 8

    def best(
        self,
        acquisition: Callable[[Floats], Floats],
        known: Floats,
        rng: Generator,
        is_new: Callable[[Floats], bool],
    ) -> Floats | None:
        """Return the row in the unit cube that is found best, shape (d,); None where nothing is new.

        Parameters
        ----------
        acquisition : callable
            From rows, shape (m, d), NaN where a parameter is inactive, to what is to be as large as possible.
        known : array, shape (k, d)
            Good configurations, the best first.
        rng : Generator
            For all draws.
        is_new : callable
            Whether a row may be returned.
        """
        X = self.space.sample_unit(rng, self.n_drawn)
        if len(known):
            X = np.vstack([X, around(self.space, known, rng, self.n_around)])
        values = acquisition(X)
        order = np.argsort(-values, kind="stable")
        top = order[: self.n_climbing]
        climbed, reached = self._climb(acquisition, X[top], values[top], rng)
        ready = [climbed[at] for at in np.argsort(-reached, kind="stable")] + [X[at] for at in order]
        return next((row for row in ready if is_new(row)), None)

    def _climb(
        self, acquisition: Callable[[Floats], Floats], rows: Floats, values: Floats, rng: Generator
    ) -> tuple[Floats, Floats]:
        each = np.arange(len(rows))
        for _ in range(self.rounds):
            tried = varied(self.space, np.repeat(rows, self.n_tried, axis=0), rng)
            # What a change has switched on is drawn.
            tried = self.space.snap(np.where(np.isnan(tried), rng.random(tried.shape), tried))
            found = acquisition(tried)
            if self.space.constraints:
                found[~self.space.feasible(tried)] = -np.inf
            found = found.reshape(len(rows), self.n_tried)
            at = np.argmax(found, axis=1)
            better = found[each, at] >= values
            rows = np.where(better[:, None], tried[each * self.n_tried + at], rows)
            values = np.where(better, found[each, at], values)
        return rows, values
