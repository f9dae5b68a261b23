"""Tree-structured Parzen estimator (TPE): propose where good trials are dense and bad ones are not.

The finished trials are split into a good group, the best ceil(0.1 n) but at most 25, and a bad one. A Parzen
estimator is put on each: l on the good, g on the bad. Candidates are drawn from l; the one with the largest
l / g, which for this model is the one with the largest expected improvement, is proposed.

J. Bergstra, R. Bardenet, Y. Bengio and B. Kégl, "Algorithms for hyper-parameter optimization", NIPS 2011;
Y. Ozaki, Y. Tanigaki, S. Watanabe, M. Nomura and M. Onishi, "Multiobjective tree-structured Parzen
estimator", JAIR 73, 2022 (several objectives, here by fronts and crowding).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelwright.errors import InputError
from modelwright.numerics.parzen import Parzen, joint_widths, neighbour_widths
from modelwright.optimizers.base import Abilities
from modelwright.optimizers.beliefs import Belief, Beliefs
from modelwright.optimizers.columns import columns_of
from modelwright.optimizers.evidence import Evidence
from modelwright.optimizers.novelty import Novelty
from modelwright.optimizers.ranking import Ranking
from modelwright.optimizers.starting import Starting
from modelwright.records import Exhausted, History, Objective, Proposal, Ticket, Wait

if TYPE_CHECKING:
    from numpy.random import Generator

    from modelwright.space import Space

__all__ = ["TPE"]

Floats = NDArray[np.float64]

_MAX_GOOD = 25
_MAX_BAD = 500  # more kernels cost time and tell nothing new
_TRIES = 5
_BELIEF_WEIGHT = 4.0  # of a prior's kernel, by its power: 2 after ten trials


class TPE:
    """Draws candidates near good trials and takes the one least like the bad ones.

    Parameters
    ----------
    space : Space
        Where configurations come from. Conditions are part of the model: only trials in which a parameter
        was active say something about it.
    objectives : sequence of Objective
        With several, trials are ranked by nondominated fronts, the least crowded first.
    deterministic : bool, default=False
        Propose no configuration twice.
    n_startup : int, default=10
        So many finished trials are waited for, proposing at random, before the model is used.
    default_first : bool, default=True
        Start with the space's default configuration.
    n_candidates : int, default=24
        Drawn from l for each proposal.
    gamma : float, default=0.1
        Share of the trials that are good.
    univariate : bool, default=False
        Model each parameter by itself instead of all together.
    prior_weight : float, default=1.0
        Of the wide kernel over the whole space, where each trial's kernel weighs 1.

    Notes
    -----
    Running trials are taken for bad ones, so that proposals in flight keep apart. Failures that say something
    about their configuration are bad; pruned trials rank behind complete ones.

    Examples
    --------
    >>> import numpy as np
    >>> from modelwright.records import History, Objective, Ticket, Trial, TrialState
    >>> from modelwright.space import Float, Space
    >>> space, objectives = Space(x=Float(-5, 5)), [Objective()]
    >>> history, optimizer = History(space, objectives), TPE(space, objectives)
    >>> for k in range(60):
    ...     [proposal] = optimizer.ask(history, [Ticket(k, np.random.default_rng(k))])
    ...     loss = (proposal.params["x"] - 2) ** 2
    ...     history.add([Trial(k, TrialState.COMPLETE, space.dump(proposal.params), (loss,))])
    >>> bool(history.losses.min() < 0.01)
    True
    """

    abilities = Abilities(multi_objective=True, outcome_constraints=True)

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        *,
        deterministic: bool = False,
        n_startup: int = 10,
        default_first: bool = True,
        n_candidates: int = 24,
        gamma: float = 0.1,
        univariate: bool = False,
        prior_weight: float = 1.0,
    ) -> None:
        if n_startup < 0 or n_candidates < 1 or not 0 < gamma < 1 or not prior_weight > 0:
            raise InputError(
                "expected n_startup >= 0, n_candidates >= 1, 0 < gamma < 1 and prior_weight > 0 for tpe, got "
                f"{n_startup!r}, {n_candidates!r}, {gamma!r} and {prior_weight!r}."
            )
        self._space = space
        self._deterministic = deterministic
        self._n_startup = n_startup
        self._n_candidates = n_candidates
        self._gamma = gamma
        self._univariate = univariate
        self._prior_weight = prior_weight
        self._columns = columns_of(space)
        self._ranking = Ranking(objectives, max_bad=_MAX_BAD)
        self._beliefs, self._evidence = Beliefs(space), Evidence()
        self._novelty = Novelty(space)
        self._starting = Starting(space, self._novelty, default_first=default_first)

    def __repr__(self) -> str:
        return "TPE()"

    def ask(self, history: History, tickets: Sequence[Ticket]) -> list[Proposal] | Wait | Exhausted:
        """Return one proposal per ticket."""
        return self._novelty.fill(history, tickets, partial(self._draw, history), unique=self._deterministic)

    def _draw(
        self, history: History, ticket: Ticket, batch: list[dict[str, Any]]
    ) -> tuple[dict[str, Any], str]:
        seen = self._ranking.count(history)
        if seen < max(1, self._n_startup):
            return self._starting(
                history, ticket, f"random: {seen} of the {self._n_startup} first are finished"
            )
        self._evidence.read(history)
        standing = self._beliefs.after(self._evidence, history)
        instead = self._starting.instead(standing)
        if instead is not None:
            return instead
        good, bad = self._estimators(history, batch, standing.belief)
        found = self._best_candidate(good, bad, ticket.rng)
        if found is None:
            return self._space.sample(ticket.rng), "random: no candidate met the constraints"
        return found, f"best of {self._n_candidates} candidates by l/g{standing.note}"

    # the model ---------------------------------------------------------------------------------------

    def _estimators(
        self, history: History, batch: list[dict[str, Any]], belief: Belief | None
    ) -> tuple[Parzen, Parzen]:
        """Return l and g."""
        n_good = min(ceil(self._gamma * self._ranking.count(history)), _MAX_GOOD)
        split = self._ranking.split(history, n_good)
        X = history.X
        running = [history.pending_X, self._space.encode(batch)] if batch else [history.pending_X]
        bad = self._parzen(np.vstack([X[split.bad], *running]), None)
        return self._parzen(X[split.good], belief), bad

    def _parzen(self, X: Floats, belief: Belief | None) -> Parzen:
        """Return the estimator; a belief is one more kernel, as wide as it is sure, whose weight fades."""
        widths = neighbour_widths(X) if self._univariate else joint_widths(X)
        weights = np.append(np.ones(len(X)), self._prior_weight)
        if belief is not None:
            X = np.vstack([belief.beliefs.centre, X])
            widths = np.column_stack([np.nan_to_num(belief.beliefs.spread, nan=1.0), widths])
            weights = np.append(_BELIEF_WEIGHT * belief.power, weights)
        return Parzen(self._columns, X, widths, weights, joint=not self._univariate)

    def _best_candidate(self, good: Parzen, bad: Parzen, rng: Generator) -> dict[str, Any] | None:
        for _ in range(_TRIES):
            configs = self._space.decode(good.sample(rng, self._n_candidates))
            X = self._space.encode(configs)  # steps taken, inactive parameters out
            gain = good.log_density(X) - bad.log_density(X)
            if self._space.constraints:
                gain[~self._space.feasible(X)] = -np.inf
            for at in np.argsort(-gain, kind="stable"):
                if gain[at] == -np.inf:
                    break
                if not self._deterministic or self._novelty.is_new(configs[at]):
                    found: dict[str, Any] = configs[at]
                    return found
        return None
