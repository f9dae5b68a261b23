from __future__ import annotations

from dataclasses import replace

import pytest

from modelwright import Float, Space
from modelwright.records import Budget, StudySpec, StudyState
from modelwright.storage.base import StudyRecord
from modelwright.worker import board as board_module
from modelwright.worker.board import Board
from modelwright.worker.options import WorkerOptions

SPACE = Space(x=Float(0, 1))


def record(key: int, priority: int = 1, state: StudyState = StudyState.PENDING) -> StudyRecord:
    spec = StudySpec(f"s{key}", SPACE, priority=priority)
    return StudyRecord(key, spec, state, 0, Budget(10), 0, 0.0, None, 0, {})


def make(**options: object) -> Board:
    return Board(WorkerOptions("hub.db", **options), seed=3)  # type: ignore[arg-type]


def chosen(board: Board, *records: StudyRecord) -> int | None:
    found = board.choose(records)
    return None if found is None else found.id


def test_the_highest_priority_goes_first_and_the_oldest_of_equals() -> None:
    assert chosen(make(), record(1), record(3, 5), record(2, 5)) == 2
    assert chosen(make()) is None


@pytest.mark.parametrize("state", [StudyState.PAUSED, StudyState.COMPLETE, StudyState.FAILED])
def test_a_study_that_is_not_open_has_no_work(state: StudyState) -> None:
    assert chosen(make(), record(1, 9, state), record(2, state=StudyState.RUNNING)) == 2


def test_only_studies_that_were_named() -> None:
    assert chosen(make(studies=("s2",)), record(1, 9), record(2)) == 2


def test_a_random_choice_takes_all_equals_in_turn() -> None:
    board = make(choose="random")
    found = [chosen(board, record(1, 5), record(2, 5), record(3, 1)) for _ in range(40)]
    assert set(found) == {1, 2}
    assert not board.keeps(1, [record(1, 5), record(2, 5)])
    assert board.keeps(1, [record(1, 5), record(2, 1)])


def test_a_worker_stays_until_something_more_urgent_comes() -> None:
    board = make()
    assert board.keeps(2, [record(2), record(3)])
    assert not board.keeps(2, [record(2), record(3, 5)])
    assert board.keeps(2, [])


def test_a_study_whose_trials_others_hold_is_passed_over_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(board_module.time, "monotonic", lambda: now)
    board = make()
    board.mark_busy(1)
    assert chosen(board, record(1, 5), record(2)) == 2
    assert chosen(board, record(1, 5)) == 1  # there is nothing else
    now += 5
    assert chosen(board, record(1, 5), record(2)) == 1


def test_a_study_without_work_counts_again_when_its_budget_grows() -> None:
    board, spent = make(), record(1)
    board.mark_done(spent)
    assert chosen(board, spent) is None
    assert chosen(board, replace(spent, revision=7, state=StudyState.RUNNING)) is None
    assert chosen(board, replace(spent, budget=Budget(20))) == 1


def test_what_cannot_be_run_here_is_left_out() -> None:
    board = make()
    board.refused[1] = "why"
    assert chosen(board, record(1, 9), record(2)) == 2
