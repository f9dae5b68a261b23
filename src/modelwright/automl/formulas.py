"""The formulas of the metrics: arrays in, one number out.

Those of labels take the confusion matrix, weights of rows by (true, most probable) class; those of
probabilities an array of shape (n, k); those of values one of shape (n,).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "accuracy",
    "average_precision",
    "balanced_accuracy",
    "brier",
    "cohen_kappa",
    "confusion",
    "f1",
    "f1_macro",
    "log_loss",
    "mae",
    "mcc",
    "medae",
    "mse",
    "msle",
    "r2",
    "rank_accuracy",
    "rmse",
    "roc_auc",
    "roc_auc_macro",
    "roc_auc_micro",
]

Array = NDArray[Any]
Weight = NDArray[np.float64] | None

_RANK_FRACTION = 0.33


def confusion(y: Array, prediction: Array, weight: Weight) -> Array:
    """Return weights of rows by (true, most probable) class, of shape (k, k)."""
    k = prediction.shape[1]
    guess = (prediction[:, 1] > prediction[:, 0]) if k == 2 else prediction.argmax(axis=1)
    return np.bincount(y * k + guess, weights=weight, minlength=k * k).reshape(k, k)


def _mean(values: Array, weight: Weight) -> float:
    if weight is None:
        return float(values.mean())
    total = weight.sum()
    return float(values @ weight / total) if total > 0 else float("nan")


def _ratio(above: float, below: float, undefined: float = float("nan")) -> float:
    return float(above / below) if below > 0 else undefined


# of labels: these take the confusion matrix ------------------------------------------------------------


def accuracy(y: Array, table: Array, weight: Weight) -> float:
    """Return the share of rows whose most probable class is the true one."""
    return _ratio(table.trace(), table.sum())


def balanced_accuracy(y: Array, table: Array, weight: Weight) -> float:
    """Return the mean over the classes present of the share of their rows that is found."""
    true = table.sum(axis=1)
    here = true > 0
    return float((table.diagonal()[here] / true[here]).mean()) if here.any() else float("nan")


def cohen_kappa(y: Array, table: Array, weight: Weight) -> float:
    """Return the agreement beyond chance; NaN where chance agrees fully."""
    total = table.sum()
    chance = table.sum(axis=1) @ table.sum(axis=0)
    return _ratio(table.trace() * total - chance, total * total - chance)


def _f1_by_class(table: Array) -> Array:
    """Return F1 of the classes that occur as truth or as guess."""
    below = table.sum(axis=0) + table.sum(axis=1)
    here = below > 0
    return np.asarray(2 * table.diagonal()[here] / below[here])


def f1(y: Array, table: Array, weight: Weight) -> float:
    """Return F1 of class 1; 0 where it is neither present nor guessed."""
    return _ratio(2 * table[1, 1], table[1].sum() + table[:, 1].sum(), undefined=0.0)


def f1_macro(y: Array, table: Array, weight: Weight) -> float:
    """Return the mean of the classes' F1."""
    each = _f1_by_class(table)
    return float(each.mean()) if len(each) else float("nan")


def mcc(y: Array, table: Array, weight: Weight) -> float:
    """Return Matthews' correlation; 0 where all rows are of one class or are guessed so."""
    total, true, guess = table.sum(), table.sum(axis=1), table.sum(axis=0)
    spread = float(total * total - true @ true) * float(total * total - guess @ guess)
    return _ratio(float(table.trace() * total - true @ guess), spread**0.5, undefined=0.0)


# of probabilities --------------------------------------------------------------------------------------


def _curve(positive: Array, score: Array, weight: Weight) -> tuple[Array, Array]:
    """Return weights of true and false positives at each threshold, from the strictest on.

    Rows of one score pass together, so a curve point stands only where the score changes.
    """
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    hits = positive[order].astype(np.float64)
    if weight is None:
        true = np.cumsum(hits)[ends]
        return true, ends + 1 - true
    ordered = weight[order]
    return np.cumsum(hits * ordered)[ends], np.cumsum((1 - hits) * ordered)[ends]


def _auc(positive: Array, score: Array, weight: Weight) -> float:
    true, false = _curve(positive, score, weight)
    if true[-1] <= 0 or false[-1] <= 0:
        return float("nan")
    true_before, steps = np.concatenate(([0.0], true[:-1])), np.diff(false, prepend=0.0)
    return float((steps @ (true + true_before)) / (2 * true[-1] * false[-1]))


def roc_auc(y: Array, prediction: Array, weight: Weight) -> float:
    """Return the area under the ROC curve of class 1."""
    return _auc(y == 1, prediction[:, 1], weight)


def roc_auc_macro(y: Array, prediction: Array, weight: Weight) -> float:
    """Return the mean area of each class present against the others."""
    present = np.unique(y)
    if len(present) < 2:
        return float("nan")
    return float(np.mean([_auc(y == code, prediction[:, code], weight) for code in present]))


def roc_auc_micro(y: Array, prediction: Array, weight: Weight) -> float:
    """Return the area over all pairs of a row and a class present."""
    present = np.unique(y)
    if len(present) < 2:
        return float("nan")
    positive = (y[:, None] == present).ravel()
    repeated = None if weight is None else np.repeat(weight, len(present))
    return _auc(positive, prediction[:, present].ravel(), repeated)


def average_precision(y: Array, prediction: Array, weight: Weight) -> float:
    """Return precision averaged over the steps of recall, as the threshold falls."""
    true, false = _curve(y == 1, prediction[:, 1], weight)
    gained = np.diff(true, prepend=0.0)
    flagged = true + false
    precision = np.divide(true, flagged, out=np.zeros_like(flagged, dtype=np.float64), where=flagged > 0)
    return _ratio(float(precision @ gained), true[-1], undefined=0.0)


def log_loss(y: Array, prediction: Array, weight: Weight) -> float:
    """Return the mean negative logarithm of the true class's probability, kept above 2.2e-16."""
    of_truth = prediction[np.arange(len(y)), y]
    return _mean(-np.log(np.maximum(of_truth, np.finfo(np.float64).eps)), weight)


def brier(y: Array, prediction: Array, weight: Weight) -> float:
    """Return the mean squared error of the probabilities: of class 1 if there are two, else over all."""
    if prediction.shape[1] == 2:
        return _mean((prediction[:, 1] - (y == 1)) ** 2, weight)
    of_truth = prediction[np.arange(len(y)), y]
    return _mean((prediction**2).sum(axis=1) - 2 * of_truth + 1, weight)


def rank_accuracy(y: Array, prediction: Array, weight: Weight) -> float:
    """Return the share of rows whose class is among the most probable third; ties go by the class's code."""
    k = prediction.shape[1]
    of_truth = prediction[np.arange(len(y)), y][:, None]
    before = (prediction > of_truth) | ((prediction == of_truth) & (np.arange(k) < y[:, None]))
    return _mean(before.sum(axis=1) < max(1, round(_RANK_FRACTION * k)), weight)


# of values ---------------------------------------------------------------------------------------------


def mse(y: Array, prediction: Array, weight: Weight) -> float:
    """Return the mean squared error."""
    error = y - prediction
    return float(error @ error) / len(y) if weight is None else _mean(error * error, weight)


def rmse(y: Array, prediction: Array, weight: Weight) -> float:
    """Return the root of the mean squared error."""
    return math.sqrt(mse(y, prediction, weight))


def mae(y: Array, prediction: Array, weight: Weight) -> float:
    """Return the mean absolute error."""
    return _mean(np.abs(y - prediction), weight)


def medae(y: Array, prediction: Array, weight: Weight) -> float:
    """Return the median absolute error."""
    error = np.abs(y - prediction)
    if weight is None:
        return float(np.median(error))
    order = np.argsort(error)
    reached = np.cumsum(weight[order])
    return float(error[order][np.searchsorted(reached, reached[-1] / 2)])


def r2(y: Array, prediction: Array, weight: Weight) -> float:
    """Return the share of the variance that is explained; NaN for a constant target."""
    spread = mse(y, np.full(len(y), _mean(y, weight)), weight)
    # The mean is rounded, so a constant target may seem to spread by its last bit.
    tiny = (np.finfo(np.float64).eps * float(np.abs(y).max())) ** 2
    return 1 - mse(y, prediction, weight) / spread if spread > tiny else float("nan")


def msle(y: Array, prediction: Array, weight: Weight) -> float:
    """Return the mean squared error of log(1 + value); NaN at or below -1."""
    if min(y.min(), prediction.min()) <= -1:
        return float("nan")
    return mse(np.log1p(y), np.log1p(prediction), weight)
