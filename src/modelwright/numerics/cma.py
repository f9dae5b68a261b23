"""Covariance matrix adaptation: a normal distribution that learns from ranked points.

N. Hansen, "The CMA evolution strategy: a tutorial", arXiv:1604.00772, 2016 (equations and constants, with
negative weights); N. Hansen, "Injecting external solutions into CMA-ES", INRIA RR-7748, 2011 (points drawn
by somebody else are shortened to a plausible length); R. Ros and N. Hansen, "A simple modification in CMA-ES
achieving linear time and space complexity", PPSN X, 2008 (variances alone, for many dimensions).

=========  ===========================================  ==========
Symbol     Meaning                                      Shape
=========  ===========================================  ==========
mean       centre                                       (d,)
sigma      step size
C          covariance, less the step size               (d, d)
p_sigma    evolution path of the step size              (d,)
p_c        evolution path of the covariance             (d,)
Y          points as steps, (x - mean) / sigma          (n, d)
=========  ===========================================  ==========
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import exp, log, sqrt

import numpy as np
from numpy.typing import NDArray

__all__ = ["Adaptation", "Normal"]

Floats = NDArray[np.float64]

_TINY = 1e-30


@dataclass(frozen=True, eq=False)
class Normal:
    """A normal distribution with its evolution paths; see the table of the module."""

    mean: Floats
    sigma: float
    C: Floats
    p_sigma: Floats
    p_c: Floats
    age: int = 0

    @staticmethod
    def round(mean: Floats, sigma: float) -> Normal:
        """Return one without any direction preferred."""
        d = len(mean)
        return Normal(mean, sigma, np.eye(d), np.zeros(d), np.zeros(d))

    @cached_property
    def _axes(self) -> tuple[Floats, Floats]:
        """Lengths of the axes of C, shape (d,), and the axes as columns."""
        variances = np.diag(self.C)
        if np.array_equal(self.C, np.diag(variances)):
            axes = np.eye(len(variances))
        else:
            variances, axes = np.linalg.eigh(self.C)
        return np.sqrt(np.maximum(variances, _TINY)), axes

    @property
    def spread(self) -> Floats:
        """Standard deviation of each coordinate, shape (d,)."""
        return np.asarray(self.sigma * np.sqrt(np.diag(self.C)))

    @property
    def condition(self) -> float:
        """The longest axis by the shortest."""
        lengths, _ = self._axes
        return float(lengths.max() / lengths.min()) if len(lengths) else 1.0

    def steps(self, z: Floats) -> Floats:
        """Return standard normal draws, shape (n, d), as draws from N(0, C)."""
        lengths, axes = self._axes
        return np.asarray((z * lengths) @ axes.T)

    def whiten(self, Y: Floats) -> Floats:
        """Return C^-1/2 y for the rows of `Y`, shape (n, d)."""
        lengths, axes = self._axes
        return np.asarray((Y @ axes / lengths) @ axes.T)


class Adaptation:
    """How a normal distribution learns from a generation.

    Parameters
    ----------
    d : int
        Number of coordinates, at least 1.
    n : int
        Points in a generation, at least 2.
    separable : bool, default=False
        Learn variances alone, faster, and no correlations.

    Examples
    --------
    >>> rng, normal = np.random.default_rng(0), Normal.round(np.full(3, 2.0), 0.5)
    >>> adaptation = Adaptation(3, 8)
    >>> for _ in range(60):
    ...     Y = normal.steps(rng.standard_normal((8, 3)))
    ...     loss = ((normal.mean + normal.sigma * Y) ** 2).sum(axis=1)
    ...     normal = adaptation.step(normal, Y[np.argsort(loss)])
    >>> bool(np.abs(normal.mean).max() < 1e-4)
    True
    """

    def __init__(self, d: int, n: int, *, separable: bool = False) -> None:
        raw = log((n + 1) / 2) - np.log(np.arange(1, n + 1))
        self._separable = separable
        self._positive = np.maximum(raw, 0.0) / raw[raw > 0].sum()
        mu_eff = 1.0 / float((self._positive**2).sum())
        self._c_sigma = (mu_eff + 2) / (d + mu_eff + 5)
        self._damping = 1 + 2 * max(0.0, sqrt((mu_eff - 1) / (d + 1)) - 1) + self._c_sigma
        self._c_c = (4 + mu_eff / d) / (d + 4 + 2 * mu_eff / d)
        faster = (d + 2) / 3 if separable else 1.0
        self._c_1 = min(1.0, faster * 2 / ((d + 1.3) ** 2 + mu_eff))
        self._c_mu = min(
            1 - self._c_1, faster * 2 * (0.25 + mu_eff + 1 / mu_eff - 2) / ((d + 2) ** 2 + mu_eff)
        )
        self._chi = sqrt(d) * (1 - 1 / (4 * d) + 1 / (21 * d**2))  # the expected length of N(0, I)
        self._longest = sqrt(d) + 2 * d / (d + 2)
        self._negative = self._negative_weights(np.minimum(raw, 0.0), d, mu_eff)

    def _negative_weights(self, raw: Floats, d: int, mu_eff: float) -> Floats:
        total = -float(raw.sum())
        if total <= 0 or self._c_mu <= 0:
            return np.zeros_like(raw)
        mu_eff_bad = total**2 / float((raw**2).sum())
        most = min(
            1 + self._c_1 / self._c_mu,
            1 + 2 * mu_eff_bad / (mu_eff + 2),
            max(0.0, 1 - self._c_1 - self._c_mu) / (d * self._c_mu),
        )
        return raw / total * most

    def step(
        self, normal: Normal, Y: Floats, known: NDArray[np.bool_] | None = None, good: int | None = None
    ) -> Normal:
        """Return the distribution after a generation.

        Parameters
        ----------
        normal : Normal
            The one before.
        Y : array, shape (n, d)
            Steps from its mean in units of its step size, the best first.
        known : array of bool, shape (n, d), optional
            False where a coordinate of a point means nothing; there it teaches nothing.
        good : int, optional
            So many of the points have a value at all; the others only repel. Without any, nothing changes.
        """
        n, d = Y.shape
        good = n if good is None else good
        if good == 0 or d == 0:
            return Normal(normal.mean, normal.sigma, normal.C, normal.p_sigma, normal.p_c, normal.age + 1)
        told = np.ones((n, d)) if known is None else known.astype(float)
        Y = np.where(told > 0, Y, 0.0)
        lengths = np.linalg.norm(normal.whiten(Y), axis=1)
        shorter = np.minimum(1.0, self._longest / np.maximum(lengths, _TINY))
        Y, lengths = Y * shorter[:, None], lengths * shorter

        weights = np.where(np.arange(n) < good, self._positive, 0.0)
        weights = weights / weights.sum()
        mu_eff = 1.0 / float((weights**2).sum())
        move = weights @ Y
        share = mu_eff * (weights**2) @ told  # of a neutral move's variance, so much is told per coordinate
        p_sigma = self._path_of_sigma(normal, move, share, mu_eff)
        length = float(np.linalg.norm(p_sigma))
        calm = (
            length / sqrt(1 - (1 - self._c_sigma) ** (2 * (normal.age + 1))) < (1.4 + 2 / (d + 1)) * self._chi
        )
        p_c = (1 - self._c_c) * normal.p_c + calm * sqrt(self._c_c * (2 - self._c_c) * mu_eff) * move
        p_c = np.where(share > 0, p_c, 0.0)
        sigma = normal.sigma * exp(min(1.0, self._c_sigma / self._damping * (length / self._chi - 1)))
        C = self._covariance(normal.C, Y, lengths, told, weights, p_c, calm, 1.0 - share)
        return Normal(normal.mean + normal.sigma * move, sigma, C, p_sigma, p_c, normal.age + 1)

    def _path_of_sigma(self, normal: Normal, move: Floats, share: Floats, mu_eff: float) -> Floats:
        """Return the path; a coordinate of which nothing was told stays, one told in part counts in full.

        Otherwise what is inactive would look like short steps, and shorten them.
        """
        white = normal.whiten(move[None])[0] / np.sqrt(np.where(share > 0, share, 1.0))
        moved = (1 - self._c_sigma) * normal.p_sigma + sqrt(
            self._c_sigma * (2 - self._c_sigma) * mu_eff
        ) * white
        return np.where(share > 0, moved, normal.p_sigma)

    def _covariance(
        self,
        C: Floats,
        Y: Floats,
        lengths: Floats,
        told: Floats,
        positive: Floats,
        p_c: Floats,
        calm: bool,
        untold: Floats,
    ) -> Floats:
        """Return the next C; the block of coordinates that a point says nothing about enters as it is."""
        d = len(C)
        weights = positive + self._negative
        # A bad point repels by its direction, whatever its length: C stays positive definite.
        scaled = np.where(weights < 0, weights * d / np.maximum(lengths, 1e-6) ** 2, weights)
        silent = 1.0 - told
        rank_mu = (Y * scaled[:, None]).T @ Y + ((silent * weights[:, None]).T @ silent) * C
        held = 0.0 if calm else self._c_1 * self._c_c * (2 - self._c_c)
        keep = 1 + held - self._c_1 - self._c_mu * weights.sum()
        untold = np.sqrt(np.maximum(untold, 0.0))
        rank_one = np.outer(p_c, p_c) + np.outer(untold, untold) * C
        new = keep * C + self._c_1 * rank_one + self._c_mu * rank_mu
        if self._separable:
            new = np.diag(np.diag(new))
        return np.asarray((new + new.T) / 2)
