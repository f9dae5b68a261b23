import numpy as np
import pytest

from modelwright._base.seeds import generator
from modelwright.errors import InputError
from modelwright.optimizers import make_optimizer
from modelwright.records import Component, Failure, FailureKind, History, Objective, Ticket, Trial, TrialState
from modelwright.space import Categorical, Float, Int, Space
from modelwright.testing.optimizers import OptimizerContract

TWO = (Objective("a"), Objective("b"))
PLANE = Space(x=Float(-5, 5), y=Float(-5, 5))


class TestNSGA2(OptimizerContract):
    component = Component("nsga2", {"population": 6})


def searched(name, space, values, trials, seed, **options):
    optimizer, history = make_optimizer(name, space, TWO, **options), History(space, TWO)
    for number in range(trials):
        [proposal] = optimizer.ask(history, [Ticket(number, generator(seed, number))])
        found = values(proposal.params)
        history.add([Trial(number, TrialState.COMPLETE, proposal.params, found)])
    return history


def area(losses, reference):
    """Return the area that two losses dominate up to `reference`: their hypervolume."""
    total, ceiling = 0.0, reference[1]
    for first, second in sorted(map(tuple, losses)):
        if first < reference[0] and second < ceiling:
            total += (reference[0] - first) * (ceiling - second)
            ceiling = second
    return total


def test_the_area_is_that_of_a_staircase() -> None:
    assert area([(1.0, 1.0), (0.0, 2.0), (2.0, 2.0)], (3.0, 3.0)) == pytest.approx(3 * 1 + 2 * 1)


def zdt(c):
    """Two losses that fall together in g, and against each other in x0 (Zitzler, Deb and Thiele, 2000)."""
    x = list(c.values())
    g = 1 + 9 * sum(x[1:]) / (len(x) - 1)
    return x[0], g * (1 - np.sqrt(x[0] / g))


def test_its_hypervolume_is_larger_than_that_of_random_search() -> None:
    space = Space({f"x{i}": Float(0, 1) for i in range(6)})
    ours, random = (
        np.array([area(searched(name, space, zdt, 200, seed).losses, (1.1, 6.0)) for seed in range(5)])
        for name in ("nsga2", "random")
    )
    assert (ours > random).all()
    assert np.median(ours) > np.median(random) + 1.0


def test_a_mixed_conditional_space_is_searched() -> None:
    space = Space(
        kind=Categorical("a", "b"),
        n=Int(1, 20),
        x=Float(0, 1, when={"kind": "a"}),
        y=Float(0, 1, when={"kind": "b"}),
    )

    def values(c):
        far = 2.0 if c["kind"] == "b" else 3 * c["x"]
        return far + c["n"] / 20, far + 1 - c["n"] / 20

    ours, random = (
        np.median([area(searched(name, space, values, 120, seed).losses, (3.0, 3.0)) for seed in range(5)])
        for name in ("nsga2", "random")
    )
    assert ours > random


def test_survivors_are_the_best_by_fronts_and_failures_come_last() -> None:
    optimizer, history = make_optimizer("nsga2", PLANE, TWO, population=3), History(PLANE, TWO)
    failure = Failure(FailureKind.ERROR, "made up")
    points = [(2.0, 2.0), None, (0.0, 1.0), (1.0, 0.0), None, (np.nan, 0.0)]
    for k, values in enumerate(points):
        state = TrialState.FAILED if values is None else TrialState.COMPLETE
        params = {"x": 0.1 * k, "y": 0.0}
        history.add([Trial(k, state, params, values or (), failure if values is None else None)])
    assert optimizer._survivors.after(history).tolist() == [2, 3, 0]


def test_one_objective_is_allowed() -> None:
    one = (Objective(),)
    optimizer, history = make_optimizer("nsga2", PLANE, one), History(PLANE, one)
    for number in range(200):
        [proposal] = optimizer.ask(history, [Ticket(number, generator(0, number))])
        x, y = proposal.params["x"], proposal.params["y"]
        history.add([Trial(number, TrialState.COMPLETE, proposal.params, ((x - 1) ** 2 + y**2,))])
    assert history.losses.min() < 0.05


@pytest.mark.parametrize("options", [{"population": 1}, {"mutation": -0.1}])
def test_options_that_make_no_sense_are_refused(options) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        make_optimizer("nsga2", PLANE, TWO, **options)
