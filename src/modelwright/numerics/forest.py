"""A regression forest of random splits, with a mean and a variance at every point.

Symbols and shapes
------------------
=========== ============ ==========================================================================
n, d        int          rows and columns
q           int          views of the columns, see below
T           int          trees
e           int          entries: one for each tree and each row that the tree sees
m, c        int          nodes of one level of all trees; candidate splits of each
V           (n, q)       the rows, column by column of the views
=========== ============ ==========================================================================

A split sends a row to the left where a view of one column is at most a threshold. A column of numbers is its
own view; where numbers are missing there are two, with the missing ones below and above all others. Unordered
choices have several views, each of which puts them, and the missing value, in another random order: a
threshold then cuts off a random subset. So trees see numbers only, and all of them grow together, a level of
all nodes of all trees at a time.

Each candidate's threshold is drawn between the values of two random rows of its node, so that it falls
anywhere in the gap between them: where there is no data the trees disagree, and the variance shows it.

P. Geurts, D. Ernst and L. Wehenkel, "Extremely randomized trees", Machine Learning 63, 2006; F. Hutter,
L. Xu, H. H. Hoos and K. Leyton-Brown, "Algorithm runtime prediction: methods & evaluation", AIJ 206, 2014
(thresholds anywhere in the gap, total variance over trees and leaves).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["Forest", "Growth", "grow"]

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

_ORDERS = 8  # random orders of the choices of one column, of which splits take one
_MOST_COLUMNS = 4  # that a function is thought to vary with evenly
_BELOW, _ABOVE = -1.0, 2.0  # where missing numbers stand; all others lie in [0, 1]


@dataclass(frozen=True)
class Growth:
    """How trees grow.

    Attributes
    ----------
    trees : int
        How many.
    leaf : int
        Rows that a leaf has at least.
    share : float
        Of the columns, so many are candidates at each node.
    bootstrap : bool
        Whether each tree sees n rows drawn with replacement, or all.
    most_candidates : int
        Of one node.
    """

    trees: int = 50
    leaf: int = 1
    share: float = 1.0
    bootstrap: bool = False
    most_candidates: int = 16


@dataclass(frozen=True, eq=False)
class Views:
    """How columns become numbers that a threshold cuts.

    Attributes
    ----------
    source : array of int, shape (q,)
        The column that each view shows.
    first, count : arrays of int, shape (d,)
        Where the views of each column start, and how many they are.
    missing : array, shape (q,)
        Where a missing number stands.
    orders : dict of int to array
        For each view of choices, where each of them, and last the missing value, stands.
    """

    source: Ints
    first: Ints
    count: Ints
    missing: Floats
    orders: dict[int, Floats]

    @classmethod
    def of(cls, X: Floats, choices: Sequence[int], rng: Generator) -> Views:
        """Return views for the columns of `X`, of which column j has ``choices[j]`` unordered values."""
        count = [_ORDERS if k > 2 else 1 + int(np.isnan(X[:, j]).any()) for j, k in enumerate(choices)]
        source = np.repeat(np.arange(len(count)), count)
        first = np.cumsum([0, *count])[:-1]
        orders = {at: rng.random(choices[j] + 1) for at, j in enumerate(source.tolist()) if choices[j] > 2}
        missing = np.where(np.arange(len(source)) == first[source], _BELOW, _ABOVE)
        return cls(source, first, np.array(count, dtype=np.intp), missing, orders)

    def __call__(self, X: Floats) -> Floats:
        """Return the rows of `X`, shape (n, d), as the views show them, shape (n, q)."""
        V = X[:, self.source]
        for at, order in self.orders.items():
            k = len(order) - 1
            column = V[:, at]
            slots = np.minimum(np.nan_to_num(column) * k, k - 1).astype(np.intp)
            V[:, at] = order[np.where(np.isnan(column), k, slots)]
        np.copyto(V, self.missing, where=np.isnan(V))
        return V


@dataclass(frozen=True, eq=False)
class Forest:
    """Trees in one list of nodes; node t is the root of tree t, and a leaf is its own child.

    Attributes
    ----------
    views : Views
        What splits look at.
    trees, depth : int
        How many trees; levels of the deepest.
    offset : float
        What is taken from values before they are summed, so that no digits are lost.
    view, threshold, child : arrays, one number per node
        A row goes on to `child` where the view is at most the threshold, and else to the node after it.
    weight, total, square : arrays, one number per node
        Rows in a leaf, the sum of their values and of the values' squares.
    doubt : float
        How many rows the prior of a leaf's variance counts for, 0 for no prior.
    spread : float
        Variance of all values.
    share : array, one number per node
        The part of the space that a leaf covers.
    """

    views: Views
    trees: int
    depth: int
    offset: float
    view: Ints
    threshold: Floats
    child: Ints
    weight: Floats
    total: Floats
    square: Floats
    doubt: float
    spread: float
    share: Floats

    def leaves(self, X: Floats) -> Ints:
        """Return the leaf of each tree that each row of `X` falls in, shape (n, T)."""
        V = self.views(X)
        flat, q = V.ravel(), V.shape[1]
        node = np.tile(np.arange(self.trees), len(X))
        base = np.repeat(np.arange(len(X)) * q, self.trees)
        for _ in range(self.depth):
            right = flat[base + self.view[node]] > self.threshold[node]
            node = self.child[node] + right
        return np.asarray(node.reshape(len(X), self.trees))

    def predict(self, X: Floats) -> tuple[Floats, Floats]:
        """Return mean and variance at the rows of `X`, each of shape (n,).

        By the law of total variance: that between the leaves' means, and the mean of that within leaves.
        """
        leaves = self.leaves(X)
        weight = np.maximum(self.weight, 1)
        mean = self.total / weight
        within = np.maximum(self.square / weight - mean**2, 0.0)
        means = mean[leaves]
        middle = means.mean(axis=1)
        between = np.mean((means - middle[:, None]) ** 2, axis=1)
        if not self.doubt:
            return middle + self.offset, between + within[leaves].mean(axis=1)
        return middle + self.offset, between + self._doubted(X, leaves, weight, within).mean(axis=1)

    def _doubted(self, X: Floats, leaves: Ints, weight: Floats, within: Floats) -> Floats:
        """Return the variances within leaves, shape (n, T), drawn to those of cells of their size.

        A few rows that happen to agree say little about a large cell. A cell that covers the share s of the
        space has about the side s^(1/d) in each of d columns, and values of a function that varies evenly
        have there s^(2/d) of their variance in the whole space. Of many columns few matter, so d is four at
        most.
        """
        d = np.clip(np.count_nonzero(~np.isnan(X), axis=1), 1, _MOST_COLUMNS)
        prior = self.spread * np.exp(np.log(self.share)[leaves] * (2.0 / d)[:, None])
        held = weight / (weight + self.doubt)
        return np.asarray((held * within)[leaves] + (1 - held)[leaves] * prior)

    def covering(self, X: Floats) -> Forest:
        """Return a forest that knows how much of the space each leaf covers.

        Parameters
        ----------
        X : array, shape (m, d)
            Drawn evenly from the space.
        """
        counts = np.bincount(self.leaves(X).ravel(), minlength=len(self.weight)).astype(float)
        return replace(self, share=(counts + 0.5) / (len(X) + 0.5))

    def doubting(self, doubt: float) -> Forest:
        """Return a forest whose leaves' variances have a prior that counts for `doubt` rows."""
        return replace(self, doubt=doubt)

    def holding(self, leaves: Ints, y: Floats) -> Forest:
        """Return a forest of the same splits whose leaves hold just some rows.

        Parameters
        ----------
        leaves : array, shape (n, T)
            Where the rows fall, as `leaves` gives it.
        y : array, shape (n,)
            Their values.
        """
        nothing = np.zeros(len(self.weight))
        empty = replace(
            self, offset=float(y.mean()), spread=float(y.var()), weight=nothing, total=nothing, square=nothing
        )
        return empty._with(leaves, y)

    def adding(self, X: Floats, y: Floats) -> Forest:
        """Return a forest of the same splits whose leaves have also seen rows `X` with the values `y`."""
        return self._with(self.leaves(X), y)

    def _with(self, leaves: Ints, y: Floats) -> Forest:
        places, values = leaves.ravel(), np.repeat(y - self.offset, self.trees)
        size = len(self.weight)
        return replace(
            self,
            weight=self.weight + np.bincount(places, minlength=size),
            total=self.total + np.bincount(places, values, minlength=size),
            square=self.square + np.bincount(places, values**2, minlength=size),
        )


def grow(
    X: Floats,
    y: Floats,
    rng: Generator,
    *,
    choices: Sequence[int] | None = None,
    growth: Growth | None = None,
) -> Forest:
    """Grow a forest.

    Parameters
    ----------
    X : array, shape (n, d)
        In [0, 1]; NaN where a column does not apply.
    y : array, shape (n,)
        Values.
    rng : numpy.random.Generator
        Decides all that is random.
    choices : sequence of int, length d, optional
        How many unordered values a column has, which stand at the centres of as many equal parts of [0, 1];
        0 for a column of numbers, the default.
    growth : Growth, optional
        How trees grow.

    Examples
    --------
    >>> X = np.random.default_rng(0).random((200, 2))
    >>> forest = grow(X, np.abs(X[:, 0] - 0.3), np.random.default_rng(1))
    >>> mean, variance = forest.predict(np.array([[0.3, 0.5], [0.9, 0.5]]))
    >>> bool(mean[0] < 0.1 and 0.5 < mean[1] < 0.7)
    True
    """
    growth = growth or Growth()
    choices = [0] * X.shape[1] if choices is None else choices
    views = Views.of(X, choices, rng)
    return _Growing(views, views(X), y, rng, growth).forest()


class _Growing:
    """A forest as it grows, a level of all trees at a time."""

    def __init__(self, views: Views, V: Floats, y: Floats, rng: Generator, growth: Growth) -> None:
        self._views, self._V, self._rng, self._growth = views, V, rng, growth
        self._offset = float(y.mean())
        self._y = y - self._offset
        wanted = max(1, round(growth.share * len(views.first)))
        self._candidates = min(wanted, growth.most_candidates)
        self._nodes = 0
        self._levels: list[tuple[Ints, Floats, Ints, Floats, Floats, Floats]] = []

    def forest(self) -> Forest:
        rows, starts = self._entries()
        while len(starts):
            rows, starts = self._split(rows, starts)
        nodes = (np.concatenate(parts) for parts in zip(*self._levels, strict=True))
        view, threshold, child, weight, total, square = nodes
        return Forest(
            views=self._views,
            trees=self._growth.trees,
            depth=len(self._levels) - 1,
            offset=self._offset,
            view=view,
            threshold=threshold,
            child=child,
            weight=weight,
            total=total,
            square=square,
            doubt=0.0,
            spread=float(self._y.var()),
            share=np.ones(self._nodes),
        )

    def _entries(self) -> tuple[Ints, Ints]:
        """Return the rows that the trees see, tree by tree, and where each tree starts."""
        n, trees = len(self._y), self._growth.trees
        if self._growth.bootstrap:
            rows = self._rng.integers(n, size=trees * n)
        else:
            rows = np.tile(np.arange(n), trees)
        return rows, np.arange(trees) * n

    def _split(self, rows: Ints, starts: Ints) -> tuple[Ints, Ints]:
        """Write down the nodes of one level; return the rows of the next, node by node, and their starts."""
        y = self._y[rows]
        sizes = np.diff(starts, append=len(rows))
        total, square = np.add.reduceat(y, starts), np.add.reduceat(y * y, starts)
        spread = square - total**2 / sizes
        open_ = (sizes >= 2 * self._growth.leaf) & (spread > 1e-12 * np.maximum(square, 1e-300))
        view = np.zeros(len(starts), dtype=np.intp)
        threshold = np.full(len(starts), np.inf)
        kept = np.repeat(open_, sizes)
        rows, y = rows[kept], y[kept]
        at = np.flatnonzero(open_)
        if len(at):
            found = self._best(rows, y, sizes[at], total[at])
            open_[at] = np.isfinite(found[1])
            view[at], threshold[at] = found
        rows, starts = self._partition(rows, sizes[at], view[at], threshold[at])
        child = self._nodes + np.arange(len(sizes))
        self._nodes += len(sizes)
        child[open_] = self._nodes + 2 * np.arange(np.count_nonzero(open_))
        self._levels.append((view, threshold, child, sizes.astype(float), total, square))
        return rows, starts

    def _best(self, rows: Ints, y: Floats, sizes: Ints, total: Floats) -> tuple[Ints, Floats]:
        """Return the best candidate of each node, as view and threshold; infinite where none will do."""
        rng, views = self._rng, self._views
        m, c = len(sizes), self._candidates
        starts = np.cumsum(sizes) - sizes
        columns = np.argsort(rng.random((m, len(views.first))), axis=1)[:, :c]
        view = views.first[columns] + (rng.random((m, c)) * views.count[columns]).astype(np.intp)
        first = (rng.random((m, c)) * sizes[:, None]).astype(np.intp)
        second = (first + 1 + (rng.random((m, c)) * (sizes[:, None] - 1)).astype(np.intp)) % sizes[:, None]
        one, other = (self._V[rows[starts[:, None] + pick], view] for pick in (first, second))
        threshold = np.minimum(one, other) + rng.random((m, c)) * np.abs(one - other)
        node = np.repeat(np.arange(m), sizes)
        left = self._V[rows[:, None], view[node]] <= threshold[node]
        n_left = np.add.reduceat(left, starts, axis=0, dtype=float)
        sum_left = np.add.reduceat(np.where(left, y[:, None], 0.0), starts, axis=0)
        n_right, sum_right = sizes[:, None] - n_left, total[:, None] - sum_left
        least = self._growth.leaf
        valid = (n_left >= least) & (n_right >= least)
        gain = sum_left**2 / np.maximum(n_left, 1) + sum_right**2 / np.maximum(n_right, 1)
        best = np.argmax(np.where(valid, gain, -1.0), axis=1)
        each = np.arange(m)
        return view[each, best], np.where(valid[each, best], threshold[each, best], np.inf)

    def _partition(self, rows: Ints, sizes: Ints, view: Ints, threshold: Floats) -> tuple[Ints, Ints]:
        """Return the rows of the nodes that are split, left ones before right ones, and where each starts."""
        node = np.repeat(np.arange(len(sizes)), sizes)
        split = np.isfinite(threshold)
        rows, node = rows[split[node]], node[split[node]]
        target = 2 * (np.cumsum(split) - 1)[node] + (self._V[rows, view[node]] > threshold[node])
        order = np.argsort(target, kind="stable")
        counts = np.bincount(target, minlength=2 * int(split.sum()))
        return rows[order], np.cumsum(counts) - counts
