"""Functional analysis of variance (fANOVA) of regression trees: which input moves what they predict.

Symbols and shapes
------------------
======= =============== ===========================================================================
L       int             leaves of a tree
v       (L,)            values of the leaves
d       int             axes: inputs, each one or several columns of the trees
C       int             cells of one axis: within a cell no tree tells two values apart
R       int             regimes
M       (L, C)          whether a leaf's box holds a cell
m       (R, C)          probability of each cell under each regime's law of the axis
P       (d, L, R)       probability of a leaf's box along each axis, ``M @ m.T``
W       (L, R)          probability of a leaf's box, the product of P over the axes
======= =============== ===========================================================================

A leaf is a box. Within a regime the inputs are independent, so the mean over all axes but j is a sum over
leaves, ``sum_l v_l M_lc prod_{i != j} P_ilr``, and the mean given a value of axis j is the mean of these over
the regimes: exact, with nothing drawn. Its variance, divided by the variance of the tree, is the share that
j alone explains; what all single axes leave is due to several together.

Conditions are what makes regimes: one for each way in which parents switch their children. An axis that is
off has a value of its own there. Its variance is taken over the regimes in which it is on, times their
probability; the step from off to on is the parents' doing.

F. Hutter, H. Hoos and K. Leyton-Brown, "An efficient approach for assessing hyperparameter importance",
ICML 2014 (one regime).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Axis", "Regimes", "Tree", "explained"]

Floats = NDArray[np.float64]


class Tree(Protocol):
    """A regression tree as arrays over its nodes, the root first.

    Attributes
    ----------
    feature : array of int, shape (nodes,)
        The column that a node asks for, below 0 at a leaf.
    threshold : array, shape (nodes,)
        A row with at most this value goes left.
    left, right : array of int, shape (nodes,)
        The children.
    value : array, shape (nodes,)
        What a leaf predicts.
    """

    @property
    def feature(self) -> NDArray[np.intp]: ...  # noqa: D102
    @property
    def threshold(self) -> Floats: ...  # noqa: D102
    @property
    def left(self) -> NDArray[np.intp]: ...  # noqa: D102
    @property
    def right(self) -> NDArray[np.intp]: ...  # noqa: D102
    @property
    def value(self) -> Floats: ...  # noqa: D102


@dataclass(frozen=True, eq=False)
class Axis:
    """An input: its columns in the trees, and the laws that its values can have.

    Attributes
    ----------
    columns : sequence of int, length w
        One for a number; one per choice where choices are indicators.
    atoms : array, shape (k, w)
        Values that have a probability of their own: choices, or what stands for "is off".
    laws : array, shape (q, 1 + k)
        Rows of probabilities, each summing to 1: of the interval [0, 1], evenly spread, which needs w = 1,
        and of the atoms. The first is the law of an axis that is off. By default the interval alone.
    """

    columns: Sequence[int]
    atoms: Floats = field(default_factory=lambda: np.empty((0, 1)))
    laws: Floats = field(default_factory=lambda: np.ones((2, 1)))

    def cells(self, thresholds: Floats) -> tuple[Floats, Floats]:
        """Return a value of each cell, shape (C, w), and their probabilities by law, shape (q, C)."""
        spread, masses = self.laws[:, :1], self.laws[:, 1:]
        if not spread.any():
            return self.atoms, masses
        inner = thresholds[(thresholds > 0.0) & (thresholds < 1.0)]
        edges = np.concatenate([[0.0], np.unique(inner), [1.0]])
        middles = (edges[1:] + edges[:-1]) / 2
        return np.vstack([middles[:, None], self.atoms]), np.hstack([spread * np.diff(edges), masses])


@dataclass(frozen=True, eq=False)
class Regimes:
    """The ways in which axes are on and off.

    Attributes
    ----------
    weights : array, shape (R,)
        Probabilities, summing to 1.
    laws : array of int, shape (R, d)
        The law of each axis, 0 where it is off.
    """

    weights: Floats
    laws: NDArray[np.intp]


def explained(
    trees: Sequence[Tree], axes: Sequence[Axis], regimes: Regimes | None = None
) -> tuple[Floats, float]:
    """Return the variance that each axis alone explains, and the variance of the trees, means over trees.

    Parameters
    ----------
    trees : sequence of Tree
        At least one.
    axes : sequence of Axis, length d
        Of all columns that the trees ask for.
    regimes : Regimes, optional
        By default a single one, with the law number 1 of each axis.

    Returns
    -------
    array of shape (d,), float
        The first sums to at most the second where conditions do not cross.

    Examples
    --------
    >>> from modelwright.numerics.regression_tree import grow
    >>> X = np.array([[0.2, 0.2], [0.2, 0.8], [0.8, 0.2], [0.8, 0.8]])
    >>> tree = grow(X, X @ [2.0, 1.0])
    >>> alone, total = explained([tree], [Axis([0]), Axis([1])])
    >>> (alone / total).round(3).tolist()
    [0.8, 0.2]
    """
    if regimes is None:
        regimes = Regimes(np.ones(1), np.ones((1, len(axes)), dtype=np.intp))
    results = [_of_tree(tree, axes, regimes) for tree in trees]
    alone = np.mean([single for single, _ in results], axis=0)
    return alone, float(np.mean([total for _, total in results]))


def _of_tree(tree: Tree, axes: Sequence[Axis], regimes: Regimes) -> tuple[Floats, float]:
    """Return the same of one tree; axes that it does not ask for, and that switch none, are left out."""
    switching = regimes.laws.max(axis=0) > 1
    asked = [j for j, axis in enumerate(axes) if switching[j] or np.isin(axis.columns, tree.feature).any()]
    alone = np.zeros(len(axes))
    if not asked:
        return alone, 0.0
    laws, which = np.unique(regimes.laws[:, asked], axis=0, return_inverse=True)
    weights = np.bincount(which.ravel(), regimes.weights)
    fewer = Regimes(np.asarray(weights, dtype=float), laws)
    alone[asked], total = _of_asked(tree, [axes[j] for j in asked], fewer)
    return alone, total


def _of_asked(tree: Tree, axes: Sequence[Axis], regimes: Regimes) -> tuple[Floats, float]:
    low, high, value = _boxes(tree, 1 + max(column for axis in axes for column in axis.columns))
    held, masses = [], []
    for j, axis in enumerate(axes):
        columns = list(axis.columns)
        points, by_law = axis.cells(tree.threshold[np.isin(tree.feature, columns)])
        inside = (low[:, None, columns] < points) & (points <= high[:, None, columns])
        held.append(inside.all(axis=2).astype(float))
        masses.append(by_law[regimes.laws[:, j]])
    P = np.array([M @ m.T for M, m in zip(held, masses, strict=True)])
    weights = P.prod(axis=0) @ regimes.weights
    value = value - float(value @ weights)
    alone = np.empty(len(axes))
    for j, others in enumerate(_products_of_others(P)):
        on = regimes.laws[:, j] > 0
        joint = masses[j][on].T * regimes.weights[on]  # of a cell and a regime, shape (C, on)
        given = held[j].T @ (value[:, None] * others[:, on])
        alone[j] = _variance(joint.sum(axis=1), (joint * given).sum(axis=1))
    return alone, float(value**2 @ weights)


def _products_of_others(P: Floats) -> Floats:
    """Return the products over all axes but each, shape (d, L, R), without a division."""
    before, after = np.ones_like(P), np.ones_like(P)
    np.cumprod(P[:-1], axis=0, out=before[1:])
    np.cumprod(P[:0:-1], axis=0, out=after[-2::-1])
    return np.asarray(before * after)


def _variance(mass: Floats, weighted: Floats) -> float:
    """Return the variance between cells, times their probability; `weighted` is mass times mean."""
    seen = mass > 0.0
    if not seen.any():
        return 0.0
    mass, weighted = mass[seen], weighted[seen]
    centre = weighted.sum() / mass.sum()
    return float(mass @ (weighted / mass - centre) ** 2)


def _boxes(tree: Tree, n_columns: int) -> tuple[Floats, Floats, Floats]:
    """Return the leaves' boxes, open below and closed above, shape (L, columns) each, and their values."""
    low, high, value = [], [], []
    todo = [(0, np.full(n_columns, -np.inf), np.full(n_columns, np.inf))]
    while todo:
        node, a, b = todo.pop()
        j = tree.feature[node]
        if j < 0:
            low.append(a)
            high.append(b)
            value.append(tree.value[node])
            continue
        left_b, right_a = b.copy(), a.copy()
        left_b[j] = min(b[j], tree.threshold[node])
        right_a[j] = max(a[j], tree.threshold[node])
        todo += [(int(tree.right[node]), right_a, b), (int(tree.left[node]), a, left_b)]
    return np.array(low), np.array(high), np.array(value)
