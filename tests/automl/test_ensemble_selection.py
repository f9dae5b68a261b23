"""Ensemble selection against the method written down plainly, and on cases with a known answer."""

from __future__ import annotations

import math
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import pytest

from modelwright.automl.ensemble.candidates import make_candidates
from modelwright.automl.ensemble.selection import EnsembleSelection
from modelwright.automl.metrics import all_metrics, metric
from modelwright.errors import InputError

RNG = np.random.default_rng


def case(task: str, m: int = 5, n: int = 60, seed: int = 0) -> tuple[Any, Any, Any]:
    """Return predictions of m models of different quality, the truth and weights."""
    rng = RNG(seed)
    weight = rng.random(n) + 0.1
    if task == "regression":
        y = rng.random(n) * 3
        return y + rng.normal(size=(m, n)) * np.linspace(0.3, 1, m)[:, None], y, weight
    k = 2 if task == "binary" else 3
    y = rng.integers(0, k, n)
    raw = rng.random((m, n, k)) + np.eye(k)[y] * np.linspace(1.2, 0.2, m)[:, None, None]
    return raw / raw.sum(axis=2, keepdims=True), y, weight


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("weighted", [False, True])
def test_every_step_takes_the_best_of_all_candidates(task: str, weighted: bool) -> None:
    P, y, weight = case(task)
    weight = weight if weighted else None
    for item in all_metrics(task):
        selection = EnsembleSelection(metric=item, size=8, best_prefix=False).fit(P, y, RNG(0), weight=weight)
        total = np.zeros_like(P[0])
        for step, j in enumerate(selection.chosen, start=1):
            losses = [item.loss(y, (total + p) / step, weight) for p in P]
            assert losses[j] <= np.nanmin(losses) + 1e-6, (item.name, step)
            assert selection.losses[step - 1] == pytest.approx(losses[j], abs=1e-6)
            total += P[j]


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_fast_ways_agree_with_the_metrics(task: str) -> None:
    P, y, weight = case(task)
    for item in all_metrics(task):
        for given in (None, weight):
            candidates = make_candidates(item, P, y, given)
            candidates.add(2)
            candidates.add(0)
            expected = [item.loss(y, (P[2] + P[0] + p) / 3, given) for p in P]
            np.testing.assert_allclose(candidates.losses(3), expected, rtol=1e-6, err_msg=item.name)


def test_auc_with_many_ties_agrees() -> None:
    rng = RNG(3)
    y = rng.integers(0, 2, 500)
    second = np.round(rng.random((4, 500)), 1)
    P = np.stack([1 - second, second], axis=2)
    auc = metric("roc_auc", "binary")
    expected = [auc.loss(y, p) for p in P]
    np.testing.assert_allclose(make_candidates(auc, P, y, None).losses(1), expected, rtol=1e-12)


def test_a_small_case_by_brute_force() -> None:
    P, y, _ = case("regression", m=3, n=30, seed=4)
    rmse = metric("rmse", "regression")
    selection = EnsembleSelection(metric=rmse, size=6).fit(P, y, RNG(0))
    best = min(
        rmse.loss(y, P[list(members)].mean(axis=0))
        for size in range(1, 7)
        for members in combinations_with_replacement(range(3), size)
    )
    found = rmse.loss(y, selection.predict(P))
    assert found == pytest.approx(min(selection.losses))
    # Greedy steps need not reach the optimum of all mixtures, but come close to it and beat each single one.
    assert best <= found < min(rmse.loss(y, p) for p in P)
    assert found < 1.02 * best


def test_weights_are_shares_of_the_members() -> None:
    P, y, _ = case("binary")
    loss = metric("log_loss", "binary")
    selection = EnsembleSelection(metric=loss, size=25, best_prefix=False).fit(P, y, RNG(0))
    assert len(selection.chosen) == len(selection.losses) == 25
    assert selection.weights.tolist() == [selection.chosen.count(j) / 25 for j in range(5)]
    np.testing.assert_allclose(selection.predict(P), np.tensordot(selection.weights, P, axes=1))
    members = [p for p, share in zip(P, selection.weights, strict=True) if share > 0]
    assert 0 < len(members) < 5
    np.testing.assert_array_equal(selection.predict(members), selection.predict(P))
    with pytest.raises(InputError, match="all 5 candidates"):
        selection.predict([*P, P[0]])


def test_the_best_prefix_is_kept() -> None:
    y = np.array([1.0, 2.0, 3.0])
    # The first alone is perfect, so every further step can only keep it.
    selection = EnsembleSelection(metric=metric("mae", "regression"), size=9).fit([y, y + 1], y, RNG(0))
    assert selection.chosen == [0]
    assert len(selection.losses) == 9


def test_members_come_first_among_equals_then_chance() -> None:
    y = np.array([0.0, 1.0, 4.0])
    twins = [y + 1, y + 1, y + 1]
    rmse = metric("rmse", "regression")
    chosen = [
        EnsembleSelection(metric=rmse, size=5, best_prefix=False).fit(twins, y, RNG(seed)).chosen
        for seed in range(30)
    ]
    assert all(len(set(steps)) == 1 for steps in chosen)
    assert {steps[0] for steps in chosen} == {0, 1, 2}


def test_a_warm_start_begins_with_the_best_single_models() -> None:
    P, y, _ = case("regression")
    rmse = metric("rmse", "regression")
    single = [rmse.loss(y, p) for p in P]
    selection = EnsembleSelection(metric=rmse, size=10, warm_start=3).fit(P, y, RNG(0))
    assert selection.chosen[:3] == np.argsort(single)[:3].tolist()


def test_one_candidate_is_the_ensemble() -> None:
    P, y, _ = case("binary", m=1)
    selection = EnsembleSelection(metric=metric("roc_auc", "binary"), size=25).fit(P, y, RNG(0))
    assert (selection.weights.tolist(), selection.losses) == ([1.0], selection.losses[:1])


def test_a_candidate_without_a_loss_is_never_taken() -> None:
    y = np.array([0.5, 1.0, 2.0])
    msle = metric("msle", "regression")
    selection = EnsembleSelection(metric=msle, size=4).fit([np.full(3, -5.0), y + 1], y, RNG(0))
    assert selection.weights.tolist() == [0.0, 1.0]
    with pytest.raises(InputError, match="not defined for any"):
        EnsembleSelection(metric=msle).fit([np.full(3, -5.0)], y, RNG(0))


@pytest.mark.parametrize(
    "predictions", [[], np.zeros((2, 4)), [[math.nan, 0.0, 1.0]]], ids=["none", "other rows", "not finite"]
)
def test_unusable_predictions_are_refused(predictions: Any) -> None:
    with pytest.raises(InputError, match="finite predictions"):
        EnsembleSelection(metric=metric("rmse", "regression")).fit(predictions, np.zeros(3), RNG(0))


def test_a_size_below_one_is_refused() -> None:
    with pytest.raises(InputError, match="at least 1"):
        EnsembleSelection(metric=metric("rmse", "regression"), size=0)
