"""Input warping: positions in the unit interval, bent so that a stationary kernel suits what is not.

Each warped column goes through the distribution function of Kumaraswamy, ``1 - (1 - z^a)^b``: a < 1 spreads
out the lower end of a range, b < 1 the upper one, and a = b = 1 changes nothing. A margin at both ends keeps
slopes finite.

J. Snoek, K. Swersky, R. Zemel and R. P. Adams, "Input warping for Bayesian optimization of non-stationary
functions", ICML 2014.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Warping"]

Floats = NDArray[np.float64]

_MARGIN = 1e-4  # of the interval, at each end


class Warping:
    """A bend for each of w columns.

    Parameters
    ----------
    columns : array of int, shape (w,)
        Those that are bent; their values lie in [0, 1].
    shapes : array, shape (2 w,)
        Logs of a, then logs of b.

    Examples
    --------
    >>> bent = Warping(np.array([0]), np.log([0.5, 1.0]))
    >>> bent(np.array([[0.25, 7.0]])).round(3).tolist()
    [[0.5, 7.0]]
    """

    def __init__(self, columns: NDArray[np.intp], shapes: Floats) -> None:
        self._columns = columns
        self._a, self._b = np.exp(shapes.reshape(2, -1))

    def __call__(self, Z: Floats) -> Floats:
        """Return the rows of `Z`, shape (m, p), bent; the same array where no column is."""
        if not len(self._columns):
            return Z
        W = Z.copy()
        z = _inner(Z[:, self._columns])
        W[:, self._columns] = -np.expm1(self._b * np.log1p(-(z**self._a)))
        return W

    def slopes(self, Z: Floats) -> tuple[Floats, Floats, Floats]:
        """Return the derivatives of the bent columns by z, log a and log b, each of shape (m, w)."""
        z = _inner(Z[:, self._columns])
        power = z**self._a
        log_rest = np.log1p(-power)
        by_power = self._b * np.exp((self._b - 1) * log_rest)
        by_z = by_power * self._a * power / z * (1 - 2 * _MARGIN)
        by_log_a = by_power * power * self._a * np.log(z)
        by_log_b = -self._b * log_rest * np.exp(self._b * log_rest)
        return by_z, by_log_a, by_log_b


def _inner(z: Floats) -> Floats:
    return _MARGIN + (1 - 2 * _MARGIN) * z
