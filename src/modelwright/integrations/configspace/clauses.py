"""ConfigSpace's forbidden clauses as constraints."""

from __future__ import annotations

import keyword
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any

import ConfigSpace

from modelwright.errors import InputError
from modelwright.space import Parameter

__all__ = ["constraints_of"]

_MOST = 1_000
_RESERVED = {"and", "or", "not", "min", "max", "abs", "true", "false", "none", "True", "False", "None"}
_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!="}

# Some of these classes derive from each other, so they are looked up by the exact class.
_ORDER = {
    ConfigSpace.ForbiddenLessThanClause: "<",
    ConfigSpace.ForbiddenLessThanEqualsClause: "<=",
    ConfigSpace.ForbiddenGreaterThanClause: ">",
    ConfigSpace.ForbiddenGreaterThanEqualsClause: ">=",
}
_RELATION = {
    ConfigSpace.ForbiddenLessThanRelation: "<",
    ConfigSpace.ForbiddenLessThanEqualsRelation: "<=",
    ConfigSpace.ForbiddenGreaterThanRelation: ">",
    ConfigSpace.ForbiddenGreaterThanEqualsRelation: ">=",
    ConfigSpace.ForbiddenEqualsRelation: "==",
}
_BEYOND: dict[str, Callable[[int, int], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def constraints_of(source: ConfigSpace.ConfigurationSpace, parameters: Mapping[str, Parameter]) -> list[str]:
    """Return the constraints that say what a space forbids.

    A clause with "or" in it becomes several constraints: each of ours does not apply while one of its
    parameters is inactive.

    Raises
    ------
    InputError
        A clause has no counterpart; the message shows it.
    """
    writer = _Writer(parameters)
    found = [text for clause in source.forbidden_clauses for text in writer.constraints(clause)]
    return list(dict.fromkeys(found))


class _Writer:
    """Writes clauses as texts over the parameters of one space."""

    def __init__(self, parameters: Mapping[str, Parameter]) -> None:
        self._parameters = parameters

    def constraints(self, clause: Any) -> Iterator[str]:
        """Yield the constraints that together forbid what `clause` does."""
        for parts in self._alternatives(clause):
            if len(parts) == 1:
                yield self._text(parts[0], forbidden=True)
            else:
                yield f"not ({' and '.join(self._text(part, forbidden=False) for part in parts)})"

    def _alternatives(self, clause: Any) -> list[tuple[Any, ...]]:
        """Return the ways in which a clause is met, each as simple clauses that all are."""
        if not isinstance(clause, ConfigSpace.ForbiddenAndConjunction | ConfigSpace.ForbiddenOrConjunction):
            return [(clause,)]
        at_most = _at_most(clause)
        if at_most is not None:
            return [(at_most,)]
        parts = [self._alternatives(part) for part in clause.components]
        if isinstance(clause, ConfigSpace.ForbiddenOrConjunction):
            return [way for ways in parts for way in ways]
        if math.prod(map(len, parts)) > _MOST:
            raise self._refused(clause, f"it has more than {_MOST:,} alternatives")
        return [sum(ways, ()) for ways in product(*parts)]

    def _text(self, clause: Any, *, forbidden: bool) -> str:
        """Return that a simple clause is met, or with `forbidden` that it is not."""
        if type(clause) in _RELATION:
            return self._relation(clause, forbidden)
        name = clause.hyperparameter.name
        parameter = self._parameters[name]
        if isinstance(clause, ConfigSpace.ForbiddenEqualsClause):
            return self._among(name, [clause.value], forbidden)
        if isinstance(clause, ConfigSpace.ForbiddenInClause):
            return self._among(name, list(clause.values), forbidden)
        if type(clause) not in _ORDER:
            raise self._refused(clause, "it is of a kind that we do not know")
        sign = _ORDER[type(clause)]
        if parameter.kind == "number" and not isinstance(
            clause.hyperparameter, ConfigSpace.OrdinalHyperparameter
        ):
            return f"{_name(name)} {_OPPOSITE[sign] if forbidden else sign} {clause.value!r}"
        return self._beyond(name, sign, clause, forbidden)

    def _beyond(self, name: str, sign: str, clause: Any, forbidden: bool) -> str:
        """Write out which values of an ordinal come before or after one."""
        parameter = self._parameters[name]
        assert parameter.size is not None
        place = parameter.slot_of(parameter.normal(clause.value))
        values = [parameter.at(slot) for slot in range(parameter.size) if _BEYOND[sign](slot, place)]
        if not values:  # never met
            values, forbidden = [parameter.at(slot) for slot in range(parameter.size)], not forbidden
        return self._among(name, values, forbidden)

    def _among(self, name: str, values: list[Any], forbidden: bool) -> str:
        sign, word = ("!=", " and ") if forbidden else ("==", " or ")
        parameter = self._parameters[name]
        stored = [parameter.dump(parameter.normal(value)) for value in values]
        text = word.join(f"{_name(name)} {sign} {_literal(value)}" for value in stored)
        return f"({text})" if len(stored) > 1 and not forbidden else text

    def _relation(self, clause: Any, forbidden: bool) -> str:
        sign = _RELATION[type(clause)]
        left, right = clause.left.name, clause.right.name
        kinds = {self._parameters[left].kind, self._parameters[right].kind}
        if sign != "==" and not kinds <= {"number", "boolean"}:
            raise self._refused(clause, "ours put only numbers in an order")
        return f"{_name(left)} {_OPPOSITE[sign] if forbidden else sign} {_name(right)}"

    def _refused(self, clause: Any, why: str) -> InputError:
        message = f"the forbidden clause {str(clause)!r:.200} has no counterpart: {why}."
        return InputError(message, code="E_CONFIGSPACE")


def _at_most(clause: Any) -> Any | None:
    """Return "less or equal" as one clause where it is written as two, as we do."""
    if not isinstance(clause, ConfigSpace.ForbiddenOrConjunction) or len(clause.components) != 2:
        return None
    less: Any = clause.components[0]
    equal: Any = clause.components[1]
    kinds = (
        type(less) is ConfigSpace.ForbiddenLessThanClause,
        type(equal) is ConfigSpace.ForbiddenEqualsClause,
    )
    if not all(kinds) or (less.hyperparameter.name, less.value) != (equal.hyperparameter.name, equal.value):
        return None
    return ConfigSpace.ForbiddenLessThanEqualsClause(less.hyperparameter, less.value)


def _name(name: str) -> str:
    plain = name.isidentifier() and name not in _RESERVED and not keyword.iskeyword(name)
    return name if plain else f"`{name}`"


def _literal(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, str):
        quoted = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{quoted}'"
    return repr(value)
