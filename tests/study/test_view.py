"""The copy of the ledger, and what each trial may know."""

from __future__ import annotations

from modelwright.records import Outcome, Proposal, Provenance, Report, StudySpec, TrialState
from modelwright.space import Float, Space
from modelwright.storage import MemoryStorage
from modelwright.storage.base import Claim
from modelwright.study.view import LedgerView

SPACE = Space(x=Float(0, 1))


class Bench:
    """A ledger that is written to by hand, and a view of it."""

    def __init__(self, *, window: int | None = None, max_attempts: int = 3) -> None:
        self.storage = MemoryStorage()
        spec = StudySpec("s", SPACE, reproducible=window is not None, max_attempts=max_attempts)
        self.id = self.storage.create_study(spec).id
        if window is not None:
            self.storage.set_window(self.id, window)
        self.view = LedgerView(self.storage, self.storage.study("s"), SPACE)
        self.claims: dict[int, Claim] = {}

    def claim(self) -> int:
        claim = self.storage.claim(self.id, "me", f"c{len(self.claims)}", 60.0)
        assert isinstance(claim, Claim)
        self.claims[claim.number] = claim
        return claim.number

    def propose(self, *numbers: int) -> None:
        for number in numbers:
            self.storage.propose(self.claims[number], Proposal({"x": number / 100}), Provenance(), 0)

    def finish(self, *numbers: int) -> None:
        for number in numbers:
            outcome = Outcome(TrialState.COMPLETE, (float(number),))
            self.storage.finish(self.claims[number], outcome, f"r{number}")

    def running(self, count: int) -> None:
        for _ in range(count):
            self.propose(self.claim())


def numbers(view: LedgerView, number: int) -> list[int]:
    return [trial.number for trial in view.history_for(number).trials]


def test_free_running_knows_all_in_the_order_of_finishing() -> None:
    bench = Bench()
    bench.running(4)
    bench.finish(2)
    bench.view.refresh()
    bench.finish(3, 0)
    bench.view.refresh()
    assert bench.view.ready(4)
    assert numbers(bench.view, 4) == [2, 3, 0]
    assert bench.view.history_for(4).pending_numbers == [1]
    assert bench.view.history_for(1).pending_numbers == []  # a trial is not pending to itself
    assert bench.view.unfinished == 1


def test_lock_step_knows_trials_up_to_k_minus_w_by_number() -> None:
    bench = Bench(window=2)
    bench.running(4)
    bench.finish(1)
    bench.view.refresh()
    assert not bench.view.settled(3)  # trial 0 is not finished
    assert not bench.view.ready(3)
    bench.finish(3, 0)
    bench.view.refresh()
    assert bench.view.ready(3)
    assert numbers(bench.view, 3) == [0, 1]
    assert bench.view.history_for(3).pending_numbers == [2]
    bench.finish(2)
    bench.view.refresh()
    assert numbers(bench.view, 4) == [0, 1, 2]
    assert bench.view.history_for(4).pending_numbers == [3]  # finished, and yet pending to this one


def test_lock_step_waits_until_those_just_before_are_proposed() -> None:
    bench = Bench(window=2)
    bench.running(1)
    bench.claim()
    bench.view.refresh()
    assert bench.view.ready(1)
    bench.finish(0)
    bench.view.refresh()
    assert bench.view.settled(2)
    assert not bench.view.ready(2)
    bench.propose(1)
    bench.view.refresh()
    assert bench.view.ready(2)


def test_the_first_trials_know_nothing() -> None:
    bench = Bench(window=3)
    bench.running(2)
    bench.finish(0, 1)
    bench.view.refresh()
    assert [numbers(bench.view, k) for k in (0, 1, 2)] == [[], [], []]
    assert bench.view.history_for(2).pending_numbers == [0, 1]


def test_a_history_of_an_earlier_trial_is_cut_anew() -> None:
    bench = Bench(window=1)
    bench.running(4)
    bench.finish(0, 1, 2, 3)
    bench.view.refresh()
    assert numbers(bench.view, 4) == [0, 1, 2, 3]
    assert numbers(bench.view, 2) == [0, 1]
    assert numbers(bench.view, 4) == [0, 1, 2, 3]


def test_decisions_compare_with_the_same_trials_and_all_their_reports() -> None:
    bench = Bench(window=2)
    bench.running(3)
    for number in range(3):
        bench.storage.report(bench.claims[number], [Report(1, {"value": 10.0 + number})])
    bench.finish(2, 1, 0)
    bench.view.refresh()
    older, newer = bench.view.decision_history(2), bench.view.decision_history(3)
    assert [t.number for t in older.trials] == [0]
    assert [t.number for t in newer.trials] == [0, 1]
    assert newer.reports(1) == [(1, 11.0)]
    assert older is not newer
    assert bench.view.decision_history(4) is older  # and two of them are enough for all trials


def test_a_number_that_was_given_back_is_no_trial_any_more() -> None:
    bench = Bench()
    bench.running(1)
    number = bench.claim()
    bench.view.refresh()
    assert bench.view.unfinished == 2
    bench.storage.release(bench.claims[number], "not now")
    bench.view.refresh()
    assert bench.view.unfinished == 1
    assert list(bench.view.trials) == [0]
    assert bench.claim() == number
    bench.view.refresh()
    assert bench.view.trials[number].state is TrialState.RUNNING


def test_added_parameters_count_from_the_first_settled_trial_that_has_them() -> None:
    bench = Bench(window=2)
    bench.running(3)
    wider = SPACE.with_parameter("late", Float(0, 1)).with_parameter("early", Float(0, 1))
    bench.storage.add_space(bench.id, wider.to_json(), 0)
    bench.storage.extend(bench.claims[2], {"late": 0.5}, 1)
    bench.storage.extend(bench.claims[1], {"late": 0.5}, 1)
    bench.storage.extend(bench.claims[0], {"early": 0.5}, 1)
    bench.finish(1, 2)
    bench.view.refresh()
    assert bench.view.names_for(3) == []  # trial 0 is not finished
    bench.finish(0)
    bench.view.refresh()
    assert [bench.view.names_for(k) for k in (1, 2, 3)] == [[], ["early"], ["early", "late"]]
    # What trial 2 was proposed with is pending to trial 3, and not what its objective added since.
    assert bench.view.history_for(3).pending == [{"x": 0.02}]


def test_free_running_uses_all_parameters_at_once() -> None:
    bench = Bench()
    assert bench.view.names_for(5) is None
    assert bench.view.lane(5) == 0


def test_a_copy_that_comes_late_is_the_same_copy() -> None:
    bench = Bench()
    bench.running(6)
    bench.finish(4, 5)
    narrow = Space(x=Float(0, 0.03))
    views = [bench.view]
    for space in (narrow, SPACE):
        bench.view.refresh()
        bench.storage.add_space(bench.id, space.to_json(), bench.view.record.space_version)
        bench.view.refresh()
        bench.finish(*([3, 1] if space is narrow else [2]))
        views.append(LedgerView(bench.storage, bench.storage.study("s"), SPACE))
    for view in views:
        view.refresh()
        assert numbers(view, 9) == [4, 5, 3, 1, 2]


def test_trials_that_end_together_come_by_their_numbers() -> None:
    bench = Bench(max_attempts=1)
    bench.running(2)
    bench.storage.forfeit("me", "gone")
    assert bench.claim() == 2  # by the same revision the leases of both are found to have run out
    bench.view.refresh()
    bench.storage.set_trial_attrs(bench.id, 0, {"moves": "it behind the other"})
    late = LedgerView(bench.storage, bench.storage.study("s"), SPACE)
    late.refresh()
    assert len({bench.view.trials[number].finished_revision for number in (0, 1)}) == 1
    assert numbers(late, 2) == numbers(bench.view, 2) == [0, 1]
