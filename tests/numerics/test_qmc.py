import numpy as np

from modelwright.numerics.qmc import SobolPoints


def blocks(seed: int, count: int = 3, d: int = 2) -> np.ndarray:
    points = SobolPoints(d, np.random.default_rng(seed))
    return np.vstack([points.next_block() for _ in range(count)])


def test_the_seed_decides_the_sequence() -> None:
    np.testing.assert_array_equal(blocks(1), blocks(1))
    assert not np.array_equal(blocks(1), blocks(2))


def test_each_block_doubles_what_has_been_read() -> None:
    assert len(blocks(0)) == 256


def test_every_cell_of_a_binary_grid_gets_the_same_number_of_points() -> None:
    cells = np.floor(blocks(0) * 16).astype(int)
    counts = np.bincount(cells[:, 0] * 16 + cells[:, 1], minlength=256)
    assert (counts == 1).all()


def test_no_dimensions_give_empty_points() -> None:
    assert blocks(0, 1, d=0).shape == (64, 0)
