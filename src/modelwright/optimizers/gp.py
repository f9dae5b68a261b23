"""Bayesian optimization with a Gaussian process: propose where an improvement is to be expected.

J. Snoek, H. Larochelle and R. P. Adams, "Practical Bayesian optimization of machine learning algorithms",
NIPS 2012; C. Hvarfner, E. O. Hellsten and L. Nardi, "Vanilla Bayesian optimization performs great in high
dimensions", ICML 2024 (priors of the lengthscales).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelwright._base.seeds import generator
from modelwright.numerics.gaussian_process import GaussianProcess, LogNormals, posterior_mode
from modelwright.numerics.improvement import log_expected_improvement
from modelwright.numerics.qmc import SobolPoints
from modelwright.optimizers.base import Abilities
from modelwright.optimizers.features import Features
from modelwright.optimizers.novelty import Novelty
from modelwright.optimizers.searching import Search
from modelwright.records import Exhausted, History, Objective, Proposal, Ticket, TrialState, Wait

if TYPE_CHECKING:
    from modelwright.space import Space

__all__ = ["GP"]

Floats = NDArray[np.float64]

_MOST_ROWS = 500
_KNOWN = 10  # of the best configurations, around which points are drawn


class GP:
    """Models the values by a Gaussian process and takes the point of the largest expected improvement."""

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
        transform: str = "winsor",
    ) -> None:
        self._space = space
        self._deterministic = deterministic
        self._n_startup = n_startup
        self._default_first = default_first
        self._transform = transform
        self._features = Features(space)
        self._search = Search(space, self._features)
        self._novelty = Novelty(space)
        self._points = SobolPoints(len(space), generator(seed, "sobol"))
        self._first: list[Floats] = []
        self._priors = _priors(len(space))
        self._anchors: dict[int, Floats] = {}
        self._fits: dict[int, Floats] = {}

    def __repr__(self) -> str:
        return "GP()"

    def ask(self, history: History, tickets: Sequence[Ticket]) -> list[Proposal] | Wait | Exhausted:
        """Return one proposal per ticket."""

        def draw(ticket: Ticket, batch: list[dict[str, Any]]) -> tuple[dict[str, Any], str]:
            return self._draw(history, ticket, batch)

        return self._novelty.fill(history, tickets, draw, unique=self._deterministic)

    def _draw(
        self, history: History, ticket: Ticket, batch: list[dict[str, Any]]
    ) -> tuple[dict[str, Any], str]:
        rows = [
            i
            for i, trial in enumerate(history.trials)
            if trial.state is TrialState.COMPLETE and np.isfinite(history.losses[i, 0])
        ]
        if len(rows) < self._n_startup:
            return self._start(ticket, len(rows))
        X, y = history.X[rows], history.losses[rows, 0]
        y = self._standard(y)
        Z = self._features(X)
        theta = self._theta(Z, y)
        model = GaussianProcess(Z, y, self._features.groups, theta)
        running = [history.pending_X, self._space.encode(batch)] if batch else [history.pending_X]
        model = model.believing(self._features(np.vstack(running)))
        order = np.argsort(y, kind="stable")[:_KNOWN]
        acquisition = _Improvement(model, float(y.min()))

        def is_new(row: Floats) -> bool:
            return self._novelty.is_new(self._space.from_unit(np.where(np.isnan(row), 0.5, row)))

        row = self._search.best(acquisition, X[order], ticket.rng, is_new)
        if row is None:
            return self._space.sample(ticket.rng), "random: all that the model proposes is used"
        return self._space.from_unit(np.where(np.isnan(row), 0.5, row)), "largest expected improvement"

    def _start(self, ticket: Ticket, seen: int) -> tuple[dict[str, Any], str]:
        if self._default_first:
            default = self._space.default()
            if self._novelty.is_new(default):
                return default, "the space's default first"
        while len(self._first) <= ticket.number and self._points.read < 1000 * (ticket.number + 1):
            block = self._points.next_block()
            self._first += list(block[self._space.feasible(block)])
        if ticket.number < len(self._first):
            return self._space.from_unit(self._first[ticket.number]), f"Sobol' point {ticket.number}"
        return self._space.sample(ticket.rng), "random"

    def _standard(self, y: Floats) -> Floats:
        if self._transform == "winsor":
            middle = np.median(y)
            y = np.minimum(y, middle + 2 * (middle - np.quantile(y, 0.1)))
        sd = y.std()
        return np.asarray((y - y.mean()) / (sd if sd > 0 else 1.0))

    def _theta(self, Z: Floats, y: Floats) -> Floats:
        n = len(y)
        stride = max(1, n // 50)
        n = n // stride * stride
        if n not in self._fits:
            starts = [self._priors.mean]
            anchor = max((a for a in (5, 10, 20, 40, 80, 160, 320) if a < n), default=0)
            if anchor:
                if anchor not in self._anchors:
                    self._anchors[anchor] = self._fit(Z[:anchor], y[:anchor], starts, 50)
                starts = [self._anchors[anchor]]
            self._fits[n] = self._fit(Z[:n], y[:n], starts, 25 if anchor else 50)
        return self._fits[n]

    def _fit(self, Z: Floats, y: Floats, starts: list[Floats], iterations: int) -> Floats:
        sd = y.std()
        y = (y - y.mean()) / (sd if sd > 0 else 1.0)
        return posterior_mode(Z, y, self._features.groups, self._priors, starts, iterations)


def _priors(g: int) -> LogNormals:
    mean = np.concatenate([np.zeros(g), [0.0, np.log(1e-3)]])
    sd = np.concatenate([np.full(g, 0.7), [1.0, 1.5]])
    low = np.concatenate([np.full(g, np.log(0.01)), [np.log(1e-3), np.log(1e-6)]])
    high = np.concatenate([np.full(g, np.log(100.0)), [np.log(1e3), np.log(0.5)]])
    return LogNormals(mean, sd, low, high)


@dataclass(frozen=True)
class _Improvement:
    """The log of the expected improvement below `best`."""

    model: GaussianProcess
    best: float

    def __call__(self, Z: Floats) -> Floats:
        value, _, _ = log_expected_improvement(*self.model.predict(Z), self.best)
        return value

    def with_gradient(self, z: Floats) -> tuple[float, Floats]:
        mean, variance, by_mean, by_variance = self.model.predict_with_gradients(z)
        value, slope, slope_v = log_expected_improvement(np.array([mean]), np.array([variance]), self.best)
        return float(value[0]), slope[0] * by_mean + slope_v[0] * by_variance
