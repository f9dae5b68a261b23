"""Logistic regression. The fitted model is a matrix, so it is kept as one and needs no library to predict."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from scipy.special import expit, softmax

from modelwright._base import jsonform
from modelwright.automl.models.base import MODEL_FILE, Array, FitContext, Part, widen
from modelwright.automl.models.preparation import Preparation

__all__ = ["LogisticModel"]

_MAX_ITERATIONS = 500


class LogisticModel:
    """Logistic regression with ATM's arguments: ``penalty`` l1 or l2, ``dual``, ``C``, ``tol`` and the like.

    Parameters
    ----------
    estimator_class : type
        ``sklearn.linear_model.LogisticRegression``.
    arguments, preparation : mapping
        As for `EstimatorModel`.

    Notes
    -----
    The solver follows from the arguments: L-BFGS on all classes together for l2, liblinear for l1 and for the
    dual problem, one class against the rest where there are more than two.
    """

    kind: ClassVar[str] = "logistic"

    def __init__(
        self, estimator_class: Any, arguments: Mapping[str, Any], preparation: Mapping[str, Any]
    ) -> None:
        self._class = estimator_class
        self._arguments = dict(arguments)
        self._preparation = Preparation.of(preparation)

    def fit(self, train: Part, context: FitContext, valid: Part | None = None) -> Self:
        """Learn from `train`; `valid` is not used."""
        Z = self._preparation.fit(train.X, context.feature_kinds).transform(train.X)
        self._classes = np.unique(train.y)
        self._n_classes = context.n_classes
        arguments = _translated(self._class, self._arguments)
        arguments = {"max_iter": _MAX_ITERATIONS, **arguments, "random_state": context.seed}
        self._against_rest = arguments["solver"] == "liblinear" and len(self._classes) > 2
        targets = [train.y == code for code in self._classes] if self._against_rest else [train.y]
        fitted = [self._class(**arguments).fit(Z, y, sample_weight=train.weight) for y in targets]
        self._coefficients = np.vstack([one.coef_ for one in fitted])
        self._intercepts = np.concatenate([np.atleast_1d(one.intercept_) for one in fitted])
        return self

    def predict(self, X: Array) -> Array:
        """Return probabilities of shape (n, k)."""
        scores = self._preparation.transform(X) @ self._coefficients.T + self._intercepts
        if scores.shape[1] == 1:
            second = expit(scores[:, 0])
            probabilities = np.column_stack([1 - second, second])
        elif self._against_rest:
            each = np.maximum(expit(scores), np.finfo(float).tiny)
            probabilities = each / each.sum(axis=1, keepdims=True)
        else:
            probabilities = softmax(scores, axis=1)
        return widen(probabilities, self._classes, self._n_classes)

    def feature_importance(self) -> Array | None:
        """Return the mean size of the coefficients of each column of the base matrix."""
        origin = self._preparation.origin
        sizes = np.abs(self._coefficients).mean(axis=0)
        return np.bincount(origin, weights=sizes, minlength=max(origin, default=-1) + 1)

    def save(self, folder: Path) -> None:
        """Write the model to `folder`."""
        np.save(folder / "coefficients.npy", self._coefficients, allow_pickle=False)
        np.save(folder / "intercepts.npy", self._intercepts, allow_pickle=False)
        form = {
            "kind": self.kind,
            "preparation": self._preparation.to_json(),
            "classes": self._classes.tolist(),
            "n_classes": self._n_classes,
            "against_rest": self._against_rest,
        }
        (folder / MODEL_FILE).write_text(jsonform.dumps(form), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        form = jsonform.loads((folder / MODEL_FILE).read_bytes())
        model = cls(None, {}, {})
        model._preparation = Preparation.from_json(form["preparation"])
        model._classes = np.asarray(form["classes"])
        model._n_classes = form["n_classes"]
        model._against_rest = form["against_rest"]
        model._coefficients = np.load(folder / "coefficients.npy", allow_pickle=False)
        model._intercepts = np.load(folder / "intercepts.npy", allow_pickle=False)
        return model


def _translated(estimator_class: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments for the installed scikit-learn: from 1.8 on ``l1_ratio`` stands for ``penalty``."""
    result = dict(arguments)
    penalty = result.pop("penalty", "l2")
    result.setdefault("solver", "liblinear" if penalty == "l1" or result.get("dual") else "lbfgs")
    known = inspect.signature(estimator_class).parameters
    if "penalty" in known and known["penalty"].default == "l2":
        return {**result, "penalty": penalty}
    return {**result, "l1_ratio": 1.0 if penalty == "l1" else 0.0}
