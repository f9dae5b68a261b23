"""What a point is worth, given models of the values: the acquisitions that `Search` climbs.

Expected improvement: see `numerics.improvement`. Confidence bound: N. Srinivas, A. Krause, S. Kakade and
M. Seeger, "Gaussian process optimization in the bandit setting", ICML 2010.
Averages over drawn hyperparameters: J. Snoek, H. Larochelle and R. P. Adams, "Practical Bayesian optimization
of machine learning algorithms", NIPS 2012, section 3.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from modelwright.errors import InputError
from modelwright.numerics.gaussian_process import GaussianProcess
from modelwright.numerics.improvement import log_expected_improvement
from modelwright.optimizers.feasibility import Feasibility
from modelwright.optimizers.outcomes import AllOf

__all__ = ["ACQUISITIONS", "Aim", "Worth", "WorthOf", "below", "bound", "decayed"]

Floats = NDArray[np.float64]
WorthOf = Callable[[Floats, Floats], tuple[Floats, Floats, Floats]]
"""From means and variances, shapes (m,), to worths and their derivatives by both."""

ACQUISITIONS = ("log_ei", "ei", "ucb", "mixture")

_SHARES = {"log_ei": 0.6, "ucb": 0.2, "mean": 0.2}  # of a mixture
_FIRST_BETA, _HALF_LIFE = 4.0, 10


@dataclass(frozen=True)
class Worth:
    """The worth of points, averaged over models, with the log of the probability that there is a value.

    Attributes
    ----------
    models : sequence of GaussianProcess
        Of the values; they count alike.
    worth : callable
        What a value with a mean and a variance is worth.
    feasibility : Feasibility, AllOf or None
        Where trials come to a value and meet what they have to; None where all did.
    in_logs : bool
        Worths are logarithms: it is what they are logarithms of that is averaged.
    as_power : bool
        The exponential of all this is what counts.
    """

    models: Sequence[GaussianProcess]
    worth: WorthOf
    feasibility: Feasibility | AllOf | None = None
    in_logs: bool = True
    as_power: bool = False

    def __call__(self, Z: Floats) -> Floats:
        """Return the values at the rows of features `Z`, shape (m, p)."""
        worths = np.array([self.worth(*model.predict(Z))[0] for model in self.models])
        value, _ = self._average(worths)
        if self.feasibility is not None:
            value = value + self.feasibility.log_probability(Z)
        return np.exp(value) if self.as_power else value

    def with_gradient(self, z: Floats) -> tuple[float, Floats]:
        """Return the value at one row of features and its gradient, shape (p,)."""
        worths, slopes = np.empty((len(self.models), 1)), np.empty((len(self.models), len(z)))
        for k, model in enumerate(self.models):
            mean, variance, by_mean, by_variance = model.predict_with_gradients(z)
            worths[k], slope, slope_v = self.worth(np.array([mean]), np.array([variance]))
            slopes[k] = slope[0] * by_mean + slope_v[0] * by_variance
        values, weights = self._average(worths)
        value, gradient = float(values[0]), weights[:, 0] @ slopes
        if self.feasibility is not None:
            more, steeper = self.feasibility.with_gradient(z)
            value, gradient = value + more, gradient + steeper
        if self.as_power:
            value = float(np.exp(value))
            gradient = value * gradient
        return value, gradient

    def _average(self, worths: Floats) -> tuple[Floats, Floats]:
        """Return the average over models, shape (m,), and its derivatives by each worth, shape (k, m)."""
        count = len(worths)
        if not self.in_logs:
            return worths.mean(0), np.full_like(worths, 1 / count)
        top = worths.max(0)
        weights = np.exp(worths - top)
        total = weights.sum(0)
        return top + np.log(total / count), weights / total


def below(least: float) -> WorthOf:
    """Return the log of the expected improvement below `least`."""
    return lambda mean, variance: log_expected_improvement(mean, variance, least)


def bound(beta: float) -> WorthOf:
    """Return how low the lower confidence bound is: beta squared widths below the mean; 0 for the mean."""

    def worth(mean: Floats, variance: Floats) -> tuple[Floats, Floats, Floats]:
        width = np.sqrt(beta * variance)
        return width - mean, np.full_like(mean, -1.0), 0.5 * width / variance

    return worth


def decayed(n: int) -> float:
    """Return the beta of a bound after n trials: it falls as there is less left to explore."""
    return _FIRST_BETA * _HALF_LIFE / (_HALF_LIFE + n)


class Aim:
    """What an optimizer looks for at each trial, as its options say.

    Parameters
    ----------
    acquisition : str
        One of `ACQUISITIONS`.
    beta : float or None
        Of confidence bounds; None for `decayed`.

    Raises
    ------
    InputError
        There is no such acquisition, or `beta` is negative.
    """

    def __init__(self, acquisition: str, beta: float | None = None) -> None:
        if acquisition not in ACQUISITIONS:
            raise InputError(
                f"expected one of {', '.join(ACQUISITIONS)} as gp's acquisition, got {acquisition!r}."
            )
        if beta is not None and not beta >= 0:
            raise InputError(f"expected beta >= 0 for gp, got {beta!r}.")
        self._acquisition, self._beta = acquisition, beta

    def __call__(
        self,
        models: Sequence[GaussianProcess],
        least: float,
        n: int,
        feasibility: Feasibility | AllOf | None,
        rng: Generator,
    ) -> tuple[Worth, str]:
        """Return what is looked for after n trials of which `least` is the best, and its name."""
        name = self._acquisition
        if name == "mixture":
            name = str(rng.choice(list(_SHARES), p=list(_SHARES.values())))
        if name in ("log_ei", "ei"):
            worth = Worth(models, below(least), feasibility, as_power=name == "ei")
            return worth, "largest expected improvement"
        if name == "mean":
            return Worth(models, bound(0.0), feasibility, in_logs=False), "lowest mean"
        beta = decayed(n) if self._beta is None else self._beta
        return Worth(models, bound(beta), feasibility, in_logs=False), "lowest confidence bound"
