"""Single trees and forests of scikit-learn."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from modelwright.automl.models.base import Array, FitContext
from modelwright.automl.models.estimator import EstimatorModel

__all__ = ["Forest", "ForestModel", "TreeModel"]

_TREES_AT_ONCE = 20


class TreeModel(EstimatorModel):
    """A decision tree."""

    kind: ClassVar[str] = "tree"

    def smoothing(self, arguments: Mapping[str, Any]) -> float:
        """A pure leaf is a handful of rows, not a certainty."""
        return 0.02


class ForestModel(EstimatorModel):
    """A forest, which grows until it has all its trees or the deadline has come.

    Only the trees are kept. The estimators around them say the same hundreds of times over, and writing
    that takes longer than fitting a small forest.
    """

    kind: ClassVar[str] = "forest"

    def train_estimator(
        self, estimator: Any, Z: Array, y: Array, weight: dict[str, Array], context: FitContext
    ) -> Any:
        """Grow the forest some trees at a time; it is the same as one that is grown at once."""
        wanted = estimator.n_estimators
        step = wanted if context.deadline is None else _TREES_AT_ONCE
        estimator.set_params(warm_start=True)
        for grown in range(step, wanted + step, step):
            estimator.set_params(n_estimators=min(grown, wanted)).fit(Z, y, **weight)
            if context.deadline is not None and time.monotonic() > context.deadline:
                break
        return Forest([each.tree_ for each in estimator.estimators_])

    def smoothing(self, arguments: Mapping[str, Any]) -> float:
        """As if one more tree knew nothing."""
        return 1 / (1 + int(arguments.get("n_estimators", 100)))

    @staticmethod
    def to_stored(estimator: Any) -> Any:
        """Return the trees."""
        return estimator.trees

    @staticmethod
    def from_stored(stored: Any) -> Any:
        """Return the forest of these trees."""
        return Forest(stored)


class Forest:
    """The trees of a fitted forest; predicts with their mean, as scikit-learn's forests do.

    Parameters
    ----------
    trees : sequence of sklearn.tree._tree.Tree
        One at least.
    """

    def __init__(self, trees: Sequence[Any]) -> None:
        self.trees = list(trees)

    def predict_proba(self, Z: Array) -> Array:
        """Return the mean of what the leaves hold, shape (n, k)."""
        rows = np.ascontiguousarray(Z, dtype=np.float32)
        total = self.trees[0].predict(rows)
        for tree in self.trees[1:]:
            total += tree.predict(rows)
        return np.asarray(total / len(self.trees))

    def predict(self, Z: Array) -> Array:
        """Return the mean value, shape (n, 1)."""
        return self.predict_proba(Z)

    @property
    def feature_importances_(self) -> Array:
        """The mean decrease of impurity by each column, shape (columns,)."""
        each = [tree.compute_feature_importances(normalize=True) for tree in self.trees]
        return np.asarray(np.mean(each, axis=0))
