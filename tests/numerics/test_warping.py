"""Bent columns: what stays, what the shapes do, and slopes against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from modelwright.numerics.warping import Warping

COLUMNS = np.array([0, 2])
SHAPES = np.log([0.4, 1.7, 2.5, 0.6])


def test_other_columns_and_the_argument_stay() -> None:
    Z = np.random.default_rng(0).random((5, 3))
    before = Z.copy()
    W = Warping(COLUMNS, SHAPES)(Z)
    np.testing.assert_array_equal(Z, before)
    np.testing.assert_array_equal(W[:, 1], Z[:, 1])
    assert (W[:, COLUMNS] != Z[:, COLUMNS]).all()


def test_shapes_of_one_bend_nothing() -> None:
    Z = np.linspace(0, 1, 11)[:, None]
    np.testing.assert_allclose(Warping(np.array([0]), np.zeros(2))(Z), Z, atol=2e-4)
    empty = np.empty(0, dtype=np.intp)
    assert Warping(empty, np.empty(0))(Z) is Z


@pytest.mark.parametrize(("a", "b", "where"), [(0.2, 1.0, "low"), (1.0, 0.2, "high")])
def test_small_shapes_spread_out_one_end(a: float, b: float, where: str) -> None:
    w = Warping(np.array([0]), np.log([a, b]))(np.linspace(0, 1, 101)[:, None])[:, 0]
    assert (np.diff(w) > 0).all()
    gained = w[10] - w[0] if where == "low" else w[-1] - w[-11]
    assert gained > 0.3


@pytest.mark.parametrize("size", [0.1, 10.0])
def test_the_largest_shapes_stay_finite_at_the_ends(size: float) -> None:
    warping = Warping(np.array([0]), np.log([size, size]))
    ends = np.array([[0.0], [1.0]])
    assert np.isfinite(warping(ends)).all()
    assert all(np.isfinite(slope).all() for slope in warping.slopes(ends))


def test_the_slopes() -> None:
    z = np.array([0.3, 0.8, 0.95])
    by_z, by_log_a, by_log_b = (slope[0] for slope in Warping(COLUMNS, SHAPES).slopes(z[None]))
    for k, column in enumerate(COLUMNS):
        along = approx_fprime(z, lambda x, at=column: Warping(COLUMNS, SHAPES)(x[None])[0, at], 1e-8)
        assert by_z[k] == pytest.approx(along[column], rel=1e-5)
        shapes = approx_fprime(SHAPES, lambda s, at=column: Warping(COLUMNS, s)(z[None])[0, at], 1e-8)
        np.testing.assert_allclose([by_log_a[k], by_log_b[k]], shapes[[k, k + 2]], rtol=1e-5)
