"""What a point is worth, given a model of the values: the acquisitions that `Search` climbs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelwright.numerics.gaussian_process import GaussianProcess
from modelwright.numerics.improvement import log_expected_improvement
from modelwright.optimizers.feasibility import Feasibility

__all__ = ["Improvement"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Improvement:
    """The log of the expected improvement below `least`, and of the probability that there is a value.

    Attributes
    ----------
    model : GaussianProcess
        Of the values.
    least : float
        What is to be improved on.
    feasibility : Feasibility or None
        Where trials come to a value; None where none has failed.
    """

    model: GaussianProcess
    least: float
    feasibility: Feasibility | None

    def __call__(self, Z: Floats) -> Floats:
        """Return the values at the rows of features `Z`, shape (m, p)."""
        value, _, _ = log_expected_improvement(*self.model.predict(Z), self.least)
        return value if self.feasibility is None else value + self.feasibility.log_probability(Z)

    def with_gradient(self, z: Floats) -> tuple[float, Floats]:
        """Return the value at one row of features and its gradient, shape (p,)."""
        mean, variance, by_mean, by_variance = self.model.predict_with_gradients(z)
        value, slope, slope_v = log_expected_improvement(np.array([mean]), np.array([variance]), self.least)
        gradient = slope[0] * by_mean + slope_v[0] * by_variance
        if self.feasibility is None:
            return float(value[0]), gradient
        more, steeper = self.feasibility.with_gradient(z)
        return float(value[0]) + more, gradient + steeper
