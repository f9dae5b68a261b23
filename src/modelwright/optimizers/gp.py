"""Bayesian optimization with a Gaussian process: propose where the largest improvement is to be expected.

J. Snoek, H. Larochelle and R. P. Adams, "Practical Bayesian optimization of machine learning algorithms",
NIPS 2012; C. Hvarfner, E. O. Hellsten and L. Nardi, "Vanilla Bayesian optimization performs great in high
dimensions", ICML 2024 (priors of the lengthscales); M. A. Gelbart, J. Snoek and R. P. Adams, "Bayesian
optimization with unknown constraints", UAI 2014 (failures).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelwright.errors import AbilityError
from modelwright.numerics.threads import one_thread
from modelwright.optimizers.acquisitions import Aim
from modelwright.optimizers.base import Abilities
from modelwright.optimizers.beliefs import Beliefs
from modelwright.optimizers.evidence import Evidence
from modelwright.optimizers.feasibility import Feasibility
from modelwright.optimizers.features import Features
from modelwright.optimizers.fronts import Fronts
from modelwright.optimizers.novelty import Novelty
from modelwright.optimizers.outcomes import AllOf, Outcomes, is_met
from modelwright.optimizers.refusing import need_at_least
from modelwright.optimizers.searching import Acquisition, Search, config_at
from modelwright.optimizers.starting import Starting
from modelwright.optimizers.surrogate import Modelling, Surrogate
from modelwright.records import Exhausted, History, Objective, Proposal, Ticket, Wait
from modelwright.records.outcomes import how_far_off

if TYPE_CHECKING:
    from numpy.random import Generator

    from modelwright.space import Space

__all__ = ["GCP", "GP"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Sought = tuple[Acquisition, NDArray[np.intp], str]
"""What a point is worth, rows with good values, the best first, and what is sought in words."""

_MOST_FAILED = 200  # of the newest failures, so many are believed to have ended at the model's mean
_KNOWN = 10  # of the best configurations, around which points are drawn


class GP:
    """Models the losses by a Gaussian process, and takes the point of the largest expected improvement.

    The kernel is Matérn 5/2 with a lengthscale for each parameter. Lengthscales, signal and noise are at
    the mode of their posterior, with priors that expect a parameter to matter over about its whole range.
    Losses far above the median are cut off before they are standardised: how bad a bad trial is tells
    nothing about the best one. Each of these choices can be made otherwise by an option.

    Parameters
    ----------
    space : Space
        Where configurations come from.
    objectives : sequence of Objective
        Any number. Several have a model each, and a point counts by the hypervolume that it is expected to
        add.
    deterministic : bool, default=False
        Propose no configuration twice.
    seed : int, default=0
        Scrambles the points before there is a model.
    n_startup : int, default=5
        So many trials are waited for before the model is used, and until one of them has come to a value.
    default_first : bool, default=True
        Start with the space's default configuration.
    transform : str, optional
        Of the losses, before they are modelled: ``"winsor"`` (the default: far above the median they are
        cut off), ``"standard"`` (as they are), ``"log"`` (of what is lost against the best), ``"ranks"``,
        ``"gcp"`` (Gaussian copula: normal quantiles; the default of the optimizer ``gcp``),
        ``"yeo-johnson"`` (the power that makes them most normal), or ``"auto"``: that by which each loss
        is best predicted from the others.
    acquisition : str, default="log_ei"
        What is looked for: ``"log_ei"`` or ``"ei"`` (expected improvement: the same points, but another
        landscape to climb), ``"ucb"`` (the lowest confidence bound), ``"mixture"`` (by chance one of
        improvement, bound and mean).
    beta : float, optional
        Of the bound, the square of how many widths below the mean it is. It falls from 4 to 0 with the
        number of trials unless one is given.
    hyperparameters : str, default="point"
        ``"point"`` for those at their posterior's mode, ``"mcmc"`` for an average over draws from it.
    warping : bool, default=False
        Bend the range of each number so that losses vary about evenly over it.
    most_rows : int, default=500
        Of a model. Where there are more trials half of the rows are the best and half the newest: the cost of
        a proposal grows with their third power.

    Raises
    ------
    AbilityError
        There are several objectives, and an option that works with one.
    InputError
        An option has a value that is not among those above.

    Notes
    -----
    Running trials are believed to end at the model's mean, so that proposals in flight keep apart, and failed
    ones to have ended there. Where trials have failed, the improvement also counts by the probability that a
    trial comes to a value at all.

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

    abilities = Abilities(multi_objective=True, outcome_constraints=True)
    _default_transform = "winsor"

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        *,
        deterministic: bool = False,
        seed: int = 0,
        n_startup: int = 5,
        default_first: bool = True,
        transform: str | None = None,
        acquisition: str = "log_ei",
        beta: float | None = None,
        hyperparameters: str = "point",
        warping: bool = False,
        most_rows: int = 500,
    ) -> None:
        _check(objectives, acquisition, hyperparameters)
        need_at_least("gp", "n_startup", n_startup, 0)
        need_at_least("gp", "most_rows", most_rows, 2)
        self._space = space
        self._aim = Aim(acquisition, beta)
        self._deterministic = deterministic
        self._n_startup = max(1, n_startup)
        self._features = Features(space)
        self._search = Search(space, self._features)
        self._novelty = Novelty(space)
        self._starting = Starting(space, self._novelty, seed=seed, default_first=default_first)
        self._evidence = Evidence()
        self._beliefs = Beliefs(space)
        warped = self._features.numeric if warping else self._features.numeric[:0]
        transform = self._default_transform if transform is None else transform
        how = Modelling(transform, hyperparameters, warped, seed, most_rows=most_rows)
        self._single = len(objectives) == 1
        self._values = Surrogate(self._features.groups, len(space), how)
        self._fronts = Fronts(self._features.groups, len(space), len(objectives), how)
        self._labels: defaultdict[str, Surrogate] = defaultdict(
            lambda: Surrogate(self._features.groups, len(space))
        )
        self._outcomes = Outcomes(self._features.groups, len(space))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def ask(self, history: History, tickets: Sequence[Ticket]) -> list[Proposal] | Wait | Exhausted:
        """Return one proposal per ticket."""
        self._evidence.read(history)
        draw = partial(self._draw, history)
        with one_thread():
            return self._novelty.fill(history, tickets, draw, unique=self._deterministic)

    def _draw(
        self, history: History, ticket: Ticket, batch: list[dict[str, Any]]
    ) -> tuple[dict[str, Any], str]:
        if not self._evidence.suffices(self._n_startup) or not self._space.names:
            return self._starting(history, ticket)
        standing = self._beliefs.after(self._evidence, history)
        instead = self._starting.instead(standing)
        if instead is not None:
            return instead
        rows, X = self._evidence.valued, history.X
        acquisition, best, sought = self._sought(history, self._without_value(history, batch), ticket.rng)
        row = self._search.best(acquisition, X[rows[best]], ticket.rng, self._may_propose, standing.belief)
        if row is None:
            return self._space.sample(ticket.rng), "random: what the model proposes is used"
        return config_at(self._space, row), f"{sought} after {len(rows)} trials{standing.note}"

    def _without_value(self, history: History, batch: list[dict[str, Any]]) -> Floats:
        """Return the features of what runs, and of what has failed.

        A failure brings no value; without one to believe in, the search would come back for ever.
        """
        parts = [history.pending_X, history.X[self._evidence.failed[-_MOST_FAILED:]]]
        if batch:
            parts.append(self._space.encode(batch))
        return self._features(np.vstack(parts))

    def _sought(self, history: History, believed: Floats, rng: Generator) -> Sought:
        """Return what a point is worth, the rows with the best values, the best first, and its name."""
        rows, X = self._evidence.valued, history.X
        violations = history.violations[rows]
        beliefs = self._feasibility(X) + self._outcomes.feasibility(
            self._features(X[rows]), violations, believed
        )
        met, all_of = is_met(violations), AllOf(beliefs) if beliefs else None
        if met.any() or all_of is None:
            find = self._improvement if self._single else self._front_improvement
            return find(X, believed, met, all_of, rng)
        off = [how_far_off(row, history.outcome_constraints) for row in violations.tolist()]
        best = np.argsort(off, kind="stable")[:_KNOWN]
        return all_of, best, "most likely to meet the constraints, which nothing did,"

    def _improvement(
        self, X: Floats, believed: Floats, met: Mask, feasibility: AllOf | None, rng: Generator
    ) -> Sought:
        """Return what to seek with one objective; `met` tells which rows with values count as found."""
        rows, losses = self._evidence.valued, self._evidence.losses
        models, y = self._values.models(self._features(X[rows]), losses)
        models = [model.believing(believed) for model in models]
        least = float(y[met].min() if met.any() else y.min())
        acquisition, sought = self._aim(models, least, len(rows), feasibility, rng)
        return acquisition, np.lexsort((losses, ~met))[:_KNOWN], sought

    def _front_improvement(
        self, X: Floats, believed: Floats, met: Mask, feasibility: AllOf | None, rng: Generator
    ) -> Sought:
        """Return the same for several objectives."""
        losses, counts = self._evidence.all_losses, self._evidence.complete & met
        Z = self._features(X[self._evidence.valued])
        acquisition = self._fronts.improvement(Z, losses, counts, believed, feasibility, rng)
        found = np.flatnonzero(met if met.any() else ~met)
        best = found[self._fronts.best(losses[found], _KNOWN, rng)]
        return acquisition, best, "largest expected improvement of the front"

    def _feasibility(self, X: Floats) -> list[Feasibility]:
        """Return where trials come to values, if any has failed."""
        processes = [
            self._labels[way.name].process(self._features(X[way.rows]), np.where(way.works, 1.0, -1.0))
            for way in self._evidence.ways_to_fail
        ]
        return [Feasibility(processes)] if processes else []

    def _may_propose(self, row: Floats) -> bool:
        # Where there always is another one close by, even a noisy objective is told apart by it as well.
        may_repeat = not self._deterministic and self._space.size is not None
        return may_repeat or self._novelty.is_new(config_at(self._space, row))


def _check(objectives: Sequence[Objective], acquisition: str, hyperparameters: str) -> None:
    """Refuse options that are for one objective where there are several."""
    if len(objectives) > 1 and (acquisition != "log_ei" or hyperparameters == "mcmc"):
        raise AbilityError(
            "gp takes an acquisition and hyperparameters='mcmc' with one objective only, got "
            f"{len(objectives)} objectives.",
            hint="Leave these options out, or take one objective that combines them.",
        )


class GCP(GP):
    """`GP` of a Gaussian copula: losses are normal quantiles before they are modelled.

    Only their order matters then, and how densely they lie. All options are those of `GP`.
    """

    _default_transform = "gcp"
