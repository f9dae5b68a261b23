import numpy as np
import pytest

from modelwright._base.seeds import generator
from modelwright.errors import AbilityError, InputError
from modelwright.optimizers import make_optimizer
from modelwright.records import Component, History, Objective, Ticket, Trial, TrialState
from modelwright.space import Bool, Categorical, Float, Int, Space
from modelwright.testing.optimizers import OptimizerContract

ONE = (Objective(),)


class TestRegularizedEvolution(OptimizerContract):
    component = Component("evolution", {"population": 6, "tournament": 3})


def complete(number, params, *values):
    return Trial(number, TrialState.COMPLETE, params, values)


def median_regret(name, space, loss, trials, **options):
    found = []
    for seed in range(5):
        optimizer, history = make_optimizer(name, space, ONE, **options), History(space, ONE)
        for number in range(trials):
            [proposal] = optimizer.ask(history, [Ticket(number, generator(seed, number))])
            history.add([complete(number, proposal.params, loss(proposal.params))])
        found.append(history.losses.min())
    return np.median(found)


def test_it_searches_a_mixed_space() -> None:
    space = Space(
        kind=Categorical("a", "b", "c"),
        depth=Int(1, 15),
        rate=Float(1e-4, 1, log=True),
        share=Float(0.1, 1, step=0.1),
    )

    def loss(c):
        shift = {"a": 1.0, "b": 0.4, "c": 0.0}[c["kind"]]
        numbers = 0.05 * (c["depth"] - 9) ** 2 + 2 * (c["share"] - 0.7) ** 2
        return shift + numbers + (np.log10(c["rate"]) + 2.1) ** 2

    assert median_regret("evolution", space, loss, 100) < 0.25 * median_regret("random", space, loss, 100)


def test_many_switches_are_set_one_by_one() -> None:
    space = Space({f"b{i}": Bool() for i in range(24)})
    assert median_regret("evolution", space, lambda c: 24.0 - sum(c.values()), 250) <= 2


def history_of(count, space, loss):
    history = History(space, ONE)
    drawn = space.sample_many(np.random.default_rng(0), count)
    history.add(complete(k, c, loss(k)) for k, c in enumerate(drawn))
    return history


def test_a_child_differs_in_one_parameter_from_a_member_that_is_alive() -> None:
    space = Space({f"x{i}": Float(0, 1) for i in range(6)})
    history = history_of(40, space, float)  # the oldest are the best, and dead
    optimizer = make_optimizer("evolution", space, ONE, population=10, tournament=10)
    [proposal] = optimizer.ask(history, [Ticket(40, generator(0))])
    assert proposal.reason == "a neighbour of trial 30"
    parent = history.configs[30]
    assert sum(proposal.params[name] != parent[name] for name in space.names) == 1


def test_it_draws_until_the_population_is_there() -> None:
    space = Space(x=Float(0, 1))
    optimizer = make_optimizer("evolution", space, ONE, population=10, tournament=20)
    [early] = optimizer.ask(history_of(9, space, float), [Ticket(9, generator(0))])
    [late] = optimizer.ask(history_of(10, space, float), [Ticket(10, generator(0))])
    assert "default" in early.reason
    assert "neighbour of trial 0" in late.reason


def test_several_objectives_are_refused_with_the_name_of_one_that_takes_them() -> None:
    with pytest.raises(AbilityError, match="nsga2"):
        make_optimizer("evolution", Space(x=Float(0, 1)), (Objective("a"), Objective("b")))


@pytest.mark.parametrize("options", [{"population": 0}, {"tournament": 0}])
def test_options_that_make_no_sense_are_refused(options) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        make_optimizer("evolution", Space(x=Float(0, 1)), ONE, **options)
