"""Transforms of losses: order, scale, slopes, and odd values."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import yeojohnson

from modelwright.optimizers.transforms import TRANSFORMS, cut_off

SKEWED = np.exp(1.5 * np.random.default_rng(0).standard_normal(60))
ODD = {
    "one": np.array([3.0]),
    "equal": np.full(5, 7.0),
    "equal, and not to their mean": np.full(12, 0.1),
    "all but one equal": np.array([0.0, 0.0, 0.0, 0.0, 1e12]),
    "huge": np.array([1e150, -1e150, 3.0, 1.0]),
    "tiny": np.arange(5) * 1e-300,
    "ties": np.array([1.0, 1.0, 2.0, 2.0, 2.0, 5.0]),
    "many": np.random.default_rng(1).standard_cauchy(700),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_order_mean_and_variance(name: str) -> None:
    before = SKEWED.copy()
    y, log_slope = TRANSFORMS[name](SKEWED)
    np.testing.assert_array_equal(SKEWED, before)
    order = np.argsort(SKEWED)
    assert (np.diff(y[order]) >= 0).all()
    assert y.mean() == pytest.approx(0, abs=1e-12)
    assert y.std() == pytest.approx(1)
    assert log_slope.shape == y.shape


@pytest.mark.parametrize("values", ODD)
@pytest.mark.parametrize("name", TRANSFORMS)
def test_odd_values_are_survived(name: str, values: str) -> None:
    losses = ODD[values]
    y, log_slope = TRANSFORMS[name](losses)
    assert np.isfinite(y).all()
    assert not np.isnan(log_slope).any()
    assert (np.diff(y[np.argsort(losses, kind="stable")]) >= -1e-12).all()
    for equal in np.unique(losses):
        assert np.ptp(y[losses == equal]) < 1e-12


@pytest.mark.parametrize("name", TRANSFORMS)
def test_units_do_not_matter(name: str) -> None:
    np.testing.assert_allclose(TRANSFORMS[name](SKEWED).y, TRANSFORMS[name](5 + 1000 * SKEWED).y, atol=1e-6)


@pytest.mark.parametrize(("name", "tolerance"), [("standard", 1e-9), ("log", 0.1), ("yeo-johnson", 0.02)])
def test_slopes_are_those_between_neighbours(name: str, tolerance: float) -> None:
    losses = np.exp(np.linspace(-1, 1, 200))
    y, log_slope = TRANSFORMS[name](losses)
    between = (y[2:] - y[:-2]) / (losses[2:] - losses[:-2])
    np.testing.assert_allclose(np.exp(log_slope[1:-1]), between, rtol=tolerance)


def test_slopes_of_a_copula_are_those_between_neighbours_on_average() -> None:
    losses = np.sort(np.random.default_rng(2).gamma(2.0, size=150))
    y, log_slope = TRANSFORMS["gcp"](losses)
    wide = slice(20, 130)
    between = (y[10:] - y[:-10]) / (losses[10:] - losses[:-10])
    off = log_slope[5:-5] - np.log(between)
    assert abs(np.median(off[wide])) < 0.1


def test_losses_far_above_the_median_are_cut_off() -> None:
    losses = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 1e12])
    y, log_slope = TRANSFORMS["winsor"](losses)
    assert (np.diff(y[:5]) > 0.1).all()
    assert np.isneginf(log_slope).tolist() == (losses > cut_off(losses)).tolist()
    most_equal = TRANSFORMS["winsor"](np.array([1.0, 1.0, 1.0, 1.0, 2.0])).y
    assert most_equal[-1] > 1  # nothing is cut
    assert (TRANSFORMS["winsor"](np.full(4, 7.0)).y == 0).all()


def test_the_power_is_the_most_likely_one() -> None:
    x = (SKEWED - SKEWED.mean()) / SKEWED.std()
    expected, _ = yeojohnson(x)
    expected = (expected - expected.mean()) / expected.std()
    np.testing.assert_allclose(TRANSFORMS["yeo-johnson"](SKEWED).y, expected, atol=1e-3)


def test_a_copula_makes_losses_normal_whatever_their_distribution() -> None:
    losses = np.random.default_rng(3).pareto(1.5, 400)
    y = TRANSFORMS["gcp"](losses).y
    wanted = ndtri((np.arange(400) + 0.5) / 400)
    assert np.abs(np.sort(y) - wanted)[20:-20].max() < 0.15


def test_equal_losses_have_the_mean_of_their_ranks() -> None:
    y = TRANSFORMS["ranks"](np.array([5.0, 1.0, 5.0, 9.0])).y
    assert y[0] == y[2] == pytest.approx((y[1] + y[3]) / 2)
