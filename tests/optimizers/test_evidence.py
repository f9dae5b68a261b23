"""What the trials of a history say."""

from __future__ import annotations

import math

from modelwright.optimizers.evidence import Evidence
from modelwright.records import Failure, FailureKind, History, Objective, Report, Trial, TrialState
from modelwright.space import Float, Space

SPACE, ONE = Space(x=Float(0, 1)), (Objective("score", "maximize"),)


def trial(number: int, value: float | None = None, kind: str = "", *, pruned: bool = False) -> Trial:
    state = TrialState.PRUNED if pruned else TrialState.FAILED if kind else TrialState.COMPLETE
    failure = Failure(FailureKind(kind), "made up") if kind else None
    return Trial(number, state, {"x": 0.5}, () if value is None else (value,), failure)


def test_failures_that_teach_are_kept_apart_and_lost_trials_left_out() -> None:
    history = History(SPACE, ONE)
    history.add(
        [trial(0, 1.0), trial(1, kind="error"), trial(2, kind="lost"), trial(3, 2.0), trial(4, kind="nan")]
    )
    evidence = Evidence()
    evidence.read(history)
    assert evidence.valued.tolist() == [0, 3]
    assert evidence.losses.tolist() == [-1.0, -2.0]
    assert evidence.failed.tolist() == [1, 4]
    [way] = evidence.ways_to_fail
    assert way.rows.tolist() == [0, 1, 3, 4]
    assert way.works.tolist() == [True, False, True, False]


def test_what_took_too_much_and_what_made_no_sense_are_learned_apart_once_there_is_enough_of_both() -> None:
    def ways(*kinds: str) -> dict[str, list[int]]:
        history = History(SPACE, ONE)
        history.add([trial(0, 1.0), *(trial(1 + k, kind=kind) for k, kind in enumerate(kinds))])
        evidence = Evidence()
        evidence.read(history)
        return {way.name: way.rows.tolist() for way in evidence.ways_to_fail}

    assert ways() == {}
    assert ways("error", "memory", "nan", "invalid", "timeout") == {"any": [0, 1, 2, 3, 4, 5]}
    assert ways("error", "memory", "nan", "invalid", "timeout", "timeout") == {
        "cost": [0, 2, 5, 6],
        "validity": [0, 1, 3, 4],
    }


def test_a_pruned_trial_is_no_better_than_the_median_before_it() -> None:
    history = History(SPACE, ONE)
    history.add_reports([(3, Report(1, {"score": 9.0})), (4, Report(1, {"score": -5.0}))])
    history.add([trial(0, 1.0), trial(1, 2.0), trial(2, 3.0), trial(3, pruned=True), trial(4, pruned=True)])
    history.add([trial(5, 100.0), trial(6, 101.0), trial(7, 102.0)])
    evidence = Evidence()
    evidence.read(history)
    assert evidence.losses.tolist()[3:5] == [-2.0, 5.0]


def test_what_is_no_number_has_failed_and_what_is_huge_is_cut() -> None:
    history = History(SPACE, ONE)
    history.add([trial(0, math.inf), trial(1, math.nan), trial(2, 1e300), trial(3)])
    evidence = Evidence()
    evidence.read(history)
    assert evidence.failed.tolist() == [0, 1, 3]
    assert evidence.losses.tolist() == [-1e150]


def test_it_goes_on_where_it_stopped_and_begins_anew_with_another_history() -> None:
    evidence, history = Evidence(), History(SPACE, ONE)
    for number in range(3):
        history.add([trial(number, float(number))])
        evidence.read(history)
        assert len(evidence.valued) == number + 1
    evidence.read(History(SPACE, ONE))
    assert len(evidence.valued) == 0
