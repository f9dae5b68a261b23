"""Which parameters are active: conditions as links between positions, and an order with parents first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright._base.registry import nearest
from modelwright.errors import SpaceError
from modelwright.space.numbers import Float
from modelwright.space.parameters import Parameter

__all__ = ["Link", "Structure", "build_structure"]

_MOST_LINKS = 10_000


@dataclass(frozen=True, slots=True)
class Link:
    """Met while the parent at position `parent` is active and has one of the values numbered `slots`."""

    parent: int
    slots: frozenset[int]


@dataclass(frozen=True)
class Structure:
    """The conditions of a whole space.

    Attributes
    ----------
    links : tuple of tuple of Link
        For each parameter, all of which must be met.
    order : tuple of int
        Positions with parents before children, otherwise as declared.
    """

    links: tuple[tuple[Link, ...], ...]
    order: tuple[int, ...]

    @cached_property
    def conditional(self) -> bool:
        """Whether any parameter has a condition."""
        return any(self.links)

    @cached_property
    def parents(self) -> frozenset[int]:
        """Positions of the parameters that some condition names."""
        return frozenset(link.parent for links in self.links for link in links)

    def active(
        self, parameters: Sequence[Parameter], columns: Sequence[NDArray[Any]], n: int
    ) -> NDArray[np.bool_]:
        """Return where each parameter is active, shape (n, d), given the columns of all of them."""
        active = np.ones((n, len(parameters)), dtype=bool)
        for i in self.order:
            for link in self.links[i]:
                slots = parameters[link.parent].slots(columns[link.parent])
                active[:, i] &= active[:, link.parent] & np.isin(slots, list(link.slots))
        return active

    def is_active(self, i: int, slots: Mapping[int, int]) -> bool:
        """Return whether parameter `i` is active; `slots` holds the value numbers of active parents."""
        return all(slots.get(link.parent, -1) in link.slots for link in self.links[i])


def build_structure(parameters: Mapping[str, Parameter]) -> tuple[Structure, dict[str, Parameter]]:
    """Return the structure of `parameters`, and them with each condition's values in normal form.

    Raises
    ------
    SpaceError
        A condition names an unknown parent, a value that the parent does not have, or leads in a circle.
    """
    position = {name: i for i, name in enumerate(parameters)}
    if sum(len(parameter.when) for parameter in parameters.values()) > _MOST_LINKS:
        raise SpaceError(f"expected at most {_MOST_LINKS:,} conditions in a space.", code="E_SPACE_LIMIT")
    links: list[tuple[Link, ...]] = []
    normal: dict[str, Parameter] = {}
    for name, parameter in parameters.items():
        when: dict[str, list[Any]] = {}
        own: list[Link] = []
        for parent, values in parameter.when.items():
            slots = _slots(name, parent, values, parameters)
            own.append(Link(position[parent], frozenset(slots)))
            when[parent] = [_stored(parameters[parent], slot) for slot in sorted(set(slots))]
        links.append(tuple(own))
        normal[name] = parameter.with_when(when) if when else parameter
    order = _ordered(list(parameters), links)
    return Structure(tuple(links), order), normal


def _stored(parent: Parameter, slot: int) -> Any:
    # Labels rather than objects: conditions must read the same before and after a trip through JSON.
    return parent.dump(parent.at(slot))


def _slots(name: str, parent: str, values: tuple[Any, ...], parameters: Mapping[str, Parameter]) -> list[int]:
    where = f"the condition {name!r} <- {parent!r}"
    if parent not in parameters:
        known = [other for other in parameters if other != name]
        raise SpaceError(
            f"{where} names an unknown parameter.",
            hint=nearest(str(parent), known) if known else "The space has no other parameter.",
            code="E_CONDITION",
        )
    above = parameters[parent]
    if isinstance(above, Float):
        raise SpaceError(
            f"{where} depends on a Float; expected a parent with listed values or an Int.", code="E_CONDITION"
        )
    try:
        return [above.slot_of(above.normal(value)) for value in values]
    except ValueError as error:
        raise SpaceError(f"{where} could never be met: {error}.", code="E_CONDITION") from None


def _ordered(names: list[str], links: Sequence[tuple[Link, ...]]) -> tuple[int, ...]:
    """Return the positions with parents first, by a depth-first walk with a stack of its own."""
    done: dict[int, bool] = {}  # False while on the path, True when placed
    order: list[int] = []
    for start in range(len(names)):
        path = [start]
        while path:
            i = path[-1]
            if done.get(i):
                path.pop()
                continue
            done[i] = False
            waiting = [link.parent for link in links[i] if not done.get(link.parent)]
            if not waiting:
                done[i] = True
                order.append(i)
                path.pop()
            elif waiting[0] in path:
                circle = [*path[path.index(waiting[0]) :], waiting[0]]
                raise SpaceError(
                    "the conditions lead in a circle: " + " <- ".join(repr(names[k]) for k in circle) + ".",
                    code="E_CONDITION",
                )
            else:
                path.append(waiting[0])
    return tuple(order)
