"""Prior beliefs: what they bring, and that they are dropped."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from modelwright._base.seeds import generator
from modelwright.optimizers import make_optimizer
from modelwright.optimizers.beliefs import Beliefs
from modelwright.optimizers.evidence import Evidence
from modelwright.records import Component, Failure, FailureKind, History, Objective, Ticket, Trial, TrialState
from modelwright.space import Categorical, Float, Int, Near, Space
from modelwright.testing.optimizers import SPACES, Simulation

ONE = [Objective()]
MODELS: dict[str, dict[str, Any]] = {"gp": {}, "forest": {"n_trees": 20}, "tpe": {}}


def plane(x: float, y: float, *liked: float) -> Space:
    kinds = Categorical("a", "b", "c", prior=liked or None)
    return Space(x=Float(0, 1, prior=x), y=Float(0, 1, prior=Near(y, 0.1)), kind=kinds)


def loss(config: dict[str, Any]) -> float:
    return (config["x"] - 0.8) ** 2 + (config["y"] - 0.3) ** 2 + 0.2 * (config["kind"] != "c")


def search(name: str, space: Space, trials: int, seed: int) -> tuple[float, list[str]]:
    """Return the best loss and the reasons of the proposals."""
    history, reasons = History(space, ONE), []
    optimizer = make_optimizer(name, space, ONE, seed=seed, **MODELS.get(name, {}))
    for number in range(trials):
        [proposal] = optimizer.ask(history, [Ticket(number, generator(seed, number))])
        reasons.append(proposal.reason)
        params = dict(proposal.params)
        history.add([Trial(number, TrialState.COMPLETE, params, (loss(params),))])
    return float(history.losses.min()), reasons


# the density --------------------------------------------------------------------------------------------


def test_the_density_integrates_to_one_and_leaves_out_what_is_inactive() -> None:
    beliefs = Beliefs(plane(0.2, 0.9, 1, 2, 5))
    middles = (np.arange(60) + 0.5) / 60
    grid = np.stack(np.meshgrid(middles, middles, [1 / 6, 0.5, 5 / 6]), axis=-1).reshape(-1, 3)
    np.testing.assert_allclose(np.exp(beliefs.log_density(grid)).mean(), 1.0, rtol=0.01)
    assert beliefs.log_density(np.full((1, 3), np.nan)).tolist() == [0.0]
    assert not Beliefs(Space(x=Float(0, 1)))


def test_its_gradient() -> None:
    beliefs = Beliefs(plane(0.2, 0.9, 1, 2, 5))
    for row in np.random.default_rng(0).random((5, 3)):
        row[2] = 0.5
        slopes = approx_fprime(row, lambda x: beliefs.log_density(x[None])[0], 1e-7)
        np.testing.assert_allclose(beliefs.gradient(row), slopes, atol=1e-4)


def test_draws_follow_it_and_meet_constraints() -> None:
    space = Space(n=Int(1, 9, prior=2), m=Int(1, 9, prior=8), constraints=["n < m"])
    drawn = [Beliefs(space).draw(generator(0, k)) for k in range(200)]
    assert all(config["n"] < config["m"] for config in drawn)
    assert np.mean([config["n"] <= 4 for config in drawn]) > 0.8
    kinds = [Beliefs(plane(0.5, 0.5, 1, 2, 5)).draw(generator(1, k))["kind"] for k in range(400)]
    assert abs(kinds.count("c") / 400 - (0.9 * 5 / 8 + 0.1 / 3)) < 0.1


# whether it proves right --------------------------------------------------------------------------------


def standing(losses: list[float], near: list[bool], failed: tuple[int, ...] = ()) -> str:
    """Return what is said after trials, of which some are near the prior at 0.2 and the others far."""
    space, evidence = Space(x=Float(0, 1, prior=Near(0.2, 0.05))), Evidence()
    history = History(space, ONE)
    for k, (value, is_near) in enumerate(zip(losses, near, strict=True)):
        params = {"x": (0.2 if is_near else 0.7) + 0.001 * k}
        if k in failed:
            failure = Failure(FailureKind.ERROR, "made up")
            history.add([Trial(k, TrialState.FAILED, params, (), failure)])
        else:
            history.add([Trial(k, TrialState.COMPLETE, params, (value,))])
    evidence.read(history)
    return Beliefs(space).after(evidence, history).note


NEAR = [True, False] * 4


def test_a_prior_is_dropped_for_good_once_trials_near_it_are_worse() -> None:
    assert standing([1.0, 0.0] * 4, NEAR) == ", prior dropped: wrong after 5 trials"
    assert "dropped" in standing([1.0, 0.0] * 4 + [-1.0] * 20, NEAR + [True] * 20)


def test_a_prior_is_kept_where_trials_near_it_are_better_and_where_nothing_tells() -> None:
    assert standing([0.0, 1.0] * 4, NEAR) == ", weighted by the prior"
    assert standing([1.0] * 8, NEAR) == ", weighted by the prior"
    assert standing([1.0] * 8, [True] * 8) == ", weighted by the prior"
    assert standing([], []) == ", weighted by the prior"


def test_failures_near_it_count_against_it() -> None:
    assert "dropped" in standing([0.0] * 8, NEAR, failed=(0, 2, 4, 6))


def test_it_fades() -> None:
    space, evidence = plane(0.2, 0.9), Evidence()
    history = History(space, ONE)
    powers = []
    for k in range(40):
        history.add([Trial(k, TrialState.COMPLETE, {"x": 0.2, "y": 0.9, "kind": "a"}, (1.0,))])
        evidence.read(history)
        belief = Beliefs(space).after(evidence, history).belief
        assert belief is not None
        powers.append(belief.power)
    assert powers == sorted(powers, reverse=True)
    assert powers[-1] < 0.2


def test_without_beliefs_the_default_is_the_centre_unless_one_is_given() -> None:
    space = Space(
        x=Float(0, 1, prior=0.9),
        y=Float(0, 1, prior=0.9, default=0.7),
        z=Float(0, 1, default=0.2),
        kind=Categorical("a", "b", prior=[1, 2]),
    )
    assert Beliefs(space).neutral() == {"x": 0.5, "y": 0.7, "z": 0.2, "kind": "a"}
    never = Space(x=Float(0, 1, prior=0.9), constraints=["x > 0.8"])
    assert Beliefs(never).neutral() is None


# searches -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*MODELS, "evolution", "de"])
def test_a_right_prior_helps_at_once(name: str) -> None:
    with_prior = np.median([search(name, plane(0.75, 0.35, 1, 1, 4), 10, seed)[0] for seed in range(4)])
    without = np.median([search(name, Space(**_plain()), 10, seed)[0] for seed in range(4)])
    assert with_prior < 0.7 * without


def _plain() -> dict[str, Any]:
    return {"x": Float(0, 1), "y": Float(0, 1), "kind": Categorical("a", "b", "c")}


@pytest.mark.parametrize("name", MODELS)
def test_a_wrong_prior_is_dropped_and_the_search_succeeds(name: str) -> None:
    best, reasons = search(name, plane(0.0, 1.0, 4, 1, 1), 45, seed=1)
    assert best < (0.03 if name == "tpe" else 0.01)
    assert any("prior dropped: wrong after" in reason for reason in reasons[-5:])
    assert "drawn from the prior" in reasons
    assert any("without a prior" in reason for reason in reasons)


def test_cmaes_begins_at_the_prior() -> None:
    space = Space(
        x=Float(0, 1, prior=0.9), y=Float(0, 1, prior=0.1), kind=Categorical("a", "b", prior=[1, 9])
    )
    history = History(space, ONE)
    asked = [
        make_optimizer("cmaes", space, ONE).ask(history, [Ticket(k, generator(0, k))])[0].params
        for k in range(200)
    ]
    assert np.mean([p["x"] for p in asked]) > 0.6
    assert np.mean([p["kind"] == "b" for p in asked]) > 0.6


@pytest.mark.parametrize("name", [*MODELS, "evolution", "de", "cmaes", "nsga2"])
@pytest.mark.parametrize("space", ["mixed", "conditional", "constrained", "finite"])
def test_any_space_with_priors_is_searched_the_same_after_a_rebuild(name: str, space: str) -> None:
    form = SPACES[space]().to_json()
    for parameter in form["parameters"]:
        if parameter["type"] in ("float", "int"):
            parameter["prior"] = parameter["low"]
        elif parameter["type"] in ("categorical", "ordinal"):
            parameter["prior"] = [
                1 + k for k in range(len(parameter.get("choices", parameter.get("labels"))))
            ]
    believing = Space.from_json(form)

    def build(space: Space, objectives: Any, deterministic: bool) -> Any:
        component = Component(name, MODELS.get(name, {}))
        return make_optimizer(component, space, objectives, deterministic=deterministic)

    one = Simulation(believing, build, seed=3).run(14)
    other = Simulation(believing, build, seed=3)
    for done in range(14):  # a new optimizer for each proposal
        other.optimizer = build(believing, ONE, False)
        other.run(done + 1)
    assert one.configs == other.configs
    assert all(believing.satisfies(config) for config in one.configs)
