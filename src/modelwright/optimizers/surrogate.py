"""What is believed of a value over a space: a Gaussian process whose fits a rebuild repeats to the bit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelwright.numerics.gaussian_process import GaussianProcess, LogNormals, posterior_mode
from modelwright.optimizers.transforms import standardised

__all__ = ["Surrogate"]

Floats = NDArray[np.float64]

_MOST_ROWS = 500  # of the model; with more, half of them the best and half the newest
_FIRST_ANCHOR = 5
_ITERATIONS, _MORE_ITERATIONS = 25, 50
_FITS_PER_DOUBLING = 50


class Surrogate:
    """Gaussian processes of the first n observations, with what was found for their hyperparameters.

    Those are found for numbers of observations that are fixed in advance, each time from the same start: at
    an anchor (5, 10, 20, 40, ...) from the prior's mode, in between from the last anchor. So whoever begins
    with n observations finds what one has found who has seen them come.

    Parameters
    ----------
    groups : array of int, shape (p,)
        The parameter that each feature belongs to.
    g : int
        The number of parameters.
    """

    def __init__(self, groups: NDArray[np.intp], g: int) -> None:
        self._groups = groups
        self._priors = _priors(g)
        self._found: dict[int, Floats] = {}
        self._seen: tuple[Floats, Floats] | None = None

    def model(self, Z: Floats, losses: Floats) -> tuple[GaussianProcess, float]:
        """Return the process of standardised losses, and the least of these."""
        y = standardised(losses)
        return self._process(Z, y, losses), float(y.min())

    def process(self, Z: Floats, labels: Floats) -> GaussianProcess:
        """Return the process of labels as they are."""
        return self._process(Z, labels, labels)

    def _process(self, Z: Floats, y: Floats, values: Floats) -> GaussianProcess:
        theta = self._theta(Z, values)
        kept = _kept(values)
        return GaussianProcess(Z[kept], y[kept], self._groups, theta)

    def _theta(self, Z: Floats, values: Floats) -> Floats:
        self._forget_another_history(Z, values)
        n = len(values)
        n -= n % max(1, n // _FITS_PER_DOUBLING)
        anchor = _FIRST_ANCHOR
        while 2 * anchor <= n:
            anchor *= 2
        start = self._fit(Z, values, min(anchor, n), self._priors.mean, _MORE_ITERATIONS)
        return start if n <= anchor else self._fit(Z, values, n, start, _ITERATIONS)

    def _fit(self, Z: Floats, values: Floats, n: int, start: Floats, iterations: int) -> Floats:
        """Return what is found for the first `n` observations."""
        if n not in self._found:
            kept = _kept(values[:n])
            y = standardised(values[:n])[kept]
            self._found[n] = posterior_mode(Z[kept], y, self._groups, self._priors, [start], iterations)
        return self._found[n]

    def _forget_another_history(self, Z: Floats, values: Floats) -> None:
        if self._seen is not None:
            seen = len(self._seen[1])
            if len(values) < seen or not (
                np.array_equal(values[:seen], self._seen[1]) and np.array_equal(Z[:seen], self._seen[0])
            ):
                self._found.clear()
        self._seen = Z, values


def _kept(values: Floats) -> NDArray[np.intp]:
    """Return which observations a model is made of: all, or the best and the newest where they are many."""
    n = len(values)
    if n <= _MOST_ROWS:
        return np.arange(n)
    half = _MOST_ROWS // 2
    best = np.argsort(values, kind="stable")[:half]
    others = np.setdiff1d(np.arange(n), best)
    return np.sort(np.concatenate([best, others[-half:]]))


def _priors(g: int) -> LogNormals:
    """Return the priors of g lengthscales, of the signal's and of the noise's variance."""
    return LogNormals(
        mean=np.concatenate([np.zeros(g), [0.0, np.log(1e-3)]]),
        sd=np.concatenate([np.full(g, 0.7), [1.0, 1.5]]),
        low=np.log(np.concatenate([np.full(g, 0.01), [1e-3, 1e-6]])),
        high=np.log(np.concatenate([np.full(g, 100.0), [1e3, 0.5]])),
    )
