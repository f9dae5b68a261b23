"""ConfigSpace's conditions as ours: for each parent, the values under which a parameter is active."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import ConfigSpace
from ConfigSpace.conditions import Condition

from modelwright.errors import InputError
from modelwright.space import Float, Parameter
from modelwright.space.labels import same

__all__ = ["conditions_of"]

_MOST_VALUES = 1_000

When = dict[str, list[Any]]

_SIDE: dict[type[Condition], Callable[[int, int], bool]] = {
    ConfigSpace.NotEqualsCondition: operator.ne,
    ConfigSpace.LessThanCondition: operator.lt,
    ConfigSpace.GreaterThanCondition: operator.gt,
}


def conditions_of(
    source: ConfigSpace.ConfigurationSpace, parameters: Mapping[str, Parameter]
) -> dict[str, When]:
    """Return the conditions of each parameter that has some.

    Raises
    ------
    InputError
        A condition depends on a real number, could never be met, or joins different parents by "or"; the
        message shows it.
    """
    found: dict[str, When] = {}
    for condition in source.conditions:
        name, when = condition.child.name, _when(condition, parameters)
        found[name] = _both(found[name], when, condition) if name in found else when
    return found


def _when(condition: Any, parameters: Mapping[str, Parameter]) -> When:
    if isinstance(condition, Condition):
        return {condition.parent.name: _values(condition, parameters[condition.parent.name])}
    parts = [_when(part, parameters) for part in condition.components]
    joined = parts[0]
    for part in parts[1:]:
        if isinstance(condition, ConfigSpace.AndConjunction):
            joined = _both(joined, part, condition)
        else:
            joined = _either(joined, part, condition)
    return joined


def _both(one: When, other: When, condition: Any) -> When:
    joined = one | other
    for parent in one.keys() & other.keys():
        joined[parent] = [value for value in one[parent] if _is_in(value, other[parent])]
        if not joined[parent]:
            raise _refused(condition, "no value meets it")
    return joined


def _either(one: When, other: When, condition: Any) -> When:
    differing = [p for p in one.keys() | other.keys() if not _same_values(one.get(p, []), other.get(p, []))]
    if one.keys() != other.keys() or len(differing) > 1:
        raise _refused(condition, "ours join different parents by 'and' alone")
    return {
        parent: values + [value for value in other[parent] if not _is_in(value, values)]
        for parent, values in one.items()
    }


def _values(condition: Any, parent: Parameter) -> list[Any]:
    """Return the values of the parent that meet a single condition."""
    if isinstance(parent, Float) and parent.size is None:
        raise _refused(condition, "ours depend on listed values or whole numbers, not on a Float")
    if isinstance(condition, ConfigSpace.EqualsCondition):
        return [condition.value]
    if isinstance(condition, ConfigSpace.InCondition):
        return list(condition.values)
    assert parent.size is not None
    if parent.size > _MOST_VALUES:
        raise _refused(condition, f"the parent has more than {_MOST_VALUES:,} values")
    place = parent.slot_of(parent.normal(condition.value))
    kept = _SIDE[type(condition)]
    values = [parent.at(slot) for slot in range(parent.size) if kept(slot, place)]
    if not values:
        raise _refused(condition, "no value meets it")
    return values


def _is_in(value: Any, values: list[Any]) -> bool:
    return any(same(value, other) or (isinstance(value, int | float) and value == other) for other in values)


def _same_values(one: list[Any], other: list[Any]) -> bool:
    return all(_is_in(value, other) for value in one) and all(_is_in(value, one) for value in other)


def _refused(condition: Any, why: str) -> InputError:
    return InputError(
        f"the condition {str(condition)!r:.200} has no counterpart: {why}.", code="E_CONFIGSPACE"
    )
