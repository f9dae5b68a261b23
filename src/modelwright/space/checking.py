"""Whether given configurations belong to a space, and what is wrong with those that do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from modelwright._base.registry import nearest
from modelwright.errors import ConfigurationError
from modelwright.space.parameters import Parameter

if TYPE_CHECKING:
    from modelwright.space.constraints import CallableConstraint, TextConstraint
    from modelwright.space.space import Space

__all__ = ["active", "check", "meets"]


def check(space: Space, config: Any) -> dict[str, Any]:
    """Return `config` in its normal form; see `Space.check`."""
    if not isinstance(config, Mapping):
        raise ConfigurationError(f"expected a mapping of names to values, got {_short(config)}.")
    for name in config:
        if name not in space.parameters:
            raise ConfigurationError(
                f"the space has no parameter {_short(name)}.",
                hint=nearest(str(name)[:200], list(space.names)),
            )
    values: dict[str, Any] = {}
    for name, parameter, on in _walk(space, values):
        if on and name not in config:
            raise ConfigurationError(f"the parameter {name!r} is missing.")
        if not on and name in config:
            raise ConfigurationError(
                f"the parameter {name!r} is inactive here: it needs {_condition(parameter)}.",
                hint="Leave it out.",
            )
        if on:
            try:
                values[name] = parameter.normal(config[name])
            except ValueError as error:
                raise ConfigurationError(f"the parameter {name!r}: {error}.") from None
    checked = {name: values[name] for name in space.names if name in values}
    broken = [rule.text for rule in space.rules if not meets(space, rule, checked)]
    if broken:
        raise ConfigurationError("the configuration violates " + " and ".join(map(repr, broken)) + ".")
    return checked


def active(space: Space, config: Mapping[str, Any]) -> list[str]:
    """Return the names of the parameters that are active under the parents' values in `config`."""
    found = {name for name, _, on in _walk(space, config) if on}
    return [name for name in space.names if name in found]


def meets(space: Space, rule: TextConstraint | CallableConstraint, config: Mapping[str, Any]) -> bool:
    """Return whether `config` meets `rule`, or `rule` does not apply to it."""
    if rule.function is not None:
        return rule.holds_for(config)
    if any(name not in config for name in rule.names):
        return True
    operands = {}
    for name in rule.names:
        parameter = space.parameters[name]
        operands[name] = parameter.operand(parameter.column([config[name]]))
    return bool(rule.holds(operands, 1)[0])


def _walk(space: Space, values: Mapping[str, Any]) -> Iterator[tuple[str, Parameter, bool]]:
    """Yield each parameter, parents first, and whether it is active.

    The value of a parent is looked up in `values` after the parent was yielded, so a loop may fill them in.
    """
    slots: dict[int, int] = {}
    parents = space.structure.parents
    for i in space.structure.order:
        name = space.names[i]
        parameter = space.parameters[name]
        on = space.structure.is_active(i, slots)
        yield name, parameter, on
        if on and i in parents and name in values:
            slots[i] = parameter.slot_of(values[name])


def _condition(parameter: Parameter) -> str:
    return " and ".join(
        f"{parent!r} to be {' or '.join(map(repr, values))}" for parent, values in parameter.when.items()
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
