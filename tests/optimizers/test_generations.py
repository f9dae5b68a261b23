import math

import pytest

from modelwright.optimizers.generations import Generations, worth
from modelwright.records import Failure, FailureKind, History, Objective, Report, Trial, TrialState
from modelwright.space import Float, Space

LINE = Space(x=Float(0, 1))


def trial(number, state=TrialState.COMPLETE, values=(0.0,), kind=None):
    failure = None if kind is None else Failure(kind, "made up")
    return Trial(number, state, {"x": 0.5}, () if failure else values, failure)


def failed(number, kind):
    return trial(number, TrialState.FAILED, kind=kind)


def history_of(trials):
    history = History(LINE, [Objective()])
    history.add(trials)
    return history


def by_size(size):
    return Generations((), size, lambda state, _, rows: (*state, rows.tolist()))


def test_lost_and_killed_trials_belong_to_no_generation() -> None:
    kinds = [FailureKind.LOST, FailureKind.ERROR, FailureKind.KILLED]
    history = history_of([trial(0), *(failed(k, kind) for k, kind in enumerate(kinds, 1)), trial(9)])
    assert by_size(lambda state: 3).after(history) == ([0, 2, 4],)


def test_growing_row_by_row_ends_where_reading_at_once_does() -> None:
    trials = [trial(k) if k % 4 else failed(k, FailureKind.LOST) for k in range(40)]
    size = lambda state: 2 + len(state)  # noqa: E731
    growing, history = by_size(size), history_of([])
    for one in trials:
        history.add([one])
        growing.after(history)
    assert growing.after(history) == by_size(size).after(history_of(trials))


def test_another_history_is_read_from_the_start() -> None:
    generations = by_size(lambda state: 2)
    assert len(generations.after(history_of([trial(k) for k in range(8)]))) == 4
    assert generations.after(history_of([trial(k) for k in range(3)])) == ([0, 1],)


def test_worth_puts_complete_trials_first_then_who_came_far_then_failures() -> None:
    trials = [
        failed(0, FailureKind.MEMORY),
        trial(1, TrialState.PRUNED, (0.1,)),
        trial(2, TrialState.PRUNED, (0.1,)),
        trial(3, values=(5.0,)),
        trial(4, values=(1e300,)),
        trial(5, values=(math.nan,)),
        trial(6, TrialState.PRUNED, ()),
    ]
    history = history_of(trials)
    history.add_reports([(1, Report(1, {"value": 0.1})), (2, Report(3, {"value": 0.4}))])
    assert sorted(range(7), key=lambda row: (worth(history, row), row)) == [3, 4, 2, 1, 6, 0, 5]
    assert worth(history, 0) == worth(history, 5)


@pytest.mark.parametrize("kind", [k for k in FailureKind if k.teaches])
def test_all_failures_that_teach_are_alike(kind) -> None:
    assert worth(history_of([failed(0, kind)]), 0) == (2.0,)
