from __future__ import annotations

import itertools

import pytest

from modelwright.analysis import score_history
from modelwright.records import Failure, FailureKind, Objective, Trial, TrialState

SECOND = 1_000_000


def trial(number: int, score: float, end_s: int, method: str = "dt") -> Trial:
    return Trial(
        number,
        TrialState.COMPLETE,
        {"method": method},
        (score,),
        started_us=10 * SECOND,
        ended_us=(10 + end_s) * SECOND,
    )


@pytest.mark.parametrize(
    ("direction", "best"), [("maximize", (3.0, 3.0, 5.0)), ("minimize", (3.0, 1.0, 1.0))]
)
def test_the_best_so_far_follows_the_direction(direction: str, best: tuple[float, ...]) -> None:
    objective = Objective("score", direction)  # type: ignore[arg-type]
    trials = [trial(0, 3.0, 1), trial(1, 1.0, 2), trial(2, 5.0, 3)]
    assert score_history(trials, objective).best == best


def test_order_is_that_of_ending_whatever_order_they_come_in() -> None:
    trials = [trial(0, 0.1, 9, "rf"), trial(1, 0.2, 4), trial(2, 0.3, 4)]
    results = {score_history(order, Objective()) for order in itertools.permutations(trials)}
    assert len(results) == 1
    (found,) = results
    assert found.numbers == (1, 2, 0)
    assert found.groups == ("dt", "dt", "rf")
    assert found.elapsed_s == (4.0, 4.0, 9.0)


def test_the_clock_starts_with_the_first_trial_of_any_state() -> None:
    failed = Trial(
        0,
        TrialState.FAILED,
        failure=Failure(FailureKind.ERROR, "no"),
        started_us=5 * SECOND,
        ended_us=6 * SECOND,
    )
    waiting = Trial(3, TrialState.WAITING)
    found = score_history(
        [failed, trial(1, 0.5, 1), waiting],
        Objective(),
        ensembles=[(12 * SECOND, 0.4), (11 * SECOND, 0.45)],
    )
    assert found.numbers == (1,)
    assert found.elapsed_s == (6.0,)
    assert found.ensemble_elapsed_s == (6.0, 7.0)
    assert found.ensemble_scores == (0.45, 0.4)


def test_a_study_without_results() -> None:
    found = score_history([Trial(0, TrialState.WAITING)], Objective())
    assert found.numbers == found.best == ()


def test_groups_can_be_anything() -> None:
    found = score_history([trial(7, 0.5, 1)], Objective(), group=lambda one: f"trial {one.number}")
    assert found.groups == ("trial 7",)
