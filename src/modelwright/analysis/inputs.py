"""The parameters of a space as inputs of regression trees, and the law of random configurations.

A number is its position in the unit interval, a choice one indicator per value. A parameter that is inactive
has a value of its own, outside of the interval, or no indicator. Parents come before their children, so
what a choice decides is put down to the choice and not to the parameters that it switches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modelwright._base.seeds import generator
from modelwright.numerics.fanova import Axis, Regimes
from modelwright.space import Float, Int, Ordinal

if TYPE_CHECKING:
    from modelwright.space import Space
    from modelwright.space.parameters import Parameter

__all__ = ["Inputs", "inputs_of"]

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

_INACTIVE = -1.0
_MOST_INDICATORS = 32  # with more choices, their positions are columns enough to tell them apart
_MOST_SWITCHES = 1000  # values of a parent that are told apart
_MOST_REGIMES = 256  # the likeliest, and of equals those that were drawn first
_DRAWS = 4096
_NARROWEST = 1e-9  # range of a number, and distance of two values, in the unit interval


@dataclass(frozen=True, eq=False)
class Inputs:
    """The parameters of a space that vary, as inputs of trees.

    Attributes
    ----------
    names : list of str
        Parents first; constants are left out.
    axes : list of Axis
        Of the same parameters.
    regimes : Regimes
        The ways in which they are active, as random configurations have them; constraints are not looked at.
    """

    names: list[str]
    axes: list[Axis]
    regimes: Regimes
    _places: list[int]
    _ranges: dict[int, tuple[float, float]] = field(default_factory=dict)  # of numbers, where not the whole

    def __call__(self, X: Floats) -> Floats:
        """Return the columns of rows in the unit cube, shape (n, p)."""
        columns: list[Floats] = []
        for j, (place, axis) in enumerate(zip(self._places, self.axes, strict=True)):
            u, k = X[:, place], len(axis.columns)
            if k == 1:
                low, high = self._ranges.get(j, (0.0, 1.0))
                columns.append(np.where(np.isnan(u), _INACTIVE, (u - low) / (high - low)))
            else:
                columns += [np.where(np.isnan(u), 0.0, np.floor(u * k) == choice) for choice in range(k)]
        return np.column_stack(columns) if columns else np.empty((len(X), 0))

    def around(self, X: Floats) -> Inputs:
        """Return the inputs of the part of the space that rows in the unit cube span.

        Numbers lie between the least and the largest there, choices are those that occur, and a parameter is
        active or inactive as it is in some row.
        """
        axes: list[Axis] = []
        ranges: dict[int, tuple[float, float]] = {}
        weights, laws = self.regimes.weights, self.regimes.laws
        for j, (place, axis) in enumerate(zip(self._places, self.axes, strict=True)):
            u = X[:, place]
            active = u[~np.isnan(u)]
            share = np.ones(len(axis.laws))
            share[0], share[1:] = len(active) < len(u), len(active) > 0
            if axis.laws[:, 0].any():
                if len(active):
                    ranges[j] = (
                        float(active.min()),
                        max(float(active.max()), float(active.min()) + _NARROWEST),
                    )
            elif len(active):
                axis, kept = _only(axis, active)
                share[1:] = kept[1:]
            axes.append(axis)
            weights = weights * share[laws[:, j]]
        if weights.sum() <= 0.0:  # all of it is rare in the whole space
            return self
        left = weights > 0.0
        regimes = Regimes(weights[left] / weights.sum(), laws[left])
        return Inputs(self.names, axes, regimes, self._places, ranges)

    def holds(self, X: Floats) -> NDArray[np.bool_]:
        """Return which rows lie in the part of the space that `around` has left, shape (n,)."""
        Z, inside = self(X), np.ones(len(X), dtype=bool)
        for j, axis in enumerate(self.axes):
            z = Z[:, list(axis.columns)]
            possible = np.any(axis.laws[self.regimes.laws[:, j]] > 0.0, axis=0)
            is_atom = np.all(np.abs(z[:, None] - axis.atoms) < _NARROWEST, axis=2) & possible[None, 1:]
            inside &= is_atom.any(axis=1) | (possible[0] & (z[:, 0] >= 0.0) & (z[:, 0] <= 1.0))
        return inside


def _only(axis: Axis, active: Floats) -> tuple[Axis, Floats]:
    """Return the axis with the values at `active` alone, and what is left of each law, shape (q,)."""
    size = axis.laws.shape[1] - 2
    if len(axis.columns) > 1:
        seen = np.isin(np.arange(size), np.floor(active * size))
    else:
        seen = np.any(np.abs(axis.atoms[:-1] - active) < _NARROWEST, axis=1)
    laws = axis.laws.copy()
    laws[1:, 1:-1] *= seen
    kept = laws.sum(axis=1)
    laws[kept > 0] /= kept[kept > 0, None]
    return Axis(axis.columns, axis.atoms, laws), kept


def inputs_of(space: Space) -> Inputs:
    """Return the inputs of a space.

    Examples
    --------
    >>> from modelwright.space import Categorical, Space
    >>> space = Space(momentum=Float(0, 1, when={"kind": "sgd"}), kind=Categorical("sgd", "adam", "lamb"))
    >>> inputs = inputs_of(space)
    >>> inputs.names
    ['kind', 'momentum']
    >>> inputs(np.array([[0.9, 0.1], [np.nan, 0.5]])).tolist()
    [[1.0, 0.0, 0.0, 0.9], [0.0, 1.0, 0.0, -1.0]]
    """
    parameters = list(space.parameters.values())
    places = [place for place in space.structure.order if parameters[place].size != 1]
    switches = {place: found for place in places if (found := _switches(space, place)) is not None}
    axes, width = [], 0
    for place in places:
        axes.append(_axis(parameters[place], switches.get(place), width))
        width += len(axes[-1].columns)
    return Inputs([space.names[place] for place in places], axes, _regimes(space, places, switches), places)


def _switches(space: Space, place: int) -> Places | None:
    """Return the group of each value of a parent: values that switch the same children share one."""
    size = list(space.parameters.values())[place].size
    links = [link for own in space.structure.links for link in own if link.parent == place]
    if not links or size is None or size > _MOST_SWITCHES:
        return None
    signs = [tuple(slot in link.slots for link in links) for slot in range(size)]
    groups = {sign: number for number, sign in enumerate(dict.fromkeys(signs))}
    return np.array([groups[sign] for sign in signs], dtype=np.intp)


def _axis(parameter: Parameter, groups: Places | None, first: int) -> Axis:
    """Return the axis of a parameter; its laws are: inactive, active, and one for each group of values."""
    size = parameter.size
    number = isinstance(parameter, Float | Int) or size is None or size > _MOST_INDICATORS
    off = np.array([[_INACTIVE]])
    if number and groups is None:
        return Axis([first], off, np.array([[0.0, 1.0], [1.0, 0.0]]))
    assert size is not None
    if number or isinstance(parameter, Ordinal) or size == 2:
        values = np.array([[parameter.encode(parameter.at(slot))] for slot in range(size)])
    else:
        values, off = np.eye(size), np.zeros((1, size))
    allowed = [np.ones(size, dtype=bool)]
    if groups is not None:
        allowed += [groups == group for group in range(groups.max() + 1)]
    laws = np.zeros((1 + len(allowed), 2 + size))
    laws[0, -1] = 1.0
    laws[1:, 1:-1] = [member / member.sum() for member in allowed]
    return Axis(list(range(first, first + values.shape[1])), np.vstack([values, off]), laws)


def _regimes(space: Space, places: Sequence[int], switches: dict[int, Places]) -> Regimes:
    """Return what random configurations are like: who is active, and the group of each parent's value."""
    if not space.conditional:
        return Regimes(np.ones(1), np.ones((1, len(places)), dtype=np.intp))
    parameters = list(space.parameters.values())
    X = space.snap(generator(0, "activity").random((_DRAWS, len(space))))
    laws = (~np.isnan(X[:, places])).astype(np.intp)
    for j, place in enumerate(places):
        if place in switches:
            rows = np.flatnonzero(laws[:, j])
            slots = [parameters[place].slot(u) for u in X[rows, place].tolist()]
            laws[rows, j] = 2 + switches[place][slots]
    found, first, counts = np.unique(laws, axis=0, return_index=True, return_counts=True)
    likeliest = np.lexsort((first, -counts))[:_MOST_REGIMES]
    return Regimes(counts[likeliest] / counts[likeliest].sum(), found[likeliest])
