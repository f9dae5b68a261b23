"""Metrics of classification and regression, in plain numpy.

All take what a model gives: probabilities of shape (n, k), columns in the order of the classes, or values of
shape (n,). Labels are codes 0..k-1; of two classes the second, code 1, is the positive one. Ensemble
selection calls a metric thousands of times, so nothing here validates its input twice.

============  =========================================================================================
task          names (the first is the default)
============  =========================================================================================
binary        roc_auc, accuracy, cohen_kappa, f1, ap, mcc, balanced_accuracy, log_loss, brier
multiclass    log_loss, accuracy, rank_accuracy, cohen_kappa, f1_micro, f1_macro, roc_auc_micro,
              roc_auc_macro, balanced_accuracy, brier
regression    rmse, mse, mae, medae, r2, msle
============  =========================================================================================

A metric that the data do not define is NaN: ROC AUC with one class present, r2 of a constant target, anything
of a prediction that is not finite.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from modelwright._base.registry import nearest
from modelwright.automl import formulas
from modelwright.errors import InputError, UnknownNameError

__all__ = ["Metric", "Task", "all_metrics", "default_metric", "metric", "scores"]

Task = Literal["binary", "multiclass", "regression"]
Array = NDArray[Any]
Weight = NDArray[np.float64] | None
Function = Callable[[Array, Array, Weight], float]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric by name.

    Attributes
    ----------
    name : str
        As users write it.
    direction : {"maximize", "minimize"}
        What is better.
    needs : {"label", "probability", "value"}
        What of a prediction counts: the most probable class, the probabilities, or the value.
    function : callable
        (y, prediction, weight or None) -> float; one that needs labels takes the confusion matrix instead of
        the prediction.

    Examples
    --------
    >>> import numpy as np
    >>> auc = metric("roc_auc", "binary")
    >>> auc.score(np.array([0, 1, 1]), np.array([[0.8, 0.2], [0.6, 0.4], [0.1, 0.9]]))
    1.0
    >>> auc.direction, auc.loss(np.array([0, 1]), np.array([[0.2, 0.8], [0.1, 0.9]]))
    ('maximize', -1.0)
    """

    name: str
    direction: Literal["maximize", "minimize"]
    needs: Literal["label", "probability", "value"]
    function: Function

    def score(self, y: Array, prediction: Array, weight: Weight = None) -> float:
        """Return the metric in its own direction; NaN where it is not defined.

        Parameters
        ----------
        y : ndarray of shape (n,)
            Codes of classes, or values.
        prediction : ndarray of shape (n, k) or (n,)
            Probabilities, or values.
        weight : ndarray of shape (n,), optional
            Of the rows; all equal by default.
        """
        if len(y) == 0 or not np.isfinite(prediction).all():
            return float("nan")
        if self.needs == "label":
            return float(self.function(y, formulas.confusion(y, prediction, weight), weight))
        with np.errstate(over="ignore"):  # an error beyond 1e154 has an infinite square, and may say so
            return float(self.function(y, prediction, weight))

    def loss(self, y: Array, prediction: Array, weight: Weight = None) -> float:
        """Return the metric turned so that less is better."""
        return self.sign * self.score(y, prediction, weight)

    @property
    def sign(self) -> float:
        """1 to minimize, -1 to maximize: score times sign is a loss."""
        return 1.0 if self.direction == "minimize" else -1.0


# names -------------------------------------------------------------------------------------------------

_METRICS = {
    item.name: item
    for item in (
        Metric("accuracy", "maximize", "label", formulas.accuracy),
        Metric("balanced_accuracy", "maximize", "label", formulas.balanced_accuracy),
        Metric("cohen_kappa", "maximize", "label", formulas.cohen_kappa),
        Metric("f1", "maximize", "label", formulas.f1),
        Metric("f1_macro", "maximize", "label", formulas.f1_macro),
        # Over all classes each miss is one false positive and one false negative: F1 is the accuracy.
        Metric("f1_micro", "maximize", "label", formulas.accuracy),
        Metric("mcc", "maximize", "label", formulas.mcc),
        Metric("roc_auc", "maximize", "probability", formulas.roc_auc),
        Metric("roc_auc_macro", "maximize", "probability", formulas.roc_auc_macro),
        Metric("roc_auc_micro", "maximize", "probability", formulas.roc_auc_micro),
        Metric("ap", "maximize", "probability", formulas.average_precision),
        Metric("rank_accuracy", "maximize", "probability", formulas.rank_accuracy),
        Metric("log_loss", "minimize", "probability", formulas.log_loss),
        Metric("brier", "minimize", "probability", formulas.brier),
        Metric("rmse", "minimize", "value", formulas.rmse),
        Metric("mse", "minimize", "value", formulas.mse),
        Metric("mae", "minimize", "value", formulas.mae),
        Metric("medae", "minimize", "value", formulas.medae),
        Metric("r2", "maximize", "value", formulas.r2),
        Metric("msle", "minimize", "value", formulas.msle),
    )
}

_OF_TASK: dict[str, list[str]] = {
    "binary": [
        "roc_auc", "accuracy", "cohen_kappa", "f1", "ap", "mcc", "balanced_accuracy", "log_loss", "brier"
    ],
    "multiclass": [
        "log_loss", "accuracy", "rank_accuracy", "cohen_kappa", "f1_micro", "f1_macro",
        "roc_auc_micro", "roc_auc_macro", "balanced_accuracy", "brier",
    ],
    "regression": ["rmse", "mse", "mae", "medae", "r2", "msle"],
}  # fmt: skip

_CASTS: dict[str, dict[str, str]] = {
    "binary": {"f1_micro": "f1", "f1_macro": "f1", "roc_auc_micro": "roc_auc", "roc_auc_macro": "roc_auc"},
    "multiclass": {"f1": "f1_macro", "roc_auc": "roc_auc_macro"},
    "regression": {},
}

_ALIASES = {
    "average_precision": "ap",
    "brier_score": "brier",
    "root_mean_squared_error": "rmse",
    "mean_squared_error": "mse",
    "mean_absolute_error": "mae",
    "median_absolute_error": "medae",
    "mean_squared_log_error": "msle",
}


def default_metric(task: str) -> Metric:
    """Return what is optimized where the user names nothing: roc_auc, log_loss or rmse."""
    return all_metrics(task)[0]


def all_metrics(task: str) -> list[Metric]:
    """Return the metrics of `task`, the default first.

    Examples
    --------
    >>> [item.name for item in all_metrics("regression")]
    ['rmse', 'mse', 'mae', 'medae', 'r2', 'msle']
    """
    if task not in _OF_TASK:
        expected = ", ".join(repr(name) for name in get_args(Task))
        raise InputError(f"expected a task of {expected}; got {task!r}.")
    return [_METRICS[name] for name in _OF_TASK[task]]


def metric(name: str | None, task: str) -> Metric:
    """Return the metric called `name` for `task`.

    A name of the other number of classes is cast where that makes sense (``f1`` to ``f1_macro`` for several
    classes, ``roc_auc_macro`` to ``roc_auc`` for two), and scikit-learn's long and ``neg_`` names are known.

    Parameters
    ----------
    name : str, optional
        None and ``"auto"`` mean the task's default.
    task : {"binary", "multiclass", "regression"}
        What is predicted.

    Raises
    ------
    UnknownNameError
        No metric has this name.
    InputError
        It has no meaning for this task.

    Examples
    --------
    >>> metric("f1", "multiclass").name
    'f1_macro'
    >>> metric("mcc", "multiclass")
    Traceback (most recent call last):
        ...
    modelwright.errors.InputError: the metric 'mcc' is not defined for a multiclass task. Choose one of: ...
    """
    known = [item.name for item in all_metrics(task)]
    if name is None or name == "auto":
        return _METRICS[known[0]]
    short = name.lower().removeprefix("neg_")
    short = _ALIASES.get(short, short)
    short = _CASTS[task].get(short, short)
    if short in known:
        return _METRICS[short]
    if short in _METRICS:
        raise InputError(
            f"the metric {name!r} is not defined for a {task} task.",
            hint="Choose one of: " + ", ".join(known) + ".",
            code="E_METRIC",
        )
    raise UnknownNameError(f"no metric is called {name!r}.", hint=nearest(short, known))


def scores(task: str, y: Array, prediction: Array, weight: Weight = None) -> dict[str, float]:
    """Return all metrics of `task` by name.

    Examples
    --------
    >>> import numpy as np
    >>> result = scores("regression", np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0]))
    >>> round(result["mae"], 3), result["medae"]
    (0.333, 0.0)
    """
    return {item.name: item.score(y, prediction, weight) for item in all_metrics(task)}
