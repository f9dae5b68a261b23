"""No search at all: what a person, or another program, enqueues is run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from modelwright.optimizers.base import Abilities
from modelwright.records import Exhausted, History, Objective, Proposal, Ticket, Wait

if TYPE_CHECKING:
    from modelwright.space import Space

__all__ = ["Manual"]


class Manual:
    """Proposes nothing, so that a study runs what is enqueued and waits for more until its budget is used.

    Parameters
    ----------
    space : Space
        What is enqueued is checked against it.
    objectives : sequence of Objective
        Any number.
    deterministic : bool, default=False
        Makes no difference.

    Examples
    --------
    >>> import numpy as np
    >>> from modelwright.records import History, Objective, Ticket
    >>> from modelwright.space import Float, Space
    >>> space, objectives = Space(x=Float(0, 1)), [Objective()]
    >>> Manual(space, objectives).ask(History(space, objectives), [Ticket(0, np.random.default_rng(0))])
    Wait(reason='nothing is enqueued; the optimizer "manual" proposes nothing by itself')
    """

    abilities = Abilities(multi_objective=True, learns=False, proposes=False)

    def __init__(self, space: Space, objectives: Sequence[Objective], *, deterministic: bool = False) -> None:
        pass

    def __repr__(self) -> str:
        return "Manual()"

    def ask(self, history: History, tickets: Sequence[Ticket]) -> list[Proposal] | Wait | Exhausted:
        """Say that something has to be enqueued."""
        return Wait('nothing is enqueued; the optimizer "manual" proposes nothing by itself')
