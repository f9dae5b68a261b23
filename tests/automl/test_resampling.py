"""Parts are disjoint, stratified and repeatable, and no class is lost from training."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from modelwright.automl.data.findings import Finding
from modelwright.automl.resampling import choose_plan, plan, split_holdout
from modelwright.errors import DataError, InputError


def labels(*counts: int, seed: int = 0) -> Any:
    y = np.repeat(np.arange(len(counts)), counts)
    return np.random.default_rng(seed).permutation(y)


def test_folds_share_out_all_rows() -> None:
    y = labels(50, 30, 21)
    pairs = plan("multiclass", y, folds=4, seed=3)
    assert sorted(np.concatenate([valid for _, valid in pairs])) == list(range(101))
    for train, valid in pairs:
        assert sorted([*train, *valid]) == list(range(101))
        assert (np.diff(train) > 0).all()
        assert (np.diff(valid) > 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_folds_hold_equal_parts_of_each_class(seed: int) -> None:
    y = labels(50, 30, 21, 7, seed=seed)
    parts = [valid for _, valid in plan("multiclass", y, folds=5, seed=seed)]
    counts = np.array([np.bincount(y[part], minlength=4) for part in parts])
    assert (counts.max(axis=0) - counts.min(axis=0) <= 1).all()
    assert np.ptp(counts.sum(axis=1)) <= 1


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("strategy", ["cv", "holdout"])
def test_training_never_loses_a_class(strategy: str, seed: int) -> None:
    y = labels(40, 2, 3, 1, 2, seed=seed)
    single = int(np.flatnonzero(y == 3)[0])
    for train, valid in plan("multiclass", y, strategy=strategy, folds=5, fraction=0.6, seed=seed):
        assert set(y[train]) == {0, 1, 2, 3, 4}
        assert single not in valid
        if strategy == "holdout":
            assert set(y[valid]) == {0, 1, 2, 4}


def test_small_classes_are_told() -> None:
    findings: list[Finding] = []
    plan("multiclass", labels(40, 3, 1), folds=5, findings=findings)
    assert [finding.code for finding in findings] == ["W_CLASS_ONE_ROW", "I_CLASS_FEW_ROWS"]
    findings.clear()
    plan("multiclass", labels(40, 30), folds=5, findings=findings)
    plan("regression", np.arange(9.0), folds=5, findings=findings)
    assert findings == []


def test_folds_see_the_same_spread_of_values() -> None:
    y = np.random.default_rng(1).permutation(np.arange(100.0))
    for _, valid in plan("regression", y, folds=5, seed=2):
        # One of each five neighbours: 20 values, and their quartiles are off by less than one block.
        assert len(valid) == 20
        assert np.quantile(y[valid], [0.25, 0.5, 0.75]) == pytest.approx([25, 50, 75], abs=5)


@pytest.mark.parametrize("task", ["binary", "regression"])
@pytest.mark.parametrize("strategy", ["cv", "holdout"])
def test_a_seed_decides(task: str, strategy: str) -> None:
    y = labels(40, 20) if task == "binary" else np.arange(60.0)

    def rows(seed: int) -> list[list[int]]:
        return [valid.tolist() for _, valid in plan(task, y, strategy=strategy, seed=seed)]

    assert rows(1) == rows(1)
    assert rows(1) != rows(2)


def test_repeats_are_shuffled_anew() -> None:
    y = labels(20, 20)
    pairs = plan("binary", y, folds=4, repeats=3, seed=1)
    assert len(pairs) == 12
    assert len({tuple(valid) for _, valid in pairs}) == 12
    once = plan("binary", y, folds=4, repeats=1, seed=1)
    assert [valid.tolist() for _, valid in pairs[:4]] == [valid.tolist() for _, valid in once]


@pytest.mark.parametrize(("n", "fraction"), [*product([10, 101, 1000], [0.1, 0.2, 1 / 3, 0.5])])
def test_a_holdout_has_the_size_asked_for(n: int, fraction: float) -> None:
    train, valid = split_holdout("regression", np.arange(float(n)), fraction, seed=5)
    assert len(valid) == round(n * fraction)
    assert sorted([*train, *valid]) == list(range(n))
    y = np.arange(n) % 2
    _, valid = split_holdout("binary", y, fraction, seed=5)
    assert abs(np.bincount(y[valid], minlength=2) - n * fraction / 2).max() <= 1


def test_no_test_part_leaves_all_rows_to_the_search() -> None:
    train, test = split_holdout("binary", labels(5, 5), 0, seed=1)
    assert train.tolist() == list(range(10))
    assert test.tolist() == []


def test_more_folds_than_rows_are_cut() -> None:
    pairs = plan("regression", np.arange(4.0), folds=10)
    assert [len(valid) for _, valid in pairs] == [1, 1, 1, 1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"strategy": "bootstrap"},
        {"folds": 1},
        {"repeats": 0},
        {"strategy": "holdout", "fraction": 1.0},
        {"strategy": "holdout", "fraction": 0.0},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected"):
        plan("binary", labels(5, 5), **wrong)


def test_one_row_cannot_be_split() -> None:
    with pytest.raises(DataError, match="two rows or more"):
        plan("binary", np.zeros(1, dtype=int))


@pytest.mark.parametrize(
    ("rows", "features", "time_s", "expected"),
    [
        (1_000, 20, 60.0, ("cv", 8)),
        (1_999, 20, None, ("cv", 8)),
        (2_000, 20, 60.0, ("cv", 5)),
        (20_000, 20, None, ("cv", 5)),
        (20_001, 2, None, ("holdout", 1)),
        (1_000, 5_000, 60.0, ("holdout", 1)),
        (500, 1_000, 60.0, ("cv", 3)),
    ],
)
def test_the_plan_fits_the_table_and_the_time(
    rows: int, features: int, time_s: float | None, expected: tuple[str, int]
) -> None:
    chosen = choose_plan(rows, features, time_s, "binary")
    assert (chosen.strategy, chosen.folds) == expected
    if rows <= 1_000:
        y = labels(rows // 2, rows - rows // 2)
        assert len(chosen.splits("binary", y, seed=1)) == chosen.folds
