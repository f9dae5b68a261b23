"""Between the optimizer and the ledger: what it may see, what it answers, how that is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelwright import __version__
from modelwright._base.seeds import generator
from modelwright.errors import ConfigurationError, ModelwrightError
from modelwright.optimizers import Optimizer, make_optimizer
from modelwright.records import Exhausted, Proposal, Provenance, Ticket, Wait
from modelwright.space import Bool, Categorical, Float, Int, Space
from modelwright.storage.base import Claim, Storage
from modelwright.study.view import LedgerView

__all__ = ["Proposer"]


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
        self._full = base
        self._full_version = 0

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer for the view's present space."""
        if self._optimizer is None or self._optimizer_space is not self._view.space:
            spec = self._view.record.spec
            self._optimizer_space = self._view.space
            self._optimizer = make_optimizer(
                spec.optimizer,
                self._view.space,
                spec.objectives,
                deterministic=spec.deterministic,
                seed=spec.seed,
            )
        return self._optimizer

    def ask(self, ticket: Ticket) -> Proposal | Wait | Exhausted:
        """Return the proposal for one trial, with everything that it may know at this moment."""
        self._view.refresh()
        if not self._view.ready(ticket.number):
            return Wait("lock-step: earlier results are still to come")
        self._fit_space(ticket.number)
        answer = self.optimizer.ask(self._view.history_for(ticket.number), [ticket])
        return answer[0] if isinstance(answer, list) else answer

    def write(self, claim: Claim, proposal: Proposal) -> dict[str, Any]:
        """Write a proposal into the ledger and return its configuration with real values."""
        record, space = self._view.record, self._view.space
        params = dict(proposal.params)
        stored = Proposal(
            space.dump(params), proposal.reason, proposal.fidelity, proposal.parent, proposal.partition
        )
        provenance = Provenance(record.spec.optimizer.name, __version__, proposal.reason, self._view.revision)
        self._storage.propose(claim, stored, provenance, record.space_version)
        return params

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
        rng = generator(self._view.record.spec.seed, claim.number, "parameter", name)
        value = space[name].decode(float(rng.random()))
        self._storage.extend(claim, space.dump({name: value}), self._view.record.space_version)
        return value

    def load(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return a configuration of the ledger with real values, whatever version of the space it is of."""
        self._view.refresh()
        return self.full_space().load(params)

    def full_space(self) -> Space:
        """Return the newest space, with real choices where the first version had them."""
        version = self._view.record.space_version
        if version != self._full_version:
            self._full = self._base
            for name, parameter in Space.from_json(self._view.record.space).parameters.items():
                if name not in self._base:
                    self._full = self._full.with_parameter(name, parameter)
            self._full_version = version
        return self._full

    def _fit_space(self, number: int) -> None:
        if self._view.record.space_version == 0:
            return
        full, names = self.full_space(), self._view.names_for(number)
        if names is None:
            self._view.use_space(full)
        elif [*self._base.names, *names] != list(self._view.space.names):
            space = self._base
            for name in names:
                space = space.with_parameter(name, full[name])
            self._view.use_space(space)


def _parameter(kind: str, options: Mapping[str, Any]) -> Float | Int | Categorical | Bool:
    if kind == "float":
        return Float(**options)
    if kind == "int":
        return Int(**options)
    if kind == "categorical":
        return Categorical(*options["choices"])
    return Bool()
