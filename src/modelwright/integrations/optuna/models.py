"""Optimizers of ours at work on an Optuna study, one for each set of parameters that is asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelwright._base.seeds import generator
from modelwright.errors import AbilityError
from modelwright.integrations.optuna.following import Following
from modelwright.integrations.optuna.shape import Shape, text_of
from modelwright.integrations.optuna.views import View, reports_of
from modelwright.optimizers import OPTIMIZERS, Abilities, make_optimizer
from modelwright.records import Component, History, Objective, Ticket

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

__all__ = ["Models", "Settings"]

_MOST_MODELS = 100
_SEVERAL = "auto"


class Settings:
    """What is the same for all models of a sampler.

    Parameters
    ----------
    component : Component
        The optimizer.
    seed : int
        For what the optimizers draw beyond their tickets.
    deterministic : bool
        Whether equal configurations give equal values.
    """

    def __init__(self, component: Component, seed: int, deterministic: bool) -> None:
        self.component, self.seed, self.deterministic = component, seed, deterministic


class _Model:
    """One optimizer, and the history that it reads."""

    def __init__(self, view: View, objectives: tuple[Objective, ...], settings: Settings) -> None:
        self._view, self._objectives, self._settings = view, objectives, settings
        self._epoch = -1

    def _catch_up(self, following: Following) -> None:
        if following.epoch != self._epoch:
            self._epoch, self._rows = following.epoch, 0
            self._history = History(self._view.space, self._objectives)
            self._optimizer = make_optimizer(
                self._settings.component,
                self._view.space,
                self._objectives,
                deterministic=self._settings.deterministic,
                seed=self._settings.seed,
            )
        for frozen in following.finished[self._rows :]:
            trial = self._view.trial(frozen, self._objectives)
            if trial is not None:
                self._history.add_reports(reports_of(frozen, self._objectives[0]))
                self._history.add([trial])
        self._rows = len(following.finished)

    def propose(
        self, following: Following, pending: Sequence[tuple[int, Mapping[str, Any]]], ticket: Ticket
    ) -> dict[str, Any]:
        """Return values by Optuna's names; drawn at random where the optimizer has nothing left."""
        self._catch_up(following)
        configs = [(number, self._view.config(params, {})) for number, params in pending]
        dump = self._view.space.dump
        self._history.set_pending(
            [(number, dump(config)) for number, config in configs if config is not None]
        )
        answer = self._optimizer.ask(self._history, [ticket])
        chosen = answer[0].params if isinstance(answer, list) else self._view.space.sample(ticket.rng)
        return self._view.params(chosen)


class Models:
    """All models of one study, with what they have in common: its trials and their shape."""

    def __init__(self, directions: Sequence[str], settings: Settings) -> None:
        names = ["value"] if len(directions) == 1 else [f"value_{i}" for i in range(len(directions))]
        self._objectives = tuple(
            Objective(name, "maximize" if direction == "MAXIMIZE" else "minimize")
            for name, direction in zip(names, directions, strict=True)
        )
        _check_abilities(settings.component, len(self._objectives))
        self._settings = settings
        self._following = Following()
        self._shape = Shape()
        self._read = self._epoch = 0
        self._models: OrderedDict[Hashable, _Model] = OrderedDict()
        self._proposed: dict[int, dict[str, Any]] = {}

    def look(self, trials: Sequence[FrozenTrial]) -> None:
        """Take in the study's trials as they are now."""
        following = self._following
        following.look(trials)
        if following.epoch != self._epoch:
            self._shape, self._read, self._epoch = Shape(), 0, following.epoch
        new = following.finished[self._read :]
        self._read += len(new)
        self._shape.read(frozen for frozen in new if frozen.state.name != "FAIL")
        for frozen in new:
            self._proposed.pop(frozen.number, None)

    @property
    def together(self) -> dict[str, BaseDistribution]:
        """The parameters that can be proposed together."""
        return dict(self._shape.distributions)

    def propose(
        self, number: int, fixed: Mapping[str, Any], wanted: Mapping[str, BaseDistribution], seed: int
    ) -> dict[str, Any]:
        """Return values for trial `number` of the parameters `wanted` that are active.

        Parameters
        ----------
        number : int
            The trial's.
        fixed : mapping
            What the user gave for it, of which other trials are told.
        wanted : mapping of str to BaseDistribution
            Parameters that can be proposed together.
        seed : int
            The draws derive from it and the number.
        """
        conditions = {name: self._shape.when[name] for name in wanted if name in self._shape.when}
        params = self._ask(("together",), number, wanted, conditions, generator(seed, number))
        self._proposed[number] = {**params, **{name: fixed[name] for name in wanted if name in fixed}}
        return params

    def propose_one(self, number: int, name: str, distribution: BaseDistribution, seed: int) -> Any:
        """Return a value for one parameter, from all trials that had it."""
        rng = generator(seed, number, name)
        return self._ask(("alone",), number, {name: distribution}, {}, rng)[name]

    def _ask(
        self,
        kind: tuple[str],
        number: int,
        wanted: Mapping[str, BaseDistribution],
        when: Mapping[str, Mapping[str, list[Any]]],
        rng: Any,
    ) -> dict[str, Any]:
        key = (*kind, tuple((name, text_of(item)) for name, item in wanted.items()), repr(when))
        model = self._models.get(key)
        if model is None:
            model = self._models[key] = _Model(View(wanted, when), self._objectives, self._settings)
        self._models.move_to_end(key)
        if len(self._models) > _MOST_MODELS:
            self._models.popitem(last=False)
        return model.propose(self._following, self._pending(number), Ticket(number, rng))

    def _pending(self, number: int) -> list[tuple[int, Mapping[str, Any]]]:
        """Return the values of other trials that run: as written, and as proposed where not yet asked for."""
        return [
            (frozen.number, {**self._proposed.get(frozen.number, {}), **frozen.params})
            for frozen in self._following.running
            if frozen.number != number
        ]


def _check_abilities(component: Component, n_objectives: int) -> None:
    abilities: Abilities = OPTIMIZERS.get(component.name).abilities
    if n_objectives > 1 and not abilities.multi_objective:
        raise AbilityError(
            f"the optimizer {component.name!r} works on one objective, and the study has {n_objectives}.",
            hint=f"Use {_SEVERAL!r}.",
        )
