import numpy as np
import pytest

from modelwright.numerics.forest import Growth, grow

RNG = np.random.default_rng


def smooth(X):
    return np.sin(5 * X[:, 0]) + 2 * (X[:, 1] - 0.4) ** 2 + 0.5 * X[:, 2]


def steps(X):
    return np.floor(4 * X[:, 0]) + 2.0 * (X[:, 1] > 0.6) * (X[:, 2] < 0.5)


def valley(X):
    return np.log(0.01 + ((X - 0.3) ** 2).sum(axis=1))


def share_explained(predicted, true):
    return 1 - np.mean((predicted - true) ** 2) / np.var(true)


# how good the mean is -----------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [smooth, steps, valley])
@pytest.mark.parametrize(("n", "d"), [(100, 3), (400, 8)])
def test_it_explains_about_as_much_as_the_forest_of_scikit_learn(function, n, d) -> None:
    ensemble = pytest.importorskip("sklearn.ensemble")
    X, Y = RNG(0).random((n, d)), RNG(1).random((2000, d))
    reference = ensemble.RandomForestRegressor(100, random_state=0).fit(X, function(X))
    ours = share_explained(grow(X, function(X), RNG(2)).predict(Y)[0], function(Y))
    assert ours > share_explained(reference.predict(Y), function(Y)) - 0.05


def test_noise_is_averaged_out_by_larger_leaves() -> None:
    X, Y = RNG(0).random((500, 3)), RNG(1).random((1000, 3))
    y = smooth(X) + RNG(2).normal(0, 1, 500)
    shares = [
        share_explained(grow(X, y, RNG(3), growth=Growth(leaf=leaf)).predict(Y)[0], smooth(Y))
        for leaf in (1, 10)
    ]
    assert shares[1] > shares[0]


def test_without_bootstrap_and_with_leaves_of_one_row_it_interpolates() -> None:
    X = RNG(0).random((80, 4))
    mean, variance = grow(X, smooth(X), RNG(1), growth=Growth(leaf=1)).predict(X)
    np.testing.assert_allclose(mean, smooth(X), atol=1e-12)
    np.testing.assert_allclose(variance, 0, atol=1e-12)


def test_a_large_offset_costs_no_digits() -> None:
    X, Y = RNG(0).random((128, 3)), RNG(1).random((50, 3))
    y = np.round(smooth(X) * 1024) / 1024  # exact beside the offset, too
    mean, variance = grow(X, y, RNG(2)).predict(Y)
    far_mean, far_variance = grow(X, y + 2.0**30, RNG(2)).predict(Y)
    np.testing.assert_allclose(far_mean - 2.0**30, mean, atol=1e-6)
    np.testing.assert_allclose(far_variance, variance, rtol=1e-9)


# how sure it is -----------------------------------------------------------------------------------------


def test_the_variance_is_larger_in_a_gap_than_among_the_data() -> None:
    x = np.concatenate([np.linspace(0, 0.35, 40), np.linspace(0.65, 1, 40)])
    forest = grow(x[:, None], np.sin(6 * x), RNG(0))
    _, variance = forest.predict(np.array([[0.2], [0.5], [0.8]]))
    assert variance[1] > 5 * max(variance[0], variance[2])


def test_the_variance_is_larger_where_data_is_sparse() -> None:
    X = RNG(0).random((300, 2)) * np.array([0.5, 1.0])
    X[:10, 0] += 0.5
    _, variance = grow(X, smooth(np.c_[X, X[:, 0]]), RNG(1)).predict(RNG(2).random((2000, 2)))
    right = RNG(2).random((2000, 2))[:, 0] > 0.5
    assert variance[right].mean() > 2 * variance[~right].mean()


def test_mean_and_variance_follow_from_the_leaves() -> None:
    X, y = RNG(0).random((60, 2)), RNG(1).random(60)
    forest = grow(X, y, RNG(2), growth=Growth(trees=7, leaf=5))
    Y = RNG(3).random((10, 2))
    own, other = forest.leaves(X), forest.leaves(Y)
    for i in range(10):
        inside = [y[own[:, t] == other[i, t]] for t in range(7)]
        means, variances = [v.mean() for v in inside], [v.var() for v in inside]
        assert min(map(len, inside)) >= 5
        mean, variance = forest.predict(Y[i : i + 1])
        np.testing.assert_allclose(mean[0], np.mean(means))
        np.testing.assert_allclose(variance[0], np.var(means) + np.mean(variances))


def test_a_large_leaf_with_few_rows_is_doubted() -> None:
    # Two rows that agree on the left half, many on the right.
    X = np.concatenate([[[0.1], [0.4]], RNG(0).uniform(0.5, 1, (60, 1))])
    y = np.concatenate([[1.0, 1.0], 1 + np.sin(40 * X[2:, 0])])
    forest, D, at = grow(X, y, RNG(1)), RNG(2).random((2000, 1)), np.array([[0.25], [0.75]])
    before, after = forest.predict(at), forest.covering(D).doubting(3.0).predict(at)
    np.testing.assert_array_equal(after[0], before[0])
    assert before[1][0] < 0.01 * y.var()
    assert after[1][0] - before[1][0] > 5 * (after[1][1] - before[1][1])
    assert after[1][0] < y.var()


def test_doubt_falls_with_the_rows_in_a_leaf() -> None:
    X = RNG(0).random((40, 2))
    forest = grow(X, X[:, 0], RNG(1)).covering(RNG(2).random((500, 2))).doubting(1.0)
    at = np.array([[0.5, 0.5]])
    mean, variance = forest.predict(at)
    assert forest.adding(np.repeat(at, 9, axis=0), np.repeat(mean, 9)).predict(at)[1][0] < variance[0] / 2


# what columns may hold ----------------------------------------------------------------------------------


def test_missing_numbers_are_told_from_present_ones() -> None:
    X = RNG(0).random((200, 3))
    X[::2, 1] = np.nan
    y = np.where(np.isnan(X[:, 1]), 3.0, X[:, 1])
    mean, _ = grow(X, y, RNG(1)).predict(np.array([[0.5, np.nan, 0.5], [0.5, 0.1, 0.5], [0.5, 0.9, 0.5]]))
    np.testing.assert_allclose(mean, [3.0, 0.1, 0.9], atol=0.1)


def test_a_value_first_missing_when_predicting_is_survived() -> None:
    X = RNG(0).random((50, 2))
    mean, variance = grow(X, X[:, 0], RNG(1)).predict(np.full((1, 2), np.nan))
    assert np.isfinite(mean).all()
    assert np.isfinite(variance).all()


@pytest.mark.parametrize("k", [2, 3, 12])
def test_unordered_choices_are_told_apart(k) -> None:
    slots = RNG(0).integers(k, size=300)
    effect = RNG(1).permutation(k)
    X = np.c_[(slots + 0.5) / k, RNG(2).random(300)]
    forest = grow(X, effect[slots] + 0.1 * X[:, 1], RNG(3), choices=[k, 0])
    mean, _ = forest.predict(np.c_[(np.arange(k) + 0.5) / k, np.full(k, 0.5)])
    np.testing.assert_allclose(mean, effect + 0.05, atol=0.2)


def test_subsets_of_choices_are_found_sooner_than_by_their_order() -> None:
    slots = RNG(0).integers(20, size=200)
    X, y = (slots[:, None] + 0.5) / 20, np.array(slots % 2, dtype=float)
    by_subset, by_order = (
        share_explained(grow(X, y, RNG(2), choices=choices, growth=Growth(leaf=20)).predict(X)[0], y)
        for choices in ([20], [0])
    )
    assert by_subset > by_order + 0.1


# odd data -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_row_or_two_suffice(n) -> None:
    mean, variance = grow(RNG(0).random((n, 2)), np.arange(float(n)), RNG(1)).predict(RNG(2).random((5, 2)))
    assert ((mean >= 0) & (mean <= n - 1)).all()
    assert (variance >= 0).all()


def test_equal_values_and_equal_rows_make_single_leaves() -> None:
    X = RNG(0).random((30, 2))
    assert grow(X, np.full(30, 0.1), RNG(1)).depth == 0
    same = grow(np.full((30, 2), 0.25), np.arange(30.0), RNG(1))
    mean, variance = same.predict(np.array([[0.9, 0.1]]))
    assert (same.depth, mean[0]) == (0, 14.5)
    np.testing.assert_allclose(variance, np.arange(30.0).var())


# growing ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("growth", [Growth(), Growth(bootstrap=True, share=0.5)])
def test_the_generator_decides_everything(growth) -> None:
    X, Y = RNG(0).random((60, 4)), RNG(1).random((20, 4))
    one, again, other = (grow(X, smooth(X), RNG(seed), growth=growth).predict(Y)[0] for seed in (5, 5, 6))
    assert (one == again).all()
    assert (one != other).any()


def test_arguments_are_left_as_they_were() -> None:
    X, y = RNG(0).random((40, 3)), RNG(1).random(40)
    X[::3, 1] = np.nan
    before = X.copy(), y.copy()
    grow(X, y, RNG(2), choices=[3, 0, 0]).adding(X, y).predict(X)
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(y, before[1])


def test_leaves_have_the_least_number_of_rows() -> None:
    X = RNG(0).random((100, 3))
    forest = grow(X, smooth(X), RNG(1), growth=Growth(leaf=7))
    assert np.unique(forest.leaves(X)[:, 0], return_counts=True)[1].min() >= 7


# rows that come later -----------------------------------------------------------------------------------


def test_rows_that_are_added_move_the_leaves_that_they_fall_in() -> None:
    X, Y = RNG(0).random((60, 2)), RNG(1).random((30, 2))
    forest = grow(X[:40], X[:40, 0], RNG(2), growth=Growth(trees=9))
    whole = forest.holding(forest.leaves(X), X[:, 0]).predict(Y)
    np.testing.assert_allclose(forest.adding(X[40:], X[40:, 0]).predict(Y), whole)
    np.testing.assert_allclose(forest.holding(forest.leaves(X[:40]), X[:40, 0]).predict(Y), forest.predict(Y))


def test_a_row_believed_at_the_mean_makes_the_forest_surer_there() -> None:
    X = RNG(0).random((40, 2))
    forest, at = grow(X, smooth(np.c_[X, X[:, 0]]), RNG(1)), np.array([[0.5, 0.5]])
    mean, variance = forest.predict(at)
    later_mean, later = forest.adding(at, mean).predict(at)
    assert later[0] < 0.9 * variance[0]
    assert abs(later_mean[0] - mean[0]) < np.sqrt(variance[0])
