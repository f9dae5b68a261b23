"""An optimizer of ours as the black-box harness wants it: suggest a configuration, observe a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelwright._base.seeds import generator
from modelwright.optimizers import make_optimizer
from modelwright.records import History, Objective, Ticket, Trial, TrialState
from modelwright.space import Categorical, Float, Int, Space

__all__ = ["Asked", "factory", "space_from_list"]


def space_from_list(items: Sequence[Mapping[str, Any]]) -> Space:
    """Return the space of the harness's list of parameters."""
    parameters: dict[str, Any] = {}
    for item in items:
        when = {item["parent"]: list(item["parent_values"])} if item.get("parent") else None
        if item["type"] == "cat":
            parameters[item["name"]] = Categorical(*item["choices"], when=when)
        else:
            kind = Float if item["type"] == "float" else Int
            parameters[item["name"]] = kind(item["low"], item["high"], log=bool(item.get("log")), when=when)
    return Space(parameters)


class Asked:
    """An optimizer by name with its history, for one run on a deterministic function.

    Parameters
    ----------
    space : Space
        Where configurations come from.
    seed : int
        Of the run.
    optimizer : str
        Its name.
    options : mapping
        Its options.
    """

    def __init__(self, space: Space, seed: int, optimizer: str, options: Mapping[str, Any]) -> None:
        objectives = [Objective("loss")]
        self._space, self._seed = space, seed
        self._history = History(space, objectives)
        self._optimizer = make_optimizer(
            optimizer, space, objectives, deterministic=True, seed=seed, **options
        )

    def suggest(self) -> dict[str, Any]:
        number = len(self._history)
        found = self._optimizer.ask(self._history, [Ticket(number, generator(self._seed, number))])
        if not isinstance(found, list):
            return self._space.sample(generator(self._seed, number))
        return dict(found[0].params)

    def observe(self, config: dict[str, Any], value: float) -> None:
        number = len(self._history)
        self._history.add([Trial(number, TrialState.COMPLETE, self._space.dump(config), (value,))])


def factory(
    space: Sequence[Mapping[str, Any]],
    seed: int,
    budget: int,
    fidelity: object = None,
    *,
    optimizer: str = "gp",
    **options: Any,
) -> Asked:
    """Return an optimizer of that name for a space of the harness."""
    return Asked(space_from_list(space), seed, optimizer, options)
