"""Expression trees of constraints, evaluated on whole columns with numpy.

A node answers two questions. `kind` says what it yields (``number``, ``boolean``, ``text`` or ``mixed``) and
refuses what makes no sense before anything is drawn. `evaluate` returns its values and where they are
*undefined*: divided by zero, or without a real result. Undefined rows fail their constraint, but as in Python
the right side of ``and`` and ``or`` only counts where it is needed, so ``x == 0 or 1 / x < 3`` is safe.
"""

# ruff: noqa: D102 - `Node` says what each method does

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from modelwright.errors import SpaceError
from modelwright.space.operators import ARITHMETIC, ORDER, as_number, compare, undefined_rows
from modelwright.space.parameters import Kind

__all__ = [
    "And",
    "Arithmetic",
    "Call",
    "Comparison",
    "Literal",
    "Name",
    "Negative",
    "Node",
    "Not",
    "Or",
    "names_in",
]

Columns = Mapping[str, NDArray[Any]]
Value = tuple[Any, Any]  # values and undefined rows, each an array of shape (n,) or a scalar


class Node(Protocol):
    """One node of an expression."""

    @property
    def children(self) -> tuple[Node, ...]:
        """The nodes right below."""

    def kind(self, kinds: Mapping[str, Kind]) -> Kind:
        """Return what the node yields, given the kinds of the parameters; refuse what makes no sense."""

    def evaluate(self, columns: Columns) -> Value:
        """Return values and undefined rows, given the operands of the parameters."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, a text, true, false or none."""

    value: float | str | bool | None
    children: tuple[Node, ...] = ()

    def kind(self, kinds: Mapping[str, Kind]) -> Kind:
        if isinstance(self.value, bool):
            return "boolean"
        if self.value is None:
            return "mixed"
        return "text" if isinstance(self.value, str) else "number"

    def evaluate(self, columns: Columns) -> Value:
        return self.value, False


@dataclass(frozen=True, slots=True)
class Name:
    """The value of a parameter."""

    name: str
    children: tuple[Node, ...] = ()

    def kind(self, kinds: Mapping[str, Kind]) -> Kind:
        return kinds[self.name]

    def evaluate(self, columns: Columns) -> Value:
        return columns[self.name], False


@dataclass(frozen=True, slots=True)
class Negative:
    """Minus a number."""

    operand: Node

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.operand,)

    def kind(self, kinds: Mapping[str, Kind]) -> Kind:
        _need_number(self.operand.kind(kinds), "-")
        return "number"

    def evaluate(self, columns: Columns) -> Value:
        value, undefined = self.operand.evaluate(columns)
        return -as_number(value), undefined


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Operators of one precedence, from left to right: ``first op operand op operand ...``."""

    first: Node
    rest: tuple[tuple[str, Node], ...]

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.first, *(node for _, node in self.rest))

    def kind(self, kinds: Mapping[str, Kind]) -> Kind:
        for node in self.children:
            _need_number(node.kind(kinds), self.rest[0][0])
        return "number"

    def evaluate(self, columns: Columns) -> Value:
        value, undefined = self.first.evaluate(columns)
        value = as_number(value)
        for operator, node in self.rest:
            right, more = node.evaluate(columns)
            right = as_number(right)
            undefined = undefined | more | undefined_rows(operator, value, right)
            value = ARITHMETIC[operator](value, right)
            undefined = undefined | np.isnan(value)
        return value, undefined


@dataclass(frozen=True, slots=True)
class Call:
    """``min``, ``max`` or ``abs`` of numbers."""

    function: str
    arguments: tuple[Node, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        return self.arguments

    def kind(self, kinds: Mapping[str, Kind]) -> Kind:
        for node in self.arguments:
            _need_number(node.kind(kinds), self.function)
        return "number"

    def evaluate(self, columns: Columns) -> Value:
        parts = [node.evaluate(columns) for node in self.arguments]
        value, undefined = as_number(parts[0][0]), parts[0][1]
        if self.function == "abs":
            return np.abs(value), undefined
        choose = np.minimum if self.function == "min" else np.maximum
        for right, more in parts[1:]:
            value, undefined = choose(value, as_number(right)), undefined | more
        return value, undefined


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison or a chain of them: ``a <= b < c``."""

    first: Node
    rest: tuple[tuple[str, Node], ...]

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.first, *(node for _, node in self.rest))

    def kind(self, kinds: Mapping[str, Kind]) -> Kind:
        left = self.first.kind(kinds)
        for operator, node in self.rest:
            right = node.kind(kinds)
            if operator in ORDER:
                _need_number(left, operator)
                _need_number(right, operator)
            elif "mixed" not in (left, right) and ("text" in (left, right)) and left != right:
                raise SpaceError(f"{operator!r} compares a {left} with a {right}.", code="E_CONSTRAINT")
            left = right
        return "boolean"

    def evaluate(self, columns: Columns) -> Value:
        left, undefined = self.first.evaluate(columns)
        result: Any = True
        for operator, node in self.rest:
            right, more = node.evaluate(columns)
            undefined = undefined | more
            result = np.logical_and(result, compare(operator, left, right))
            left = right
        return result, undefined


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    operand: Node

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.operand,)

    def kind(self, kinds: Mapping[str, Kind]) -> Kind:
        return _need_truth(self.operand.kind(kinds), "not")

    def evaluate(self, columns: Columns) -> Value:
        value, undefined = self.operand.evaluate(columns)
        return np.logical_not(value), undefined


@dataclass(frozen=True, slots=True)
class And:
    """All parts hold; a part counts only where those before it hold."""

    parts: tuple[Node, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        return self.parts

    def kind(self, kinds: Mapping[str, Kind]) -> Kind:
        for part in self.parts:
            _need_truth(part.kind(kinds), "and")
        return "boolean"

    def evaluate(self, columns: Columns) -> Value:
        value, undefined = self.parts[0].evaluate(columns)
        for part in self.parts[1:]:
            right, more = part.evaluate(columns)
            undefined = undefined | np.logical_and(value, more)
            value = np.logical_and(value, right)
        return value, undefined


@dataclass(frozen=True, slots=True)
class Or:
    """Some part holds; a part counts only where none before it holds."""

    parts: tuple[Node, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        return self.parts

    def kind(self, kinds: Mapping[str, Kind]) -> Kind:
        for part in self.parts:
            _need_truth(part.kind(kinds), "or")
        return "boolean"

    def evaluate(self, columns: Columns) -> Value:
        value, undefined = self.parts[0].evaluate(columns)
        for part in self.parts[1:]:
            right, more = part.evaluate(columns)
            undefined = undefined | np.logical_and(np.logical_not(value), more)
            value = np.logical_or(value, right)
        return value, undefined


def names_in(node: Node) -> Iterator[str]:
    """Yield the names of the parameters below `node`, from left to right, repeats included."""
    if isinstance(node, Name):
        yield node.name
    for child in node.children:
        yield from names_in(child)


def _need_number(kind: Kind, where: str) -> None:
    if kind not in ("number", "boolean"):
        raise SpaceError(f"{where!r} needs numbers, but got a {kind} value.", code="E_CONSTRAINT")


def _need_truth(kind: Kind, where: str) -> Kind:
    if kind != "boolean":
        raise SpaceError(
            f"{where!r} joins conditions, but got a {kind} value.",
            hint="Compare it with something.",
            code="E_CONSTRAINT",
        )
    return kind
