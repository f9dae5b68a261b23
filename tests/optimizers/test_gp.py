"""Bayesian optimization with a Gaussian process."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from modelwright._base.seeds import generator
from modelwright.errors import AbilityError, InputError
from modelwright.optimizers import make_optimizer
from modelwright.optimizers.transforms import standardised
from modelwright.records import Component, Failure, FailureKind, History, Objective, Ticket, Trial, TrialState
from modelwright.space import Categorical, Float, Int, Space
from modelwright.testing.optimizers import OptimizerContract

ONE = (Objective("loss"),)
PLANE = Space(x=Float(-5, 10), y=Float(0, 15))
MIXED = Space(kind=Categorical("a", "b", "c"), n=Int(1, 40), x=Float(1e-4, 1, log=True))
BRANCHES = Space(
    method=Categorical("svm", "net"),
    c=Float(1e-3, 1e3, log=True, when={"method": "svm"}),
    lr=Float(1e-5, 1, log=True, when={"method": "net"}),
    layers=Int(1, 8, when={"method": "net"}),
)


class TestGP(OptimizerContract):
    component = Component("gp", {"n_startup": 3})


def branin(config: Mapping[str, Any]) -> float:
    bend = config["y"] - 5.1 / (4 * math.pi**2) * config["x"] ** 2 + 5 / math.pi * config["x"] - 6
    return bend**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(config["x"]) + 9.602112642270262


def mixed(config: Mapping[str, Any]) -> float:
    shift = {"a": 1.0, "b": 0.4, "c": 0.0}[config["kind"]]
    return shift + ((config["n"] - 27) / 20) ** 2 + (math.log10(config["x"]) + 2) ** 2


def branches(config: Mapping[str, Any]) -> float:
    if config["method"] == "svm":
        return 0.5 + 0.1 * (math.log10(config["c"]) - 1) ** 2
    return 0.3 * (math.log10(config["lr"]) + 2.6) ** 2 + 0.02 * (config["layers"] - 4) ** 2


def searched(
    space: Space, function: Callable[[Mapping[str, Any]], float], trials: int, seed: int, **options: Any
) -> History:
    """Return the history of a search; where the function gives NaN a trial fails."""
    history = History(space, ONE)
    optimizer = make_optimizer("gp", space, ONE, deterministic=True, seed=seed, **options)
    for number in range(trials):
        [proposal] = optimizer.ask(history, [Ticket(number, generator(seed, number))])  # type: ignore[misc]
        params, loss = space.dump(proposal.params), function(proposal.params)
        if math.isnan(loss):
            failure = Failure(FailureKind.ERROR, "made up")
            history.add([Trial(number, TrialState.FAILED, params, (), failure)])
        else:
            history.add([Trial(number, TrialState.COMPLETE, params, (loss,))])
    return history


@pytest.mark.parametrize(
    ("space", "function", "trials", "regret"),
    [(PLANE, branin, 25, 0.05), (MIXED, mixed, 30, 0.05), (BRANCHES, branches, 30, 0.05)],
    ids=["branin", "mixed", "branches"],
)
def test_it_finds_the_optimum(
    space: Space, function: Callable[[Mapping[str, Any]], float], trials: int, regret: float
) -> None:
    found = [float(np.nanmin(searched(space, function, trials, seed).losses)) for seed in range(5)]
    assert np.median(found) < regret, found


def test_half_of_the_space_that_fails_is_left() -> None:
    def half_fails(config: Mapping[str, Any]) -> float:
        return math.nan if config["x"] > 2.5 else branin(config)

    history = searched(PLANE, half_fails, 40, 0)
    late = [trial.failure is None for trial in history.trials[20:]]
    assert np.mean(late) > 0.5
    assert np.nanmin(history.losses) < 0.1


def test_a_rebuild_repeats_two_fits_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    history = searched(PLANE, branin, 30, 0)
    from modelwright.optimizers import surrogate

    fits: list[int] = []
    found = surrogate.posterior_mode

    def counted(Z: Any, *others: Any) -> Any:
        fits.append(len(Z))
        return found(Z, *others)

    monkeypatch.setattr(surrogate, "posterior_mode", counted)
    make_optimizer("gp", PLANE, ONE, seed=0).ask(history, [Ticket(30, generator(0, 30))])
    assert fits == [20, 30]


def test_losses_far_above_the_median_are_cut_off() -> None:
    losses = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 1e12])
    y = standardised(losses)
    assert (np.diff(y[:5]) > 0.1).all()
    assert standardised(np.array([1.0, 1.0, 1.0, 1.0, 2.0]))[-1] > 1  # most are equal: nothing is cut
    assert (standardised(np.full(4, 7.0)) == 0).all()


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_values_of_any_size(scale: float) -> None:
    history = searched(PLANE, lambda config: scale * branin(config), 15, 0)
    assert len(history) == 15


def test_several_objectives_are_refused() -> None:
    with pytest.raises(AbilityError, match=r"one objective, got 2.*'tpe'"):
        make_optimizer("gp", PLANE, (Objective("a"), Objective("b")))
    with pytest.raises(InputError, match="n_startup"):
        make_optimizer("gp", PLANE, ONE, n_startup=-1)


def test_many_trials_are_thinned_out() -> None:
    rng = np.random.default_rng(0)
    history = History(PLANE, ONE)
    for number, config in enumerate(PLANE.sample_many(rng, 1200)):
        history.add([Trial(number, TrialState.COMPLETE, PLANE.dump(config), (branin(config),))])
    optimizer = make_optimizer("gp", PLANE, ONE)
    [proposal] = optimizer.ask(history, [Ticket(1200, generator(0, 1200))])  # type: ignore[misc]
    assert branin(proposal.params) < 1.0


@pytest.mark.parametrize("threads", [1, 2])
def test_the_number_of_threads_changes_nothing(threads: int) -> None:
    with threadpool_limits(threads):
        history = searched(MIXED, mixed, 20, 3)
    expected = searched(MIXED, mixed, 20, 3)
    np.testing.assert_array_equal(history.X, expected.X)
