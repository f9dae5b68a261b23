"""Where trials fail: a probability for each point that a trial there comes to a value.

Failures are learned by a Gaussian process on the labels -1 (failed) and 1 (came to a value); the probability
that a latent value plus noise is above 0 stands for that of a success. This is coarser than a classifier by
approximate inference, and its fit is the one that values have.

M. A. Gelbart, J. Snoek and R. P. Adams, "Bayesian optimization with unknown constraints", UAI 2014.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelwright.numerics.gaussian_process import GaussianProcess

__all__ = ["Feasibility"]

Floats = NDArray[np.float64]

_LATENT_NOISE = 0.1  # a variance: how sharp the border is


class Feasibility:
    """The log of the probability of success, and its gradient.

    Parameters
    ----------
    process : GaussianProcess
        Of the labels.
    """

    def __init__(self, process: GaussianProcess) -> None:
        self._process = process

    def log_probability(self, Z: Floats) -> Floats:
        """Return the values at the rows of features `Z`, shape (m, p)."""
        from scipy.special import log_ndtr

        mean, variance = self._process.predict(Z)
        return np.asarray(log_ndtr(mean / np.sqrt(variance + _LATENT_NOISE)))

    def with_gradient(self, z: Floats) -> tuple[float, Floats]:
        """Return the value at one row of features, and its gradient, shape (p,)."""
        from scipy.special import log_ndtr

        mean, variance, by_mean, by_variance = self._process.predict_with_gradients(z)
        sd = np.sqrt(variance + _LATENT_NOISE)
        u = mean / sd
        value = float(log_ndtr(u))
        hazard = np.exp(-0.5 * u * u - 0.5 * np.log(2 * np.pi) - value)  # phi / Phi
        return value, hazard * (by_mean / sd - 0.5 * u / sd**2 * by_variance)
