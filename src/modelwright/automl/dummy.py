"""What guessing would score: the yardstick beside every test score."""

from __future__ import annotations

import math

import numpy as np

from modelwright.automl.data import TableStore
from modelwright.automl.metrics import metric

__all__ = ["dummy_test_score"]


def dummy_test_score(store: TableStore) -> float | None:
    """Return the test score of the same guess for each row; None without test rows or a defined score.

    The guess is the share of each class among the training rows, or the mean of the target.
    """
    if store.y_test is None or not len(store.y_test):
        return None
    n = len(store.y_test)
    if store.meta["task"] == "regression":
        guess = np.full(n, float(np.mean(store.y)))
    else:
        counts = np.bincount(np.asarray(store.y, dtype=np.int64), minlength=store.meta["n_classes"])
        guess = np.tile(counts / counts.sum(), (n, 1))
    score = metric(store.meta["metric"], store.meta["task"]).score(np.asarray(store.y_test), guess)
    return float(score) if math.isfinite(score) else None
