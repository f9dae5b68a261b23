"""Where trials fail: a probability for each point that a trial there comes to a value.

Failures are learned by a Gaussian process on the labels -1 (failed) and 1 (came to a value); the probability
that a latent value plus noise is above 0 stands for that of a success. This is coarser than a classifier by
approximate inference, and its fit is the one that values have. Ways to fail that are learned apart have a
process each, and a trial has to get past all of them.

`gp` climbs by its gradients. `forest` has forests of its own for the same labels instead: they see conditions
and choices as they are, and cost little after 10,000 trials.

M. A. Gelbart, J. Snoek and R. P. Adams, "Bayesian optimization with unknown constraints", UAI 2014.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from modelwright.numerics.gaussian_process import GaussianProcess

__all__ = ["Feasibility"]

Floats = NDArray[np.float64]

_LATENT_NOISE = 0.1  # failures have no sharp border


class Feasibility:
    """The log of the probability of success, and its gradient.

    Parameters
    ----------
    processes : sequence of GaussianProcess
        Of the labels, one for each way to fail.
    noise : float, default=0.1
        A variance: how sharp the border is.
    """

    def __init__(self, processes: Sequence[GaussianProcess], noise: float = _LATENT_NOISE) -> None:
        self._processes = processes
        self._noise = noise

    def log_probability(self, Z: Floats) -> Floats:
        """Return the values at the rows of features `Z`, shape (m, p)."""
        from scipy.special import log_ndtr

        total = np.zeros(len(Z))
        for process in self._processes:
            mean, variance = process.predict(Z)
            total += log_ndtr(mean / np.sqrt(variance + self._noise))
        return total

    def with_gradient(self, z: Floats) -> tuple[float, Floats]:
        """Return the value at one row of features, and its gradient, shape (p,)."""
        from scipy.special import log_ndtr

        total, slope = 0.0, np.zeros(len(z))
        for process in self._processes:
            mean, variance, by_mean, by_variance = process.predict_with_gradients(z)
            sd = np.sqrt(variance + self._noise)
            u = mean / sd
            value = float(log_ndtr(u))
            hazard = np.exp(-0.5 * u * u - 0.5 * np.log(2 * np.pi) - value)  # phi / Phi
            total += value
            slope += hazard * (by_mean / sd - 0.5 * u / sd**2 * by_variance)
        return total, slope
