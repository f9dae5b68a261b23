"""Several objectives with Gaussian processes: what a point adds to their front."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from modelwright._base.seeds import generator
from modelwright.numerics.gaussian_process import GaussianProcess
from modelwright.numerics.hypervolume import hypervolume
from modelwright.numerics.pareto import nondominated
from modelwright.optimizers import make_optimizer
from modelwright.optimizers.feasibility import Feasibility
from modelwright.optimizers.fronts import Fronts
from modelwright.records import Failure, FailureKind, History, Objective, Report, Ticket, Trial, TrialState
from modelwright.space import Categorical, Float, Int, Space

SQUARE = Space(x=Float(0, 1), y=Float(0, 1))
MIXED = Space(kind=Categorical("a", "b"), n=Int(1, 20), x=Float(0, 1))
TWO = (Objective("near"), Objective("far", "maximize"))


def bowls(config: Mapping[str, Any]) -> tuple[float, float]:
    """Return the squared distances to two points, the second one with its sign turned."""
    x, y = config["x"], config["y"]
    return (x - 0.2) ** 2 + (y - 0.5) ** 2, -((x - 0.8) ** 2 + (y - 0.5) ** 2)


def mixed(config: Mapping[str, Any]) -> tuple[float, float]:
    shift = 0.3 * (config["kind"] == "a")
    return shift + config["n"] / 20, -(shift + (1 - config["n"] / 20) ** 2 + config["x"])


def searched(
    space: Space,
    function: Callable[[Mapping[str, Any]], Sequence[float]],
    trials: int,
    seed: int,
    objectives: Sequence[Objective] = TWO,
    width: int = 1,
) -> History:
    history = History(space, objectives)
    optimizer = make_optimizer("gp", space, objectives, deterministic=True, seed=seed)
    for first in range(0, trials, width):
        tickets = [Ticket(number, generator(seed, number)) for number in range(first, first + width)]
        for ticket, proposal in zip(tickets, optimizer.ask(history, tickets), strict=True):  # type: ignore[arg-type]
            params, values = space.dump(proposal.params), tuple(function(proposal.params))
            history.add([Trial(ticket.number, TrialState.COMPLETE, params, values)])
    return history


def proposal_after(history: History, number: int) -> dict[str, Any]:
    optimizer = make_optimizer("gp", history.space, history.objectives, deterministic=True)
    [proposal] = optimizer.ask(history, [Ticket(number, generator(0, number))])  # type: ignore[misc]
    return dict(proposal.params)


def test_the_front_is_found_and_covered() -> None:
    losses = searched(SQUARE, bowls, 30, 0).losses
    # The front is the line between the two points: sqrt(a) + sqrt(b) = 0.6.
    line = np.linspace(0, 0.6, 1000) ** 2
    reference = np.array([0.5, 0.5])
    whole = hypervolume(np.stack([line, line[::-1]], axis=1), reference)
    assert hypervolume(losses, reference) > 0.97 * whole
    assert nondominated(losses).sum() >= 10


@pytest.mark.parametrize("width", [1, 4])
def test_mixed_spaces_and_batches(width: int) -> None:
    losses = searched(MIXED, mixed, 40, 0, width=width).losses
    n = np.arange(1, 21) / 20
    whole = hypervolume(np.stack([n, (1 - n) ** 2], axis=1), np.array([1.5, 1.5]))
    assert hypervolume(losses, np.array([1.5, 1.5])) > 0.9 * whole


def test_a_batch_keeps_apart() -> None:
    history = searched(SQUARE, bowls, 12, 0)
    optimizer = make_optimizer("gp", SQUARE, TWO)
    tickets = [Ticket(k, generator(0, k)) for k in range(12, 17)]
    rows = SQUARE.encode([dict(p.params) for p in optimizer.ask(history, tickets)])  # type: ignore[union-attr]
    apart = np.sqrt(((rows[:, None] - rows) ** 2).sum(axis=2))[np.triu_indices(5, 1)]
    assert apart.min() > 0.01


@pytest.mark.parametrize("m", [3, 6])
def test_more_objectives(m: int) -> None:
    space = Space({f"x{i}": Float(0, 1) for i in range(5)})
    targets = generator(0, "targets").random((m, 5))
    objectives = [Objective(f"o{j}") for j in range(m)]

    def distances(config: Mapping[str, Any]) -> list[float]:
        return [float(np.linalg.norm(np.array(list(config.values())) - target)) for target in targets]

    losses = searched(space, distances, 20, 0, objectives).losses
    random = [distances(config) for config in space.sample_many(generator(1, "random"), 20)]
    reference = np.full(m, 1.2)
    assert hypervolume(losses, reference) > hypervolume(np.array(random), reference)


def test_equal_histories_give_equal_proposals_whoever_asks_and_with_any_number_of_threads() -> None:
    history = searched(MIXED, mixed, 20, 0)
    history.set_pending([(20, {"kind": "b", "n": 3, "x": 0.5})])
    optimizer = make_optimizer("gp", MIXED, TWO, deterministic=True)
    grown = History(MIXED, TWO)
    for trial in history.trials:
        grown.add([trial])
        optimizer.ask(grown, [Ticket(99, generator(0, 99))])
    grown.set_pending([(20, {"kind": "b", "n": 3, "x": 0.5})])
    [kept] = optimizer.ask(grown, [Ticket(21, generator(0, 21))])  # type: ignore[misc]
    for threads in (1, 2):
        with threadpool_limits(threads):
            assert proposal_after(history, 21) == kept.params


def with_rows(rows: Sequence[tuple[TrialState, tuple[float, ...], str]]) -> History:
    history = History(SQUARE, TWO)
    configs = SQUARE.sample_many(generator(0, "rows"), len(rows))
    for number, (config, (state, values, kind)) in enumerate(zip(configs, rows, strict=True)):
        failure = Failure(FailureKind(kind), "made up") if kind else None
        history.add([Trial(number, state, SQUARE.dump(config), values, failure)])
    return history


@pytest.mark.parametrize(
    "values",
    [(1.0, 2.0), (1.0, math.nan), (math.inf, 1.0), (1e300, -1e300), (0.0, 0.0)],
    ids=["equal", "nan", "inf", "huge", "zero"],
)
def test_odd_values(values: tuple[float, float]) -> None:
    same = with_rows([(TrialState.COMPLETE, values, "")] * 8)
    SQUARE.check(proposal_after(same, 8))
    beside = [(TrialState.COMPLETE, (float(k), float(k % 3)), "") for k in range(8)]
    SQUARE.check(proposal_after(with_rows([*beside, (TrialState.COMPLETE, values, "")]), 9))


def test_one_objective_that_is_constant_leaves_the_other() -> None:
    history = searched(SQUARE, lambda config: (bowls(config)[0], 7.0), 25, 0)
    assert history.losses[:, 0].min() < 1e-3


def test_where_trials_fail_few_are_proposed() -> None:
    history = History(SQUARE, TWO)
    optimizer = make_optimizer("gp", SQUARE, TWO)
    for number in range(30):
        [proposal] = optimizer.ask(history, [Ticket(number, generator(0, number))])  # type: ignore[misc]
        params, fails = SQUARE.dump(proposal.params), proposal.params["x"] > 0.5
        failure = Failure(FailureKind.ERROR, "made up") if fails else None
        state = TrialState.FAILED if fails else TrialState.COMPLETE
        history.add([Trial(number, state, params, () if fails else bowls(proposal.params), failure)])
    assert np.mean([trial.failure is None for trial in history.trials[15:]]) > 0.6


def test_pruned_trials_are_bounds_and_never_on_the_front() -> None:
    history = with_rows([(TrialState.COMPLETE, (float(k), float(k)), "") for k in range(6)])
    before = proposal_after(history, 20)
    history.add([Trial(6, TrialState.PRUNED, {"x": 0.5, "y": 0.5})])
    history.add_reports([(6, Report(1, {"near": 0.0}))])
    assert proposal_after(history, 20) == before, "what has not reported all objectives says nothing"
    history.add_reports([(7, Report(1, {"near": -100.0, "far": 100.0}))])
    history.add([Trial(7, TrialState.PRUNED, {"x": 0.9, "y": 0.9})])
    SQUARE.check(proposal_after(history, 20))


@pytest.mark.parametrize("m", [2, 3, 6])
def test_gradients_agree_with_finite_differences(m: int) -> None:
    rng = np.random.default_rng(m)
    Z, losses, groups = rng.random((12, 3)), rng.standard_normal((12, m)), np.arange(3)
    theta = np.log([0.5, 0.7, 0.9, 1.0, 1e-3])
    feasibility = Feasibility([GaussianProcess(Z, np.sign(Z[:, 0] - 0.3), groups, theta)])
    acquisition = Fronts(groups, 3, m).improvement(
        Z, losses, np.ones(12, dtype=bool), rng.random((2, 3)), feasibility, rng
    )
    for z in rng.random((5, 3)):
        value, gradient = acquisition.with_gradient(z)
        assert value == pytest.approx(acquisition(z[None])[0], rel=1e-9)
        steps = 1e-5 * np.eye(3)
        slopes = (acquisition(z + steps) - acquisition(z - steps)) / 2e-5
        np.testing.assert_allclose(gradient, slopes, rtol=1e-3, atol=1e-4)
