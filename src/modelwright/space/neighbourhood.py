"""Configurations that differ from a given one in a single active parameter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from modelwright.space.choices import Ordinal
from modelwright.space.labels import same
from modelwright.space.numbers import Float, Int
from modelwright.space.parameters import Parameter

if TYPE_CHECKING:
    from numpy.random import Generator

    from modelwright.space.space import Space

__all__ = ["neighbours"]

_SPREAD = 0.2  # standard deviation of a step of a number, in the unit interval
_STEPS = 4  # such steps tried per number
_FEW = 10  # a grid of up to so many values is walked by single steps alone


def neighbours(
    space: Space, config: Mapping[str, Any], rng: Generator, n: int | None
) -> list[dict[str, Any]]:
    """Return up to `n` valid neighbours of `config` in random order; all that were thought of for None.

    Listed values change to each other value, ordered ones and whole numbers by one step, and numbers with
    many values also by steps from a normal distribution cut off at the bounds. Children that a change
    switches on are drawn.
    """
    moves = [(name, value) for name in config for value in _moves(space[name], config[name], rng)]
    found: dict[str, dict[str, Any]] = {}
    for k in rng.permutation(len(moves)).tolist():
        if n is not None and len(found) >= n:
            break
        name, value = moves[k]
        changed = _complete(space, {**config, name: value}, rng)
        if space.satisfies(changed):
            found.setdefault(space.key(changed), changed)
    return list(found.values())


def _moves(parameter: Parameter, value: Any, rng: Generator) -> Iterator[Any]:
    size = parameter.size
    if size is not None and not isinstance(parameter, Float | Int | Ordinal):
        here = parameter.slot_of(value)
        yield from (parameter.at(slot) for slot in range(size) if slot != here)
        return
    if size is not None:
        here = parameter.slot_of(value)
        yield from (parameter.at(slot) for slot in (here - 1, here + 1) if 0 <= slot < size)
    if size is None or (size > _FEW and not isinstance(parameter, Ordinal)):
        for _ in range(_STEPS):
            moved = parameter.decode(_truncated_normal(parameter.encode(value), rng))
            if not same(moved, value):
                yield moved


def _truncated_normal(centre: float, rng: Generator) -> float:
    """Draw from a normal distribution around `centre`, again until the draw lies in [0, 1]."""
    while True:  # at least half of the mass on one side of the centre lies within: few rounds
        u = rng.normal(centre, _SPREAD)
        if 0.0 <= u <= 1.0:
            return float(u)


def _complete(space: Space, values: Mapping[str, Any], rng: Generator) -> dict[str, Any]:
    """Drop what has become inactive from `values` and draw what has become active."""
    parameters = list(space.parameters.items())
    slots: dict[int, int] = {}
    parents = space.structure.parents
    complete: dict[str, Any] = {}
    for i in space.structure.order:
        name, parameter = parameters[i]
        if not space.structure.is_active(i, slots):
            continue
        complete[name] = values[name] if name in values else parameter.decode(rng.random())
        if i in parents:
            slots[i] = parameter.slot_of(complete[name])
    return {name: complete[name] for name, _ in parameters if name in complete}
