"""The default optimizer: what it picks, and that it says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelwright._base.seeds import generator
from modelwright.optimizers import make_optimizer
from modelwright.optimizers.choosing import Facts, choose
from modelwright.records import Component, History, Objective, Ticket, Trial, TrialState
from modelwright.space import Categorical, Float, Int, Space
from modelwright.testing.optimizers import OptimizerContract

ONE = (Objective("loss"),)
TWO = (Objective("loss"), Objective("size"))
SPACE = Space(x=Float(0, 1), n=Int(1, 20), kind=Categorical("a", "b", "c"))
FACTS = Facts(
    objectives=1, constrained=False, parameters=3, features=5, finished=20, running=1, stale=0, number=21
)


class TestAuto(OptimizerContract):
    component = Component("auto")


def history_of(count: int, objectives: tuple[Objective, ...] = ONE, loss: float | None = None) -> History:
    """Return drawn configurations; the losses are drawn too unless one is given for all."""
    history = History(SPACE, objectives)
    for number in range(count):
        rng = generator(5, number)
        values = tuple(rng.random(len(objectives)) if loss is None else [loss] * len(objectives))
        params = SPACE.dump(SPACE.sample(rng))
        history.add([Trial(number, TrialState.COMPLETE, params, values)])
    return history


def reason(history: History, number: int, objectives: tuple[Objective, ...] = ONE) -> str:
    optimizer = make_optimizer("auto", SPACE, objectives)
    found = optimizer.ask(history, [Ticket(number, generator(0, number))])
    assert isinstance(found, list)
    return found[0].reason


@pytest.mark.parametrize(
    ("facts", "names"),
    [
        (FACTS, {"gp"}),
        (replace(FACTS, finished=0, running=0), {"gp"}),
        (replace(FACTS, parameters=0), {"random"}),
        (replace(FACTS, finished=5_000), {"gp", "tpe", "cmaes"}),
        (replace(FACTS, features=500, finished=200), {"tpe", "cmaes"}),
        (replace(FACTS, objectives=6), {"nsga2", "tpe"}),
        (replace(FACTS, objectives=6, constrained=True), {"tpe"}),
        (replace(FACTS, features=500, finished=200, constrained=True), {"tpe"}),
        (replace(FACTS, objectives=2, finished=5_000), {"gp", "nsga2", "tpe"}),
        (replace(FACTS, finished=2, running=60), {"quasirandom"}),
        (replace(FACTS, finished=80, stale=40), {"gp", "tpe", "forest"}),
    ],
)
def test_what_is_picked(facts: Facts, names: set[str]) -> None:
    assert {choose(replace(facts, number=number)).name for number in range(24)} == names


def test_the_reason_tells_which_and_why() -> None:
    assert reason(history_of(0), 0) == "gp (few trials): the space's default first"
    assert reason(history_of(12), 12).startswith("gp (few trials): ")
    assert reason(history_of(800), 801).startswith("tpe (800 trials of 5 features): ")


def test_what_no_longer_gets_further_is_helped_by_others() -> None:
    history = history_of(60, loss=1.0)
    names = {reason(history, number).split()[0] for number in range(60, 76)}
    assert names == {"gp", "tpe", "forest"}
    assert "59 trials brought little" in reason(history, 63)


def test_several_objectives() -> None:
    assert reason(history_of(12, TWO), 12, TWO).startswith("gp (few trials): ")
