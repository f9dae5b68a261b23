import numpy as np
import pytest

from modelwright._base.seeds import generator
from modelwright.errors import AbilityError, InputError
from modelwright.optimizers import make_optimizer
from modelwright.records import Component, Failure, FailureKind, History, Objective, Ticket, Trial, TrialState
from modelwright.space import Categorical, Float, Int, Space
from modelwright.testing.optimizers import OptimizerContract

ONE = (Objective(),)
LINE = Space(x=Float(0, 1))


class TestDifferentialEvolution(OptimizerContract):
    component = Component("de", {"population": 5})


class TestDifferentialEvolutionOfRandomMembers(OptimizerContract):
    component = Component("de", {"population": 6, "strategy": "rand"})


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


@pytest.mark.parametrize("strategy", ["current-to-best", "rand"])
def test_it_converges_on_a_sphere(strategy) -> None:
    space = Space({f"x{i}": Float(-5, 5) for i in range(4)})

    def sphere(c):
        return sum((value - 1.2) ** 2 for value in c.values())

    ours = median_regret("de", space, sphere, 240, strategy=strategy)
    assert ours < 0.25 * median_regret("random", space, sphere, 240)


def test_it_searches_a_mixed_conditional_space() -> None:
    space = Space(
        method=Categorical("knn", "svm", "net"),
        k=Int(1, 50, when={"method": "knn"}),
        c=Float(1e-3, 1e3, log=True, when={"method": "svm"}),
        lr=Float(1e-5, 1, log=True, when={"method": "net"}),
        layers=Int(1, 10, when={"method": "net"}),
    )

    def loss(c):
        if c["method"] == "svm":
            return 0.5 + 0.1 * (np.log10(c["c"]) - 1) ** 2
        if c["method"] == "knn":
            return 0.8 + 0.002 * (c["k"] - 12) ** 2
        return 0.3 * (np.log10(c["lr"]) + 2.6) ** 2 + 0.02 * (c["layers"] - 4) ** 2

    assert median_regret("de", space, loss, 100) < 0.5 * median_regret("random", space, loss, 100)


# seats --------------------------------------------------------------------------------------------------


def reason(history, number, population=4):
    optimizer = make_optimizer("de", history.space, ONE, population=population)
    [proposal] = optimizer.ask(history, [Ticket(number, generator(0, number))])
    return proposal.reason


def test_a_seat_that_a_failed_trial_left_empty_is_drawn_for_again() -> None:
    history = History(LINE, ONE)
    lost = Failure(FailureKind.LOST, "made up")
    trials = [complete(k, {"x": 0.1 * k}, float(k)) for k in (0, 1, 2, 4, 5)]
    history.add([*trials, Trial(3, TrialState.FAILED, {"x": 0.3}, (), lost)])
    assert "seat 3" in reason(history, 7)
    history.add([complete(7, {"x": 0.7}, 0.0)])
    assert reason(history, 8) == "seat 0 of 4, towards one of the best"


def test_the_better_one_keeps_the_seat_in_whatever_order_results_come() -> None:
    trials = [complete(k, {"x": 0.05 * k}, abs(0.05 * k - 0.3)) for k in range(12)]
    found = []
    for order in (trials, trials[::-1]):
        history = History(LINE, ONE)
        history.add(order)
        seats = make_optimizer("de", LINE, ONE, population=4)._seats.after(history)
        found.append({seat: history.trials[row].number for seat, (_, row) in seats.items()})
    assert found[0] == found[1] == {0: 4, 1: 5, 2: 6, 3: 7}


# refusals -----------------------------------------------------------------------------------------------


def test_several_objectives_are_refused_with_the_name_of_one_that_takes_them() -> None:
    with pytest.raises(AbilityError, match="nsga2"):
        make_optimizer("de", LINE, (Objective("a"), Objective("b")))


@pytest.mark.parametrize(
    "options",
    [{"population": 3}, {"strategy": "best"}, {"scale": (0.9, 0.4)}, {"scale": 0.5}, {"crossover": (0, 2)}],
)
def test_options_that_make_no_sense_are_refused(options) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        make_optimizer("de", LINE, ONE, **options)
