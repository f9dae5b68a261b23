"""What a user believes of the parameters, as a density over the unit cube, for as long as it proves right.

An acquisition is multiplied by the density to a power that fades: its logarithm gets the density's, times
``strength / n`` after n trials. A belief that proves wrong is dropped before it has faded: as soon as trials
where it expected good values are worse than the others, by a rank test.

C. Hvarfner et al., "piBO: augmenting acquisition functions with user beliefs for Bayesian optimization",
ICLR 2022 (the power that fades).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelwright._base.seeds import generator
from modelwright.optimizers.evidence import Evidence

if TYPE_CHECKING:
    from numpy.random import Generator

    from modelwright.records import History
    from modelwright.space import Space
    from modelwright.space.parameters import Parameter

__all__ = ["Belief", "Beliefs", "Standing"]

Floats = NDArray[np.float64]

_STRENGTH = 5.0
_ANYWHERE = 0.1  # of each parameter's density is spread over its whole range
_TRIES = 64
_DRAWN = 500  # points by which it is told what counts as near
_NEAR = 0.1  # share of what is drawn from the belief that does not count as near any more
_FIRST_TEST, _LAST_TEST = 5, 100  # trials; later the belief has faded anyway
_EACH = 2  # trials that have to be near, and not, before they are compared
_WORSE = 0.7  # standard deviations of the rank statistic


@dataclass(frozen=True)
class Belief:
    """The belief's term of an acquisition after some trials.

    Attributes
    ----------
    beliefs : Beliefs
        The density.
    power : float
        To which it is raised.
    """

    beliefs: Beliefs
    power: float

    def __call__(self, X: Floats) -> Floats:
        """Return the term at rows of the unit cube, shape (m, d); NaN where inactive."""
        return self.power * self.beliefs.log_density(X)

    def gradient(self, row: Floats) -> Floats:
        """Return its gradient at one row, shape (d,)."""
        return self.power * self.beliefs.gradient(row)


@dataclass(frozen=True)
class Standing:
    """What beliefs are worth after some trials.

    Attributes
    ----------
    belief : Belief or None
        None where there is none, or none any more.
    note : str
        What a proposal's reason says of it, beginning with a comma; empty where nothing is believed.
    """

    belief: Belief | None = None
    note: str = ""


class Beliefs:
    """The priors of a space's parameters, independent of each other.

    Parameters
    ----------
    space : Space
        Its parameters' `prior` tells them.

    Attributes
    ----------
    centre, spread : array, shape (d,)
        Of each parameter's belief, in the unit interval; NaN without one. A choice's centre is the likeliest.

    Examples
    --------
    >>> from modelwright.space import Categorical, Float, Space
    >>> beliefs = Beliefs(Space(x=Float(0, 1, prior=0.2), kind=Categorical("a", "b", prior=[3, 1])))
    >>> near, far = beliefs.log_density(np.array([[0.2, 0.25], [0.9, 0.75]])).round(1).tolist()
    >>> near, far
    (1.4, -2.9)
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self._parts = [_part(parameter) for parameter in space.parameters.values()]
        self.centre = np.array([np.nan if part is None else part.centre for part in self._parts])
        self.spread = np.array([np.nan if part is None else part.spread for part in self._parts])
        self._least: float | None = None

    def __bool__(self) -> bool:
        return any(part is not None for part in self._parts)

    def neutral(self) -> dict[str, Any] | None:
        """Return the default as it would be without beliefs; None where that breaks a constraint."""
        row = []
        for parameter, part in zip(self._space.parameters.values(), self._parts, strict=True):
            stated = "default" in parameter.to_json()
            row.append(parameter.encode(parameter.default) if stated or part is None else part.middle)
        config = self._space.from_unit(row)
        return config if self._space.satisfies(config) else None

    def draw(self, rng: Generator) -> dict[str, Any]:
        """Return a configuration drawn from the beliefs, at random where nothing is believed."""
        X = self._draws(rng, _TRIES)
        valid = np.flatnonzero(self._space.feasible(X))
        return self._space.from_unit(X[valid[0]]) if len(valid) else self._space.sample(rng)

    def _draws(self, rng: Generator, count: int) -> Floats:
        X = rng.random((count, len(self._parts)))
        for j, part in enumerate(self._parts):
            if part is not None:
                believed = rng.random(count) >= _ANYWHERE
                X[:, j] = np.where(believed, part.quantile(X[:, j]), X[:, j])
        return X

    def log_density(self, X: Floats) -> Floats:
        """Return the log density at rows of the unit cube, shape (m, d); 0 where nothing is believed."""
        total = np.zeros(len(X))
        for j, part in enumerate(self._parts):
            if part is not None:
                density = (1 - _ANYWHERE) * part.density(X[:, j]) + _ANYWHERE
                total += np.where(np.isnan(X[:, j]), 0.0, np.log(density))
        return total

    def gradient(self, row: Floats) -> Floats:
        """Return the gradient of the log density at one row, shape (d,); 0 for choices."""
        slope = np.zeros(len(row))
        for j, part in enumerate(self._parts):
            if isinstance(part, _Around) and not np.isnan(row[j]):
                density = (1 - _ANYWHERE) * float(part.density(row[j : j + 1])[0])
                slope[j] = density / (density + _ANYWHERE) * (part.centre - row[j]) / part.spread**2
        return slope

    def after(self, evidence: Evidence, history: History) -> Standing:
        """Return what the beliefs are worth after the trials of a history.

        Parameters
        ----------
        evidence : Evidence
            Of the history.
        history : History
            With several objectives nothing proves beliefs wrong: then they only fade.
        """
        if not self:
            return Standing()
        rows, losses = evidence.ranked
        judged = len(history.objectives) == 1
        wrong = self._proved_wrong(history.X[rows], losses) if judged else 0
        if wrong:
            return Standing(None, f", prior dropped: wrong after {wrong} trials")
        return Standing(Belief(self, _STRENGTH / max(1, len(rows))), ", weighted by the prior")

    def _proved_wrong(self, X: Floats, losses: Floats) -> int:
        """Return after how many trials those near were worse than the others; 0 if that never was so."""
        near = self.log_density(X[:_LAST_TEST]) >= self._nearest()
        for n in range(_FIRST_TEST, len(near) + 1):
            if _are_worse(losses[:n][near[:n]], losses[:n][~near[:n]]):
                return n
        return 0

    def _nearest(self) -> float:
        """Return the log density from which on a point counts as near."""
        if self._least is None:
            drawn = self._draws(generator(0, "near"), _DRAWN)
            self._least = float(np.quantile(self.log_density(self._space.snap(drawn)), _NEAR))
        return self._least


def _are_worse(near: Floats, others: Floats) -> bool:
    """Whether the ranks of the first are clearly higher; F. Wilcoxon, 1945."""
    a, b = len(near), len(others)
    if min(a, b) < _EACH:
        return False
    higher = (near[:, None] > others).sum() + 0.5 * (near[:, None] == others).sum()
    sd = np.sqrt(a * b * (a + b + 1) / 12)
    return bool(higher - a * b / 2 > _WORSE * sd)


@dataclass(frozen=True)
class _Around:
    """A number's belief: a normal distribution, cut off at the ends of the unit interval."""

    centre: float
    spread: float
    middle: float = 0.5

    def density(self, u: Floats) -> Floats:
        from scipy.special import ndtr

        mass = ndtr((1 - self.centre) / self.spread) - ndtr(-self.centre / self.spread)
        height = np.sqrt(2 * np.pi) * self.spread * mass
        return np.asarray(np.exp(-0.5 * ((u - self.centre) / self.spread) ** 2) / height)

    def quantile(self, u: Floats) -> Floats:
        from scipy.special import ndtr, ndtri

        low, high = ndtr(-self.centre / self.spread), ndtr((1 - self.centre) / self.spread)
        return np.clip(self.centre + self.spread * ndtri(low + u * (high - low)), 0.0, 1.0)


@dataclass(frozen=True, eq=False)
class _Weighted:
    """The belief of listed values: how likely each is."""

    chances: Floats
    centre: float
    spread: float = 1.0

    @property
    def middle(self) -> float:
        return 0.5 / len(self.chances)  # the first choice

    def density(self, u: Floats) -> Floats:
        k = len(self.chances)
        return np.asarray(k * self.chances[np.minimum((np.nan_to_num(u) * k).astype(np.intp), k - 1)])

    def quantile(self, u: Floats) -> Floats:
        slots = np.searchsorted(np.cumsum(self.chances)[:-1], u, side="right")
        return np.asarray((slots + 0.5) / len(self.chances))


def _part(parameter: Parameter) -> _Around | _Weighted | None:
    prior = parameter.prior
    if prior is None:
        return None
    if isinstance(prior, tuple):
        chances = np.array(prior) / sum(prior)
        return _Weighted(chances, (int(np.argmax(chances)) + 0.5) / len(prior))
    return _Around(parameter.encode(prior.value), prior.spread)
