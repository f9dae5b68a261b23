import pytest

from modelwright._base.seeds import generator
from modelwright.optimizers.random import RandomSearch
from modelwright.records import Component, History, Objective, Ticket
from modelwright.space import Categorical, Float, Space
from modelwright.testing.optimizers import OptimizerContract, Simulation


class TestRandomSearch(OptimizerContract):
    component = Component("random")


def build(space, objectives, *, deterministic):
    return RandomSearch(space, objectives, deterministic=deterministic)


def test_each_ticket_gets_the_draw_of_its_own_generator() -> None:
    space, objectives = Space(x=Float(0, 1)), [Objective()]
    optimizer = RandomSearch(space, objectives)
    together = optimizer.ask(History(space, objectives), [Ticket(k, generator(1, k)) for k in range(3)])
    alone = [optimizer.ask(History(space, objectives), [Ticket(k, generator(1, k))])[0] for k in range(3)]
    assert together == alone


def test_a_discrete_branch_of_an_endless_space_is_proposed_once() -> None:
    space = Space(kind=Categorical("plain", "tuned"), x=Float(0, 1, when={"kind": "tuned"}))
    configs = Simulation(space, build, deterministic=True).run(60).configs
    assert sum(config["kind"] == "plain" for config in configs) == 1


def test_without_collisions_an_ask_does_not_read_the_history(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = Simulation(Space(x=Float(0, 1)), build, deterministic=True).run(5)
    monkeypatch.setattr(Space, "key", lambda *_: pytest.fail("read"))
    simulation.ask()
