"""Draws from a density whose log has a gradient, by Hamiltonian dynamics with walls.

R. M. Neal, "MCMC using Hamiltonian dynamics", in: Handbook of Markov Chain Monte Carlo, 2011: sections 3
(leapfrog steps) and 5.1 (walls, at which the momentum turns round).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

__all__ = ["hamiltonian_draws"]

Floats = NDArray[np.float64]
LogDensity = Callable[[Floats], tuple[float, Floats]]
"""From a point to the log density, less a constant, and its gradient."""

_WANTED = 0.8  # of the steps should be accepted
_FIRST_STEP, _SMALLEST_STEP, _LARGEST_STEP = 0.2, 1e-3, 1.0
_LEARNING = 0.4


def hamiltonian_draws(
    log_density: LogDensity,
    start: Floats,
    *,
    scale: Floats,
    low: Floats,
    high: Floats,
    rng: Generator,
    count: int,
    burn_in: int,
    leaps: int = 8,
) -> Floats:
    """Return points drawn one after the other, each from the last.

    Parameters
    ----------
    log_density : callable
        See `LogDensity`.
    start : array, shape (d,)
        A point of high density, within the walls.
    scale : array, shape (d,)
        About how far the density reaches in each direction: a step is a share of it.
    low, high : array, shape (d,)
        The walls.
    rng : Generator
        For all draws.
    count : int
        How many are returned.
    burn_in : int
        How many are drawn and dropped before; the length of a step is found meanwhile.
    leaps : int
        For each draw, about so many evaluations of the density.

    Returns
    -------
    points : array, shape (count, d)

    Examples
    --------
    >>> walls = np.full(1, 10.0)
    >>> points = hamiltonian_draws(
    ...     lambda x: (-0.5 * float(x @ x), -x), np.zeros(1), scale=np.ones(1), low=-walls, high=walls,
    ...     rng=np.random.default_rng(0), count=2000, burn_in=50,
    ... )
    >>> bool(abs(points.mean()) < 0.1), bool(abs(points.std() - 1) < 0.1)
    (True, True)
    """
    x = np.clip(start, low, high)
    value, gradient = log_density(x)
    step, drawn = _FIRST_STEP, []
    for k in range(burn_in + count):
        momentum = rng.standard_normal(len(x))
        length = step * rng.uniform(0.8, 1.2)  # else a length may come that walks in circles
        to, turned, there, slope = _walk(log_density, x, momentum, gradient, length * scale, leaps, low, high)
        log_ratio = there - value - 0.5 * (turned @ turned - momentum @ momentum)
        chance = float(np.exp(min(0.0, float(log_ratio)))) if np.isfinite(log_ratio) else 0.0
        if rng.random() < chance:
            x, value, gradient = to, there, slope
        if k < burn_in:
            step = float(
                np.clip(step * np.exp(_LEARNING * (chance - _WANTED)), _SMALLEST_STEP, _LARGEST_STEP)
            )
        else:
            drawn.append(x)
    return np.array(drawn)


def _walk(
    log_density: LogDensity,
    x: Floats,
    momentum: Floats,
    gradient: Floats,
    steps: Floats,
    leaps: int,
    low: Floats,
    high: Floats,
) -> tuple[Floats, Floats, float, Floats]:
    """Return point, momentum, log density and gradient after some leapfrog steps."""
    value = -np.inf
    for _ in range(leaps):
        momentum = momentum + 0.5 * steps * gradient
        x = x + steps * momentum
        over = (x < low) | (x > high)
        momentum = np.where(over, -momentum, momentum)
        x = np.clip(np.where(x > high, 2 * high - x, np.where(x < low, 2 * low - x, x)), low, high)
        value, gradient = log_density(x)
        if not np.isfinite(value):
            return x, momentum, -np.inf, gradient
        momentum = momentum + 0.5 * steps * gradient
    return x, momentum, value, gradient
