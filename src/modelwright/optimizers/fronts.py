"""What a point is worth where there are several objectives: how far it is expected to push out their front.

Each objective has a model of its own, and a point counts by the hypervolume that it is expected to add, which
is exact. The front of many objectives cuts that into too many boxes: then each proposal looks at five that it
draws, since what adds to the front of some objectives adds to the front of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modelwright.numerics.front_improvement import HypervolumeImprovement
from modelwright.numerics.gaussian_process import GaussianProcess
from modelwright.numerics.pareto import best_first, nondominated
from modelwright.optimizers.feasibility import Feasibility
from modelwright.optimizers.outcomes import AllOf
from modelwright.optimizers.surrogate import Modelling, Surrogate

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["FrontImprovement", "Fronts"]

Floats = NDArray[np.float64]

_MOST_IN_VOLUME = 5  # objectives
_MOST_POINTS = 200  # of a front of two objectives, in the volume; of more, fewer
_BEYOND = 1.0  # of the front's range, from its worst losses to the reference: nearer, its ends are given up
_LEAST_RANGE = 1.0  # in standard deviations: a front of one point has none


@dataclass(frozen=True)
class FrontImprovement:
    """The log of the expected improvement on a front, and of the probability that there are values.

    Attributes
    ----------
    models : sequence of GaussianProcess
        Of each objective that counts.
    improvement : HypervolumeImprovement
        Of their values.
    feasibility : Feasibility, AllOf or None
        Where trials come to values; None where none has failed.
    """

    models: Sequence[GaussianProcess]
    improvement: HypervolumeImprovement
    feasibility: Feasibility | AllOf | None

    def __call__(self, Z: Floats) -> Floats:
        """Return the values at the rows of features `Z`, shape (r, p)."""
        mean, variance = np.stack([model.predict(Z) for model in self.models], axis=2)
        value = self.improvement(mean, variance)
        return value if self.feasibility is None else value + self.feasibility.log_probability(Z)

    def with_gradient(self, z: Floats) -> tuple[float, Floats]:
        """Return the value at one row of features and its gradient, shape (p,)."""
        found = [model.predict_with_gradients(z) for model in self.models]
        mean, variance, by_mean, by_variance = (np.array(part) for part in zip(*found, strict=True))
        value, slope, slope_v = self.improvement.with_gradient(mean, variance)
        gradient = slope @ by_mean + slope_v @ by_variance
        if self.feasibility is None:
            return value, gradient
        more, steeper = self.feasibility.with_gradient(z)
        return value + more, gradient + steeper


class Fronts:
    """The models of several objectives, and what they say of a front.

    Parameters
    ----------
    groups : array of int, shape (p,)
        The parameter that each feature belongs to.
    g : int
        The number of parameters.
    m : int
        The number of objectives.
    how : Modelling, optional
        How the values of each are modelled, with hyperparameters at their mode.
    """

    def __init__(self, groups: NDArray[np.intp], g: int, m: int, how: Modelling | None = None) -> None:
        self._surrogates = [Surrogate(groups, g, how) for _ in range(m)]

    def improvement(
        self,
        Z: Floats,
        losses: Floats,
        complete: NDArray[np.bool_],
        running: Floats,
        feasibility: Feasibility | AllOf | None,
        rng: Generator,
    ) -> FrontImprovement:
        """Return what a point is worth.

        Parameters
        ----------
        Z : array, shape (n, p)
            Features of the observations.
        losses : array, shape (n, m)
            Their losses.
        complete : array of bool, shape (n,)
            Which of them may be on the front: not pruned trials, whose losses are guesses, nor those that
            break constraints.
        running : array, shape (q, p)
            Features of what runs: it is believed to end at the models' means, which count as found.
        feasibility : Feasibility, AllOf or None
            As in `FrontImprovement`.
        rng : Generator
            Draws some of many objectives.
        """
        drawn = _drawn(losses.shape[1], rng)
        fitted = [self._surrogates[j].models(Z, losses[:, j]) for j in drawn.tolist()]
        models, found = [model for [model], _ in fitted], np.stack([y for _, y in fitted], axis=1)
        found = found[complete] if complete.any() else found
        if len(running):
            believed = np.stack([model.predict(running)[0] for model in models], axis=1)
            found = np.vstack([found, believed])
            models = [model.believing(running) for model in models]
        return FrontImprovement(models, _improvement(found), feasibility)

    @staticmethod
    def best(losses: Floats, count: int, rng: Generator) -> NDArray[np.intp]:
        """Return the rows on the front in a random order, and after them the next best, at least `count`."""
        order = best_first(losses, count)
        front = int(nondominated(losses[order]).sum())
        return np.concatenate([rng.permutation(order[:front]), order[front:]])


def _drawn(m: int, rng: Generator) -> NDArray[np.intp]:
    """Return the objectives that a proposal looks at: all, or some where they are many."""
    return np.arange(m) if m <= _MOST_IN_VOLUME else np.sort(rng.permutation(m)[:_MOST_IN_VOLUME])


def _improvement(found: Floats) -> HypervolumeImprovement:
    front = found[nondominated(found)]
    span = np.ptp(front, axis=0)
    reference = front.max(axis=0) + _BEYOND * np.where(span > 0, span, _LEAST_RANGE)
    most = _MOST_POINTS // max(1, found.shape[1] - 1)
    return HypervolumeImprovement(front[best_first(front, most)[:most]], reference)
