"""Densities are checked by integrating them, and drawing by comparing it with the density."""

import numpy as np
import pytest
from scipy.special import ndtr

from modelwright.numerics.parzen import Column, Parzen, joint_widths, neighbour_widths

LEVELS = np.array([0.05, 0.2, 0.5, 0.9])
CHOICES = (np.arange(3) + 0.5) / 3
MIXED = [Column(), Column(LEVELS), Column(CHOICES, ordered=False)]


def observations(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.random(n), LEVELS[rng.integers(4, size=n)], CHOICES[rng.integers(3, size=n)]])


def mixture(X: np.ndarray, columns: list[Column], joint: bool, prior_weight: float = 1.0) -> Parzen:
    widths = joint_widths(X) if joint else neighbour_widths(X)
    return Parzen(columns, X, widths, np.append(np.ones(len(X)), prior_weight), joint=joint)


def lattice() -> np.ndarray:
    """All levels and choices, at midpoints of 400 cells of the real column."""
    real = (np.arange(400) + 0.5) / 400
    return np.stack(np.meshgrid(real, LEVELS, CHOICES, indexing="ij"), axis=-1).reshape(-1, 3)


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("n", [0, 1, 12])
def test_the_density_integrates_to_one(joint: bool, n: int) -> None:
    density = np.exp(mixture(observations(n), MIXED, joint).log_density(lattice()))
    # The narrowest kernel is more than 0.05 wide, the cells 1 / 400: the midpoint rule is good to 1e-4.
    assert density.sum() / 400 == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("joint", [True, False])
def test_draws_follow_the_density(joint: bool) -> None:
    parzen = mixture(observations(6), MIXED, joint)
    points = lattice()
    density = np.exp(parzen.log_density(points)) / 400
    draws = parzen.sample(np.random.default_rng(1), 40_000)
    cells = [
        (draws[:, 0] < 0.3, points[:, 0] < 0.3),
        (draws[:, 1] == LEVELS[2], points[:, 1] == LEVELS[2]),
        (draws[:, 2] == CHOICES[0], points[:, 2] == CHOICES[0]),
        (
            (draws[:, 0] < 0.5) & (draws[:, 2] == CHOICES[1]),
            (points[:, 0] < 0.5) & (points[:, 2] == CHOICES[1]),
        ),
    ]
    for drawn, expected in cells:
        # A share of 40,000 draws has a standard deviation of at most 0.0025; four of them.
        assert drawn.mean() == pytest.approx(density[expected].sum(), abs=0.01)


def test_draws_lie_on_positions_and_in_the_cube() -> None:
    draws = mixture(observations(9), MIXED, True).sample(np.random.default_rng(0), 500)
    assert ((draws >= 0) & (draws <= 1)).all()
    assert np.isin(draws[:, 1], LEVELS).all()
    assert np.isin(draws[:, 2], CHOICES).all()


def test_one_mixture_of_products_keeps_what_goes_together() -> None:
    X = np.array([[0.2, 0.2], [0.8, 0.8]] * 10)
    together, crossed = np.array([[0.2, 0.2]]), np.array([[0.2, 0.8]])
    columns = [Column(), Column()]
    joint, separate = mixture(X, columns, True), mixture(X, columns, False)
    assert joint.log_density(together)[0] - joint.log_density(crossed)[0] > 3
    assert separate.log_density(together)[0] == pytest.approx(separate.log_density(crossed)[0])


@pytest.mark.parametrize("joint", [True, False])
def test_observations_without_a_column_say_nothing_about_it(joint: bool) -> None:
    with_gaps = np.array([[0.2, 0.3], [0.3, np.nan], [0.25, np.nan]])
    without = np.array([[0.2, 0.3], [0.3, 0.9], [0.25, 0.9]])
    columns = [Column(), Column()]
    at = np.array([[0.25, 0.9]])
    assert mixture(with_gaps, columns, joint).log_density(at) < mixture(without, columns, joint).log_density(
        at
    )
    assert np.isfinite(mixture(with_gaps, columns, joint).sample(np.random.default_rng(0), 50)).all()


@pytest.mark.parametrize("joint", [True, False])
def test_a_point_without_a_column_has_the_density_of_the_rest(joint: bool) -> None:
    X = observations(5)
    whole, part = mixture(X, MIXED, joint), mixture(X[:, :1], MIXED[:1], joint)
    if joint:  # the widths depend on the number of columns
        part = Parzen(MIXED[:1], X[:, :1], joint_widths(X)[:1], np.ones(6))
    points = np.array([[0.1, np.nan, np.nan], [0.7, np.nan, np.nan]])
    np.testing.assert_allclose(whole.log_density(points), part.log_density(points[:, :1]))


def test_a_unique_choice_is_certain() -> None:
    only = Column(np.array([0.5]), ordered=False)
    parzen = Parzen([only], np.array([[0.5]]), np.ones((1, 1)), np.ones(2))
    assert parzen.log_density(np.array([[0.5]]))[0] == pytest.approx(0.0)


def test_far_from_everything_the_density_is_finite() -> None:
    X = np.full((200, 1), 0.001)
    density = mixture(X, [Column()], True, prior_weight=1e-9).log_density(np.array([[1.0]]))
    assert np.isfinite(density).all()


def test_joint_widths_follow_spread_and_number_but_not_below_the_least() -> None:
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.random(500), 0.5 + 0.4 * rng.random(500), np.full(500, 0.5)])
    few, many = joint_widths(X[:5])[:, 0], joint_widths(X)[:, 0]
    assert (few > many).all()
    assert many[0] > 2 * many[1] > 0.04
    assert many[2] == 0.02


def test_joint_widths_of_nothing_are_those_of_a_uniform_draw() -> None:
    assert joint_widths(np.empty((0, 2))).shape == (2, 0)
    unseen = np.array([[0.5, np.nan]])
    assert joint_widths(unseen)[1, 0] == pytest.approx(0.5 * (1 / 12) ** 0.5)


def test_neighbour_widths_are_the_farther_gap() -> None:
    X = np.array([[0.1], [0.2], [0.9], [np.nan]])
    # sorted with the centre: 0.1 0.2 0.5 0.9; gaps to the borders count
    np.testing.assert_allclose(neighbour_widths(X)[0], [0.25, 0.3, 0.4, 1.0])


def test_arguments_are_left_as_they_were() -> None:
    X, weights = observations(4), np.ones(5)
    X[0, 0] = np.nan
    widths = joint_widths(X)
    before = X.copy(), widths.copy(), weights.copy()
    Parzen(MIXED, X, widths, weights).log_density(X)
    for now, then in zip((X, widths, weights), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("joint", [True, False])
def test_levels_have_the_mass_of_their_cells_kernel_by_kernel(joint: bool) -> None:
    X = LEVELS[np.array([0, 0, 1, 3, 3, 3])][:, None]
    parzen = mixture(X, [Column(LEVELS)], joint)
    widths = (joint_widths(X) if joint else neighbour_widths(X))[0]
    edges = [0.0, 0.125, 0.35, 0.7, 1.0]
    for at, level in enumerate(LEVELS):
        masses = [
            (ndtr((edges[at + 1] - mu) / sigma) - ndtr((edges[at] - mu) / sigma))
            / (ndtr((1 - mu) / sigma) - ndtr(-mu / sigma))
            for mu, sigma in [*zip(X[:, 0], widths, strict=True), (0.5, 1.0)]
        ]
        assert parzen.log_density(np.array([[level]]))[0] == pytest.approx(np.log(np.mean(masses)))
