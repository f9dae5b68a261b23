"""From a learner's class to a model, and from a model's folder back to it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from modelwright._base import jsonform
from modelwright.automl.models.base import MODEL_FILE, Model
from modelwright.errors import BundleError

__all__ = ["load_model", "make_model"]

# By the name in a model's file. Files never name classes of their own.
_KINDS = {
    "estimator": "estimator:EstimatorModel",
    "forest": "trees:ForestModel",
    "lightgbm": "lightgbm:LightGBM",
    "logistic": "linear:LogisticModel",
    "neighbours": "neighbours:NeighboursModel",
    "tree": "trees:TreeModel",
}
# Estimators that need more than the general model gives them, by the beginning of their module's name.
_FAMILIES = {
    "sklearn.ensemble._forest.": "forest",
    "sklearn.linear_model._logistic.LogisticRegression": "logistic",
    "sklearn.neighbors._": "neighbours",
    "sklearn.tree._": "tree",
}


def make_model(learner: type, arguments: Mapping[str, Any], preparation: Mapping[str, Any]) -> Model:
    """Return an unfitted model.

    Parameters
    ----------
    learner : type
        A class of ours with a ``kind``, or an estimator with scikit-learn's face.
    arguments, preparation : mapping
        As `Method.arguments` returns them.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> make_model(DecisionTreeClassifier, {"max_depth": 3}, {}).kind
    'tree'
    """
    if getattr(learner, "kind", None) in _KINDS:
        return cast(Model, learner(arguments, preparation))
    full_name = f"{learner.__module__}.{learner.__qualname__}"
    kind = next((kind for start, kind in _FAMILIES.items() if full_name.startswith(start)), "estimator")
    return cast(Model, _class_of(kind)(learner, arguments, preparation))


def load_model(folder: str | Path) -> Model:
    """Load the model that `Model.save` wrote to `folder`.

    Raises
    ------
    BundleError
        The folder holds no model, or one that may not be loaded.
    """
    place = Path(folder)
    try:
        kind = jsonform.loads((place / MODEL_FILE).read_bytes())["kind"]
        model_class = _class_of(kind)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"expected a saved model in {str(place)!r}, but {MODEL_FILE} is missing or damaged ({error}).",
            hint="Copy the model again from where it was written.",
            code="E_MODEL_FORMAT",
        ) from error
    return cast(Model, model_class.load(place))


def _class_of(kind: str) -> Any:
    module, _, name = _KINDS[kind].partition(":")
    return getattr(import_module(f"modelwright.automl.models.{module}"), name)
