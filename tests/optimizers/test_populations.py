"""What holds for all optimizers with a population."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelwright._base.seeds import generator
from modelwright.optimizers import make_optimizer
from modelwright.records import Failure, FailureKind, History, Objective, Ticket, Trial, TrialState
from modelwright.space import Categorical, Float, Int, Space
from modelwright.testing.strategies import spaces

ONE = (Objective(),)
SMALL = {
    "cmaes": {"population": 4},
    "de": {"population": 5},
    "evolution": {"population": 5, "tournament": 2},
    "nsga2": {"population": 5},
}
MIXED = Space(
    kind=Categorical("a", "b"),
    x=Float(0, 1),
    n=Int(1, 9, when={"kind": "a"}),
    y=Float(1e-3, 1, log=True, when={"kind": "b"}),
    constraints=["x + y <= 1.5"],
)
every_one = pytest.mark.parametrize("name", SMALL)


def ask(optimizer, history, number, seed=0):
    [proposal] = optimizer.ask(history, [Ticket(number, generator(seed, number))])
    return dict(proposal.params)


def results(count, space=MIXED, value=None):
    """Return results in an order other than that of their numbers, some of them failures."""
    rng = np.random.default_rng(7)
    trials = []
    for number, config in zip(rng.permutation(count).tolist(), space.sample_many(rng, count), strict=True):
        kind = [None, None, None, "error", None, "lost", None, "memory"][number % 8]
        failure = None if kind is None else Failure(FailureKind(kind), "made up")
        state = TrialState.COMPLETE if failure is None else TrialState.FAILED
        values = () if failure else (config["x"] if value is None else value(number),)
        trials.append(Trial(number, state, config, values, failure))
    return trials


@every_one
def test_a_rebuild_after_any_number_of_results_proposes_the_same(name) -> None:
    trials = results(60)
    growing, history = make_optimizer(name, MIXED, ONE, **SMALL[name]), History(MIXED, ONE)
    for at, trial in enumerate(trials):
        history.add([trial])
        history.set_pending([(number, MIXED.sample(generator(1, number))) for number in (100, 101)])
        if at % 7 == 0:
            copy = History(MIXED, ONE)
            copy.add(trials[: at + 1])
            copy.set_pending(list(zip(history.pending_numbers, history.pending, strict=True)))
            rebuilt = make_optimizer(name, MIXED, ONE, **SMALL[name])
            assert ask(growing, history, 200 + at) == ask(rebuilt, copy, 200 + at)


@every_one
def test_what_is_proposed_depends_on_the_results_of_others(name) -> None:
    low, high = (History(MIXED, ONE) for _ in range(2))
    low.add(results(60))
    high.add(results(60, value=lambda number: -results_x[number]))
    means = [
        np.mean([ask(make_optimizer(name, MIXED, ONE), history, 100 + k)["x"] for k in range(30)])
        for history in (low, high)
    ]
    assert means[0] < means[1] - 0.1


results_x = {trial.number: trial.params["x"] for trial in results(60)}


@every_one
@pytest.mark.parametrize("value", [0.0, 1e300, -1e300, math.inf, -math.inf])
def test_values_that_say_nothing_are_survived(name, value) -> None:
    history = History(MIXED, ONE)
    history.add(results(80, value=lambda number: value))
    optimizer = make_optimizer(name, MIXED, ONE, **SMALL[name])
    for number in range(100, 110):
        config = ask(optimizer, history, number)
        assert MIXED.check(config) == config


@every_one
def test_values_from_one_end_of_the_floats_to_the_other_are_survived(name) -> None:
    history = History(MIXED, ONE)
    history.add(results(80, value=lambda number: (-1) ** number * 10.0 ** (number % 309)))
    assert MIXED.satisfies(ask(make_optimizer(name, MIXED, ONE, **SMALL[name]), history, 100))


@every_one
@pytest.mark.parametrize(
    "space",
    [
        Space(x=Float(0, 1)),
        Space(kind=Categorical([f"c{i}" for i in range(10_000)])),
        Space({f"x{i}": Float(0, 1) for i in range(500)}),
        Space({"x": Float(0, 1), "y": Float(0, 1)}, constraints=["abs(x - y) <= 0.001"]),
    ],
    ids=["one dimension", "10,000 choices", "500 dimensions", "a narrow strip"],
)
def test_odd_spaces_are_searched(name, space) -> None:
    history = History(space, ONE)
    optimizer = make_optimizer(name, space, ONE, deterministic=True, **SMALL[name])
    for number in range(20):
        config = ask(optimizer, history, number)
        assert space.satisfies(config)
        assert config not in history.configs
        history.add([Trial(number, TrialState.COMPLETE, space.dump(config), (float(number % 7),))])


@every_one
def test_rows_of_an_earlier_space_are_learned_from(name) -> None:
    history = History(Space(x=Float(0, 1)), ONE)
    history.add(Trial(k, TrialState.COMPLETE, {"x": k / 40}, (abs(k / 40 - 0.5),)) for k in range(40))
    wider = history.space.with_parameter("n", Int(1, 5))
    config = ask(make_optimizer(name, wider, ONE, **SMALL[name]), history.respace(wider), 40)
    assert wider.check(config) == config


@every_one
@given(space=spaces(), seed=st.integers(0, 2**16))
@settings(max_examples=15, deadline=None)
def test_drawn_spaces_get_valid_proposals(name, space, seed) -> None:
    optimizer, history = make_optimizer(name, space, ONE, **SMALL[name]), History(space, ONE)
    for number in range(14):
        config = ask(optimizer, history, number, seed)
        assert space.check(config) == config
        assert space.satisfies(config)
        history.add([Trial(number, TrialState.COMPLETE, space.dump(config), (float(number % 5),))])
