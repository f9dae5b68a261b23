"""Bayesian optimization with a Gaussian process: propose where the largest improvement is to be expected.

J. Snoek, H. Larochelle and R. P. Adams, "Practical Bayesian optimization of machine learning algorithms",
NIPS 2012; C. Hvarfner, E. O. Hellsten and L. Nardi, "Vanilla Bayesian optimization performs great in high
dimensions", ICML 2024 (priors of the lengthscales); M. A. Gelbart, J. Snoek and R. P. Adams, "Bayesian
optimization with unknown constraints", UAI 2014 (failures).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelwright.errors import AbilityError, InputError
from modelwright.numerics.gaussian_process import GaussianProcess, LogNormals, posterior_mode
from modelwright.numerics.improvement import log_expected_improvement
from modelwright.numerics.threads import one_thread
from modelwright.optimizers.base import Abilities
from modelwright.optimizers.evidence import Evidence
from modelwright.optimizers.feasibility import Feasibility
from modelwright.optimizers.features import Features
from modelwright.optimizers.novelty import Novelty
from modelwright.optimizers.searching import Search
from modelwright.optimizers.starting import Starting
from modelwright.records import Exhausted, History, Objective, Proposal, Ticket, Wait

if TYPE_CHECKING:
    from modelwright.space import Space

__all__ = ["GP"]

Floats = NDArray[np.float64]

_MOST_ROWS = 500  # of the model; with more, half of them the best and half the newest
_KNOWN = 10  # of the best configurations, around which points are drawn
_FIRST_ANCHOR = 5
_ITERATIONS, _MORE_ITERATIONS = 25, 50
_FITS_PER_DOUBLING = 50


class GP:
    """Models the losses by a Gaussian process, and takes the point of the largest expected improvement.

    The kernel is Matérn 5/2 with a lengthscale for each parameter. Lengthscales, signal and noise are at
    the mode of their posterior, with priors that expect a parameter to matter over about its whole range.
    Losses far above the median are cut off before they are standardised: how bad a bad trial is tells
    nothing about the best one.

    Parameters
    ----------
    space : Space
        Where configurations come from.
    objectives : sequence of Objective
        One.
    deterministic : bool, default=False
        Propose no configuration twice.
    seed : int, default=0
        Scrambles the points before there is a model.
    n_startup : int, default=5
        So many trials must have come to a value before the model is used.
    default_first : bool, default=True
        Start with the space's default configuration.

    Raises
    ------
    AbilityError
        There are several objectives.

    Notes
    -----
    Running trials are believed to end at the model's mean, so that proposals in flight keep apart. Where
    trials have failed, the improvement counts by the probability that a trial comes to a value at all.

    Examples
    --------
    >>> import numpy as np
    >>> from modelwright.records import History, Objective, Ticket, Trial, TrialState
    >>> from modelwright.space import Float, Space
    >>> space, objectives = Space(x=Float(-5, 5)), [Objective()]
    >>> history, optimizer = History(space, objectives), GP(space, objectives)
    >>> for k in range(15):
    ...     [proposal] = optimizer.ask(history, [Ticket(k, np.random.default_rng(k))])
    ...     loss = (proposal.params["x"] - 2) ** 2
    ...     history.add([Trial(k, TrialState.COMPLETE, space.dump(proposal.params), (loss,))])
    >>> bool(history.losses.min() < 0.001)
    True
    """

    abilities = Abilities()

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        *,
        deterministic: bool = False,
        seed: int = 0,
        n_startup: int = 5,
        default_first: bool = True,
    ) -> None:
        if len(objectives) != 1:
            raise AbilityError(
                f"the optimizer 'gp' works with one objective, got {len(objectives)}.",
                hint="Use 'tpe', which takes several.",
            )
        if n_startup < 0:
            raise InputError(f"expected n_startup >= 0 for gp, got {n_startup!r}.")
        self._space = space
        self._deterministic = deterministic
        self._n_startup = max(1, n_startup)
        self._features = Features(space)
        self._search = Search(space, self._features)
        self._novelty = Novelty(space)
        self._starting = Starting(space, self._novelty, seed=seed, default_first=default_first)
        self._evidence = Evidence()
        self._values = _Fits(self._features.groups, len(space))
        self._labels = _Fits(self._features.groups, len(space))

    def __repr__(self) -> str:
        return "GP()"

    def ask(self, history: History, tickets: Sequence[Ticket]) -> list[Proposal] | Wait | Exhausted:
        """Return one proposal per ticket."""
        self._evidence.read(history)

        def draw(ticket: Ticket, batch: list[dict[str, Any]]) -> tuple[dict[str, Any], str]:
            return self._draw(history, ticket, batch)

        with one_thread():
            return self._novelty.fill(history, tickets, draw, unique=self._deterministic)

    def _draw(
        self, history: History, ticket: Ticket, batch: list[dict[str, Any]]
    ) -> tuple[dict[str, Any], str]:
        rows, losses = self._evidence.valued, self._evidence.losses
        if len(rows) < self._n_startup or not self._space.names:
            return self._starting(ticket)
        X = history.X
        running = [history.pending_X, self._space.encode(batch)] if batch else [history.pending_X]
        model, least = self._values.model(self._features(X[rows]), losses)
        acquisition = _Improvement(
            model.believing(self._features(np.vstack(running))), least, self._feasibility(X)
        )
        known = X[rows[np.argsort(losses, kind="stable")[:_KNOWN]]]
        row = self._search.best(acquisition, known, ticket.rng, self._may_propose)
        if row is None:
            return self._space.sample(ticket.rng), "random: what the model proposes is used"
        return self._config(row), f"largest expected improvement after {len(rows)} trials"

    def _feasibility(self, X: Floats) -> Feasibility | None:
        failed = self._evidence.failed
        if not len(failed):
            return None
        rows = np.sort(np.concatenate([self._evidence.valued, failed]))
        labels = np.where(np.isin(rows, failed), -1.0, 1.0)
        return Feasibility(self._labels.process(self._features(X[rows]), labels))

    def _may_propose(self, row: Floats) -> bool:
        return not self._deterministic or self._novelty.is_new(self._config(row))

    def _config(self, row: Floats) -> dict[str, Any]:
        return self._space.from_unit(np.where(np.isnan(row), 0.5, row))


class _Fits:
    """Gaussian processes of the first n observations, with what was found for their hyperparameters.

    Those are found for numbers of observations that are fixed in advance, each time from the same start: at
    an anchor (5, 10, 20, 40, ...) from the prior's mode, in between from the last anchor. So whoever begins
    with n observations finds what one has found who has seen them come.
    """

    def __init__(self, groups: NDArray[np.intp], g: int) -> None:
        self._groups = groups
        self._priors = _priors(g)
        self._found: dict[int, Floats] = {}
        self._seen: tuple[Floats, Floats] | None = None

    def model(self, Z: Floats, losses: Floats) -> tuple[GaussianProcess, float]:
        """Return the process of standardised losses, and the least of these."""
        y = _standardised(losses)
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
            y = _standardised(values[:n])[kept]
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


def _standardised(losses: Floats) -> Floats:
    """Return losses of mean 0 and variance 1, those far above the median cut off."""
    middle = np.median(losses)
    spread = middle - np.quantile(losses, 0.1)
    y = np.minimum(losses, middle + 2 * spread) if spread > 0 else losses
    sd = y.std()
    return np.asarray((y - y.mean()) / (sd if sd > 0 else 1.0))


def _priors(g: int) -> LogNormals:
    """Return the priors of g lengthscales, of the signal's and of the noise's variance."""
    return LogNormals(
        mean=np.concatenate([np.zeros(g), [0.0, np.log(1e-3)]]),
        sd=np.concatenate([np.full(g, 0.7), [1.0, 1.5]]),
        low=np.log(np.concatenate([np.full(g, 0.01), [1e-3, 1e-6]])),
        high=np.log(np.concatenate([np.full(g, 100.0), [1e3, 0.5]])),
    )


@dataclass(frozen=True)
class _Improvement:
    """The log of the expected improvement below `least`, and of the probability that there is a value."""

    model: GaussianProcess
    least: float
    feasibility: Feasibility | None

    def __call__(self, Z: Floats) -> Floats:
        value, _, _ = log_expected_improvement(*self.model.predict(Z), self.least)
        return value if self.feasibility is None else value + self.feasibility.log_probability(Z)

    def with_gradient(self, z: Floats) -> tuple[float, Floats]:
        mean, variance, by_mean, by_variance = self.model.predict_with_gradients(z)
        value, slope, slope_v = log_expected_improvement(np.array([mean]), np.array([variance]), self.least)
        gradient = slope[0] * by_mean + slope_v[0] * by_variance
        if self.feasibility is None:
            return float(value[0]), gradient
        more, steeper = self.feasibility.with_gradient(z)
        return float(value[0]) + more, gradient + steeper
