"""What a surrogate keeps is a cache: with options too, one built later finds the same."""

from __future__ import annotations

import numpy as np
import pytest

from modelwright.optimizers.surrogate import Modelling, Surrogate

GROUPS = np.array([0, 1, 1])
WAYS = {
    "plain": Modelling(),
    "auto": Modelling(transform="auto"),
    "warped": Modelling(warped=np.array([0])),
    "drawn": Modelling(hyperparameters="mcmc", draws=3, seed=5),
    "all": Modelling("auto", "mcmc", np.array([0]), draws=3),
}


def observed(n: int) -> tuple[np.ndarray, np.ndarray]:
    Z = np.random.default_rng(0).random((n, 3))
    return Z, (Z[:, 0] - 0.4) ** 2 + np.exp(4 * Z[:, 1])


@pytest.mark.parametrize("way", WAYS)
def test_one_built_later_finds_the_same(way: str) -> None:
    Z, losses = observed(23)
    early, late = Surrogate(GROUPS, 2, WAYS[way]), Surrogate(GROUPS, 2, WAYS[way])
    for n in range(1, 24):
        models, y = early.models(Z[:n], losses[:n])
    others, same = late.models(Z, losses)
    np.testing.assert_array_equal(y, same)
    assert all(model.y.min() == y.min() for model in models)
    assert len(models) == len(others) == (3 if WAYS[way].drawn else 1)
    for model, other in zip(models, others, strict=True):
        np.testing.assert_array_equal(model.theta, other.theta)
        np.testing.assert_array_equal(model.y, other.y)


def test_another_history_is_fitted_anew() -> None:
    Z, losses = observed(12)
    surrogate = Surrogate(GROUPS, 2, WAYS["all"])
    surrogate.models(Z, losses)
    [model, *_], _ = surrogate.models(Z, losses[::-1].copy())
    [expected, *_], _ = Surrogate(GROUPS, 2, WAYS["all"]).models(Z, losses[::-1].copy())
    np.testing.assert_array_equal(model.theta, expected.theta)


def test_ranges_are_bent_once_there_is_evidence() -> None:
    Z, losses = observed(24)
    surrogate = Surrogate(GROUPS, 2, WAYS["warped"])
    assert (surrogate.models(Z[:19], losses[:19])[0][0].theta[:2] == 0).all()
    assert (surrogate.models(Z, losses)[0][0].theta[:2] != 0).all()


def test_draws_differ_from_each_other_and_belong_to_the_seed() -> None:
    Z, losses = observed(12)
    drawn = [
        Surrogate(GROUPS, 2, Modelling(hyperparameters="mcmc", draws=4, seed=seed)).models(Z, losses)[0]
        for seed in (1, 2)
    ]
    thetas = {tuple(model.theta) for models in drawn for model in models}
    assert len(thetas) >= 6  # a few are refused and repeat the one before
    assert not np.array_equal(drawn[0][-1].theta, drawn[1][-1].theta)


def test_drawn_models_are_made_of_fewer_rows() -> None:
    Z, losses = observed(260)
    models, _ = Surrogate(GROUPS, 2, Modelling(hyperparameters="mcmc", draws=1)).models(Z, losses)
    assert len(models[0].y) == 200
    assert losses.argsort()[0] in [np.flatnonzero((row == Z).all(1))[0] for row in models[0].Z]
