"""The search as scikit-learn estimators."""

from __future__ import annotations

import shutil
import tempfile
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from modelwright.automl.bundle import Bundle
from modelwright.automl.data.frames import as_frame
from modelwright.automl.fit import fit_table
from modelwright.automl.leaderboard import read_leaderboard
from modelwright.automl.prepare import Tables
from modelwright.automl.settings import FitSettings
from modelwright.errors import InputError, StudyStateError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["TabularClassifier", "TabularRegressor"]


class _TabularEstimator(BaseEstimator):  # type: ignore[misc]
    """What both have in common; constructors only store, as scikit-learn wants it."""

    _task: str | None = None

    def __init__(
        self,
        *,
        time: float | None = 60.0,
        trials: int | None = None,
        metric: str | None = None,
        methods: Sequence[str] | None = None,
        selector: str = "bestk",
        tuner: str = "tpe",
        folds: int | None = None,
        jobs: int | None = None,
        memory_mb: float | None = None,
        executor: str = "local",
        address: str = "",
        random_state: int = 0,
        out: str | Path | None = None,
    ) -> None:
        self.time = time
        self.trials = trials
        self.metric = metric
        self.methods = methods
        self.selector = selector
        self.tuner = tuner
        self.folds = folds
        self.jobs = jobs
        self.memory_mb = memory_mb
        self.executor = executor
        self.address = address
        self.random_state = random_state
        self.out = out

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Search for the best model.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)
            The features; categories, dates, texts and missing values as they come.
        y : array-like of shape (n_samples,)
            The target.
        X_val, y_val : optional
            Rows to judge models by, instead of cross-validation.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each row, in fitting and in scoring.

        Returns
        -------
        self
        """
        started_s = time.monotonic()
        if (X_val is None) != (y_val is None):
            raise InputError("expected X_val and y_val together, got one of them.")
        features = as_frame(X)
        target = _free_name(features, y)
        valid = None if X_val is None else _joined(as_frame(X_val, names=_names(features)), y_val, target)
        tables = Tables(
            _joined(features, y, target),
            valid=valid,
            weight=None if sample_weight is None else np.asarray(sample_weight, dtype=float),
        )
        settings = FitSettings(
            target=target,
            task=self._task_of(y),
            metric=self.metric,
            time_s=self.time,
            trials=self.trials,
            seed=self.random_state,
            holdout=0.0,
            folds=self.folds,
            methods=None if self.methods is None else tuple(self.methods),
            selector=self.selector,
            tuner=self.tuner,
            jobs=self.jobs or 0,
            memory_mb=self.memory_mb,
            executor=self.executor,
            address=self.address,
        )
        folder = Path(self.out) if self.out else self._temporary_folder()
        result = fit_table(None, settings, out=folder, tables=tables, started_s=started_s)
        self.run_folder_ = result.folder.path
        if not result.folder.bundle.exists():
            raise StudyStateError(
                "no model was found in the time given.",
                hint="Allow more time, or look at the failures in the folder given as `out`.",
            )
        self._adopt(Bundle.load(result.folder.bundle), _names(features))
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the label, or the value, for each row of `X`."""
        check_is_fitted(self, "bundle_")
        return np.asarray(self.bundle_.predict(self._frame(X)))

    def save(self, path: str | Path) -> Path:
        """Save the model as a bundle: a new folder, or one file if `path` ends in ``.zip``.

        Raises
        ------
        BundleError
            `path` exists.
        """
        check_is_fitted(self, "bundle_")
        return self.bundle_.save(path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Return an estimator that predicts with the bundle, or the run, in `path`."""
        bundle = Bundle.load(path)
        regression = bundle.schema.task == "regression"
        if regression != issubclass(cls, RegressorMixin):
            raise InputError(f"the bundle is for {bundle.schema.task}, which {cls.__name__} does not do.")
        estimator = cls()
        estimator._adopt(bundle, list(bundle.schema.names))
        return estimator

    def leaderboard(self) -> pd.DataFrame:
        """Return every model of the search, best first."""
        check_is_fitted(self, "bundle_")
        if not hasattr(self, "run_folder_"):
            raise StudyStateError("a loaded model has no leaderboard; only the run that found it has.")
        board = read_leaderboard(self.run_folder_)
        table = pd.DataFrame(board.to_json()["rows"])
        numbers = ["score", "score_std", "test_score", "fit_s", "predict_s", "size_bytes"]
        return table.astype({**dict.fromkeys(numbers, float), "trial": "Int64"})

    def feature_importance(self) -> pd.DataFrame:
        """Return how much each feature counts, the most important first."""
        check_is_fitted(self, "bundle_")
        return self.bundle_.feature_importance()

    def _task_of(self, y: ArrayLike) -> str | None:
        return self._task

    def _temporary_folder(self) -> Path:
        """Return a folder that goes when the estimator goes; the bundle is in memory by then."""
        folder = Path(tempfile.mkdtemp(prefix="modelwright-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return folder / "run"

    def _adopt(self, bundle: Bundle, names: list[str]) -> None:
        self.bundle_ = bundle
        self.n_features_in_ = len(names)
        self.feature_names_in_ = np.asarray(names, dtype=object)

    def _frame(self, X: Any) -> pd.DataFrame:
        return as_frame(X, names=list(self.feature_names_in_))


class TabularClassifier(ClassifierMixin, _TabularEstimator):  # type: ignore[misc]
    """Finds the best classifier, or ensemble of classifiers, for a table.

    Parameters
    ----------
    time : float, default=60
        Seconds for `fit`, all of it.
    trials : int, optional
        Models to try; with ``time=None`` the only budget.
    metric : str, optional
        What to optimize: ``roc_auc`` for two classes, ``log_loss`` for more by default.
    methods : sequence of str, optional
        Codes of methods, or paths of method files.
    selector, tuner : str
        Who picks the partition, and who its numbers.
    folds : int, optional
        Cross-validation folds; by the size of the table by default, 1 for a holdout.
    jobs : int, optional
        Trials at a time; one per core by default.
    memory_mb : float, optional
        Limit of each trial.
    executor : {"local", "dask"}, default="local"
        Where trials run: on this machine, or on a Dask cluster whose workers reach the folder `out`.
    address : str, default=""
        Of the scheduler of the cluster.
    random_state : int, default=0
        All randomness derives from it.
    out : str or Path, optional
        Folder to keep the run in; a temporary one by default.

    Attributes
    ----------
    classes_ : ndarray
        The labels, in the order of `predict_proba`.
    bundle_ : Bundle
        The saved model.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> model = TabularClassifier(time=None, trials=2, methods=["dt"], jobs=1).fit(X, y)
    >>> model.score(X, y) > 0.9
    True
    """

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class for each row, shape (n_samples, n_classes)."""
        check_is_fitted(self, "bundle_")
        return np.asarray(self.bundle_.predict_proba(self._frame(X)))

    def _task_of(self, y: ArrayLike) -> str:
        return "classification"

    def _adopt(self, bundle: Bundle, names: list[str]) -> None:
        super()._adopt(bundle, names)
        self.classes_ = np.asarray(bundle.schema.classes)


class TabularRegressor(RegressorMixin, _TabularEstimator):  # type: ignore[misc]
    """Finds the best regressor, or ensemble of regressors, for a table.

    Parameters are those of `TabularClassifier`; `metric` is ``rmse`` by default.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> model = TabularRegressor(time=None, trials=2, methods=["dt"], jobs=1).fit(X, y)
    >>> model.predict(X[:3]).shape
    (3,)
    """

    _task = "regression"


def _names(features: pd.DataFrame) -> list[str]:
    return [str(name) for name in features.columns]


def _free_name(features: pd.DataFrame, y: Any) -> str:
    name = str(getattr(y, "name", None) or "target")
    while name in features:
        name += "_"
    return name


def _joined(features: pd.DataFrame, y: Any, target: str) -> pd.DataFrame:
    values = np.asarray(y)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.shape != (len(features),):
        raise InputError(
            f"expected one target for each of the {len(features)} rows, got shape {values.shape}."
        )
    return features.assign(**{target: values})
