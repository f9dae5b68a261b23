"""What is believed of a value over a space: a Gaussian process whose fits a rebuild repeats to the bit."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from modelwright._base.seeds import generator
from modelwright.errors import InputError
from modelwright.numerics.gaussian_process import GaussianProcess, LogNormals, log_posterior, posterior_mode
from modelwright.numerics.hamiltonian import hamiltonian_draws
from modelwright.optimizers.predictive import BY_EVIDENCE, log_score, preferred
from modelwright.optimizers.transforms import TRANSFORMS

__all__ = ["Modelling", "Surrogate"]

Floats = NDArray[np.float64]
Columns = NDArray[np.intp]

_MOST_ROWS = 500
_MOST_ROWS_DRAWN = 200  # where hyperparameters are drawn: each draw takes many likelihoods
_FIRST_ANCHOR = 5
_ITERATIONS, _MORE_ITERATIONS = 25, 50
_FITS_PER_DOUBLING = 50
_BURN_IN = 10
_ENOUGH = 20  # observations, to tell which transform is better, or how a range is bent
_LAST_CHOICE = 160  # observations: from here on the transform stays what it is


def _no_columns() -> Columns:
    return np.empty(0, dtype=np.intp)


@dataclass(frozen=True, eq=False)
class Modelling:
    """How values are modelled.

    Attributes
    ----------
    transform : str
        A name of `TRANSFORMS`, or ``"auto"``: the one that predicts best.
    hyperparameters : str
        ``"point"`` for those at their posterior's mode, ``"mcmc"`` for draws from it.
    warped : array of int
        Features that are warped.
    seed : int
        Of the draws.
    draws : int
        How many.
    most_rows : int
        Of a model; with more, half of them the best and half the newest.

    Raises
    ------
    InputError
        There is no such transform, or no such way to find hyperparameters.
    """

    transform: str = "winsor"
    hyperparameters: str = "point"
    warped: Columns = field(default_factory=_no_columns)
    seed: int = 0
    draws: int = 8
    most_rows: int = _MOST_ROWS

    def __post_init__(self) -> None:
        for option, known in (("transform", ("auto", *TRANSFORMS)), ("hyperparameters", ("point", "mcmc"))):
            if getattr(self, option) not in known:
                raise InputError(
                    f"expected one of {', '.join(known)} as gp's {option}, got {getattr(self, option)!r}."
                )

    @property
    def drawn(self) -> bool:
        """Whether hyperparameters are drawn."""
        return self.hyperparameters == "mcmc"


class Surrogate:
    """Gaussian processes of the first n observations, with what was found for their hyperparameters.

    Those are found for numbers of observations that are fixed in advance, each time from the same start: at
    an anchor (5, 10, 20, 40, ...) from the prior's mode, in between from the last anchor. So whoever begins
    with n observations finds what one has found who has seen them come. A transform is chosen at anchors
    only; draws belong to the seed and the number of observations.

    Parameters
    ----------
    groups : array of int, shape (p,)
        The parameter that each feature belongs to.
    g : int
        The number of parameters.
    modelling : Modelling, optional
        How values are modelled.
    """

    def __init__(self, groups: Columns, g: int, modelling: Modelling | None = None) -> None:
        self._groups = groups
        self._how = modelling or Modelling()
        self._all_priors = [_priors(g, len(self._how.warped), bent) for bent in (False, True)]
        self._found: dict[tuple[str, int], Floats] = {}
        self._chosen: dict[int, str] = {}
        self._drawn: dict[int, list[Floats]] = {}
        self._seen: tuple[Floats, Floats] | None = None

    def models(self, Z: Floats, losses: Floats) -> tuple[list[GaussianProcess], Floats]:
        """Return processes of transformed losses that count alike, and all of these losses, shape (n,)."""
        self._forget_another_history(Z, losses)
        name = self._transform(Z, losses)
        thetas = self._thetas(Z, losses, name) if self._how.drawn else [self._mode(Z, losses, name)]
        y = TRANSFORMS[name](losses).y
        kept = _kept(losses, self._most_rows)
        return [self._process(Z[kept], y[kept], theta) for theta in thetas], y

    @property
    def _most_rows(self) -> int:
        return min(self._how.most_rows, _MOST_ROWS_DRAWN) if self._how.drawn else self._how.most_rows

    def process(self, Z: Floats, labels: Floats) -> GaussianProcess:
        """Return the process of labels as they are."""
        self._forget_another_history(Z, labels)
        kept = _kept(labels, self._how.most_rows)
        return self._process(Z[kept], labels[kept], self._mode(Z, labels, "winsor"))

    def _process(self, Z: Floats, y: Floats, theta: Floats) -> GaussianProcess:
        return GaussianProcess(Z, y, self._groups, theta, self._how.warped)

    def _transform(self, Z: Floats, losses: Floats) -> str:
        """Return the transform's name: chosen, if it is, at the last anchor."""
        if self._how.transform != "auto":
            return self._how.transform
        n = min(_anchor(len(losses)), _LAST_CHOICE)
        if n < _ENOUGH:
            return BY_EVIDENCE[0]
        if n not in self._chosen:
            scores = {name: self._score(Z[:n], losses[:n], name) for name in BY_EVIDENCE}
            self._chosen[n] = preferred(scores)
        return self._chosen[n]

    def _score(self, Z: Floats, losses: Floats, name: str) -> float:
        """Return how well each loss is predicted from the others."""
        y, log_slope = TRANSFORMS[name](losses)
        theta = self._fit(Z, losses, name, len(losses), None, _MORE_ITERATIONS)
        process = self._process(Z, y, theta)
        return log_score(losses, y, log_slope, *process.leave_one_out())

    def _thetas(self, Z: Floats, values: Floats, name: str) -> list[Floats]:
        """Return draws from the posterior of the hyperparameters, begun at its mode."""
        n = _fitted(len(values))
        if n not in self._drawn:
            priors, start = self._priors_at(n), self._mode(Z, values, name)
            kept = _kept(values[:n], self._most_rows)
            X, y = Z[kept], TRANSFORMS[name](values[:n]).y[kept]
            points = hamiltonian_draws(
                lambda theta: log_posterior(theta, X, y, self._groups, priors, self._how.warped),
                start,
                scale=priors.sd,
                low=priors.low,
                high=priors.high,
                rng=generator(self._how.seed, "hyperparameters", n),
                count=self._how.draws,
                burn_in=_BURN_IN,
            )
            self._drawn = {n: list(points)}
        return self._drawn[n]

    def _mode(self, Z: Floats, values: Floats, name: str) -> Floats:
        n = _fitted(len(values))
        anchor = min(_anchor(n), n)
        start = self._fit(Z, values, name, anchor, None, _MORE_ITERATIONS)
        return start if n <= anchor else self._fit(Z, values, name, n, start, _ITERATIONS)

    def _fit(
        self, Z: Floats, values: Floats, name: str, n: int, start: Floats | None, iterations: int
    ) -> Floats:
        """Return what is found for the first `n` observations, from `start` or the prior's mode."""
        if (name, n) not in self._found:
            kept = _kept(values[:n], self._how.most_rows)
            y = TRANSFORMS[name](values[:n]).y[kept]
            priors = self._priors_at(n)
            start = priors.mean if start is None else start
            self._found[name, n] = posterior_mode(
                Z[kept], y, self._groups, priors, [start], iterations, self._how.warped
            )
        return self._found[name, n]

    def _priors_at(self, n: int) -> LogNormals:
        return self._all_priors[n >= _ENOUGH]

    def _forget_another_history(self, Z: Floats, values: Floats) -> None:
        if self._seen is not None:
            seen = len(self._seen[1])
            if len(values) < seen or not (
                np.array_equal(values[:seen], self._seen[1]) and np.array_equal(Z[:seen], self._seen[0])
            ):
                self._found.clear()
                self._chosen.clear()
                self._drawn.clear()
        self._seen = Z, values


def _fitted(n: int) -> int:
    """Return the number of observations for which hyperparameters are found, where there are n."""
    return n - n % max(1, n // _FITS_PER_DOUBLING)


def _anchor(n: int) -> int:
    """Return the last anchor up to n; the first one where there are fewer observations."""
    anchor = _FIRST_ANCHOR
    while 2 * anchor <= n:
        anchor *= 2
    return anchor


def _kept(values: Floats, most: int) -> Columns:
    """Return which observations a model is made of: all, or the best and the newest where they are many."""
    n = len(values)
    if n <= most:
        return np.arange(n)
    half = most // 2
    best = np.argsort(values, kind="stable")[:half]
    others = np.setdiff1d(np.arange(n), best)
    return np.sort(np.concatenate([best, others[-half:]]))


def _priors(g: int, w: int, bent: bool) -> LogNormals:
    """Return the priors of 2 w shapes, of g lengthscales, of the signal's and of the noise's variance.

    Shapes stay those of the identity unless ranges may be bent.
    """
    most = 10.0 if bent else 1.0
    return LogNormals(
        mean=np.concatenate([np.zeros(2 * w + g), [0.0, np.log(1e-3)]]),
        sd=np.concatenate([np.full(2 * w, 0.75), np.full(g, 0.7), [1.0, 1.5]]),
        low=np.log(np.concatenate([np.full(2 * w, 1 / most), np.full(g, 0.01), [1e-3, 1e-6]])),
        high=np.log(np.concatenate([np.full(2 * w, most), np.full(g, 100.0), [1e3, 0.5]])),
    )
