"""A model of what trials measured: a few regression trees over the parameters of a space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from modelwright._base.seeds import generator
from modelwright.analysis.inputs import Inputs
from modelwright.numerics.regression_tree import RegressionTree, grow

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["Surrogate", "fit_surrogate"]

Floats = NDArray[np.float64]

_TREES = 32
_MIN_LEAF = 2
_MOST_LEAVES = 250  # together with the number of trees, what bounds the cost at any number of trials


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
