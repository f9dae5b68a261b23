"""Where trials fail."""

from __future__ import annotations

import numpy as np
from scipy.optimize import approx_fprime

from modelwright.numerics.gaussian_process import GaussianProcess
from modelwright.optimizers.feasibility import Feasibility

GROUPS = np.array([0, 1])
THETA = np.log([0.4, 0.8, 1.0, 0.01])


def half_failed() -> Feasibility:
    """All points whose first coordinate is above a half have failed."""
    Z = np.random.default_rng(0).random((60, 2))
    return Feasibility([GaussianProcess(Z, np.where(Z[:, 0] > 0.5, -1.0, 1.0), GROUPS, THETA)])


def a_corner_left() -> Feasibility:
    """Points fail in one way whose first, and in another whose second coordinate is above a half."""
    Z = np.random.default_rng(0).random((60, 2))
    return Feasibility([GaussianProcess(Z, np.where(z > 0.5, -1.0, 1.0), GROUPS, THETA) for z in Z.T])


def test_it_is_likely_where_trials_did_well_and_not_where_they_failed() -> None:
    probability = np.exp(half_failed().log_probability(np.array([[0.1, 0.5], [0.5, 0.5], [0.9, 0.5]])))
    assert probability[0] > 0.95
    assert 0.2 < probability[1] < 0.9
    assert probability[2] < 0.05


def test_a_trial_has_to_get_past_each_way_to_fail() -> None:
    points = np.array([[0.1, 0.1], [0.9, 0.1], [0.1, 0.9], [0.9, 0.9]])
    probability = np.exp(a_corner_left().log_probability(points))
    assert probability[0] > 0.9
    assert (probability[1:] < 0.1).all()


def test_its_gradient() -> None:
    feasibility = a_corner_left()
    for z in np.random.default_rng(1).random((5, 2)):
        value, gradient = feasibility.with_gradient(z)
        np.testing.assert_allclose(value, feasibility.log_probability(z[None])[0])
        slopes = approx_fprime(z, lambda x: feasibility.log_probability(x[None])[0], 1e-7)
        np.testing.assert_allclose(gradient, slopes, rtol=1e-4, atol=1e-4)
