"""Worths of points: against the definition, averages over models, and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from modelwright.numerics.gaussian_process import GaussianProcess
from modelwright.optimizers.acquisitions import Worth, below, bound, decayed
from modelwright.optimizers.feasibility import Feasibility

GROUPS = np.array([0, 1, 2])
RNG = np.random.default_rng(0)
Z = RNG.random((15, 3))
Y = np.sin(4 * Z[:, 0]) + Z[:, 1]
MODELS = [GaussianProcess(Z, Y, GROUPS, np.log([s, 0.8, 2.0, 1.0, 0.01])) for s in (0.3, 0.6, 1.5)]
FEASIBILITY = Feasibility([GaussianProcess(Z, np.where(Z[:, 2] > 0.7, -1.0, 1.0), GROUPS, np.zeros(5))])
POINTS = RNG.random((6, 3))
KINDS: dict[str, dict[str, Any]] = {
    "improvement": {"worth": below(0.2)},
    "power": {"worth": below(0.2), "as_power": True},
    "bound": {"worth": bound(2.0), "in_logs": False},
    "mean": {"worth": bound(0.0), "in_logs": False},
}


@pytest.mark.parametrize("feasibility", [None, FEASIBILITY], ids=["", "failures"])
@pytest.mark.parametrize("models", [MODELS[:1], MODELS], ids=["one", "several"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient(kind: str, models: list[GaussianProcess], feasibility: Feasibility | None) -> None:
    worth = Worth(models, feasibility=feasibility, **KINDS[kind])
    for z in POINTS:
        value, gradient = worth.with_gradient(z)
        assert value == pytest.approx(worth(z[None])[0])
        slopes = approx_fprime(z, lambda x: worth(x[None])[0], 1e-7)
        np.testing.assert_allclose(gradient, slopes, rtol=1e-3, atol=1e-4)


def test_improvement_is_averaged_over_models_as_it_is_over_drawn_functions() -> None:
    rng = np.random.default_rng(1)
    drawn = np.vstack([model.draw(POINTS, rng, 40_000) for model in MODELS])
    expected = np.maximum(0.2 - drawn, 0).mean(0)
    np.testing.assert_allclose(np.exp(Worth(MODELS, below(0.2))(POINTS)), expected, rtol=0.05, atol=1e-4)
    np.testing.assert_allclose(
        Worth(MODELS, below(0.2), as_power=True)(POINTS), expected, rtol=0.05, atol=1e-4
    )


def test_a_bound_is_so_many_widths_below_the_mean() -> None:
    mean, variance = MODELS[0].predict(POINTS)
    low = -Worth(MODELS[:1], bound(4.0), in_logs=False)(POINTS)
    np.testing.assert_allclose(low, mean - 2 * np.sqrt(variance))
    np.testing.assert_allclose(-Worth(MODELS[:1], bound(0.0), in_logs=False)(POINTS), mean)


def test_worths_far_from_any_improvement_stay_apart() -> None:
    values = Worth(MODELS, below(-1e4))(POINTS)
    assert np.isfinite(values).all()
    assert len(set(values)) == len(values)


def test_a_decayed_bound_comes_to_the_mean() -> None:
    betas = [decayed(n) for n in (0, 10, 50, 1000)]
    assert betas == sorted(betas, reverse=True)
    assert betas[0] == 4
    assert betas[-1] < 0.05
