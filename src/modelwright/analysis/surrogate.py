"""A model of what trials measured: a few regression trees over the parameters of a space.

A number is its position in the unit interval, a choice one indicator per value. A parameter that is inactive
has a value of its own, outside of the interval, or no indicator. Parents come before their children, so
what a choice decides is put down to the choice and not to the parameters that it switches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modelwright._base.seeds import generator
from modelwright.numerics.fanova import Axis
from modelwright.numerics.regression_tree import RegressionTree, grow

if TYPE_CHECKING:
    from numpy.random import Generator

    from modelwright.space import Space
    from modelwright.space.parameters import Parameter

__all__ = ["Inputs", "Surrogate", "fit_surrogate", "inputs_of"]

Floats = NDArray[np.float64]

_INACTIVE = -1.0
_MOST_INDICATORS = 32  # with more choices, their positions are columns enough to tell them apart
_TREES = 32
_MIN_LEAF = 2
_MOST_LEAVES = 250  # together with the number of trees, what bounds the cost at any number of trials
_DRAWS = 4096


@dataclass(frozen=True, eq=False)
class Inputs:
    """The parameters of a space that vary, as inputs of trees.

    Attributes
    ----------
    names : list of str
        Parents first; constants are left out.
    axes : list of Axis
        Of the same parameters, with the law under which a random configuration has their values.
    """

    names: list[str]
    axes: list[Axis]
    _places: list[int]

    def __call__(self, X: Floats) -> Floats:
        """Return the columns of rows in the unit cube, shape (n, p)."""
        columns: list[Floats] = []
        for place, axis in zip(self._places, self.axes, strict=True):
            u, k = X[:, place], len(axis.columns)
            if k == 1:
                columns.append(np.where(np.isnan(u), _INACTIVE, u))
            else:
                columns += [np.where(np.isnan(u), 0.0, np.floor(u * k) == choice) for choice in range(k)]
        return np.column_stack(columns) if columns else np.empty((len(X), 0))


@dataclass(frozen=True, eq=False)
class Surrogate:
    """Trees over inputs, and how well they tell what they have not seen.

    Attributes
    ----------
    inputs : Inputs
        What their columns mean.
    trees : list of RegressionTree
        Each on a bootstrap sample of the rows.
    r2 : float
        Share of the variance that is explained, each row by the trees that did not see it; at most 1, and
        below 0 where a constant is better.
    """

    inputs: Inputs
    trees: list[RegressionTree]
    r2: float

    def predict(self, Z: Floats) -> Floats:
        """Return the mean of the trees' predictions for rows of columns, shape (n,)."""
        return np.asarray(np.mean([tree.predict(Z) for tree in self.trees], axis=0))


def inputs_of(space: Space) -> Inputs:
    """Return the inputs of a space; how often each parameter is active follows from its conditions alone."""
    parameters = list(space.parameters.values())
    drawn = space.snap(generator(0, "activity").random((_DRAWS, len(space)))) if space.conditional else None
    names, axes, places, width = [], [], [], 0
    for place in space.structure.order:
        if parameters[place].size == 1:
            continue
        off = 0.0 if drawn is None else float(np.isnan(drawn[:, place]).mean())
        axis = _axis(parameters[place], off, width)
        width += len(axis.columns)
        names.append(space.names[place])
        axes.append(axis)
        places.append(place)
    return Inputs(names, axes, places)


def _axis(parameter: Parameter, off: float, first: int) -> Axis:
    """Return the axis of a parameter that is inactive with the probability `off`."""
    from modelwright.space import Float, Int, Ordinal

    size = parameter.size
    if isinstance(parameter, Float | Int) or size is None or size > _MOST_INDICATORS:
        atoms, masses = np.empty((0, 1)), np.empty(0)
        neither = np.array([[_INACTIVE]])
    elif isinstance(parameter, Ordinal) or size == 2:
        atoms, masses = (np.arange(size)[:, None] + 0.5) / size, np.full(size, (1.0 - off) / size)
        neither = np.array([[_INACTIVE]])
    else:
        atoms, masses, neither = np.eye(size), np.full(size, (1.0 - off) / size), np.zeros((1, size))
    if off > 0.0:
        atoms, masses = np.vstack([atoms, neither]), np.append(masses, off)
    return Axis(list(range(first, first + atoms.shape[1])), atoms, masses)


def fit_surrogate(inputs: Inputs, X: Floats, y: Floats) -> Surrogate:
    """Fit trees to values of configurations.

    Parameters
    ----------
    inputs : Inputs
        Of the space.
    X : array, shape (n, d)
        Configurations in the unit cube, NaN where a parameter is inactive.
    y : array, shape (n,)
        Finite.
    """
    Z, n = inputs(X), len(y)
    rng = generator(0, "surrogate")
    min_leaf = max(_MIN_LEAF, -(-n // _MOST_LEAVES))
    trees, total, count = [], np.zeros(n), np.zeros(n)
    for rows in _bootstraps(rng, n):
        tree = grow(Z[rows], y[rows], min_leaf=min_leaf)
        trees.append(tree)
        unseen = np.setdiff1d(np.arange(n), rows)
        total[unseen] += tree.predict(Z[unseen])
        count[unseen] += 1
    told = count > 0
    error = y[told] - total[told] / count[told]
    spread = float(np.sum((y[told] - y[told].mean()) ** 2)) if told.any() else 0.0
    return Surrogate(inputs, trees, 1.0 - float(error @ error) / spread if spread > 0 else 0.0)


def _bootstraps(rng: Generator, n: int) -> Sequence[NDArray[np.intp]]:
    return [rng.integers(n, size=n) for _ in range(_TREES)]
