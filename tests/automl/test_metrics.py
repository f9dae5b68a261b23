"""The metrics agree with scikit-learn's, and say NaN where there is no answer."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from modelwright.automl.metrics import all_metrics, default_metric, metric, scores
from modelwright.errors import InputError, UnknownNameError

BINARY: dict[str, Callable[..., float]] = {
    "accuracy": lambda y, p, w: sk.accuracy_score(y, p.argmax(1), sample_weight=w),
    "balanced_accuracy": lambda y, p, w: sk.balanced_accuracy_score(y, p.argmax(1), sample_weight=w),
    "cohen_kappa": lambda y, p, w: sk.cohen_kappa_score(y, p.argmax(1), sample_weight=w),
    "f1": lambda y, p, w: sk.f1_score(y, p.argmax(1), sample_weight=w),
    "mcc": lambda y, p, w: sk.matthews_corrcoef(y, p.argmax(1), sample_weight=w),
    "roc_auc": lambda y, p, w: sk.roc_auc_score(y, p[:, 1], sample_weight=w),
    "ap": lambda y, p, w: sk.average_precision_score(y, p[:, 1], sample_weight=w),
    "log_loss": lambda y, p, w: sk.log_loss(y, p, sample_weight=w),
    "brier": lambda y, p, w: sk.brier_score_loss(y, p[:, 1], sample_weight=w),
}
MULTICLASS: dict[str, Callable[..., float]] = {
    "accuracy": BINARY["accuracy"],
    "balanced_accuracy": BINARY["balanced_accuracy"],
    "cohen_kappa": BINARY["cohen_kappa"],
    "f1_macro": lambda y, p, w: sk.f1_score(y, p.argmax(1), average="macro", sample_weight=w),
    "f1_micro": lambda y, p, w: sk.f1_score(y, p.argmax(1), average="micro", sample_weight=w),
    "roc_auc_macro": lambda y, p, w: sk.roc_auc_score(
        y, p, multi_class="ovr", average="macro", sample_weight=w
    ),
    "roc_auc_micro": lambda y, p, w: sk.roc_auc_score(
        y, p, multi_class="ovr", average="micro", sample_weight=w
    ),
    "log_loss": BINARY["log_loss"],
    "rank_accuracy": lambda y, p, w: sk.top_k_accuracy_score(y, p, k=2, sample_weight=w),
    "brier": lambda y, p, w: np.average(((p - np.eye(p.shape[1])[y]) ** 2).sum(1), weights=w),
}
REGRESSION: dict[str, Callable[..., float]] = {
    "rmse": lambda y, p, w: sk.root_mean_squared_error(y, p, sample_weight=w),
    "mse": lambda y, p, w: sk.mean_squared_error(y, p, sample_weight=w),
    "mae": lambda y, p, w: sk.mean_absolute_error(y, p, sample_weight=w),
    "r2": lambda y, p, w: sk.r2_score(y, p, sample_weight=w),
    "msle": lambda y, p, w: sk.mean_squared_log_error(y, p, sample_weight=w),
}


def classification(k: int, seed: int, *, ties: bool) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(k), rng.integers(0, k, 120)])
    p = rng.random((len(y), k)) + 0.5 * np.eye(k)[y]
    if ties:
        p = np.ceil(p * 3)
    return y, p / p.sum(axis=1, keepdims=True), rng.integers(1, 4, len(y)).astype(float)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("name", BINARY)
def test_binary_metrics_are_those_of_scikit_learn(name: str, ties: bool, weighted: bool) -> None:
    for seed in range(5):
        y, p, weight = classification(2, seed, ties=ties)
        w = weight if weighted else None
        assert metric(name, "binary").score(y, p, w) == pytest.approx(BINARY[name](y, p, w), rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", MULTICLASS)
def test_multiclass_metrics_are_those_of_scikit_learn(name: str, weighted: bool) -> None:
    for seed in range(5):
        y, p, weight = classification(5, seed, ties=False)
        w = weight if weighted else None
        assert metric(name, "multiclass").score(y, p, w) == pytest.approx(
            MULTICLASS[name](y, p, w), rel=1e-12
        )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", REGRESSION)
def test_regression_metrics_are_those_of_scikit_learn(name: str, weighted: bool) -> None:
    rng = np.random.default_rng(3)
    y, p, weight = rng.random(80) * 9, rng.random(80) * 9, rng.random(80)
    w = weight if weighted else None
    assert metric(name, "regression").score(y, p, w) == pytest.approx(REGRESSION[name](y, p, w), rel=1e-12)


def test_the_median_error_counts_rows_by_their_weight() -> None:
    y, p = np.zeros(3), np.array([1.0, 2.0, 10.0])
    assert metric("medae", "regression").score(y, p) == sk.median_absolute_error(y, p) == 2.0
    assert metric("medae", "regression").score(y, p, np.array([1.0, 1.0, 5.0])) == 10.0


def test_every_listed_metric_has_a_reference_here() -> None:
    listed = {
        task: {item.name for item in all_metrics(task)} for task in ("binary", "multiclass", "regression")
    }
    assert listed == {
        "binary": set(BINARY),
        "multiclass": set(MULTICLASS),
        "regression": {*REGRESSION, "medae"},
    }


def test_rank_accuracy_asks_for_the_top_third() -> None:
    p = np.array([[0.5, 0.3, 0.1, 0.05, 0.03, 0.02]] * 3)
    # A third of six classes are two: classes 0 and 1 pass, 2 does not.
    assert metric("rank_accuracy", "multiclass").score(np.array([0, 1, 2]), p) == pytest.approx(2 / 3)
    # Equal probabilities: the first classes are the top ones, not all of them.
    equal = np.full((6, 6), 1 / 6)
    assert metric("rank_accuracy", "multiclass").score(np.arange(6), equal) == pytest.approx(1 / 3)


def test_area_of_several_classes_leaves_out_absent_ones() -> None:
    y, p, _ = classification(3, 1, ties=False)
    here = y < 2
    expected = np.mean([sk.roc_auc_score(y[here] == code, p[here][:, code]) for code in (0, 1)])
    assert metric("roc_auc_macro", "multiclass").score(y[here], p[here]) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["roc_auc", "cohen_kappa"])
def test_one_class_leaves_a_metric_undefined(name: str) -> None:
    p = np.array([[0.9, 0.1], [0.8, 0.2]])
    assert math.isnan(metric(name, "binary").score(np.zeros(2, dtype=int), p))


def test_a_constant_target_leaves_r2_undefined() -> None:
    assert math.isnan(metric("r2", "regression").score(np.full(9, 0.1), np.arange(9.0)))


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_prediction_that_is_not_finite_scores_nan(task: str, bad: float) -> None:
    k = {"binary": 2, "multiclass": 3, "regression": 0}[task]
    p = np.full((6, k), 1 / k) if k else np.zeros(6)
    p[0] = bad
    y = np.arange(6) % k if k else np.arange(6.0)
    assert all(math.isnan(value) for value in scores(task, y, p).values())
    assert all(math.isnan(value) for value in scores(task, y[:0], p[:0]).values())


def test_a_huge_error_is_infinite_and_warns_nobody() -> None:
    assert metric("rmse", "regression").score(np.zeros(2), np.full(2, 1e300)) == math.inf


def test_a_certain_mistake_costs_a_finite_log_loss() -> None:
    p = np.array([[1.0, 0.0], [1.0, 0.0]])
    assert metric("log_loss", "binary").score(np.array([0, 1]), p) == pytest.approx(18.02, abs=0.01)


@pytest.mark.parametrize(
    ("name", "task", "expected"),
    [
        ("f1_micro", "binary", "f1"),
        ("f1_macro", "binary", "f1"),
        ("roc_auc_micro", "binary", "roc_auc"),
        ("roc_auc_macro", "binary", "roc_auc"),
        ("f1", "multiclass", "f1_macro"),
        ("roc_auc", "multiclass", "roc_auc_macro"),
        ("average_precision", "binary", "ap"),
        ("neg_log_loss", "multiclass", "log_loss"),
        ("neg_root_mean_squared_error", "regression", "rmse"),
        ("RMSE", "regression", "rmse"),
        (None, "binary", "roc_auc"),
        ("auto", "multiclass", "log_loss"),
        (None, "regression", "rmse"),
    ],
)
def test_names_are_cast_to_the_task(name: str | None, task: str, expected: str) -> None:
    assert metric(name, task).name == expected


@pytest.mark.parametrize(
    ("name", "task"),
    [("mcc", "multiclass"), ("rank_accuracy", "binary"), ("rmse", "binary"), ("accuracy", "regression")],
)
def test_a_metric_of_another_task_is_refused(name: str, task: str) -> None:
    with pytest.raises(
        InputError, match=f"'{name}' is not defined for a {task} task. Choose one of"
    ) as caught:
        metric(name, task)
    assert caught.value.code == "E_METRIC"


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"no metric is called 'acuracy'. Did you mean 'accuracy'"):
        metric("acuracy", "binary")
    with pytest.raises(InputError, match="expected a task of 'binary'"):
        default_metric("clustering")


def test_a_loss_is_less_for_better_predictions() -> None:
    y = np.array([0, 1, 0, 1])
    good = np.array([[0.9, 0.1], [0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    for item in all_metrics("binary"):
        assert item.loss(y, good) < item.loss(y, good[:, ::-1])
    for item in all_metrics("regression"):
        assert item.loss(y, y + 0.1) < item.loss(y, y + 0.9 * np.arange(4))
