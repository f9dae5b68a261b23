"""Hard constraints: text over parameter names, or a callable that takes the configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from modelwright._base.registry import nearest
from modelwright.errors import SpaceError
from modelwright.space.expression import Comparison, Literal, Name, Node, names_in
from modelwright.space.parameters import Parameter
from modelwright.space.parser import parse

__all__ = ["CallableConstraint", "Constraint", "TextConstraint", "make_constraint"]


class Constraint(Protocol):
    """What every configuration must meet."""

    @property
    def text(self) -> str:
        """What to call it in messages."""


@dataclass(frozen=True, slots=True)
class TextConstraint:
    """A constraint as text.

    Attributes
    ----------
    text : str
        As it was given.
    tree : Node
        What it means.
    names : tuple of str
        The parameters that it names; while one of them is inactive it does not apply.
    """

    text: str
    tree: Node
    names: tuple[str, ...]
    function: None = None

    def holds(self, operands: Mapping[str, NDArray[Any]], n: int) -> NDArray[np.bool_]:
        """Return for each of `n` rows whether it holds; `operands` has a column for each of `names`."""
        with np.errstate(all="ignore"):
            value, undefined = self.tree.evaluate(operands)
        return np.broadcast_to(np.logical_and(value, np.logical_not(undefined)), (n,))


@dataclass(frozen=True, slots=True)
class CallableConstraint:
    """A constraint as a function of the configuration; it lives in its process only."""

    function: Callable[[dict[str, Any]], Any]
    names: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The function's name."""
        return str(getattr(self.function, "__qualname__", repr(self.function)))

    def holds_for(self, config: Mapping[str, Any]) -> bool:
        """Return whether `config` meets it.

        Raises
        ------
        SpaceError
            The function raised.
        """
        try:
            return bool(self.function(dict(config)))
        except Exception as error:
            raise SpaceError(
                f"the constraint {self.text} raised {type(error).__name__}: {error} for {dict(config)!r}.",
                hint="Inactive parameters are absent: use config.get(name).",
                code="E_CONSTRAINT",
            ) from error


def make_constraint(given: Any, parameters: Mapping[str, Parameter]) -> TextConstraint | CallableConstraint:
    """Return `given`, a text or a callable, as a constraint over `parameters`.

    Raises
    ------
    SpaceError
        It is neither, names an unknown parameter, or joins what cannot be joined.
    """
    if callable(given):
        return CallableConstraint(given)
    if not isinstance(given, str):
        raise SpaceError(
            f"expected a constraint as text such as 'a <= b' or as a function, got {given!r}.",
            code="E_CONSTRAINT",
        )
    tree = parse(given)
    names = tuple(dict.fromkeys(names_in(tree)))
    for name in names:
        if name not in parameters:
            raise SpaceError(
                f"the constraint {given!r} names an unknown parameter {name!r}.",
                hint=nearest(name, list(parameters)),
                code="E_CONSTRAINT",
            )
    if not names:
        raise SpaceError(f"the constraint {given!r} names no parameter.", code="E_CONSTRAINT")
    try:
        kind = tree.kind({name: parameters[name].kind for name in names})
    except SpaceError as error:
        raise SpaceError(
            f"in the constraint {given!r}: {error.message}", hint=error.hint, code=error.code
        ) from None
    if kind != "boolean":
        raise SpaceError(
            f"the constraint {given!r} yields a {kind} value and not true or false.",
            hint="Compare it with something.",
            code="E_CONSTRAINT",
        )
    for name, text in _compared_texts(tree):
        choices = [str(stored) for stored in _stored_forms(parameters[name])]
        if text not in choices:
            raise SpaceError(
                f"the constraint {given!r} compares {name!r} with {text!r}, which is none of its choices.",
                hint=nearest(text, choices),
                code="E_CONSTRAINT",
            )
    return TextConstraint(given, tree, names)


def _compared_texts(node: Node) -> Iterator[tuple[str, str]]:
    """Yield each parameter that is compared with a text, and the text; a slip in it would go unnoticed."""
    if isinstance(node, Comparison):
        for left, right in pairwise(node.children):
            for one, other in ((left, right), (right, left)):
                if isinstance(one, Name) and isinstance(other, Literal) and isinstance(other.value, str):
                    yield one.name, other.value
    for child in node.children:
        yield from _compared_texts(child)


def _stored_forms(parameter: Parameter) -> list[Any]:
    assert parameter.size is not None  # only listed values are texts
    return [parameter.dump(parameter.at(slot)) for slot in range(parameter.size)]
