"""Gradient boosting by LightGBM; saved as LightGBM's own text."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from modelwright._base import jsonform
from modelwright._base.optional import require
from modelwright.automl.models.base import MODEL_FILE, Array, FitContext, Part, widen

__all__ = ["LightGBM"]

_MODEL_TEXT = "model.txt"
_ROUNDS_WITHOUT_VALIDATION = 200
_LOOK_AT_CLOCK_EVERY = 5
_LEAST_GAIN = 1e-4
_CONSTANT = {
    "verbosity": -1,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "bagging_freq": 1,
    "feature_pre_filter": False,
    "max_cat_to_onehot": 8,
}


class LightGBM:
    """Boosted trees for classes and values; knows NaN and codes of categories without preparation.

    Parameters
    ----------
    arguments : mapping
        LightGBM's parameters under its own names, and ``num_rounds``, the most rounds: training stops
        earlier where the validation part gets no better.
    preparation : mapping
        Must be empty.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.random((200, 3))
    >>> part = Part(X, (X[:, 0] > 0.5).astype(int))
    >>> model = LightGBM({"num_rounds": 50}, {}).fit(part, FitContext(["number"] * 3, "binary", 2))
    >>> model.predict(np.array([[0.9, 0.5, 0.5]])).round(1).tolist()
    [[0.0, 1.0]]
    """

    kind: ClassVar[str] = "lightgbm"

    def __init__(self, arguments: Mapping[str, Any], preparation: Mapping[str, Any]) -> None:
        if preparation:
            raise ValueError(f"LightGBM takes the base matrix as it is, without {sorted(preparation)}")
        self._arguments = dict(arguments)

    def fit(self, train: Part, context: FitContext, valid: Part | None = None) -> Self:
        """Learn from `train`, and stop when `valid` gets no better."""
        lightgbm = require("lightgbm", extra="tabular", feature="the method 'lgbm'")
        self._n_classes = context.n_classes
        self._n_features = train.X.shape[1]
        self._classes = np.unique(train.y) if context.classifies else np.empty(0, dtype=np.int64)
        settings = {
            **_CONSTANT,
            **_objective(len(self._classes)),
            **self._arguments,
            "seed": context.seed % 2**31,
        }
        rounds = int(settings.pop("num_rounds", 1000))
        settings.setdefault("min_data_per_group", int(np.clip(len(train.y) // 50, 5, 100)))
        data = self._dataset(lightgbm, train, settings, context)
        callbacks = [] if context.deadline is None else [_deadline(lightgbm, context.deadline)]
        judged = [] if valid is None else self._judged(data, valid)
        if judged:
            patience, least = _patience(len(train.y)), _least_gain(train.y, context)
            callbacks.append(lightgbm.early_stopping(patience, min_delta=least, verbose=False))
        else:
            rounds = min(rounds, _ROUNDS_WITHOUT_VALIDATION)
        self._booster = lightgbm.train(
            settings, data, num_boost_round=rounds, valid_sets=judged, callbacks=callbacks
        )
        self._rounds = self._booster.best_iteration if judged else self._booster.current_iteration()
        return self

    def _dataset(self, lightgbm: Any, part: Part, settings: Mapping[str, Any], context: FitContext) -> Any:
        categories = [at for at, kind in enumerate(context.feature_kinds) if kind == "category"]
        return lightgbm.Dataset(
            np.asarray(part.X),
            self._labels(part.y),
            weight=part.weight,
            categorical_feature=categories,
            params=dict(settings),
        )

    def _judged(self, data: Any, valid: Part) -> list[Any]:
        """Return the validation rows whose class is known from training."""
        known = np.isin(valid.y, self._classes) if len(self._classes) else np.full(len(valid.y), True)
        if not known.any():
            return []
        weight = None if valid.weight is None else valid.weight[known]
        return [data.create_valid(np.asarray(valid.X)[known], self._labels(valid.y[known]), weight=weight)]

    def _labels(self, y: Array) -> Array:
        return np.searchsorted(self._classes, y) if len(self._classes) else np.asarray(y, dtype=float)

    def predict(self, X: Array) -> Array:
        """Return probabilities of shape (n, k), or values of shape (n,)."""
        raw = np.asarray(
            self._booster.predict(np.asarray(X), num_iteration=self._rounds, num_threads=1), dtype=float
        )
        if not len(self._classes):
            return raw
        if raw.ndim == 1:
            raw = np.column_stack([1 - raw, raw])
        return widen(raw, self._classes, self._n_classes)

    def feature_importance(self) -> Array | None:
        """Return the total gain of each feature."""
        gain = self._booster.feature_importance("gain", iteration=self._rounds)
        return np.asarray(gain, dtype=float)

    def save(self, folder: Path) -> None:
        """Write the model to `folder`."""
        self._booster.save_model(folder / _MODEL_TEXT, num_iteration=self._rounds)
        form = {
            "kind": self.kind,
            "rounds": self._rounds,
            "classes": self._classes.tolist(),
            "n_classes": self._n_classes,
        }
        (folder / MODEL_FILE).write_text(jsonform.dumps(form), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        lightgbm = require("lightgbm", extra="tabular", feature="the method 'lgbm'")
        form = jsonform.loads((folder / MODEL_FILE).read_bytes())
        model = cls({}, {})
        model._booster = lightgbm.Booster(model_file=folder / _MODEL_TEXT)
        model._rounds = form["rounds"]
        model._classes = np.asarray(form["classes"], dtype=np.int64)
        model._n_classes = form["n_classes"]
        return model


def _objective(n_present: int) -> dict[str, Any]:
    if n_present == 0:
        return {"objective": "regression"}
    if n_present <= 2:
        return {"objective": "binary"}
    return {"objective": "multiclass", "num_class": n_present}


def _patience(n_rows: int) -> int:
    """Rounds without progress before training stops: scores of few rows wander, rounds on many rows cost."""
    return int(np.clip(1_000_000 // max(n_rows, 1), 30, 100))


def _least_gain(y: Array, context: FitContext) -> float:
    """Return what counts as progress: gains beyond it on a few hundred rows are luck, and cost rounds."""
    return _LEAST_GAIN if context.classifies else _LEAST_GAIN * float(np.var(y))


def _deadline(lightgbm: Any, moment_s: float) -> Any:
    """Return a callback that ends training when the time has come."""

    def look(environment: Any) -> None:
        if environment.iteration % _LOOK_AT_CLOCK_EVERY == 0 and time.monotonic() > moment_s:
            raise lightgbm.callback.EarlyStopException(
                environment.iteration, environment.evaluation_result_list
            )

    look.order = 40  # type: ignore[attr-defined]  # after early stopping has noted the round
    return look
