import numpy as np

from modelwright.optimizers.ranking import Ranking
from modelwright.records import Failure, FailureKind, History, Objective, Report, Trial, TrialState
from modelwright.space import Float, Space

SPACE = Space(x=Float(0, 1))
ONE, TWO = [Objective("loss")], [Objective("loss"), Objective("score", "maximize")]


def complete(number: int, *values: float) -> Trial:
    return Trial(number, TrialState.COMPLETE, {"x": 0.5}, values)


def failed(number: int, kind: FailureKind) -> Trial:
    return Trial(number, TrialState.FAILED, {"x": 0.5}, (), Failure(kind, "made up"))


def filled(trials: list[Trial], objectives: list[Objective] = ONE) -> History:
    history = History(SPACE, objectives)
    history.add(trials)
    return history


def test_the_lowest_losses_are_good() -> None:
    history = filled([complete(k, loss) for k, loss in enumerate([3.0, 1.0, 2.0, 1.0])])
    split = Ranking(ONE, max_bad=9).split(history, 2)
    assert (split.good.tolist(), split.bad.tolist()) == ([1, 3], [2, 0])


def test_pruned_ones_follow_by_how_far_they_came_and_failures_are_bad() -> None:
    history = History(SPACE, ONE)
    history.add_reports(
        (number, Report(step, {"loss": loss}))
        for number, step, loss in [(0, 1, 0.1), (1, 5, 0.9), (2, 5, 0.7)]
    )
    pruned = [Trial(k, TrialState.PRUNED, {"x": 0.5}, (0.5,)) for k in range(3)]
    history.add([*pruned, complete(3, 9.0), failed(4, FailureKind.MEMORY), failed(5, FailureKind.LOST)])
    ranking = Ranking(ONE, max_bad=9)
    assert ranking.count(history) == 5
    split = ranking.split(history, 4)
    assert (split.good.tolist(), split.bad.tolist()) == ([3, 2, 1, 0], [4])


def test_a_complete_trial_without_a_number_is_bad() -> None:
    split = Ranking(ONE, max_bad=9).split(filled([complete(0, np.nan), complete(1, 5.0)]), 2)
    assert (split.good.tolist(), split.bad.tolist()) == ([1], [0])


def test_several_objectives_rank_by_fronts_in_their_own_directions() -> None:
    history = filled(
        [complete(0, 2.0, 0.0), complete(1, 0.0, 1.0), complete(2, 1.0, 2.0), complete(3, 3.0, 0.0)], TWO
    )
    split = Ranking(TWO, max_bad=9).split(history, 2)
    assert sorted(split.good.tolist()) == [1, 2]
    assert sorted(split.bad.tolist()) == [0, 3]


def test_of_many_bad_rows_the_best_and_the_newest_stay() -> None:
    losses = [*range(100, 200), *range(50)]
    split = Ranking(ONE, max_bad=20).split(
        filled([complete(k, float(loss)) for k, loss in enumerate(losses)]), 5
    )
    assert split.good.tolist() == [100, 101, 102, 103, 104]
    assert split.bad.tolist()[:10] == list(range(105, 115))
    assert split.bad.tolist()[10:] == list(range(140, 150))


def test_a_growing_history_gives_what_a_new_one_gives() -> None:
    rng = np.random.default_rng(0)
    trials = [complete(k, float(rng.integers(5)), float(rng.integers(5))) for k in range(40)]
    grown, ranking = History(SPACE, TWO), Ranking(TWO, max_bad=10)
    for count in range(1, 41):
        grown.add(trials[:count])
        now, fresh = ranking.split(grown, 4), Ranking(TWO, max_bad=10).split(filled(trials[:count], TWO), 4)
        assert (now.good.tolist(), now.bad.tolist()) == (fresh.good.tolist(), fresh.bad.tolist())
