"""How well losses are predicted from each other: the score, and which transform it prefers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from modelwright.numerics.gaussian_process import GaussianProcess
from modelwright.optimizers.predictive import BY_EVIDENCE, log_score
from modelwright.optimizers.surrogate import Modelling, Surrogate
from modelwright.optimizers.transforms import TRANSFORMS, cut_off

GROUPS = np.array([0, 1])


def scores(Z: np.ndarray, losses: np.ndarray) -> dict[str, float]:
    surrogate = Surrogate(GROUPS, 2)
    return {name: surrogate._score(Z, losses, name) for name in BY_EVIDENCE}


def test_the_score_is_the_density_of_the_good_and_the_chance_of_the_bad() -> None:
    rng = np.random.default_rng(0)
    losses = np.concatenate([rng.random(12), [50.0, 80.0]])
    y, log_slope = TRANSFORMS["standard"](losses)
    mean, variance = y + 0.1 * rng.standard_normal(14), rng.uniform(0.1, 0.5, 14)
    expected = 0.0
    scale = losses.std()
    for k in range(12):  # in the units of the losses
        expected += norm(mean[k] * scale + losses.mean(), np.sqrt(variance[k]) * scale).logpdf(losses[k])
    for k in (12, 13):
        expected += norm(mean[k], np.sqrt(variance[k])).logsf(y[:12].max())
    assert cut_off(losses) < 50
    assert log_score(losses, y, log_slope, mean, variance) == pytest.approx(expected)


def test_units_do_not_change_what_is_preferred() -> None:
    rng = np.random.default_rng(1)
    Z, losses = rng.random((30, 2)), rng.gamma(1.0, size=30)
    small, large = scores(Z, losses), scores(Z, 1000 * losses)
    differences = [small[name] - large[name] for name in BY_EVIDENCE]
    np.testing.assert_allclose(differences, 30 * np.log(1000), rtol=0.2)


def test_smooth_losses_are_left_as_they_are_and_those_over_many_magnitudes_are_not() -> None:
    rng = np.random.default_rng(2)
    Z = rng.random((40, 2))
    smooth = np.sin(3 * Z[:, 0]) + Z[:, 1]
    plain = scores(Z, smooth)
    assert max(plain, key=lambda name: plain[name]) in ("winsor", "standard")
    steep = scores(Z, np.exp(6 * smooth))
    assert max(steep["log"], steep["yeo-johnson"]) > max(steep["standard"], steep["winsor"]) + 10


def test_leaving_out_is_what_scores_are_made_of() -> None:
    """The score of a surrogate is that of models without one loss each, hyperparameters as they were."""
    rng = np.random.default_rng(3)
    Z, losses = rng.random((15, 2)), rng.random(15)
    surrogate = Surrogate(GROUPS, 2)
    y, log_slope = TRANSFORMS["winsor"](losses)
    [model], _ = surrogate.models(Z, losses)
    parts = []
    for k in range(15):
        others = np.arange(15) != k
        alone = GaussianProcess(Z[others], y[others], GROUPS, surrogate._found["winsor", 15])
        parts.append(np.ravel(alone.predict(Z[k : k + 1])))
    mean, variance = np.array(parts).T
    noise = np.exp(model.theta[-1])
    expected = log_score(losses, y, log_slope, mean, variance + noise)
    found = log_score(losses, y, log_slope, *model.leave_one_out())
    assert found == pytest.approx(expected)


def test_a_transform_is_chosen_at_anchors_only() -> None:
    rng = np.random.default_rng(4)
    Z = rng.random((45, 2))
    losses = np.exp(6 * (np.sin(3 * Z[:, 0]) + Z[:, 1]))
    surrogate = Surrogate(GROUPS, 2, Modelling(transform="auto"))
    chosen = []
    for n in range(5, 46):
        surrogate.models(Z[:n], losses[:n])
        chosen.append(surrogate._transform(Z[:n], losses[:n]))
    assert sorted(surrogate._chosen) == [20, 40]  # before, evidence is luck
    assert set(chosen[:15]) == {"winsor"}
    assert chosen[-1] in ("log", "yeo-johnson")
    late = Surrogate(GROUPS, 2, Modelling(transform="auto"))
    late.models(Z, losses)
    assert late._transform(Z, losses) == chosen[-1]
