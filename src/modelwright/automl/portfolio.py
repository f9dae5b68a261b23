"""What to try first: the configurations that each method declares, in the order of their worth per cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelwright.automl.methods import Method
from modelwright.automl.partitions import MethodPartition
from modelwright.errors import InputError

__all__ = ["FirstTry", "portfolio"]


@dataclass(frozen=True, slots=True)
class FirstTry:
    """A configuration of the portfolio.

    Attributes
    ----------
    partition : MethodPartition
        Where it lies.
    numbers : mapping of str to object
        Values of the partition's tunables.
    round : int
        1 for a method's first, 2 for its second, ...
    """

    partition: MethodPartition
    numbers: Mapping[str, Any]
    round: int


def portfolio(methods: Sequence[Method], parts: Sequence[MethodPartition]) -> list[FirstTry]:
    """Return the first default of each method by the methods' order, then the second ones, and so on.

    What a default leaves open is filled from the space of its partition, which is the first that agrees
    with its categories.

    Examples
    --------
    >>> from modelwright.automl.methods import load_methods
    >>> from modelwright.automl.partitions import partitions
    >>> methods = load_methods(["logreg", "dt"], "binary")
    >>> [first.partition.method.name for first in portfolio(methods, partitions(methods))]
    ['dt', 'logreg', 'logreg']
    """
    ranked = sorted(
        (
            (turn, method.order, at, given)
            for at, method in enumerate(methods)
            for turn, given in enumerate(method.defaults, start=1)
        ),
        key=lambda item: item[:3],
    )
    return [_completed(methods[at], given, parts, turn) for turn, _, at, given in ranked]


def _completed(
    method: Method, given: Mapping[str, Any], parts: Sequence[MethodPartition], turn: int
) -> FirstTry:
    for part in parts:
        fixed = {**part.categoricals, **part.constants}
        own = {name: value for name, value in given.items() if name in fixed or name in part.tunables}
        agrees = all(fixed[name] == value for name, value in own.items() if name in fixed)
        if part.method is method and len(own) == len(given) and agrees:
            numbers = {name: own.get(name, value) for name, value in part.tunables.default().items()}
            return FirstTry(part, part.tunables.check(numbers), turn)
    raise InputError(
        f"the default {dict(given)!r} of the method {method.name!r} lies in none of its partitions.",
        hint="A conditional hyperparameter needs its parent's value.",
        code="E_METHOD",
    )
