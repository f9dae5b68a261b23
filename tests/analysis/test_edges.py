from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelwright.analysis import edge_warnings
from modelwright.analysis.edges import widened
from modelwright.records import History, Objective, Trial, TrialState
from modelwright.space import Bool, Categorical, Float, Int, Parameter, Space


def history_of(parameter: Parameter, losses: Any, n: int = 100) -> History:
    """Evenly spread values of one parameter; `losses` tells the loss at a position in the unit interval."""
    history = History(Space(p=parameter), [Objective()])
    for k in range(n):
        u = (k + 0.5) / n
        value = history.space.from_unit([u])["p"]
        history.add([Trial(k, TrialState.COMPLETE, {"p": value}, (float(losses(u)),))])
    return history


@pytest.mark.parametrize(
    ("parameter", "end", "words"),
    [
        (Float(1e-5, 0.1, log=True), "upper", "10 of the 10 best have p at the upper end, 0.1; widen to 0.3"),
        (
            Float(1e-5, 0.1, log=True),
            "lower",
            "10 of the 10 best have p at the lower end, 1e-05; widen to 3e-06",
        ),
        (Float(0, 1), "upper", "10 of the 10 best have p at the upper end, 1; widen to 1.5"),
        (Float(-1, 1), "lower", "10 of the 10 best have p at the lower end, -1; widen to -2"),
        (Float(0, 1), "lower", "10 of the 10 best have p at the lower end, 0"),
        (Int(1, 8), "upper", "10 of the 10 best have p at the upper end, 8; widen to 12"),
        (Int(16, 128, step=16), "upper", "10 of the 10 best have p at the upper end, 128; widen to 192"),
        (Int(1, 8), "lower", "10 of the 10 best have p at the lower end, 1; widen to 0"),
        (Int(1, 1000, log=True), "upper", "10 of the 10 best have p at the upper end, 1000; widen to 3000"),
        (Int(1, 1000, log=True), "lower", "10 of the 10 best have p at the lower end, 1"),
        (Float(0.1, 1, step=0.1), "upper", "10 of the 10 best have p at the upper end, 1; widen to 1.4"),
        (Float(0.1, 1, step=0.1), "lower", "10 of the 10 best have p at the lower end, 0.1; widen to 0"),
    ],
)
def test_the_words_and_the_range(parameter: Parameter, end: str, words: str) -> None:
    found = edge_warnings(history_of(parameter, lambda u: u if end == "lower" else -u, n=250))
    assert [str(warning) for warning in found] == [words]


@pytest.mark.parametrize(
    "parameter", [Float(1e-5, 0.1, log=True), Float(0, 1), Int(1, 40), Int(1, 10**6, log=True)]
)
def test_an_optimum_inside_is_no_reason_to_warn(parameter: Parameter) -> None:
    for best in (0.15, 0.5, 0.85):
        assert edge_warnings(history_of(parameter, lambda u, best=best: abs(u - best), n=250)) == []


def test_random_losses_seldom_warn() -> None:
    rng = np.random.default_rng(0)
    parameters = [Float(0, 1), Int(1, 3), Int(1, 5), Int(1, 9, log=True), Float(0, 1, step=0.25)]
    found = [edge_warnings(history_of(p, lambda u: rng.random())) for p in parameters for _ in range(40)]
    # By chance 1 in 100 at each end of the coarse ones: 4 of 200 are expected at most, 12 are beyond chance.
    assert sum(map(len, found)) <= 12


def test_flags_and_choices_have_no_ends() -> None:
    for parameter in (Bool(), Categorical("a", "b", "c"), Int(0, 1)):
        assert edge_warnings(history_of(parameter, lambda u: u)) == []


def test_most_of_the_best_are_enough() -> None:
    space = Space(lr=Float(1e-5, 0.1, log=True))
    history = History(space, [Objective("accuracy", "maximize")])
    rates = [0.09] * 8 + [1e-3] * 2 + np.geomspace(1e-5, 1e-2, 40).tolist()
    history.add(Trial(k, TrialState.COMPLETE, {"lr": lr}, (-float(k),)) for k, lr in enumerate(rates))
    [warning] = edge_warnings(history)
    assert str(warning) == "8 of the 10 best have lr at the upper end, 0.1; widen to 0.3"
    assert (warning.count, warning.best, warning.proposal) == (8, 10, (1e-5, 0.3))


def test_only_those_that_have_the_parameter_are_asked() -> None:
    space = Space(kind=Categorical("a", "b"), x=Float(0, 1, when={"kind": "b"}))
    history = History(space, [Objective()])
    for k in range(40):
        config = {"kind": "b", "x": 0.99} if k in range(6) else {"kind": "a"}
        history.add([Trial(k, TrialState.COMPLETE, config, (float(k),))])
    [warning] = edge_warnings(history)
    assert (warning.name, warning.count, warning.best) == ("x", 6, 6)


def test_there_must_be_more_trials_than_the_best() -> None:
    history = history_of(Float(0, 1), lambda u: -u, n=19)
    assert edge_warnings(history) == []
    assert len(edge_warnings(history, best=5)) == 0  # a grid of 19 has 1 in the last twentieth
    assert edge_warnings(History(Space(x=Float(0, 1)), [Objective()])) == []


def test_with_several_objectives_the_first_fronts_are_the_best() -> None:
    space = Space(x=Float(0, 1), y=Float(0, 1))
    history = History(space, [Objective("a"), Objective("b", "maximize")])
    rng = np.random.default_rng(0)
    for k in range(200):
        x, y = rng.random(2).tolist()
        x = 1.0 if k % 5 == 0 else x
        history.add([Trial(k, TrialState.COMPLETE, {"x": x, "y": y}, (y - 5 * x, y))])
    assert [(w.name, w.end) for w in edge_warnings(history)] == [("x", "upper")]


@pytest.mark.parametrize("end", ["lower", "upper"])
@pytest.mark.parametrize(
    "parameter",
    [
        Float(0.3, 7.7, step=0.7),
        Int(3, 50, step=4),
        Int(2, 64, log=True),
        Int(10, 500, step=10, log=True),
        Float(0.5, 8, step=0.5, log=True),
        Float(1e-300, 1e300, log=True),
        Float(-1e300, 5e299),
        Int(-(2**53), 2**53 - 2**44 - 1, step=2**20),
        Float(1e-3, 1.001e-3, log=True),
    ],
)
def test_a_proposal_is_a_range_of_the_same_kind(parameter: Any, end: Any) -> None:
    proposal = widened(parameter, end)
    if proposal is None:
        return
    low, high = proposal
    assert low < parameter.low if end == "lower" else high > parameter.high
    if parameter.low >= 0:
        assert low >= 0
    if isinstance(parameter, Int):
        assert float(low).is_integer()
        assert float(high).is_integer()
    step = parameter.step if parameter.size is not None else None
    kind: Any = type(parameter)
    wider = kind(
        *(map(int, proposal) if kind is Int else proposal), log=parameter.log, step=step
    )  # does not raise
    if step is not None:  # the old values are among the new ones
        assert wider.contains(parameter.at(0))
        assert wider.contains(parameter.at(parameter.size - 1))
