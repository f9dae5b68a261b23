"""Any estimator with scikit-learn's face as a model; saved with skops."""

from __future__ import annotations

import inspect
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from modelwright._base import jsonform
from modelwright.automl.models.base import MODEL_FILE, Array, FitContext, Part, widen
from modelwright.automl.models.preparation import Preparation
from modelwright.errors import BundleError

__all__ = ["TRUSTED_TYPES", "EstimatorModel"]

TRUSTED_TYPES = (
    "sklearn.metrics._dist_metrics.ChebyshevDistance64",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.metrics._dist_metrics.ManhattanDistance64",
    "sklearn.metrics._dist_metrics.MinkowskiDistance64",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.tree._tree.Tree",
)
"""What a skops file may hold besides the types that skops trusts itself; never taken from the file."""

_ESTIMATOR_FILE = "estimator.skops"


class EstimatorModel:
    """A class with ``fit`` and ``predict``, and if it has them ``predict_proba`` or ``decision_function``.

    Parameters
    ----------
    estimator_class : type
        Of scikit-learn, or one like them.
    arguments : mapping
        What it is built with; ``random_state`` is added where it takes one.
    preparation : mapping
        Options of `Preparation`, by their underscore names.

    Notes
    -----
    Subclasses fit families of estimators by the hooks `adapted`, `train_estimator`, `smoothing`, `to_stored`
    and `from_stored`.
    """

    kind: ClassVar[str] = "estimator"

    def __init__(
        self, estimator_class: Any, arguments: Mapping[str, Any], preparation: Mapping[str, Any]
    ) -> None:
        self._class = estimator_class
        self._arguments = dict(arguments)
        self._preparation = Preparation.of(preparation)
        self._classes: Array | None = None
        self._n_classes = 0
        self._smoothing = 0.0

    def fit(self, train: Part, context: FitContext, valid: Part | None = None) -> Self:
        """Learn from `train`; `valid` is not used."""
        Z = self._preparation.fit(train.X, context.feature_kinds).transform(train.X)
        arguments = self.adapted(self._arguments, len(Z))
        if _takes(self._class, "random_state"):
            arguments["random_state"] = context.seed
        y = train.y
        if context.classifies:
            self._classes, y = np.unique(train.y, return_inverse=True)
            self._n_classes = context.n_classes
            self._smoothing = self.smoothing(arguments)
        weight = {}
        if train.weight is not None and _takes(self._class.fit, "sample_weight"):
            weight = {"sample_weight": train.weight}
        self._estimator = self.train_estimator(self._class(**arguments), Z, y, weight, context)
        return self

    # hooks -------------------------------------------------------------------------------------------

    def adapted(self, arguments: dict[str, Any], n_rows: int) -> dict[str, Any]:
        """Return the arguments for a fit on `n_rows` rows."""
        return dict(arguments)

    def train_estimator(
        self, estimator: Any, Z: Array, y: Array, weight: dict[str, Array], context: FitContext
    ) -> Any:
        """Fit `estimator` and return it."""
        return estimator.fit(Z, y, **weight)

    def smoothing(self, arguments: Mapping[str, Any]) -> float:
        """Return the share of the uniform distribution to mix into the probabilities.

        Counting methods say 0 where they have merely seen nothing, which the log loss punishes without end.
        """
        return 0.0

    @staticmethod
    def to_stored(estimator: Any) -> Any:
        """Return what of a fitted estimator is written."""
        return estimator

    @staticmethod
    def from_stored(stored: Any) -> Any:
        """Return the fitted estimator from what was written."""
        return stored

    # prediction --------------------------------------------------------------------------------------

    def predict(self, X: Array) -> Array:
        """Return probabilities of shape (n, k), or values of shape (n,)."""
        Z = self._preparation.transform(X)
        if self._classes is None:
            return np.asarray(self._estimator.predict(Z), dtype=float).reshape(len(Z))
        probabilities = _probabilities(self._estimator, Z, len(self._classes))
        if self._smoothing:
            probabilities = (1 - self._smoothing) * probabilities + self._smoothing / len(self._classes)
        return widen(probabilities, self._classes, self._n_classes)

    def feature_importance(self) -> Array | None:
        """Return importances, or the sizes of the coefficients, by column of the base matrix."""
        found = getattr(self._estimator, "feature_importances_", None)
        if found is None and hasattr(self._estimator, "coef_"):
            found = np.abs(np.atleast_2d(self._estimator.coef_)).mean(axis=0)
        if found is None:
            return None
        origin = self._preparation.origin
        return np.bincount(
            origin, weights=np.asarray(found, dtype=float), minlength=max(origin, default=-1) + 1
        )

    # files -------------------------------------------------------------------------------------------

    def save(self, folder: Path) -> None:
        """Write the model to `folder`."""
        from skops import io

        # Trees are mostly repetition: the fastest compression makes them a fifth.
        io.dump(
            self.to_stored(self._estimator),
            folder / _ESTIMATOR_FILE,
            compression=zipfile.ZIP_DEFLATED,
            compresslevel=1,
        )
        form = {
            "kind": self.kind,
            "preparation": self._preparation.to_json(),
            "classes": None if self._classes is None else self._classes.tolist(),
            "n_classes": self._n_classes,
            "smoothing": self._smoothing,
        }
        (folder / MODEL_FILE).write_text(jsonform.dumps(form), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        BundleError
            The file holds types that are not trusted.
        """
        from skops import io
        from skops.io.exceptions import UntrustedTypesFoundException

        form = jsonform.loads((folder / MODEL_FILE).read_bytes())
        try:
            stored = io.load(folder / _ESTIMATOR_FILE, trusted=list(TRUSTED_TYPES))
        except UntrustedTypesFoundException as error:
            raise BundleError(
                f"expected only known model types in {str(folder / _ESTIMATOR_FILE)!r}: {error}",
                hint="Nothing was loaded from it.",
                code="E_UNTRUSTED_TYPE",
            ) from error
        model = cls(None, {}, {})
        model._estimator = cls.from_stored(stored)
        model._preparation = Preparation.from_json(form["preparation"])
        model._classes = None if form["classes"] is None else np.asarray(form["classes"])
        model._n_classes = form["n_classes"]
        model._smoothing = form["smoothing"]
        return model


def _takes(function: Any, name: str) -> bool:
    return name in inspect.signature(function).parameters


def _probabilities(estimator: Any, Z: Array, n_classes: int) -> Array:
    if hasattr(estimator, "predict_proba"):
        return np.asarray(estimator.predict_proba(Z), dtype=float)
    if not hasattr(estimator, "decision_function"):
        return np.asarray(np.eye(n_classes)[np.asarray(estimator.predict(Z), dtype=int)])
    scores = np.asarray(estimator.decision_function(Z), dtype=float)
    if scores.ndim == 1:
        scores = np.column_stack([-scores, scores])
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    result: Array = odds / odds.sum(axis=1, keepdims=True)
    return result
