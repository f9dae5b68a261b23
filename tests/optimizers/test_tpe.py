import math

import numpy as np
import pytest

from modelwright._base.seeds import generator
from modelwright.errors import InputError
from modelwright.optimizers import make_optimizer
from modelwright.records import Component, Failure, FailureKind, History, Objective, Ticket, Trial, TrialState
from modelwright.space import Categorical, Float, Int, Space
from modelwright.testing.optimizers import OptimizerContract, Simulation

ONE = (Objective(),)
LINE = Space(x=Float(0, 1))


class TestTPE(OptimizerContract):
    component = Component("tpe", {"n_startup": 5})


class TestTPEOfSeparateParameters(OptimizerContract):
    component = Component("hyperopt", {"n_startup": 5, "univariate": True})


# quality: the median regret over ten seeds against random search of the same budget ---------------------


def branin(c):
    bend = c["y"] - 5.1 / (4 * math.pi**2) * c["x"] ** 2 + 5 / math.pi * c["x"] - 6
    return bend**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(c["x"]) + 10 - 0.39788735772973816


def sphere(c):
    return sum((value - 1.2) ** 2 for value in c.values())


def conditional(c):
    if c["method"] == "svm":
        return 0.5 + 0.1 * (math.log10(c["c"]) - 1) ** 2
    if c["method"] == "knn":
        return 0.8 + 0.002 * (c["k"] - 12) ** 2
    return 0.3 * (math.log10(c["lr"]) + 2.6) ** 2 + 0.02 * (c["layers"] - 4) ** 2


def mixed(c):
    shift = {"a": 1.0, "b": 0.4, "c": 0.0}[c["kind"]]
    return (
        shift
        + 0.05 * (c["depth"] - 9) ** 2
        + (math.log10(c["rate"]) + 2.1) ** 2
        + 2 * (c["share"] - 0.7) ** 2
    )


PROBLEMS = {
    "branin": (Space(x=Float(-5, 10), y=Float(0, 15)), branin),
    "sphere5": (Space({f"x{i}": Float(-5, 5) for i in range(5)}), sphere),
    "conditional": (
        Space(
            method=Categorical("svm", "knn", "net"),
            c=Float(1e-3, 1e3, log=True, when={"method": "svm"}),
            k=Int(1, 50, when={"method": "knn"}),
            lr=Float(1e-5, 1, log=True, when={"method": "net"}),
            layers=Int(1, 10, when={"method": "net"}),
        ),
        conditional,
    ),
    "mixed": (
        Space(
            kind=Categorical("a", "b", "c"),
            depth=Int(1, 15),
            rate=Float(1e-4, 1, log=True),
            share=Float(0.1, 1, step=0.1),
        ),
        mixed,
    ),
}


def lowest(name, space, loss, seed, trials=60, **options):
    optimizer, history = make_optimizer(name, space, ONE, **options), History(space, ONE)
    for number in range(trials):
        [proposal] = optimizer.ask(history, [Ticket(number, generator(seed, number))])
        history.add([complete(number, proposal.params, loss(proposal.params))])
    return history.losses.min()


def complete(number, params, *values):
    return Trial(number, TrialState.COMPLETE, params, values)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_it_is_at_least_twice_as_close_to_the_optimum_as_random_search(problem) -> None:
    space, loss = PROBLEMS[problem]
    ours = np.median([lowest("tpe", space, loss, seed) for seed in range(10)])
    random = np.median([lowest("random", space, loss, seed) for seed in range(10)])
    assert ours < random / 2


# what it learns from ------------------------------------------------------------------------------------


def filled(rows, space=LINE, objectives=ONE):
    history = History(space, objectives)
    history.add(rows)
    return history


def proposals(history, count=40, space=LINE, **options):
    """Return many independent proposals for the same history."""
    optimizer = make_optimizer("tpe", space, history.objectives, default_first=False, **options)
    return [optimizer.ask(history, [Ticket(99, generator(seed))])[0].params for seed in range(count)]


def spread(loss):
    return [complete(k, {"x": (k + 0.5) / 20}, loss((k + 0.5) / 20)) for k in range(20)]


def test_it_proposes_near_the_good_ones() -> None:
    xs = [p["x"] for p in proposals(filled(spread(lambda x: abs(x - 0.7))))]
    assert np.mean([abs(x - 0.7) < 0.15 for x in xs]) > 0.7


def test_failures_that_teach_repel_and_lost_trials_do_not() -> None:
    def share_above_half(kind):
        rows = [
            Trial(20 + k, TrialState.FAILED, {"x": 0.75 + 0.01 * k}, (), Failure(kind, "made up"))
            for k in range(20)
        ]
        xs = [p["x"] for p in proposals(filled(spread(lambda x: abs(abs(x - 0.5) - 0.35)) + rows), gamma=0.2)]
        return np.mean([x > 0.5 for x in xs])

    assert share_above_half(FailureKind.MEMORY) < share_above_half(FailureKind.LOST)


def test_trials_that_run_repel() -> None:
    history = filled(spread(lambda x: abs(x - 0.7)))
    before = np.mean([p["x"] for p in proposals(history)])
    history.set_pending([(50 + k, {"x": 0.7 + 0.01 * k}) for k in range(8)])
    assert np.mean([p["x"] for p in proposals(history)]) < before - 0.02


def test_a_batch_keeps_apart() -> None:
    history = filled(spread(lambda x: abs(x - 0.7)))
    optimizer = make_optimizer("tpe", LINE, ONE, default_first=False)
    together = [p.params["x"] for p in optimizer.ask(history, [Ticket(k, generator(0, k)) for k in range(8)])]
    alone = [optimizer.ask(history, [Ticket(k, generator(0, k))])[0].params["x"] for k in range(8)]
    assert together[0] == alone[0]
    assert np.std(together) > np.std(alone)


def test_several_objectives_draw_towards_their_front() -> None:
    objectives = (Objective("a"), Objective("b", "maximize"))
    # The front is where both |x - 0.2| and |x - 0.4| cannot fall together: between the two.
    rows = [complete(k, {"x": (x := (k + 0.5) / 40)}, abs(x - 0.2), -abs(x - 0.4)) for k in range(40)]
    xs = [p["x"] for p in proposals(filled(rows, objectives=objectives))]
    assert np.mean([0.1 < x < 0.5 for x in xs]) > 0.8


def test_a_choice_is_learned_and_others_still_tried() -> None:
    space = Space(kind=Categorical(*"abcd"), n=Int(0, 10_000))
    rows = [complete(k, {"kind": "abcd"[k % 4], "n": 400 * k}, float(k % 4 != 2)) for k in range(24)]
    kinds = [p["kind"] for p in proposals(filled(rows, space), space=space)]
    assert kinds.count("c") > 30


# how it starts ------------------------------------------------------------------------------------------


def test_the_default_comes_first_and_only_once() -> None:
    space = Space(x=Float(0, 1, default=0.125))

    def build(space, objectives, *, deterministic):
        return make_optimizer("tpe", space, objectives, deterministic=deterministic)

    simulation = Simulation(space, build)
    simulation.ask(4)
    assert [config["x"] == 0.125 for config in simulation.configs] == [True, False, False, False]


def test_without_the_default_the_start_is_random_search() -> None:
    optimizer, random = (
        make_optimizer("tpe", LINE, ONE, default_first=False),
        make_optimizer("random", LINE, ONE),
    )
    history = filled([])
    ours, theirs = (o.ask(history, [Ticket(0, generator(3))])[0].params for o in (optimizer, random))
    assert ours == theirs


def test_reasons_tell_random_from_modelled() -> None:
    optimizer = make_optimizer("tpe", LINE, ONE, n_startup=20)
    [early] = optimizer.ask(filled(spread(abs)[:19]), [Ticket(19, generator(0))])
    [late] = optimizer.ask(filled(spread(abs)), [Ticket(20, generator(0))])
    assert "default" in early.reason or "random" in early.reason
    assert "24 candidates" in late.reason


def test_constraints_that_hardly_any_candidate_meets_are_met() -> None:
    space = Space({"x": Float(0, 1), "y": Float(0, 1)}, constraints=["abs(x - y) <= 0.001"])
    rows = [complete(k, {"x": k / 20, "y": k / 20}, abs(k / 20 - 0.5)) for k in range(20)]
    assert all(space.satisfies(p) for p in proposals(filled(rows, space), count=10, space=space))


def test_long_histories_are_thinned_out() -> None:
    rng = np.random.default_rng(0)
    history = filled([complete(k, {"x": x}, abs(x - 0.3)) for k, x in enumerate(rng.random(3000).tolist())])
    optimizer = make_optimizer("tpe", LINE, ONE)
    good, bad = optimizer._estimators(history, [], None)
    assert (good._mu.shape[1], bad._mu.shape[1]) == (26, 501)


@pytest.mark.parametrize(
    "options", [{"n_startup": -1}, {"n_candidates": 0}, {"gamma": 0}, {"gamma": 1}, {"prior_weight": 0}]
)
def test_options_that_make_no_sense_are_refused(options) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        make_optimizer("tpe", LINE, ONE, **options)
