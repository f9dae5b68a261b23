from __future__ import annotations

import math

import numpy as np
import pytest

from modelwright.analysis import convergence, pareto_front
from modelwright.errors import InputError
from modelwright.numerics.hypervolume import hypervolume
from modelwright.records import Failure, FailureKind, History, Objective, Trial, TrialState
from modelwright.space import Float, Space

SECOND = 1_000_000
SPACE = Space(x=Float(0, 1))


def history_of(values: list[float], direction: str = "minimize", order: list[int] | None = None) -> History:
    """Complete trials that each took a second, in the order in which they ended."""
    history = History(SPACE, [Objective("v", direction)])  # type: ignore[arg-type]
    for at, number in enumerate(order or range(len(values))):
        history.add(
            [
                Trial(
                    number,
                    TrialState.COMPLETE,
                    {"x": 0.5},
                    (values[number],),
                    started_us=at * SECOND,
                    ended_us=(at + 1) * SECOND,
                )
            ]
        )
    return history


def test_the_best_so_far_follows_time_and_direction() -> None:
    found = convergence(history_of([3.0, 1.0, 2.0, 5.0], "maximize", order=[2, 0, 3, 1]))
    assert found.numbers == (2, 0, 3, 1)
    assert found.best == (2.0, 3.0, 5.0, 5.0)
    assert found.elapsed_s == (1.0, 2.0, 3.0, 4.0)
    assert (found.stalled_trials, found.stalled_s) == (1, 1.0)


def test_gains_without_worth_do_not_end_a_standstill() -> None:
    values = [10.0, 5.0, 0.0] + [-0.001 * k for k in range(1, 11)] + [9.0] * 10
    found = convergence(history_of(values))
    assert found.stalled_trials == len(values) - 3
    assert convergence(history_of(values), tolerance=0.0).stalled_trials == 10


def test_small_gains_add_up() -> None:
    found = convergence(history_of([10.0] * 21 + [10.0 - 0.1 * k for k in range(1, 21)]))
    assert found.stalled_trials == 0


def test_trials_that_did_not_complete_or_have_no_times() -> None:
    history = history_of([2.0, 1.0])
    history.add(
        [
            Trial(5, TrialState.FAILED, {"x": 0.1}, failure=Failure(FailureKind.ERROR, "no")),
            Trial(6, TrialState.PRUNED, {"x": 0.1}, (-9.0,)),
            Trial(7, TrialState.COMPLETE, {"x": 0.1}, (0.0,)),
        ]
    )
    found = convergence(history)
    assert found.numbers == (0, 1, 7)
    assert found.best == (2.0, 1.0, 0.0)
    assert math.isnan(found.elapsed_s[-1])
    assert found.stalled_trials == 0


def test_a_history_of_nothing_and_of_equal_values() -> None:
    assert convergence(History(SPACE, [Objective()])).best == ()
    assert convergence(history_of([1.0] * 9)).stalled_trials == 8
    assert convergence(history_of([math.inf, math.inf, 1.0, 2.0])).stalled_trials == 1


def two(values: list[tuple[float, float]]) -> History:
    history = History(SPACE, [Objective("error"), Objective("accuracy", "maximize")])
    history.add(Trial(k, TrialState.COMPLETE, {"x": 0.5}, pair) for k, pair in enumerate(values))
    return history


def test_with_several_objectives_the_volume_grows() -> None:
    rng = np.random.default_rng(0)
    values = [tuple(pair) for pair in rng.random((30, 2)).tolist()]
    history = two(values)  # type: ignore[arg-type]
    best = convergence(history).best
    assert list(best) == sorted(best)
    front = pareto_front(history)
    assert best[-1] == pytest.approx(front.hypervolume)
    losses = history.losses
    assert best[9] == pytest.approx(hypervolume(losses[:10], np.array(front.reference) * [1, -1]))


def test_the_front_is_told_in_the_objectives_own_directions() -> None:
    front = pareto_front(two([(0.0, 1.0), (1.0, 2.0), (2.0, 0.5), (0.5, 0.9)]), reference=(2.0, 0.0))
    assert front.numbers == (0, 1)
    assert front.values == ((0.0, 1.0), (1.0, 2.0))
    assert front.reference == (2.0, 0.0)
    assert front.hypervolume == 3.0


def test_the_reference_lies_a_tenth_beyond_the_worst() -> None:
    front = pareto_front(two([(0.0, 1.0), (10.0, 3.0), (math.inf, 0.0)]))
    assert front.reference == pytest.approx((11.0, 0.8))


@pytest.mark.parametrize("reference", [(1.0,), (1.0, math.nan), (1.0, 2.0, 3.0)])
def test_a_bad_reference_is_named(reference: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="2 finite values, one per objective"):
        pareto_front(two([(0.0, 1.0)]), reference=reference)


def test_a_front_of_nothing() -> None:
    front = pareto_front(two([]))
    assert front.numbers == ()
    assert front.hypervolume == 0.0
