import numpy as np
import pytest

from modelwright.optimizers.novelty import Novelty, always_differs
from modelwright.records import Exhausted, History, Objective, Ticket, Trial, TrialState, Wait
from modelwright.space import Categorical, Constant, Float, Int, Space

SPACE = Space(n=Int(1, 4))
ONE = [Objective()]


def history(*tried: int, pending: tuple[int, ...] = ()) -> History:
    result = History(SPACE, ONE)
    result.add(Trial(k, TrialState.COMPLETE, {"n": n}, (0.0,)) for k, n in enumerate(tried))
    result.set_pending([(100 + k, {"n": n}) for k, n in enumerate(pending)])
    return result


def tickets(count: int) -> list[Ticket]:
    return [Ticket(k, np.random.default_rng(k)) for k in range(count)]


def always_one(ticket: Ticket, batch: list[dict]) -> tuple[dict, str]:
    return {"n": 1}, "stubborn"


def test_a_used_draw_is_replaced_by_one_that_is_new() -> None:
    proposals = Novelty(SPACE).fill(history(1, 2, pending=(3,)), tickets(2), always_one)
    assert [proposal.params for proposal in proposals] == [{"n": 4}]


def test_what_is_left_decides_between_waiting_and_the_end() -> None:
    novelty = Novelty(SPACE)
    assert novelty.fill(history(1, 2, 3, pending=(4,)), tickets(1), always_one) == Wait(
        "all others tried; 1 of 4 still run"
    )
    assert novelty.fill(history(1, 2, 3, 4), tickets(1), always_one) == Exhausted("all 4 tried")


def test_the_reason_for_a_draw_that_is_new_is_kept() -> None:
    [proposal] = Novelty(SPACE).fill(history(2), tickets(1), always_one)
    assert proposal.reason == "stubborn"


def test_without_uniqueness_repeats_are_left_alone() -> None:
    proposals = Novelty(SPACE).fill(history(1, 2, 3, 4), tickets(2), always_one, unique=False)
    assert [proposal.params for proposal in proposals] == [{"n": 1}] * 2


def test_only_new_rows_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    novelty, grown = Novelty(SPACE), history(1, 2)
    novelty.catch_up(grown)
    grown.add([Trial(2, TrialState.COMPLETE, {"n": 3}, (0.0,))])
    changed = grown.X.copy()
    changed[:2] = np.nan  # whoever looks at them again sees what nobody has tried
    monkeypatch.setattr(History, "X", property(lambda _: changed))
    novelty.catch_up(grown)
    assert [novelty.is_new({"n": n}) for n in (1, 2, 3, 4)] == [False, False, False, True]


def test_configurations_differ_where_one_lacks_a_parameter_or_has_it_a_little_larger() -> None:
    space = Space(kind=Categorical("a", "b"), x=Float(0, 1, when={"kind": "b"}))
    used = [{"kind": "a"}, {"kind": "b", "x": 0.25}]
    past = History(space, ONE)
    past.add(Trial(k, TrialState.COMPLETE, params, (0.0,)) for k, params in enumerate(used))
    novelty = Novelty(space)
    novelty.catch_up(past)
    assert not any(novelty.is_new(params) for params in used)
    assert novelty.is_new({"kind": "b", "x": 0.25 + 1e-15})


def test_another_history_starts_afresh() -> None:
    novelty = Novelty(SPACE)
    novelty.catch_up(history(1, 2))
    novelty.catch_up(history(3))
    assert [novelty.is_new({"n": n}) for n in (1, 2, 3)] == [True, True, False]


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        (Space(x=Float(0, 1)), True),
        (Space(x=Float(0, 1, step=0.1)), False),
        (Space(n=Int(1, 3), k=Constant(1)), False),
        (Space(a=Categorical("p", "q"), x=Float(0, 1, when={"a": "p"})), False),
        (Space(a=Categorical("p", "q"), x=Float(0, 1)), True),
    ],
)
def test_draws_differ_where_a_number_without_steps_is_always_active(space: Space, expected: bool) -> None:
    assert always_differs(space) is expected
