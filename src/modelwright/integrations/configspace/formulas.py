"""Constraints as what ConfigSpace can forbid: alternatives, each of a few simple statements that all hold.

A constraint is taken apart by the laws of logic down to statements on one parameter, or on two that are
compared. What is left over, such as arithmetic, is written out as a list of values where it is on parameters
with few values.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.errors import InputError
from modelwright.space import Float, Int, Parameter, Space
from modelwright.space.expression import (
    And,
    Arithmetic,
    Comparison,
    Literal,
    Name,
    Node,
    Not,
    Or,
    names_in,
)

__all__ = [
    "Among",
    "Formula",
    "Ordered",
    "Related",
    "Statement",
    "is_plain_number",
    "values_of",
    "violations",
]

_MOST_LISTED = 1_000  # combinations of values that are written out, and alternatives

_OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


@dataclass(frozen=True)
class Among:
    """A parameter has one of some values, in their stored form."""

    name: str
    values: tuple[Any, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that are named."""
        return (self.name,)


@dataclass(frozen=True)
class Ordered:
    """A number lies on one side of a value that it can take."""

    name: str
    operator: str
    value: float

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that are named."""
        return (self.name,)


@dataclass(frozen=True)
class Related:
    """Two parameters compare."""

    left: str
    operator: str
    right: str

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that are named."""
        return (self.left, self.right)


Statement = Among | Ordered | Related
Formula = list[tuple[Statement, ...]]

_TRUE: Formula = [()]
_FALSE: Formula = []


def is_plain_number(parameter: Parameter) -> bool:
    """Return whether it is a number that ConfigSpace has too: one without steps."""
    return isinstance(parameter, Float | Int) and (
        parameter.size is None or (isinstance(parameter, Int) and parameter.step == 1)
    )


def values_of(parameter: Parameter) -> list[Any]:
    """Return all values of a finite parameter, in their stored form."""
    assert parameter.size is not None
    return [parameter.dump(parameter.at(slot)) for slot in range(parameter.size)]


def violations(space: Space, text: str, tree: Node) -> Formula:
    """Return when configurations violate a constraint of `space`.

    Parameters
    ----------
    space : Space
        Of the constraint.
    text, tree : str, Node
        The constraint.

    Raises
    ------
    InputError
        Simple statements cannot say it.

    Examples
    --------
    >>> from modelwright.space import Int, Space
    >>> from modelwright.space.parser import parse
    >>> space, text = Space(a=Int(1, 9), b=Int(1, 9)), "a <= b or a == 9"
    >>> violations(space, text, parse(text))
    [(Related(left='a', operator='>', right='b'), Ordered(name='a', operator='<', value=9))]
    """
    reader = _Reader(space, text)
    found = reader.listed(tree, False) if _may_be_undefined(tree) else reader.where(tree, False)
    names = [name for name in dict.fromkeys(names_in(tree)) if space[name].when]
    return [(*conjunction, *_guards(space, names, conjunction)) for conjunction in found]


def _guards(space: Space, names: Sequence[str], conjunction: tuple[Statement, ...]) -> Iterator[Statement]:
    """Yield statements that hold while parameters are active, for those that `conjunction` does not name.

    A constraint does not apply while one of its parameters is inactive; a forbidden clause does, as far as it
    does not name it.
    """
    named = {name for statement in conjunction for name in statement.names}
    for name in names:
        parameter = space[name]
        if name not in named and isinstance(parameter, Float | Int) and is_plain_number(parameter):
            yield Ordered(name, ">=", parameter.low)
        elif name not in named:
            yield Among(name, tuple(values_of(parameter)))


def _may_be_undefined(node: Node) -> bool:
    """Return whether a part may divide by zero or have no real value, which fails the whole constraint."""
    if isinstance(node, Arithmetic):
        for operator, right in node.rest:
            safe = operator in "+-*" or (
                operator != "**" and isinstance(right, Literal) and bool(right.value)
            )
            if not safe:
                return True
    return any(_may_be_undefined(child) for child in node.children)


def _folded(node: Node) -> Node:
    """Return a number that is written as an expression, such as -1, as what it is."""
    if isinstance(node, Literal) or any(names_in(node)) or isinstance(node, Comparison | And | Or | Not):
        return node
    with np.errstate(all="ignore"):
        value, _ = node.evaluate({})
    return Literal(float(value))


class _Reader:
    """Takes one constraint apart; `where` says when a part of it is true, or not."""

    def __init__(self, space: Space, text: str) -> None:
        self._space, self._text = space, text

    def where(self, node: Node, wanted: bool) -> Formula:
        """Return when `node` is `wanted`."""
        names = set(names_in(node))
        if len(names) == 1 and not any(is_plain_number(self._space[name]) for name in names):
            return self.listed(node, wanted)
        if isinstance(node, Not):
            return self.where(node.operand, not wanted)
        if isinstance(node, And | Or):
            return self._joined(node.parts, wanted, any_of=isinstance(node, Or) == wanted)
        if isinstance(node, Comparison):
            lefts = [node.first, *(right for _, right in node.rest)]
            pairs = [Comparison(left, (one,)) for left, one in zip(lefts, node.rest, strict=False)]
            if len(pairs) > 1:
                return self._joined(pairs, wanted, any_of=not wanted)
            operator, right = node.rest[0]
            return self._compared(
                node, node.first, operator if wanted else _OPPOSITE[operator], right, wanted
            )
        return self.listed(node, wanted)

    def _joined(self, parts: Sequence[Node], wanted: bool, *, any_of: bool) -> Formula:
        formulas = [self.where(part, wanted) for part in parts]
        if any_of:
            return [conjunction for formula in formulas for conjunction in formula]
        if math.prod(map(len, formulas)) > _MOST_LISTED:
            raise self._beyond(f"it has more than {_MOST_LISTED:,} alternatives.")
        return [tuple(dict.fromkeys(sum(chosen, ()))) for chosen in product(*formulas)]

    def _compared(self, node: Node, left: Node, operator: str, right: Node, wanted: bool) -> Formula:
        left, right = _folded(left), _folded(right)
        if isinstance(left, Literal) and isinstance(right, Name):
            left, operator, right = right, _MIRRORED[operator], left
        if isinstance(left, Name) and isinstance(right, Literal):
            number = self._space[left.name]
            assert isinstance(number, Float | Int)
            return _against(left.name, number, operator, right.value)
        if isinstance(left, Name) and isinstance(right, Name):
            kinds = {self._space[left.name].kind, self._space[right.name].kind}
            if operator != "!=":
                return [(Related(left.name, operator, right.name),)]
            if kinds <= {"number", "boolean"}:
                return [(Related(left.name, way, right.name),) for way in "<>"]
        return self.listed(node, wanted)

    def listed(self, node: Node, wanted: bool) -> Formula:
        """Return when `node` is `wanted`, and defined or not wanted, as lists of values."""
        names = list(dict.fromkeys(names_in(node)))
        sizes = [self._space[name].size for name in names]
        if None in sizes or math.prod(size or 1 for size in sizes) > _MOST_LISTED:
            raise self._beyond(
                "ConfigSpace compares parameters with values and with each other; anything else can only be "
                f"listed, where it is on parameters of {_MOST_LISTED:,} combinations at most."
            )
        rows = list(product(*(range(size or 1) for size in sizes)))
        with np.errstate(all="ignore"):
            value, undefined = node.evaluate(self._columns(names, rows))
        true = np.broadcast_to(np.logical_and(value, np.logical_not(undefined)), (len(rows),))
        chosen: dict[tuple[Any, ...], list[Any]] = {}
        for row, holds in zip(rows, true.tolist(), strict=True):
            if bool(holds) is wanted:
                stored = [self._stored(name, slot) for name, slot in zip(names, row, strict=True)]
                chosen.setdefault(tuple(map(_Key, stored[:-1])), []).append(stored[-1])
        if not names:
            return _TRUE if chosen else _FALSE
        last, size = names[-1], sizes[-1]
        return [
            (
                *(Among(name, (key.value,)) for name, key in zip(names, keys, strict=False)),
                *([Among(last, tuple(values))] if len(values) < (size or 0) else []),
            )
            for keys, values in chosen.items()
        ]

    def _columns(self, names: Sequence[str], rows: Sequence[tuple[int, ...]]) -> dict[str, NDArray[Any]]:
        columns = {}
        for at, name in enumerate(names):
            parameter = self._space[name]
            columns[name] = parameter.operand(parameter.column([parameter.at(row[at]) for row in rows]))
        return columns

    def _stored(self, name: str, slot: int) -> Any:
        return self._space[name].dump(self._space[name].at(slot))

    def _beyond(self, why: str) -> InputError:
        return InputError(
            f"the constraint {self._text!r} cannot be said by forbidden clauses: {why}", code="E_CONFIGSPACE"
        )


@dataclass(frozen=True)
class _Key:
    """A value that is told apart from those that are equal but of another type."""

    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and repr(self.value) == repr(other.value)

    def __hash__(self) -> int:
        return hash(repr(self.value))


def _against(name: str, number: Float | Int, operator: str, value: Any) -> Formula:
    """Return when a number without steps compares so with a value, which it may be unable to take."""
    low, high = number.low, number.high
    if not isinstance(value, int | float):  # none, which no number equals
        return _TRUE if operator == "!=" else _FALSE
    value = float(value)
    within = number.contains(value)
    own = number.normal(value) if within else value
    if operator == "==":
        return [(Among(name, (own,)),)] if within else _FALSE
    if operator == "!=":
        ways = [way for way, end in (("<", low), (">", high)) if own != end]
        return [(Ordered(name, way, own),) for way in ways] if within else _TRUE
    less = operator[0] == "<"
    if not low <= value <= high:
        return _TRUE if less == (value > high) else _FALSE
    if not within:  # between two whole numbers
        return [(Ordered(name, f"{operator[0]}=", math.floor(value) if less else math.ceil(value)),)]
    if value == (low if less else high) and len(operator) == 1:
        return _FALSE
    if value == (high if less else low) and len(operator) == 2:
        return _TRUE
    return [(Ordered(name, operator, own),)]
