import pytest

from modelwright._base.seeds import generator
from modelwright.optimizers import make_optimizer
from modelwright.optimizers.manual import Manual
from modelwright.records import Component, History, Objective, Ticket, Wait
from modelwright.space import Float, Space
from modelwright.testing.optimizers import OptimizerContract

LINE = Space(x=Float(0, 1))


class TestManual(OptimizerContract):
    component = Component("manual")


@pytest.mark.parametrize("objectives", [(Objective(),), (Objective("a"), Objective("b", "maximize"))])
@pytest.mark.parametrize("name", ["manual", "passive"])
def test_it_waits_for_what_is_enqueued(name, objectives) -> None:
    optimizer = make_optimizer(name, LINE, objectives)
    assert isinstance(optimizer, Manual)
    answer = optimizer.ask(History(LINE, objectives), [Ticket(0, generator(0))])
    assert isinstance(answer, Wait)
    assert answer.reason.startswith("nothing is enqueued")
