"""Optimizers under outcome constraints."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from modelwright._base.seeds import generator
from modelwright.numerics.gaussian_process import GaussianProcess
from modelwright.optimizers import make_optimizer
from modelwright.optimizers.feasibility import Feasibility
from modelwright.optimizers.outcomes import AllOf, Outcomes, is_met
from modelwright.records import History, Objective, OutcomeConstraint, Ticket, Trial, TrialState
from modelwright.records.outcomes import how_far_off
from modelwright.space import Float, Space

SQUARE = Space(x=Float(0, 1), y=Float(0, 1))
ONE, TWO = (Objective("loss"),), (Objective("loss"), Objective("other"))


def searched(
    optimizer: str,
    bound: float,
    trials: int,
    seed: int = 0,
    objectives: Sequence[Objective] = ONE,
    bounded: bool = True,
) -> History:
    """The loss falls towards (0, 0); what is measured there is out of bounds."""
    constraints = (OutcomeConstraint("sum", ">=", bound),) if bounded else ()
    history = History(SQUARE, objectives, constraints)
    proposer = make_optimizer(optimizer, SQUARE, objectives, seed=seed, outcome_constraints=constraints)
    for number in range(trials):
        [proposal] = proposer.ask(history, [Ticket(number, generator(seed, number))])  # type: ignore[misc]
        x, y = proposal.params["x"], proposal.params["y"]
        values = (x**2 + y**2, (x - 1) ** 2 + y)[: len(objectives)]
        metrics = {"sum": x + y}
        history.add([Trial(number, TrialState.COMPLETE, dict(proposal.params), values, metrics=metrics)])
    return history


def best_met(history: History) -> float:
    return float(history.losses[is_met(history.violations), 0].min())


def test_gp_goes_along_the_border() -> None:
    history = searched("gp", 0.8, 25)
    assert best_met(history) < 0.32 * 1.02  # (0.4, 0.4) is best
    assert is_met(history.violations)[12:].mean() > 0.3


def test_tpe_ranks_what_meets_them_first() -> None:
    ours = [best_met(searched("tpe", 0.8, 60, seed)) for seed in range(3)]
    assert np.median(ours) < 0.36
    late = is_met(searched("tpe", 0.8, 60).violations)[30:]
    ignoring = is_met(searched("tpe", 0.8, 60, bounded=False).X.sum(axis=1)[:, None] * -1 + 0.8)[30:]
    assert late.mean() > ignoring.mean()


def test_where_nothing_meets_them_yet_gp_looks_for_what_does() -> None:
    history = searched("gp", 1.9, 20)
    assert is_met(history.violations).any()


def test_gp_with_several_objectives() -> None:
    history = searched("gp", 0.8, 25, objectives=TWO)
    met = is_met(history.violations)
    assert met[12:].mean() > 0.3
    assert best_met(history) < 0.36


@pytest.mark.parametrize("optimizer", ["gp", "tpe"])
def test_a_rebuild_proposes_the_same(optimizer: str) -> None:
    history = searched(optimizer, 0.8, 15)
    again = History(SQUARE, ONE, history.outcome_constraints)
    again.add(history.trials)
    proposals = []
    for known in (history, again):
        proposer = make_optimizer(optimizer, SQUARE, ONE, outcome_constraints=known.outcome_constraints)
        proposals.append(proposer.ask(known, [Ticket(15, generator(0, 15))]))
    assert proposals[0] == proposals[1]


def test_violations_of_a_history() -> None:
    bounds = OutcomeConstraint("a", "<=", 2.0), OutcomeConstraint("loss", ">=", 0.0)
    history = History(SQUARE, ONE, bounds)
    config = {"x": 0.5, "y": 0.5}
    history.add([Trial(0, TrialState.COMPLETE, config, (1.0,), metrics={"a": 3.0})])
    history.add([Trial(1, TrialState.COMPLETE, config, (-1.0,), user_attrs={"a": 1.0})])
    history.add([Trial(2, TrialState.FAILED, config)])
    np.testing.assert_array_equal(history.violations, [[1.0, -1.0], [-1.0, 1.0], [np.nan, np.nan]])
    assert [how_far_off(row, bounds) for row in history.violations.tolist()] == [0.5, 1.0, np.inf]
    assert History(SQUARE, ONE).violations.shape == (0, 0)


def test_gradients_agree_with_finite_differences() -> None:
    rng = np.random.default_rng(0)
    Z, groups, theta = rng.random((12, 2)), np.arange(2), np.log([0.4, 0.6, 1.0, 1e-3])
    failures = Feasibility([GaussianProcess(Z, np.sign(Z[:, 0] - 0.4), groups, theta)])
    violations = np.stack([Z[:, 0] - 0.5, 3 - 5 * Z[:, 1]], axis=1)
    every = AllOf([failures, *Outcomes(groups, 2).feasibility(Z, violations, rng.random((1, 2)))])
    for z in rng.random((4, 2)):
        value, gradient = every.with_gradient(z)
        assert value == pytest.approx(every(z[None])[0], rel=1e-6)
        steps = 1e-4 * np.eye(2)  # the logarithm is large where all is sure, and so is its rounding
        slopes = (every(z + steps) - every(z - steps)) / 2e-4
        np.testing.assert_allclose(gradient, slopes, rtol=5e-3, atol=5e-3 * np.abs(gradient).max())
