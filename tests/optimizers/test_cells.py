import numpy as np
import pytest

from modelwright.numerics.parzen import Column
from modelwright.optimizers.cells import Cells

FIVE = Column(np.array([0.1, 0.3, 0.5, 0.7, 0.9]))


def drawn_apart(mean, spread, chance, count=100_000):
    """Return the shares of draws in the cell below the mean's, and above it, after widening."""
    wide = Cells({0: FIVE}).widened(np.array([mean]), np.array([spread]), chance)
    at = FIVE.index(mean + wide[0] * np.random.default_rng(0).standard_normal(count))
    here = FIVE.index(np.array([mean]))[0]
    return float(np.mean(at < here)), float(np.mean(at > here))


@pytest.mark.parametrize("mean", [0.45, 0.5, 0.59])
def test_the_values_on_both_sides_keep_a_least_chance(mean) -> None:
    below, above = drawn_apart(mean, 1e-6, 0.05)
    assert min(below, above) == pytest.approx(0.05, abs=0.003)


def test_at_the_end_of_the_range_the_only_neighbour_keeps_it() -> None:
    below, above = drawn_apart(0.95, 1e-6, 0.05)
    assert (below, above) == (pytest.approx(0.05, abs=0.003), 0.0)


def test_wide_enough_is_left_alone_and_so_are_numbers_without_steps() -> None:
    cells = Cells({1: FIVE})
    assert cells.widened(np.array([0.5, 0.5]), np.array([1e-9, 0.4]), 0.05).tolist() == [1e-9, 0.4]


@pytest.mark.parametrize("spread", [0.001, 0.1, 1.0])
def test_values_that_a_normal_distribution_gave_look_like_its_draws_again(spread) -> None:
    rng = np.random.default_rng(1)
    draws = 0.42 + spread * rng.standard_normal((20_000, 1))
    values = FIVE.positions[FIVE.index(draws[:, 0])][:, None]
    again = Cells({0: FIVE}).spread_out(values, np.array([0.42]), np.array([spread]), rng.random((20_000, 1)))
    assert (FIVE.index(again[:, 0]) == FIVE.index(draws[:, 0])).all()
    assert again.mean() == pytest.approx(0.42, abs=0.03 * spread)
    assert again.std() == pytest.approx(spread, rel=0.03)


def test_a_value_far_out_stands_at_the_border_of_its_cell() -> None:
    V = np.array([[0.9], [0.1], [np.nan]])
    out = Cells({0: FIVE}).spread_out(V, np.array([0.5]), np.array([1e-3]), np.full((3, 1), 0.5))
    assert out[:2, 0].tolist() == pytest.approx([0.8, 0.2])
    assert np.isnan(out[2, 0])
    assert V[0, 0] == 0.9
