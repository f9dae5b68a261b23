"""Between the optimizer and the ledger: what it may see, what it answers, how that is written.

Several workers ask at once, each with its own copy of the ledger, and none holds a lock while its optimizer
thinks. So two may come to the same configuration. The ledger refuses the second one as it is written; the
worker then asks again with the other trial in sight, and draws at random after a few refusals. In a study
that is not deterministic that holds only while the other trial is not over: later a repeat is welcome. In
lock-step mode each proposal knows of all that came before it, and nothing is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from modelwright._base.seeds import generator
from modelwright.errors import ConfigurationError, ModelwrightError
from modelwright.optimizers import Optimizer, make_optimizer
from modelwright.records import Component, Exhausted, Proposal, Provenance, Ticket, Wait
from modelwright.space import Bool, Categorical, Float, Int, Space
from modelwright.storage.base import Claim, Storage
from modelwright.study.versions import versions_here
from modelwright.study.view import LedgerView

__all__ = ["Considered", "Proposer", "added_value"]

_ASKS = 6  # how often an optimizer is asked for one trial, the first time included
_DRAWS = 5  # how often a configuration is drawn instead, before a repeat is taken


@dataclass(frozen=True, slots=True)
class Considered:
    """A proposal with what it came from.

    Attributes
    ----------
    proposal : Proposal
        Real values.
    stored : Proposal
        The same as the ledger keeps it.
    revision, space_version : int
        What the optimizer had seen.
    turn : int
        How many proposals for the same trial others had been quicker with.
    """

    proposal: Proposal
    stored: Proposal
    revision: int
    space_version: int
    turn: int


class Proposer:
    """Asks a study's optimizer for one trial at a time.

    Parameters
    ----------
    storage : Storage
        The ledger.
    view : LedgerView
        The copy of it that histories are cut from.
    base : Space
        Version 0 of the space, with real choices.
    """

    def __init__(self, storage: Storage, view: LedgerView, base: Space) -> None:
        self._storage = storage
        self._view = view
        self._base = base
        self._optimizer: Optimizer | None = None
        self._optimizer_space: Space | None = None

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer for the view's present space."""
        if self._optimizer is None or self._optimizer_space is not self._view.space:
            self._optimizer_space = self._view.space
            self._optimizer = self._make(self._view.record.spec.optimizer)
        return self._optimizer

    @cached_property
    def proposes(self) -> bool:
        """Whether the optimizer proposes anything by itself, whatever the space has become."""
        return self.optimizer.abilities.proposes

    def propose(self, claim: Claim) -> dict[str, Any] | Wait | Exhausted:
        """Find and write the configuration of one trial, and return it with real values.

        Raises
        ------
        StaleClaimError
            A newer claim exists.
        """
        taken, place = None, None
        for turn in range(_ASKS + _DRAWS):
            answer = self.consider(claim.number, turn, taken, place)
            if not isinstance(answer, Considered):
                return answer
            params = dict(answer.proposal.params)
            last = turn == _ASKS + _DRAWS - 1
            taken = self._write(claim, answer, unique=self._unique and bool(params) and not last)
            if taken is not None and self._welcomes_again(taken):
                taken = self._write(claim, answer, unique=False)
            if taken is None:
                return params
            place = answer.proposal.partition
        raise AssertionError("a configuration that need not be unique is always written")

    def consider(
        self, number: int, turn: int = 0, taken: int | None = None, partition: int | None = None
    ) -> Considered | Wait | Exhausted:
        """Return the proposal for one trial, with everything that it may know at this moment.

        Parameters
        ----------
        number : int
            The trial.
        turn : int, default=0
            How many proposals for it were refused before.
        taken, partition : int, optional
            The trial that had the last one of these, and in which partition that lay.
        """
        seed = self._view.record.spec.seed
        if turn < _ASKS:
            # The same generator again: the answer is a function of what is known, and more is known now.
            return self._ask(Ticket(number, generator(seed, number)), turn)
        # An optimizer that goes through a list, or places its proposals in partitions, is asked on: a draw
        # from the whole space would lie outside of its plan.
        drawn = self.optimizer.abilities.learns and partition is None
        ticket = Ticket(number, generator(seed, number, "draw", turn))
        answer = self._ask(ticket, turn, at_random=drawn)
        if not isinstance(answer, Considered):
            return answer
        reason = answer.stored.reason
        if drawn:
            reason = f"random: trial {taken} was quicker with what was chosen"
        if turn == _ASKS + _DRAWS - 1:
            reason += "; may be a repeat"
        return replace(answer, stored=replace(answer.stored, reason=reason))

    def check(self, space: Space) -> None:
        """Raise what the optimizer would if it were to propose from `space`."""
        self._make(self._view.record.spec.optimizer, space)

    def _ask(self, ticket: Ticket, turn: int, *, at_random: bool = False) -> Considered | Wait | Exhausted:
        view = self._view
        # What the optimizer sees must not move meanwhile, nor be newer than the revision kept with it.
        with view.still():
            view.refresh()
            if not view.ready(ticket.number):
                return Wait("lock-step: earlier results are still to come")
            self._fit_space(ticket.number)
            optimizer = self._make(Component("random")) if at_random else self.optimizer
            answer = optimizer.ask(view.history_for(ticket.number), [ticket])
            if not isinstance(answer, list):
                return answer
            stored = replace(answer[0], params=view.space.dump(answer[0].params))
            return Considered(answer[0], stored, view.revision, view.record.space_version, turn)

    @property
    def _unique(self) -> bool:
        return not self._view.record.spec.reproducible

    def _welcomes_again(self, number: int) -> bool:
        """Whether the configuration of this trial, which is over by now, may be tried once more."""
        if self._view.record.spec.deterministic:
            return False
        self._view.refresh()
        trial = self._view.trials.get(number)
        return trial is None or trial.state.finished

    def _make(self, component: Component, space: Space | None = None) -> Optimizer:
        spec = self._view.record.spec
        return make_optimizer(
            component,
            space or self._view.space,
            spec.objectives,
            deterministic=spec.deterministic,
            seed=spec.seed,
            outcome_constraints=spec.outcome_constraints,
        )

    def _write(self, claim: Claim, answer: Considered, *, unique: bool) -> int | None:
        """Write a proposal into the ledger; return the number of the trial that has it already, if any."""
        name = self._view.record.spec.optimizer.name
        provenance = Provenance(name, versions_here(), answer.stored.reason, answer.revision, answer.turn)
        return self._storage.propose(claim, answer.stored, provenance, answer.space_version, unique=unique)

    def suggest(self, claim: Claim, name: str, kind: str, options: Mapping[str, Any]) -> Any:
        """Return a value for a parameter that an objective asks for while it runs.

        A new one joins the space by a new version. The value depends on nothing but the study's seed, the
        trial and the name, since the trial's proposal was made without the parameter.

        Raises
        ------
        ModelwrightError
            The parameter makes no sense, or it is in the space and inactive in this trial.
        """
        if name in self._base:
            raise ConfigurationError(
                f"the parameter {name!r} is inactive in trial {claim.number}.",
                hint="Ask for it only where its condition is met.",
            )
        self._view.refresh()
        while name not in (space := self.full_space()):
            try:
                wider = space.with_parameter(name, _parameter(kind, options))
            except TypeError as error:
                raise ModelwrightError(f"the parameter {name!r}: {error}") from error
            # Somebody else may add another one in the meantime: then theirs counts, and ours is tried again.
            self._storage.add_space(claim.study_id, wider.to_json(), self._view.record.space_version)
            self._view.refresh()
        value = added_value(space, self._view.record.spec.seed, claim.number, name)
        self._storage.extend(claim, space.dump({name: value}), self._view.record.space_version)
        return value

    def load(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return a configuration of the ledger with real values, whatever version of the space it is of."""
        self._view.refresh()
        return self._view.spaces.load(params)

    def full_space(self) -> Space:
        """Return the newest space, with real choices where they are known."""
        return self._view.spaces.newest

    def _fit_space(self, number: int) -> None:
        """In lock-step mode, propose from the parameters that this trial may know of."""
        names = self._view.names_for(number)
        if names is not None and [*self._base.names, *names] != list(self._view.space.names):
            full, space = self.full_space(), self._base
            for name in names:
                space = space.with_parameter(name, full[name])
            self._view.use_space(space)


def added_value(space: Space, seed: int, number: int, name: str) -> Any:
    """Return the value that a parameter which an objective asks for gets in a trial."""
    return space[name].decode(float(generator(seed, number, "parameter", name).random()))


def _parameter(kind: str, options: Mapping[str, Any]) -> Float | Int | Categorical | Bool:
    if kind == "float":
        return Float(**options)
    if kind == "int":
        return Int(**options)
    if kind == "categorical":
        return Categorical(*options["choices"])
    return Bool()
