"""Losses as a model takes them: increasing functions of the losses, of mean 0 and variance 1.

A Gaussian process expects values that are about normal. Those of a search seldom are: a few bad trials lie
far above the rest, or the best ones lie close together. Each transform mends that in another way. With the
values it returns the logarithms of its slope: by it densities of the values become densities of the losses,
so that transforms can be compared.

`gcp` is a Gaussian copula: D. Salinas, H. Shen and V. Perrone, "A quantile-based approach for hyperparameter
transfer learning", ICML 2020. `yeo-johnson`: I.-K. Yeo and R. A. Johnson, "A new family of power
transformations to improve normality or symmetry", Biometrika, 2000.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["TRANSFORMS", "Transformed", "cut_off"]

Floats = NDArray[np.float64]

_MOST_KNOTS = 200  # of a copula
_POWERS = (-2.0, 4.0)  # of Yeo and Johnson's family


class Transformed(NamedTuple):
    """Losses as a model takes them.

    Attributes
    ----------
    y : array, shape (n,)
        The values.
    log_slope : array, shape (n,)
        The log of their derivative by the loss, -inf where the transform is flat.
    """

    y: Floats
    log_slope: Floats


def cut_off(losses: Floats) -> float:
    """Return where losses are called bad: above the median by twice what the best tenth is below it."""
    middle = float(np.median(losses))
    spread = middle - float(np.quantile(losses, 0.1))
    return middle + 2 * spread if spread > 0 else np.inf


def standard(losses: Floats) -> Transformed:
    """Return the losses standardised."""
    return _scaled(losses, np.zeros(len(losses)))


def winsor(losses: Floats) -> Transformed:
    """Return the losses standardised, those far above the median cut off."""
    cut = cut_off(losses)
    return _scaled(np.minimum(losses, cut), np.where(losses > cut, -np.inf, 0.0))


def log(losses: Floats) -> Transformed:
    """Return the logarithm of what is lost against the best tenth, counted from the best loss."""
    least = losses.min()
    for share in (0.1, 0.5, 1.0):
        offset = np.quantile(losses, share) - least
        if offset > 0:
            return _scaled(np.log((losses - least) / offset + 1), -np.log(losses - least + offset))
    return standard(losses)


def yeo_johnson(losses: Floats) -> Transformed:
    """Return the power of the standardised losses, after Yeo and Johnson, that makes them most normal."""
    from scipy.optimize import fminbound

    x, log_slope = standard(losses)
    if np.ptp(x) == 0:
        return Transformed(x, log_slope)
    bend = np.sign(x) * np.log1p(np.abs(x))

    def badness(power: float) -> float:
        variance = _power(x, power).var()
        return float(0.5 * np.log(variance) - (power - 1) * bend.mean()) if variance > 0 else np.inf

    power = float(fminbound(badness, *_POWERS))
    return _scaled(_power(x, power), log_slope + (power - 1) * bend)


def ranks(losses: Floats) -> Transformed:
    """Return the normal quantiles of the losses' ranks, the mean rank where losses are equal."""
    from scipy.special import ndtri

    _, inverse, counts = np.unique(losses, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - counts / 2)[inverse]
    return _scaled(ndtri(rank / len(losses)), np.full(len(losses), -np.inf))


def gcp(losses: Floats) -> Transformed:
    """Return the normal quantiles of the losses in their distribution, as a density of kernels smooths it.

    Each kernel is as wide as its sqrt(n) nearest losses. A loss's own kernel does not count for its slope:
    it would say that each loss was to be expected.
    """
    from scipy.special import log_ndtr, ndtri_exp

    knots = np.sort(losses)
    if len(knots) > _MOST_KNOTS:
        knots = np.quantile(knots, (np.arange(_MOST_KNOTS) + 0.5) / _MOST_KNOTS)
    spread = knots[-1] - knots[0]
    if len(knots) < 2 or spread <= 0:
        return standard(losses)
    near = min(len(knots) - 1, int(np.ceil(np.sqrt(len(knots)))))
    distances = np.abs(knots[:, None] - knots)
    width = np.maximum(np.partition(distances, near, axis=1)[:, near], 1e-6 * spread)
    u = (losses[:, None] - knots) / width
    y = ndtri_exp(np.logaddexp.reduce(log_ndtr(u), axis=1) - np.log(len(knots)))
    log_kernels = -0.5 * u * u - np.log(width)
    log_kernels[losses[:, None] == knots] = -np.inf
    log_density = np.logaddexp.reduce(log_kernels, axis=1) - np.log(len(knots) - 1)
    return _scaled(y, log_density + 0.5 * y * y)


TRANSFORMS: dict[str, Callable[[Floats], Transformed]] = {
    "winsor": winsor,
    "standard": standard,
    "log": log,
    "yeo-johnson": yeo_johnson,
    "ranks": ranks,
    "gcp": gcp,
}
"""Transforms by name: from losses, shape (n,), to values of the same order."""


def _scaled(y: Floats, log_slope: Floats) -> Transformed:
    sd = y.std() if np.ptp(y) > 0 else 0.0  # equal values may differ from their mean by rounding
    sd = sd if sd > 0 else 1.0
    return Transformed(np.asarray((y - y.mean()) / sd), log_slope - np.log(sd))


def _power(x: Floats, power: float) -> Floats:
    """Return Yeo and Johnson's power of x."""
    up, down = np.log1p(np.maximum(x, 0.0)), np.log1p(np.maximum(-x, 0.0))
    return np.asarray(_expm1_over(up, power) - _expm1_over(down, 2 - power))


def _expm1_over(logs: Floats, power: float) -> Floats:
    return np.expm1(power * logs) / power if abs(power) > 1e-12 else logs
