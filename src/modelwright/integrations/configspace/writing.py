"""Our spaces as ConfigSpace's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import ConfigSpace

from modelwright.errors import InputError
from modelwright.integrations.configspace.formulas import (
    Among,
    Ordered,
    Statement,
    is_plain_number,
    values_of,
    violations,
)
from modelwright.space import Constant, Float, Int, Ordinal, Parameter, Space

__all__ = ["META", "to_configspace"]

META = "modelwright"  # where a number with steps keeps what it is
_MOST_STEPS = 1_000
_DECIMALS = 13

_CLAUSES: dict[str, Any] = {
    "<": ConfigSpace.ForbiddenLessThanClause,
    ">": ConfigSpace.ForbiddenGreaterThanClause,
    ">=": ConfigSpace.ForbiddenGreaterThanEqualsClause,
}
_RELATIONS: dict[str, Any] = {
    "<": ConfigSpace.ForbiddenLessThanRelation,
    "<=": ConfigSpace.ForbiddenLessThanEqualsRelation,
    ">": ConfigSpace.ForbiddenGreaterThanRelation,
    ">=": ConfigSpace.ForbiddenGreaterThanEqualsRelation,
    "==": ConfigSpace.ForbiddenEqualsRelation,
}


def to_configspace(space: Space, *, seed: int | None = None) -> ConfigSpace.ConfigurationSpace:
    """Return a space as one of ConfigSpace's.

    Conditions become conditions, and constraints forbidden clauses. Numbers with steps, which ConfigSpace
    lacks, become ordinals that remember what they are; choices that are no plain values go by their labels.
    The default configuration is that of the space, which meets the constraints.

    Parameters
    ----------
    space : Space
        Its constraints may compare parameters with values and with each other, joined by and, or, not;
        anything else only on parameters of few values.
    seed : int, optional
        For ConfigSpace's own draws.

    Raises
    ------
    InputError
        Something cannot be said in ConfigSpace; the message names it.

    Examples
    --------
    >>> from modelwright.space import Categorical, Float, Int, Space
    >>> space = Space(
    ...     kernel=Categorical("linear", "rbf"),
    ...     gamma=Float(0.1, 1, when={"kernel": "rbf"}),
    ...     a=Int(1, 9),
    ...     b=Int(1, 9),
    ...     constraints=["a <= b"],
    ... )
    >>> found = to_configspace(space)
    >>> found.conditions, found.forbidden_clauses
    ([gamma | kernel == 'rbf'], [Forbidden: a > b])
    """
    default = space.default()
    found = ConfigSpace.ConfigurationSpace(seed=seed)
    for name, parameter in space.parameters.items():
        found.add(_hyperparameter(name, parameter, default.get(name, parameter.default)))
    for name, parameter in space.parameters.items():
        if parameter.when:
            found.add(_condition(found, name, parameter))
    for rule in space.rules:
        if rule.function is not None:
            raise InputError(
                f"the constraint {rule.text} is a function, which cannot be said by forbidden clauses.",
                hint="Write it as a text, such as 'a <= b'.",
                code="E_CONFIGSPACE",
            )
        for conjunction in violations(space, rule.text, rule.tree):
            found.add(_clause(found, conjunction))
    return found


# parameters --------------------------------------------------------------------------------------------


def _hyperparameter(name: str, parameter: Parameter, default: Any) -> Any:
    if isinstance(parameter, Float | Int):
        return _number(name, parameter, default)
    values = values_of(parameter)
    _check_choices(name, values)
    stored = parameter.dump(default)
    if isinstance(parameter, Constant):
        return ConfigSpace.Constant(name, values[0])
    if isinstance(parameter, Ordinal):
        return ConfigSpace.OrdinalHyperparameter(name, values, default_value=stored)
    weights = parameter.prior if isinstance(parameter.prior, tuple) else None
    return ConfigSpace.CategoricalHyperparameter(name, values, default_value=stored, weights=weights)


def _number(name: str, parameter: Float | Int, default: Any) -> Any:
    low, high, log = parameter.low, parameter.high, parameter.log
    if not is_plain_number(parameter):
        return _stepped(name, parameter, default)
    if isinstance(parameter, Int):
        return ConfigSpace.UniformIntegerHyperparameter(name, low, high, default_value=default, log=log)
    if not all(math.isclose(round(end, _DECIMALS), end, rel_tol=1e-9) for end in (low, high)):
        raise InputError(
            f"ConfigSpace rounds ranges to {_DECIMALS} decimals, "
            f"but that of {name!r} is from {low!r} to {high!r}.",
            hint="Round them, or search an exponent.",
            code="E_CONFIGSPACE",
        )
    return ConfigSpace.UniformFloatHyperparameter(name, low, high, default_value=default, log=log)


def _stepped(name: str, parameter: Float | Int, default: Any) -> Any:
    assert parameter.size is not None
    if parameter.size > _MOST_STEPS:
        raise InputError(
            f"ConfigSpace has no steps, and {name!r} has too many values to list: {parameter.size:,}.",
            hint=f"Leave the step out, or have at most {_MOST_STEPS:,} values.",
            code="E_CONFIGSPACE",
        )
    form = {key: value for key, value in parameter.to_json().items() if key != "when"}
    return ConfigSpace.OrdinalHyperparameter(
        name, values_of(parameter), default_value=default, meta={META: form}
    )


def _check_choices(name: str, values: Sequence[Any]) -> None:
    """Refuse choices that ConfigSpace takes for the same, or changes."""
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if numbers and any(isinstance(value, bool) for value in values):
        raise InputError(
            f"ConfigSpace cannot tell truth values from numbers, and {name!r} has both among its choices.",
            hint="Write the one or the other as texts.",
            code="E_CONFIGSPACE",
        )
    if len(set(numbers)) < len(numbers):
        raise InputError(
            f"ConfigSpace cannot tell equal numbers apart, and {name!r} has some: {numbers!r:.80}.",
            hint="Write them as texts.",
            code="E_CONFIGSPACE",
        )


# conditions and clauses --------------------------------------------------------------------------------


def _condition(found: ConfigSpace.ConfigurationSpace, name: str, parameter: Parameter) -> Any:
    parts = [
        ConfigSpace.EqualsCondition(found[name], found[parent], values[0])
        if len(values) == 1
        else ConfigSpace.InCondition(found[name], found[parent], list(values))
        for parent, values in parameter.when.items()
    ]
    return parts[0] if len(parts) == 1 else ConfigSpace.AndConjunction(*parts)


def _clause(found: ConfigSpace.ConfigurationSpace, conjunction: Sequence[Statement]) -> Any:
    parts = [_part(found, statement) for statement in conjunction]
    return parts[0] if len(parts) == 1 else ConfigSpace.ForbiddenAndConjunction(*parts)


def _part(found: ConfigSpace.ConfigurationSpace, statement: Statement) -> Any:
    if isinstance(statement, Among):
        hyperparameter = found[statement.name]
        values = [_legal(hyperparameter, value) for value in statement.values]
        if len(values) == 1:
            return ConfigSpace.ForbiddenEqualsClause(hyperparameter, values[0])
        return ConfigSpace.ForbiddenInClause(hyperparameter, values)
    if isinstance(statement, Ordered):
        hyperparameter = found[statement.name]
        value = _legal(hyperparameter, statement.value)
        if statement.operator == "<=":
            # ConfigSpace 1.2 draws the wrong side of its own clause for this.
            less = ConfigSpace.ForbiddenLessThanClause(hyperparameter, value)
            equal = ConfigSpace.ForbiddenEqualsClause(hyperparameter, value)
            return ConfigSpace.ForbiddenOrConjunction(less, equal)
        return _CLAUSES[statement.operator](hyperparameter, value)
    return _RELATIONS[statement.operator](found[statement.left], found[statement.right])


def _legal(hyperparameter: Any, value: Any) -> Any:
    """Return a value within a range that was rounded."""
    if isinstance(hyperparameter, ConfigSpace.UniformFloatHyperparameter):
        return min(max(value, hyperparameter.lower), hyperparameter.upper)
    return value
