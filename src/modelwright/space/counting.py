"""How many configurations a space has, and all of them in a fixed order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from modelwright.space.batch import Batch
from modelwright.space.conditions import Structure
from modelwright.space.parameters import Parameter

if TYPE_CHECKING:
    from modelwright.space.space import Space

__all__ = ["MOST_COUNTED", "candidates", "count"]

MOST_COUNTED = 200_000
_CHUNK = 4096
# Steps of a count, each over one parameter: about a second's worth.
_MOST_STEPS = 1_000_000
_DEEPEST = 200


class _TooManyError(Exception):
    """Counting would take too long, or has no end."""


def count(parameters: Mapping[str, Parameter], structure: Structure) -> int | None:
    """Return the exact number of configurations that meet the conditions, constraints aside.

    Parameters without a common condition multiply. Within a group, a parent is fixed to one class of values
    after the other (values that switch the same children count together), which leaves smaller groups.

    Returns
    -------
    int or None
        None for infinitely many, or where conditions are tangled too much to be counted in about a second.
    """
    counter = _Counter(list(parameters.values()), structure)
    try:
        return counter.total()
    except _TooManyError:
        return None


class _Counter:
    """One count; `_slots` holds the value number of each parent fixed so far, -1 for an inactive one."""

    def __init__(self, parameters: Sequence[Parameter], structure: Structure) -> None:
        self._parameters = parameters
        self._structure = structure
        self._left = _MOST_STEPS
        self._depth = 0
        self._children: dict[int, list[int]] = {}
        for i, links in enumerate(structure.links):
            for link in links:
                self._children.setdefault(link.parent, []).append(i)

    def total(self) -> int:
        return self._count(list(self._structure.order), {})

    def _count(self, open_: list[int], slots: dict[int, int]) -> int:
        """Count the assignments to `open_`, in order, whose parents are in `open_` or `slots`."""
        self._left -= len(open_)
        if self._left < 0 or self._depth > _DEEPEST:
            raise _TooManyError
        self._depth += 1
        product = 1
        for group in self._groups(open_):
            product *= self._count_group(group, slots)
        self._depth -= 1
        return product

    def _count_group(self, group: list[int], slots: dict[int, int]) -> int:
        first, rest = group[0], group[1:]  # parents come first, so those of `first` are all fixed
        active = self._structure.is_active(first, slots)
        if not rest:
            return self._size(first) if active else 1
        if not active:
            return self._count(rest, {**slots, first: -1})
        return sum(
            weight * self._count(rest, {**slots, first: slot}) for slot, weight in self._classes(first, rest)
        )

    def _classes(self, i: int, open_: list[int]) -> list[tuple[int, int]]:
        """Return (a value's number, how many values switch the same children) for each such class."""
        within = set(open_)
        sets = [
            link.slots
            for child in self._children.get(i, ())
            if child in within
            for link in self._structure.links[child]
            if link.parent == i
        ]
        named = set().union(*sets)
        weights: dict[tuple[bool, ...], tuple[int, int]] = {}
        for slot in named:
            key = tuple(slot in one for one in sets)
            representative, weight = weights.get(key, (slot, 0))
            weights[key] = (representative, weight + 1)
        classes = list(weights.values())
        others = self._size(i) - len(named)
        return [*classes, (-2, others)] if others else classes

    def _size(self, i: int) -> int:
        size = self._parameters[i].size
        if size is None:
            raise _TooManyError
        return size

    def _groups(self, open_: list[int]) -> list[list[int]]:
        """Split `open_` into groups that no condition joins, keeping the order."""
        root = {i: i for i in open_}

        def find(i: int) -> int:
            while root[i] != i:
                root[i] = root[root[i]]
                i = root[i]
            return i

        for i in open_:
            for link in self._structure.links[i]:
                if link.parent in root:
                    root[find(i)] = find(link.parent)
        groups: dict[int, list[int]] = {}
        for i in open_:
            groups.setdefault(find(i), []).append(i)
        return list(groups.values())


def candidates(space: Space) -> Iterator[Batch]:
    """Yield all configurations that meet the conditions, constraints aside, in batches and in a fixed order.

    Parents vary slowest, and among the rest those that were declared last vary fastest.
    """
    parameters = list(space.parameters.values())
    rows = _assignments(parameters, space.structure)
    while chunk := list(islice(rows, _CHUNK)):
        table = np.array(chunk, dtype=np.int64).reshape(len(chunk), len(parameters))
        columns = []
        for j, parameter in enumerate(parameters):
            # An inactive one carries -1; the first value stands in, as it has no meaning.
            picked = np.maximum(table[:, j], 0)
            columns.append(parameter.column([parameter.at(slot) for slot in picked.tolist()]))
        yield Batch(
            space.parameters, columns, table >= 0 if space.structure.conditional else None, len(chunk)
        )


def _assignments(parameters: Sequence[Parameter], structure: Structure) -> Iterator[list[int]]:
    """Yield the value numbers of each configuration, -1 where inactive, as an odometer turns."""
    order = structure.order
    slots: dict[int, int] = {}
    row = [0] * len(parameters)
    start = 0
    while True:
        for i in order[start:]:
            row[i] = slots[i] = 0 if structure.is_active(i, slots) else -1
        yield row.copy()
        for place in range(len(order) - 1, -1, -1):
            i = order[place]
            size = parameters[i].size
            assert size is not None
            if 0 <= slots[i] < size - 1:
                row[i] = slots[i] = slots[i] + 1
                start = place + 1
                break
        else:
            return
