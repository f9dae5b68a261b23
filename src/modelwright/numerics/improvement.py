"""Expected improvement and relatives, for values that are minimised, with derivatives.

D. R. Jones, M. Schonlau and W. J. Welch, "Efficient global optimization of expensive black-box functions",
1998; S. Ament, S. Daulton, D. Eriksson, M. Balandat and E. Bakshy, "Unexpected improvements to expected
improvement for Bayesian optimization", NeurIPS 2023 (logarithms that stay finite far from the optimum).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["log_expected_improvement", "log_improvement"]

Floats = NDArray[np.float64]

_LOG_SQRT_2PI = 0.5 * np.log(2 * np.pi)
_FAR = -40.0  # below, the difference in 1 + u m is lost to rounding, and its series is good to the last bit


def log_improvement(u: Floats) -> tuple[Floats, Floats]:
    """Return ``log(phi(u) + u Phi(u))`` and its derivative, for any finite u; shapes as `u`.

    That is the log of the expected improvement of a normal variable of variance 1 whose mean lies `u` below
    the best value.

    Examples
    --------
    >>> value, slope = log_improvement(np.array([0.0, -1000.0]))
    >>> value.round(4).tolist(), slope.round(4).tolist()
    ([-0.9189, -500014.7345], [1.2533, 1000.002])
    """
    from scipy.special import erfcx

    # Above 0 nothing cancels: improvement(u) = u + improvement(-u). Below, all is relative to phi.
    away = -np.abs(u)
    log_density = -(away**2) / 2 - _LOG_SQRT_2PI
    mills = np.sqrt(np.pi / 2) * erfcx(-away / np.sqrt(2))  # Phi / phi
    far = away < _FAR
    square = np.where(far, away, -1.0) ** -2.0
    part = np.where(far, square * (1 - 3 * square + 15 * square**2), 1 + away * mills)
    density = np.exp(log_density)
    whole = np.maximum(u, 0.0) + part * density
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        value = np.where(u > 0, np.log(whole), np.log(part) + log_density)
        slope = np.where(u > 0, (1 - mills * density) / whole, mills / part)
    return value, slope


def log_expected_improvement(
    mean: Floats, variance: Floats, best: float | Floats
) -> tuple[Floats, Floats, Floats]:
    """Return the log of the expected improvement below `best`, and its derivatives by mean and variance.

    Parameters
    ----------
    mean, variance : array, shape (m,)
        Of normal distributions.
    best : float, or array, shape (m,)
        What is to be improved on.

    Returns
    -------
    value, by_mean, by_variance : array, shape (m,)
    """
    sd = np.sqrt(variance)
    u = (best - mean) / sd
    value, slope = log_improvement(u)
    return value + np.log(sd), -slope / sd, (1 - u * slope) / (2 * variance)
