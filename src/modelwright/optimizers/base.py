"""The contract of optimizers: functions of (space, seed, ordered history).

An optimizer is built from a space, objectives and options, and asked with a history and one ticket for each
trial wanted. It touches no storage, no clock and no global random state. What it keeps between calls is a
cache: built anew from the same history, it gives the same proposals to the last bit. Walk-through::

    optimizer = TPE(space, objectives, deterministic=True)
    optimizer.ask(history, [Ticket(0, rng_0)])      -> [Proposal(params={...}, reason="1 of 10 random first")]
    history.set_pending([(0, params)])              trial 0 runs; the next ask sees it as pending
    optimizer.ask(history, [Ticket(1, rng_1)])      -> [Proposal(...)], not the configuration of trial 0
    history.add([trial_0]); ...                     results come in, in the ledger's order
    optimizer.ask(history, [Ticket(k, rng_k)])      -> Exhausted("all 96 tried") on a used-up finite space
                                                       Wait(...) while the last of them still run

For each optimizer, each proposal lies in bounds, meets conditions and constraints, and leaves inactive
parameters out; a deterministic objective gets no configuration twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from modelwright.records import Exhausted, History, Proposal, Ticket, Wait

__all__ = ["Abilities", "Optimizer"]


@dataclass(frozen=True, slots=True)
class Abilities:
    """What an optimizer can do, as data that choosing, refusing, documenting and testing all read.

    Attributes
    ----------
    multi_objective : bool
        Learns from several objectives at once.
    conditions, constraints : bool
        Proposes within conditional and constrained spaces.
    pending : bool
        Takes running trials into account.
    infinite : bool
        Works on spaces without a finite number of configurations.
    learns : bool
        Results influence its proposals.
    fidelity : bool
        Chooses fidelities itself.
    outcome_constraints : bool
        Uses how far trials are from what they have to measure.
    proposes : bool
        Proposes anything; a study with one that does not runs only what is enqueued.
    """

    multi_objective: bool = False
    conditions: bool = True
    constraints: bool = True
    pending: bool = True
    infinite: bool = True
    learns: bool = True
    fidelity: bool = False
    outcome_constraints: bool = False
    proposes: bool = True


class Optimizer(Protocol):
    """Proposes configurations.

    Implementations are built as ``Class(space, objectives, *, deterministic=False, **options)`` and refuse
    there, with `AbilityError`, a space or objectives that they cannot handle.
    """

    abilities: Abilities

    def ask(self, history: History, tickets: Sequence[Ticket]) -> list[Proposal] | Wait | Exhausted:
        """Return one proposal per ticket, fewer where the space runs out, or why there is none."""
