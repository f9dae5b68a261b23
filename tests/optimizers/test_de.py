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


def seated(trials, population=4):
    """Return the numbers of the trials that hold the seats."""
    history = History(LINE, ONE)
    history.add(trials)
    seats = make_optimizer("de", LINE, ONE, population=population)._seats.after(history)
    return [history.trials[row].number for _, row in seats]


def test_the_first_results_take_the_seats_and_lost_trials_take_none() -> None:
    lost = Trial(3, TrialState.FAILED, {"x": 0.3}, (), Failure(FailureKind.LOST, "made up"))
    assert seated([complete(7, {"x": 0.1}, 1.0), lost, complete(2, {"x": 0.2}, 0.0)]) == [7, 2]


def test_a_better_result_takes_the_seat_that_its_number_names() -> None:
    first = [complete(k, {"x": 0.1 * k}, 5.0) for k in range(4)]
    for number in range(4, 12):
        better, worse = (seated([*first, complete(number, {"x": 0.9}, loss)]) for loss in (4.0, 6.0))
        assert worse == [0, 1, 2, 3]
        assert sorted(set(better) - {number}) == sorted(set(worse) - {worse[better.index(number)]})


@pytest.mark.parametrize("every", [1, 2, 5, 10, 64])
def test_numbers_at_any_distance_compete_for_all_seats(every) -> None:
    optimizer = make_optimizer("de", LINE, ONE, population=10)
    seats = [optimizer._seat(every * k) for k in range(100)]
    assert {seats.count(seat) >= 5 for seat in range(10)} == {True}


def test_it_draws_until_all_seats_are_taken() -> None:
    history, reasons = History(LINE, ONE), []
    optimizer = make_optimizer("de", LINE, ONE, population=4, default_first=False)
    for number in range(5):
        [proposal] = optimizer.ask(history, [Ticket(number, generator(0, number))])
        reasons.append(proposal.reason)
        history.add([complete(number, proposal.params, float(number))])
    assert [reason.split(":")[0] for reason in reasons[:4]] == ["random"] * 4
    assert "towards one of the best" in reasons[4]


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
