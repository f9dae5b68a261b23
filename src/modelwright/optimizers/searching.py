"""Where an acquisition is highest over a space: many points, then steps from the best of them.

Points are drawn from the whole space and around the best configurations that are known; the best few of them
climb, by gradients over the numbers without steps and by single changes of everything else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from modelwright.optimizers.beliefs import Belief
from modelwright.optimizers.features import Features

if TYPE_CHECKING:
    from numpy.random import Generator

    from modelwright.space import Space
    from modelwright.space.parameters import Parameter

__all__ = ["Acquisition", "Search", "around", "config_at", "varied"]

Floats = NDArray[np.float64]

_SMALLEST_STEP, _LARGEST_STEP = 0.006, 0.2
_MOST_CHOICES = 8  # of one parameter, tried in a round of single changes
_ROUNDS = 3


class Acquisition(Protocol):
    """What is to be as large as possible."""

    def __call__(self, Z: Floats) -> Floats:
        """Return the values at the rows of features `Z`, shape (m, p)."""

    def with_gradient(self, z: Floats) -> tuple[float, Floats]:
        """Return the value at one row of features and its gradient, shape (p,)."""


@dataclass(frozen=True)
class Search:
    """How hard to look.

    Attributes
    ----------
    space : Space
        Where configurations come from.
    features : Features
        Of the same space.
    n_drawn : int
        Points drawn from the whole space.
    n_around : int
        Points around the best known configurations, together.
    n_climbing : int
        Of all points, so many of the best climb.
    steps : int
        Of a climb by gradients.
    """

    space: Space
    features: Features
    n_drawn: int = 1000
    n_around: int = 750
    n_climbing: int = 4
    steps: int = 25

    def best(
        self,
        acquisition: Acquisition,
        known: Floats,
        rng: Generator,
        is_new: Callable[[Floats], bool] | None = None,
        belief: Belief | None = None,
    ) -> Floats | None:
        """Return the row in the unit cube that is found best, shape (d,); None where nothing is new.

        Parameters
        ----------
        acquisition : Acquisition
            What is looked for.
        known : array, shape (k, d)
            Good configurations, the best first.
        rng : Generator
            For all draws.
        is_new : callable, optional
            Whether a row may be returned.
        belief : Belief, optional
            A term of the acquisition that is about rows, not features.
        """
        parts = [self.space.sample_unit(rng, self.n_drawn)]
        if len(known):
            parts += [
                around(self.space, known, rng, self.n_around * 2 // 3),
                around(self.space, known[:1], rng, self.n_around // 3),
            ]
        X = np.vstack(parts)
        values = self._values(acquisition, belief, X)
        order = np.argsort(-values, kind="stable")
        climbed = [
            self._climb(acquisition, belief, X[at], float(values[at]), rng) for at in order[: self.n_climbing]
        ]
        climbed.sort(key=lambda found: -found[1])
        ready = [row for row, _ in climbed]
        ready += [X[at] for at in order]
        if is_new is None:
            return ready[0]
        return next((row for row in ready if is_new(row)), None)

    def _values(self, acquisition: Acquisition, belief: Belief | None, X: Floats) -> Floats:
        values = acquisition(self.features(X))
        return values if belief is None else values + belief(X)

    def _climb(
        self, acquisition: Acquisition, belief: Belief | None, row: Floats, value: float, rng: Generator
    ) -> tuple[Floats, float]:
        row, value = self._by_gradient(acquisition, belief, row, value)
        for _ in range(_ROUNDS):
            X = self._single_changes(row, rng)
            if not len(X):
                break
            values = self._values(acquisition, belief, X)
            at = int(np.argmax(values))
            if values[at] <= value:
                break
            row, value = self._by_gradient(acquisition, belief, X[at], float(values[at]))
        return row, value

    def _by_gradient(
        self, acquisition: Acquisition, belief: Belief | None, row: Floats, value: float
    ) -> tuple[Floats, float]:
        """Climb along the numbers without steps that are active."""
        from scipy.optimize import fmin_l_bfgs_b

        active = ~np.isnan(row[self.features.real])
        real, places = self.features.real[active], self.features.places[active]
        if not len(real):
            return row, value
        z, there = self.features(row[None])[0], row.copy()

        def down(x: Floats) -> tuple[float, Floats]:
            z[places] = x
            value, gradient = acquisition.with_gradient(z)
            slope = gradient[places]
            if belief is not None:
                there[real] = x
                value, slope = value + float(belief(there[None])[0]), slope + belief.gradient(there)[real]
            return -value, -slope

        x, least, _ = fmin_l_bfgs_b(down, row[real], bounds=[(0.0, 1.0)] * len(real), maxiter=self.steps)
        moved = row.copy()
        moved[real] = x
        if -float(least) <= value or not self.space.feasible(moved[None])[0]:
            return row, value
        return moved, -float(least)

    def _single_changes(self, row: Floats, rng: Generator) -> Floats:
        """Return rows that differ from `row` in one parameter of listed values or with steps."""
        rows = []
        for j, parameter in enumerate(self.space.parameters.values()):
            if parameter.size is None or np.isnan(row[j]):
                continue
            for u in _others(parameter, row[j], rng):
                rows.append(row.copy())
                rows[-1][j] = u
        return _valid(self.space, np.array(rows), rng) if rows else np.empty((0, len(row)))


def around(space: Space, known: Floats, rng: Generator, count: int) -> Floats:
    """Return valid rows that differ from rows of `known` a little, or in few parameters; at most `count`."""
    return _valid(space, varied(space, known[rng.integers(len(known), size=count)], rng), rng)


def config_at(space: Space, row: Floats) -> dict[str, Any]:
    """Return the configuration at a row of the unit cube, shape (d,), in which what is inactive is NaN."""
    return space.from_unit(np.where(np.isnan(row), 0.5, row))


def varied(space: Space, X: Floats, rng: Generator) -> Floats:
    """Return the rows with one, some or all parameters of each changed, not yet at values that occur."""
    count, d = X.shape
    if not d:
        return X
    share = rng.choice([1 / d, 0.3, 1.0], size=(count, 1))
    change = rng.random((count, d)) < share
    change[np.arange(count), rng.integers(d, size=count)] = True
    size = np.exp(rng.uniform(np.log(_SMALLEST_STEP), np.log(_LARGEST_STEP), (count, 1)))
    stepped = np.clip(X + size * rng.standard_normal((count, d)), 0.0, 1.0)
    drawn = rng.random((count, d))
    listed = np.array([_is_listed(parameter) for parameter in space.parameters.values()])
    return np.where(change, np.where(listed, drawn, stepped), X)


def _valid(space: Space, X: Floats, rng: Generator) -> Floats:
    """Return rows at values that occur; those that break a constraint are left out.

    What a change has switched on is drawn.
    """
    X = space.snap(np.where(np.isnan(X), rng.random(X.shape), X))
    return X[space.feasible(X)] if space.constraints else X


def _others(parameter: Parameter, u: float, rng: Generator) -> list[float]:
    """Return positions of other values of a finite parameter: neighbours of a number, all or some choices."""
    assert parameter.size is not None
    here, size = parameter.slot(u), parameter.size
    if _is_listed(parameter):
        slots = [slot for slot in range(size) if slot != here] if size <= _MOST_CHOICES + 1 else []
        slots = slots or rng.integers(size, size=_MOST_CHOICES).tolist()
    else:
        wide = max(1, round(0.1 * size))
        slots = sorted({here - wide, here - 1, here + 1, here + wide})
    return [parameter.encode(parameter.at(slot)) for slot in slots if 0 <= slot < size and slot != here]


def _is_listed(parameter: Parameter) -> bool:
    from modelwright.space import Float, Int, Ordinal

    return not isinstance(parameter, Float | Int | Ordinal)
