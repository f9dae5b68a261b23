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
from modelwright.optimizers.acquisitions import ACQUISITIONS
from modelwright.optimizers.features import Features
from modelwright.optimizers.transforms import TRANSFORMS
from modelwright.records import Component, Failure, FailureKind, History, Objective, Ticket, Trial, TrialState
from modelwright.space import Bool, Categorical, Float, Int, Ordinal, Space
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


@pytest.mark.slow
class OfOneObjective(OptimizerContract):
    """The contract of gp with options that are for one objective."""

    def test_several_objectives_are_taken_or_refused(self) -> None:
        with pytest.raises(AbilityError, match="one objective only"):
            self.build(PLANE, (Objective("a"), Objective("b")))


class TestGPByEvidence(OfOneObjective):
    component = Component("gp", {"n_startup": 3, "transform": "auto", "acquisition": "mixture"})


@pytest.mark.slow
class TestGPDrawn(OfOneObjective):
    component = Component("gp", {"n_startup": 3, "hyperparameters": "mcmc", "warping": True})


@pytest.mark.slow
class TestGCP(OfOneObjective):
    component = Component("gcp", {"n_startup": 3, "acquisition": "ei"})


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
    space: Space,
    function: Callable[[Mapping[str, Any]], float],
    trials: int,
    seed: int,
    optimizer: str = "gp",
    **options: Any,
) -> History:
    """Return the history of a search; where the function gives NaN a trial fails."""
    history = History(space, ONE)
    search = make_optimizer(optimizer, space, ONE, deterministic=True, seed=seed, **options)
    for number in range(trials):
        [proposal] = search.ask(history, [Ticket(number, generator(seed, number))])  # type: ignore[misc]
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


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_values_of_any_size(scale: float) -> None:
    history = searched(PLANE, lambda config: scale * branin(config), 15, 0)
    assert len(history) == 15


@pytest.mark.parametrize("options", [{"acquisition": "ucb"}, {"hyperparameters": "mcmc"}])
def test_options_for_one_objective_are_refused_with_several(options: dict[str, str]) -> None:
    with pytest.raises(AbilityError, match="one objective only, got 2"):
        make_optimizer("gp", PLANE, (Objective("a"), Objective("b")), **options)


def test_an_option_that_makes_no_sense_is_refused() -> None:
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


@pytest.mark.parametrize(
    "options",
    [
        *({"transform": name} for name in (*TRANSFORMS, "auto")),
        *({"acquisition": name} for name in ACQUISITIONS),
        {"acquisition": "ucb", "beta": 1.0},
        {"warping": True},
        {"hyperparameters": "mcmc", "warping": True, "transform": "auto", "acquisition": "mixture"},
    ],
    ids=str,
)
def test_each_option_finds_a_good_value_and_survives_a_rebuild(options: dict[str, Any]) -> None:
    history = searched(MIXED, mixed, 20, 1, **options)
    assert np.nanmin(history.losses) < 0.05  # random search: 0.17
    ticket = Ticket(19, generator(1, 19))
    before = History(MIXED, ONE)
    before.add(history.trials[:19])
    [proposal] = make_optimizer("gp", MIXED, ONE, deterministic=True, seed=1, **options).ask(before, [ticket])  # type: ignore[misc]
    np.testing.assert_array_equal(MIXED.encode([proposal.params])[0], history.X[19])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"transform": "sqrt"}, "winsor, standard, .* as gp's transform, got 'sqrt'"),
        ({"acquisition": "pi"}, "log_ei, ei, ucb, mixture as gp's acquisition, got 'pi'"),
        ({"hyperparameters": 8}, "point, mcmc as gp's hyperparameters, got 8"),
        ({"beta": -1.0}, "expected beta >= 0"),
        ({"n_startup": -1}, "n_startup of gp to be at least 0"),
        ({"most_rows": 1}, "most_rows of gp to be at least 2"),
    ],
)
def test_unknown_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_optimizer("gp", PLANE, ONE, **options)


def test_gcp_is_gp_with_a_copula() -> None:
    np.testing.assert_array_equal(
        searched(PLANE, branin, 12, 0, optimizer="gcp").X, searched(PLANE, branin, 12, 0, transform="gcp").X
    )
    assert repr(make_optimizer("gcp", PLANE, ONE)) == "GCP()"


def test_a_mixture_says_what_was_looked_for() -> None:
    history = searched(PLANE, branin, 8, 0)
    optimizer = make_optimizer("gp", PLANE, ONE, acquisition="mixture")
    tickets = [Ticket(k, generator(0, k)) for k in range(8, 28)]
    reasons = {proposal.reason for proposal in optimizer.ask(history, tickets)}  # type: ignore[union-attr]
    assert reasons == {
        f"{sought} after 8 trials"
        for sought in ("largest expected improvement", "lowest confidence bound", "lowest mean")
    }


def test_only_numbers_are_warped() -> None:
    space = Space(kind=Categorical("a", "b", "c"), flag=Bool(), x=Float(0, 1), level=Ordinal("s", "m", "l"))
    assert Features(space).numeric.tolist() == [4, 5]
    assert len(
        searched(Space(flag=Bool(), kind=Categorical("a", "b", "c")), lambda _: 1.0, 6, 0, warping=True)
    )
