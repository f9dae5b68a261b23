"""The evaluation of one configuration: fit and judge a model on each fold, and leave its files.

Runs inside the trial's process. What it leaves in the trial's folder::

    oof.npy            predictions for the validation rows of all folds, NaN for rows in none; float32
    test.npy           mean prediction of the fold models for the test rows, if there are any; float32
    models/fold-0/     the model of the first fold, as `Model.save` writes it; and so on
    metrics.json       all metrics by fold and on the test rows, times and sizes
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright._base import jsonform
from modelwright.automl.data import TableStore
from modelwright.automl.methods import Method, find_class, load_methods
from modelwright.automl.metrics import Metric, metric, scores
from modelwright.automl.models import FitContext, Model, Part, make_model
from modelwright.automl.partitions import METHOD
from modelwright.automl.resampling import plan
from modelwright.errors import InputError
from modelwright.study import Result, RunningTrial, TrialPruned

__all__ = ["Evaluation", "TrialFunction", "evaluate", "fold_plan"]

Rows = NDArray[np.int64]

_MOST_WARNINGS = 5
_FORMATS = {".txt": "lightgbm"}  # others are called as their files end


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of a configuration.

    Attributes
    ----------
    value : float
        Mean over the folds of the metric that is optimized, in its own direction; NaN where it is not
        defined or a prediction is not finite.
    metrics : mapping
        ``cv_mean``, ``cv_std`` (population), ``test_score``, ``fit_s``, ``predict_s``, ``size_bytes``,
        ``model_location``, ``metrics_location``, ``folds``, ``folds_done`` and ``warnings``: JSON.
    files : tuple of Path
        What it has left.
    """

    value: float
    metrics: Mapping[str, Any]
    files: tuple[Path, ...]


class TrialFunction:
    """The objective of a search over methods: evaluates the configuration of a trial.

    Parameters
    ----------
    data : str
        Folder of the `TableStore`.
    methods : sequence of str, optional
        Codes and paths of method files; only methods in files of the user's need to be named.
    soft_limit_s : float, optional
        Models that grow step by step stop early enough for all folds to be done in so many seconds.

    Notes
    -----
    Locations of files are as the study's store has them. All files are logged, so trials may run on any
    machine that has the table.
    """

    def __init__(self, data: str, methods: Sequence[str] = (), *, soft_limit_s: float | None = None) -> None:
        self._data = data
        self._methods = tuple(methods)
        self._soft_limit_s = soft_limit_s

    def __call__(self, trial: RunningTrial) -> Result:
        """Evaluate one trial."""
        folder = trial.folder
        assert folder is not None, "the study of a fit has a place for files"
        argument = {
            "data": self._data,
            "methods": self._methods,
            "params": trial.params,
            "seed": trial.seed,
            "soft_limit_s": self._soft_limit_s,
            "partial": True,  # a model judged on fewer folds is better than none
        }
        found = evaluate(argument, folder, trial.report, trial.should_stop, base=folder.parents[1])
        for path in found.files:
            trial.log_artifact(path, format=_FORMATS.get(path.suffix, ""))
        return Result(found.value, metrics=found.metrics)


def evaluate(
    argument: Mapping[str, Any],
    folder: Path,
    report: Callable[[float, float], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    *,
    base: Path | None = None,
) -> Evaluation:
    """Evaluate one configuration.

    Parameters
    ----------
    argument : mapping
        ``data``: folder of the `TableStore`, whose ``meta`` says how to judge. ``params``: a configuration of
        the joint space. ``methods``: codes and paths of method files, if its method is not a shipped one.
        ``seed``. And if wanted ``soft_limit_s``: seconds in which models that grow step by step should be
        done; ``partial``: whether the folds done by then are enough.
    folder : Path
        Where files go; created if need be.
    report : callable, optional
        Called as (mean score so far, fold) after each fold.
    should_stop : callable, optional
        Asked after each fold but the last.
    base : Path, optional
        Locations are relative to it; `folder` by default.

    Raises
    ------
    TrialPruned
        `should_stop` said so.
    TimeoutError
        The soft limit was over before all folds were done, and ``partial`` is not set or no fold is done.
    """
    store = TableStore.open(argument["data"])
    judge = _Judge(store, Path(folder), base or Path(folder))
    method = _method(argument, store.meta["task"])
    limit_s = argument.get("soft_limit_s")
    clock = _Clock(None if limit_s is None else time.monotonic() + limit_s, bool(argument.get("partial")))
    pairs = fold_plan(store)
    for fold, (train, valid) in enumerate(pairs):
        if not clock.goes_on(fold):
            break
        deadline = clock.deadline(len(pairs) - fold)
        judge.run_fold(fold, _model(method, argument["params"]), train, valid, argument["seed"], deadline)
        if report is not None and np.isfinite(judge.value):
            report(judge.value, fold)
        if should_stop is not None and fold + 1 < len(pairs) and should_stop():
            raise TrialPruned
    return judge.finish(len(pairs))


def fold_plan(store: TableStore) -> list[tuple[Rows, Rows]]:
    """Return (training rows, validation rows) of each fold, as the table's ``meta`` says.

    ``strategy`` is ``"cv"``, ``"holdout"``, or ``"given"``: then the rows from ``n_train`` on are for
    validation.
    """
    meta = store.meta
    if meta["strategy"] == "given":
        rows, n_train = np.arange(len(store.y)), meta["n_train"]
        return [(rows[:n_train], rows[n_train:])]
    return plan(
        meta["task"],
        store.y,
        strategy=meta["strategy"],
        folds=meta["folds"],
        repeats=meta.get("repeats", 1),
        fraction=meta.get("fraction", 1 / 3),
        seed=meta["seed"],
    )


def _method(argument: Mapping[str, Any], task: str) -> Method:
    name = argument["params"].get(METHOD)
    files = [item for item in argument.get("methods", ()) if item.endswith(".json")]
    for method in load_methods(files, task) if files else ():
        if method.name == name:
            return method
    if not isinstance(name, str):
        raise InputError(f"expected a configuration with the parameter {METHOD!r}, got {name!r}.")
    return load_methods([name], task)[0]


def _model(method: Method, params: Mapping[str, Any]) -> Model:
    arguments, preparation = method.arguments(params)
    return make_model(find_class(method.class_path), arguments, preparation)


@dataclass(frozen=True, slots=True)
class _Clock:
    """The soft limit, dealt out over the folds."""

    end: float | None
    partial: bool

    def deadline(self, folds_left: int) -> float | None:
        """Return when the next model should be fitted; the rest of its share is for predicting and saving."""
        if self.end is None:
            return None
        now = time.monotonic()
        return now + 0.8 * max(0.0, self.end - now) / folds_left

    def goes_on(self, folds_done: int) -> bool:
        if self.end is None or time.monotonic() < self.end:
            return True
        if self.partial and folds_done:
            return False
        raise TimeoutError(f"the soft time limit was over after {folds_done} folds")


@dataclass(slots=True)
class _Fold:
    """Figures of one fold."""

    scores: dict[str, float]
    fit_s: float
    predict_s: float


@dataclass(slots=True)
class _Judge:
    """Gathers what the folds bring, and writes the files."""

    store: TableStore
    folder: Path
    base: Path
    metric: Metric = field(init=False)
    folds: list[_Fold] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    importance: list[Any] = field(default_factory=list)
    oof: NDArray[np.float64] = field(init=False)
    seen: NDArray[np.int64] = field(init=False)
    test: NDArray[np.float64] | None = None
    finite: bool = True

    def __post_init__(self) -> None:
        meta, y = self.store.meta, self.store.y
        self.metric = metric(meta["metric"], meta["task"])
        shape = (len(y),) if meta["task"] == "regression" else (len(y), meta["n_classes"])
        self.oof = np.zeros(shape)
        self.seen = np.zeros(len(y), dtype=np.int64)
        (self.folder / "models").mkdir(parents=True, exist_ok=True)

    @property
    def value(self) -> float:
        """The mean score of the folds so far."""
        known = [fold.scores[self.metric.name] for fold in self.folds]
        known = [score for score in known if np.isfinite(score)]
        return float(np.mean(known)) if known and self.finite else float("nan")

    def run_fold(
        self, fold: int, model: Model, train: Rows, valid: Rows, seed: int, deadline: float | None
    ) -> None:
        """Fit, predict, judge and save the model of one fold."""
        meta = self.store.meta
        context = FitContext(meta["feature_kinds"], meta["task"], meta["n_classes"], seed, deadline)
        part = self._part(valid)
        started = time.perf_counter()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(self._part(train), context, part)
        fitted = time.perf_counter()
        predicted = model.predict(part.X)
        predict_s = time.perf_counter() - fitted
        self._note(f"{item.category.__name__}: {item.message}" for item in caught)
        self.finite &= bool(np.isfinite(predicted).all())
        found = scores(meta["task"], part.y, predicted, part.weight)
        self.folds.append(_Fold(found, fitted - started, predict_s))
        self.oof[valid] += predicted
        self.seen[valid] += 1
        if self.store.X_test is not None:
            on_test = model.predict(np.asarray(self.store.X_test))
            self.test = on_test if self.test is None else self.test + on_test
        if (gain := model.feature_importance()) is not None:
            self.importance.append(gain)
        place = self.folder / "models" / f"fold-{fold}"
        place.mkdir()
        model.save(place)

    def _part(self, rows: Rows) -> Part:
        store = self.store
        return Part(store.X[rows], store.y[rows], None if store.weight is None else store.weight[rows])

    def _note(self, messages: Any) -> None:
        for message in messages:
            if message not in self.warnings and len(self.warnings) < _MOST_WARNINGS:
                self.warnings.append(message)

    def finish(self, n_folds: int) -> Evaluation:
        """Write predictions and figures, and name the files."""
        with np.errstate(invalid="ignore"):
            mean = self.oof / self.seen.reshape(-1, *[1] * (self.oof.ndim - 1))  # 0/0: NaN where in no fold
        np.save(self.folder / "oof.npy", mean.astype(np.float32), allow_pickle=False)
        on_test: dict[str, float] = {}
        if self.test is not None:
            self.test /= len(self.folds)
            np.save(self.folder / "test.npy", self.test.astype(np.float32), allow_pickle=False)
            on_test = scores(self.store.meta["task"], np.asarray(self.store.y_test), self.test)
        of_folds = [fold.scores[self.metric.name] for fold in self.folds]
        known = [score for score in of_folds if np.isfinite(score)]
        metrics = {
            "cv_mean": _number(self.value),
            "cv_std": _number(float(np.std(known))) if len(known) > 1 else None,
            "test_score": _number(on_test.get(self.metric.name, np.nan)),
            "fit_s": sum(fold.fit_s for fold in self.folds),
            "predict_s": sum(fold.predict_s for fold in self.folds),
            "size_bytes": sum(path.stat().st_size for path in _files(self.folder / "models")),
            "model_location": self._location(self.folder / "models"),
            "metrics_location": self._location(self.folder / "metrics.json"),
            "folds": [_number(score) for score in of_folds],
            "folds_done": [len(self.folds), n_folds],
            "warnings": self.warnings,
        }
        self._write_metrics(on_test, metrics)
        return Evaluation(self.value, metrics, tuple(self._files()))

    def _write_metrics(self, on_test: Mapping[str, float], metrics: Mapping[str, Any]) -> None:
        form = {
            "cv": [_numbers(fold.scores) for fold in self.folds],
            "test": _numbers(on_test),
            "importance": np.mean(self.importance, axis=0).tolist() if self.importance else None,
            **metrics,
        }
        (self.folder / "metrics.json").write_text(jsonform.dumps(form), encoding="utf-8")

    def _files(self) -> list[Path]:
        names = ("oof.npy", "test.npy", "metrics.json")
        paths = [self.folder / name for name in names if (self.folder / name).exists()]
        return [*paths, *_files(self.folder / "models")]

    def _location(self, path: Path) -> str:
        try:
            return path.resolve().relative_to(self.base.resolve()).as_posix()
        except ValueError:
            return str(path)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _numbers(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: _number(value) for name, value in values.items()}
