"""The default: the optimizer that fits the study, chosen anew for each proposal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelwright._base.options import accepted_options
from modelwright.optimizers.base import Abilities, Optimizer
from modelwright.optimizers.choosing import MODELLED, Choice, Facts, choose
from modelwright.optimizers.evidence import Evidence
from modelwright.optimizers.features import Features
from modelwright.records import Exhausted, History, Objective, Proposal, Ticket, Wait

if TYPE_CHECKING:
    from modelwright.space import Space

__all__ = ["Auto"]

_MUCH = 0.01  # of the distance from the median to the best


class Auto:
    """Chooses an optimizer by what is known, and says in each proposal's reason which and why.

    A Gaussian process (`gp`) while trials are few, what costs less per proposal where they are many, and
    others now and then when it no longer gets further. `modelwright.optimizers.choosing` holds the rules.

    Parameters
    ----------
    space : Space
        Where configurations come from.
    objectives : sequence of Objective
        One or several.
    deterministic : bool, default=False
        Propose no configuration twice.
    seed : int, default=0
        Handed on to those that need one.
    default_first : bool, default=True
        Start with the space's default configuration.

    Examples
    --------
    >>> from modelwright.records import History, Objective, Ticket
    >>> from modelwright.space import Float, Space
    >>> space, objectives = Space(x=Float(0, 1)), [Objective()]
    >>> history = History(space, objectives)
    >>> [proposal] = Auto(space, objectives).ask(history, [Ticket(0, np.random.default_rng(0))])
    >>> proposal.reason
    "gp (few trials): the space's default first"
    """

    abilities = Abilities(multi_objective=True, outcome_constraints=True)

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        *,
        deterministic: bool = False,
        seed: int = 0,
        default_first: bool = True,
    ) -> None:
        self._space, self._objectives = space, tuple(objectives)
        self._deterministic, self._seed = deterministic, seed
        self._options: dict[str, Any] = {"default_first": default_first, "most_rows": MODELLED}
        self._features = len(Features(space).groups)
        self._evidence = Evidence()
        self._made: dict[str, Optimizer] = {}

    def __repr__(self) -> str:
        return "Auto()"

    def ask(self, history: History, tickets: Sequence[Ticket]) -> list[Proposal] | Wait | Exhausted:
        """Return one proposal per ticket."""
        if not tickets:
            return []
        # Those that are asked for together come from one optimizer, which keeps them apart.
        choice = choose(self._facts(history, tickets))
        found = self._optimizer(choice.name).ask(history, tickets)
        if isinstance(found, list):
            return [_explained(proposal, choice) for proposal in found]
        return found

    def _facts(self, history: History, tickets: Sequence[Ticket]) -> Facts:
        self._evidence.read(history)
        losses = self._evidence.losses
        return Facts(
            objectives=len(self._objectives),
            constrained=bool(history.outcome_constraints),
            parameters=len(self._space),
            features=self._features,
            finished=len(losses),
            running=len(history.pending_numbers) + len(tickets) - 1,
            stale=_stale(losses) if len(self._objectives) == 1 else 0,
            number=tickets[0].number,
        )

    def _optimizer(self, name: str) -> Optimizer:
        from modelwright.optimizers.catalogue import OPTIMIZERS, make_optimizer

        if name not in self._made:
            taken = accepted_options(OPTIMIZERS.get(name)) or ()
            self._made[name] = make_optimizer(
                name,
                self._space,
                self._objectives,
                deterministic=self._deterministic,
                seed=self._seed,
                **{option: value for option, value in self._options.items() if option in taken},
            )
        return self._made[name]


def _stale(losses: NDArray[np.float64]) -> int:
    """Return for how many trials the best has not become better by much."""
    if len(losses) < 2:
        return 0
    best = np.minimum.accumulate(losses)
    worth = _MUCH * (np.median(losses) - best[-1])
    return int(np.count_nonzero(best - best[-1] <= worth)) - 1


def _explained(proposal: Proposal, choice: Choice) -> Proposal:
    return replace(proposal, reason=f"{choice.name} ({choice.why}): {proposal.reason}")
