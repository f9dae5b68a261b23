import numpy as np
import pytest

from modelwright._base.seeds import generator
from modelwright.errors import AbilityError, InputError
from modelwright.optimizers import make_optimizer
from modelwright.optimizers.cmaes import CMAES
from modelwright.records import Component, Failure, FailureKind, History, Objective, Ticket, Trial, TrialState
from modelwright.space import Categorical, Float, Int, Space
from modelwright.testing.optimizers import OptimizerContract

ONE = (Objective(),)
PLANE = Space(x=Float(-5, 5), y=Float(-5, 5))


class TestCMAES(OptimizerContract):
    component = Component("cmaes")


class TestCMAESOfASmallPopulationThatRestarts(OptimizerContract):
    component = Component("cmaes", {"population": 4, "sigma": 0.01})


def complete(number, params, *values):
    return Trial(number, TrialState.COMPLETE, params, values)


def searched(space, loss, trials, seed=0, name="cmaes", **options):
    """Return the history of a search."""
    optimizer, history = make_optimizer(name, space, ONE, **options), History(space, ONE)
    for number in range(trials):
        [proposal] = optimizer.ask(history, [Ticket(number, generator(seed, number))])
        history.add([complete(number, proposal.params, float(loss(proposal.params)))])
    return history


# convergence: medians over fixed seeds ------------------------------------------------------------------


def sphere(c):
    return sum((value - 1.2) ** 2 for value in c.values())


def median_regret(space, loss, trials, **options):
    return np.median([searched(space, loss, trials, seed, **options).losses.min() for seed in range(5)])


def test_it_converges_on_a_sphere() -> None:
    space = Space({f"x{i}": Float(-5, 5) for i in range(5)})
    assert median_regret(space, sphere, 200) < 0.15
    assert median_regret(space, sphere, 200, name="random") > 2


def test_it_learns_the_axes_of_a_rotated_ellipsoid() -> None:
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))

    def ellipsoid(c):
        along = turn @ (np.array(list(c.values())) - 0.7)
        return 10.0 ** np.arange(4) @ along**2

    space = Space({f"x{i}": Float(-5, 5) for i in range(4)})
    full = median_regret(space, ellipsoid, 400)
    assert full < 0.05
    assert median_regret(space, ellipsoid, 400, name="tpe") > 10 * full


def test_whole_numbers_do_not_freeze() -> None:
    def steps(c):
        return sum((i + 1) * (value - 3 - 2 * i) ** 2 for i, value in enumerate(c.values()))

    assert median_regret(Space({f"n{i}": Int(0, 20) for i in range(6)}), steps, 250) <= 4


def test_choices_are_learned_beside_numbers() -> None:
    def loss(c):
        return (c["x"] - 0.3) ** 2 + {"a": 0.0, "b": 0.3, "c": 0.6}[c["kind"]]

    history = searched(Space(x=Float(0, 1), kind=Categorical("b", "a", "c")), loss, 120)
    late = [config["kind"] for config in history.configs[-40:]]
    assert late.count("a") > 25
    assert history.losses.min() < 1e-3


def test_what_is_inactive_is_left_as_it_is() -> None:
    space = Space(kind=Categorical("a", "b"), x=Float(0, 1), y=Float(0, 1, when={"kind": "b"}))
    history = History(space, ONE)
    history.add(complete(k, {"kind": "a", "x": 0.1 + 0.01 * k}, float(k)) for k in range(28))
    optimizer = CMAES(space, ONE)
    optimizer.ask(history, [Ticket(28, generator(0))])
    normal = optimizer._generations.after(history).normal
    assert normal.mean[0] < 0.4
    assert normal.mean[1] == 0.5
    # Within the common step size, the width of the inactive coordinate stays.
    assert normal.C[1, 1] == pytest.approx(1.0, abs=0.2)


# generations --------------------------------------------------------------------------------------------


def test_it_goes_on_from_the_history_of_another_optimizer() -> None:
    optimizer, history = CMAES(PLANE, ONE), History(PLANE, ONE)
    drawn = PLANE.sample_many(np.random.default_rng(0), 60)
    history.add(complete(k, c, sphere(c)) for k, c in enumerate(drawn))
    for number in range(60, 120):
        [proposal] = optimizer.ask(history, [Ticket(number, generator(0, number))])
        history.add([complete(number, proposal.params, sphere(proposal.params))])
    assert history.losses[60:].min() < 0.3 * history.losses[:60].min()


def test_it_restarts_elsewhere_with_twice_the_population() -> None:
    history = searched(PLANE, sphere, 700)
    optimizer = CMAES(PLANE, ONE)
    [proposal] = optimizer.ask(history, [Ticket(700, generator(0, 700))])
    assert "restart" in proposal.reason
    assert optimizer._generations.after(history).size in (12, 24, 48)
    alone = CMAES(PLANE, ONE, restart=False)
    [proposal] = alone.ask(history, [Ticket(700, generator(0, 700))])
    assert "restart" not in proposal.reason


def test_failures_repel_and_a_generation_of_failures_moves_nothing() -> None:
    def fail(number, x):
        return Trial(number, TrialState.FAILED, {"x": x, "y": 0.0}, (), Failure(FailureKind.ERROR, "made up"))

    def mean_of(trials):
        history = History(PLANE, ONE)
        history.add(trials)
        return CMAES(PLANE, ONE)._generations.after(history).normal.mean

    size = CMAES(PLANE, ONE)._generations.after(History(PLANE, ONE)).size
    assert mean_of([fail(k, 1.0) for k in range(size)]).tolist() == [0.5, 0.5]
    some = [complete(k, {"x": -2.0, "y": 0.0}, 1.0) for k in range(2)]
    assert mean_of([*some, *(fail(k, 4.0) for k in range(2, size))])[0] < 0.5


# refusals -----------------------------------------------------------------------------------------------


def test_several_objectives_are_refused_with_the_name_of_one_that_takes_them() -> None:
    with pytest.raises(AbilityError, match="nsga2"):
        make_optimizer("cmaes", PLANE, (Objective("a"), Objective("b")))


@pytest.mark.parametrize("options", [{"population": 2}, {"sigma": 0}, {"sigma": "wide"}])
def test_options_that_make_no_sense_are_refused(options) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        make_optimizer("cmaes", PLANE, ONE, **options)
