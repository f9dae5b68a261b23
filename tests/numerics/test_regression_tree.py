import numpy as np
import pytest

from modelwright.numerics.regression_tree import grow


def best_split_by_hand(X: np.ndarray, y: np.ndarray, min_leaf: int) -> float:
    """The least squared error that one split leaves."""
    least = np.inf
    for j in range(X.shape[1]):
        for threshold in np.unique(X[:, j])[:-1]:
            left = X[:, j] <= threshold
            if min(left.sum(), (~left).sum()) >= min_leaf:
                error = sum(((y[part] - y[part].mean()) ** 2).sum() for part in (left, ~left))
                least = min(least, error)
    return least


@pytest.mark.parametrize("min_leaf", [1, 4])
def test_the_first_split_is_the_best_there_is(min_leaf: int) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        X = np.round(rng.random((15, 3)), 1)
        y = rng.random(15)
        tree = grow(X, y, min_leaf=min_leaf)
        left = X[:, tree.feature[0]] <= tree.threshold[0]
        error = sum(((y[part] - y[part].mean()) ** 2).sum() for part in (left, ~left))
        assert error == pytest.approx(best_split_by_hand(X, y, min_leaf))


def test_a_full_tree_repeats_what_it_was_given() -> None:
    rng = np.random.default_rng(1)
    X, y = rng.random((60, 4)), rng.random(60)
    assert grow(X, y).predict(X) == pytest.approx(y)


def test_leaves_have_the_rows_that_they_must() -> None:
    rng = np.random.default_rng(2)
    X, y = rng.random((60, 2)), rng.random(60)
    tree = grow(X, y, min_leaf=5)
    counts = np.unique(tree.predict(X), return_counts=True)[1]
    assert counts.min() >= 5
    assert len(counts) > 3


def test_of_equal_splits_the_first_column_is_asked() -> None:
    rng = np.random.default_rng(3)
    choice = rng.integers(0, 2, 50).astype(float)
    follows = np.where(choice > 0, rng.random(50), -1.0)  # who has it is decided by the choice
    y = 3 * choice + 1e-3 * rng.random(50)
    assert grow(np.column_stack([choice, follows]), y).feature[0] == 0
    assert grow(np.column_stack([follows, choice]), y).feature[0] == 0


@pytest.mark.parametrize("y", [np.ones(5), np.full(5, 1e-300)])
def test_equal_values_are_one_leaf(y: np.ndarray) -> None:
    tree = grow(np.random.default_rng(0).random((5, 2)), y)
    assert tree.feature.tolist() == [-1]
    assert tree.predict(np.zeros((2, 2))) == pytest.approx(y[:2])


def test_neighbouring_floats_can_be_told_apart() -> None:
    X = np.array([[1.0], [np.nextafter(1.0, 2.0)]])
    assert grow(X, np.array([0.0, 1.0])).predict(X).tolist() == [0.0, 1.0]
