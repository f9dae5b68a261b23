# ruff: noqa: D102  (the names of the tests say what holds)
"""The conformance suite of optimizers: subclass `OptimizerContract`, name a component, run pytest.

::

    class TestMine(OptimizerContract):
        component = Component("path/to/mine.py:Mine", {"option": 3})

Everything is checked through the contract and the declared abilities, never by a class's name.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from modelwright._base.seeds import generator
from modelwright.errors import AbilityError
from modelwright.optimizers import Optimizer, make_optimizer
from modelwright.records import (
    Component,
    Exhausted,
    Failure,
    FailureKind,
    History,
    Objective,
    Proposal,
    Report,
    Ticket,
    Trial,
    TrialState,
    Wait,
)
from modelwright.space import Bool, Categorical, Constant, Float, Int, Ordinal, Space
from modelwright.testing.strategies import outcomes, spaces

__all__ = ["ODD_SPACES", "SPACES", "OptimizerContract", "Simulation", "fingerprint"]

SPACES: dict[str, Callable[[], Space]] = {
    "floats": lambda: Space(x=Float(-5, 10), y=Float(0, 15)),
    "steps": lambda: Space(
        lr=Float(1e-5, 1, log=True),
        units=Int(8, 40, log=True),
        depth=Int(1, 9, step=4),
        q=Float(0, 1, step=0.5),
    ),
    "mixed": lambda: Space(
        x=Float(0, 1),
        n=Int(1, 20),
        kind=Categorical("a", "b", "c"),
        size=Ordinal("s", "m", "l"),
        flag=Bool(),
        k=Constant(7),
    ),
    "conditional": lambda: Space(
        method=Categorical("svm", "knn", "net"),
        c=Float(1e-3, 1e3, log=True, when={"method": "svm"}),
        k=Int(1, 30, when={"method": "knn"}),
        optimizer=Categorical("sgd", "adam", when={"method": "net"}),
        momentum=Float(0, 0.99, when={"optimizer": "sgd"}),
    ),
    "constrained": lambda: Space(
        {"a": Float(0, 1), "b": Float(0, 1), "n": Int(1, 8), "m": Int(1, 8)},
        constraints=["a + b <= 1", "m <= n"],
    ),
    "finite": lambda: Space(a=Categorical("x", "y", "z"), b=Int(1, 2), c=Bool()),
    "finite_conditional": lambda: Space(
        {"a": Categorical("x", "y"), "b": Int(1, 6, when={"a": "x"}), "c": Int(1, 3)},
        constraints=["b + c <= 7"],
    ),
    "constant": lambda: Space(k=Constant("only")),
}
"""Spaces of each kind that an optimizer may meet."""

ODD_SPACES: dict[str, Callable[[], Space]] = {
    "nothing": lambda: Space(),
    "one": lambda: Space(x=Float(0, 1)),
    "wide": lambda: Space(
        x=Float(-1e300, 1e300), y=Float(1e-300, 1e300, log=True), n=Int(-(2**40), 2**40), k=Int(0, 1)
    ),
    "many_choices": lambda: Space(kind=Categorical(range(10_000)), x=Float(0, 1)),
    "many_parameters": lambda: Space(
        {f"p{i}": Categorical("a", "b", "c") if i % 5 == 0 else Float(0, 1) for i in range(500)}
    ),
}
"""Spaces that are allowed, and that nobody plans for."""

_ONE = (Objective("loss"),)
_TWO = (Objective("loss"), Objective("score", "maximize"))


class Simulation:
    """A study without a ledger: asks, keeps what is pending, and finishes trials with a made-up loss.

    Parameters
    ----------
    space : Space
        Where configurations come from.
    build : callable
        From (space, objectives, deterministic) to an optimizer.
    objectives : sequence of Objective
        What is optimized.
    deterministic : bool
        Handed to the optimizer.
    seed : int
        Of all tickets.
    """

    def __init__(
        self,
        space: Space,
        build: Callable[..., Optimizer],
        *,
        objectives: Sequence[Objective] = _ONE,
        deterministic: bool = False,
        seed: int = 0,
    ) -> None:
        self.space = space
        self.history = History(space, objectives)
        self.optimizer = build(space, objectives, deterministic=deterministic)
        self.proposals: list[Proposal] = []
        self._seed = seed

    @property
    def pending(self) -> list[int]:
        """Numbers of the trials that run."""
        return [k for k in range(len(self.proposals)) if self.history.row(k) is None]

    @property
    def configs(self) -> list[dict[str, Any]]:
        """All proposed configurations."""
        return [dict(proposal.params) for proposal in self.proposals]

    def ask(self, count: int = 1) -> list[Proposal] | Wait | Exhausted:
        """Ask for the next `count` trials; they are pending afterwards."""
        first = len(self.proposals)
        tickets = [Ticket(k, generator(self._seed, k)) for k in range(first, first + count)]
        answer = self.optimizer.ask(self.history, tickets)
        if isinstance(answer, list):
            self.proposals += answer
            self._show_pending()
        return answer

    def finish(
        self,
        number: int,
        state: TrialState = TrialState.COMPLETE,
        kind: str = "",
        value: float | None = None,
    ) -> None:
        """End a trial, as a failure if `kind` is given, with `value` in place of the made-up loss."""
        params = self.space.dump(self.proposals[number].params)
        values = () if kind else self._values(number) if value is None else (value,)
        failure = Failure(FailureKind(kind), "made up") if kind else None
        state = TrialState.FAILED if kind else state
        if state is TrialState.PRUNED:
            name = self.history.objectives[0].name
            self.history.add_reports([(number, Report(1, {name: values[0]}))])
        self.history.add([Trial(number, state, params, values, failure)])
        self._show_pending()

    def run(self, trials: int, width: int = 1) -> Simulation:
        """Run until there are so many proposals, `width` at a time, or nothing is left."""
        while len(self.proposals) < trials:
            if not isinstance(self.ask(min(width, trials - len(self.proposals))), list):
                break
            for number in self.pending:
                self.finish(number)
        return self

    def _show_pending(self) -> None:
        dump = self.space.dump
        self.history.set_pending([(k, dump(self.proposals[k].params)) for k in self.pending])

    def _values(self, number: int) -> tuple[float, ...]:
        position = np.nan_to_num(self.space.encode([dict(self.proposals[number].params)])[0], nan=0.1)
        values = (float(np.sum((position - 0.3) ** 2)), float(np.sum(position)))
        return values[: len(self.history.objectives)]


def fingerprint(name: str, options: dict[str, Any], space: str, seed: int) -> list[str]:
    """Return what an optimizer proposes in 25 trials, as text that is equal only for equal bits."""

    def build(space: Space, objectives: Sequence[Objective], deterministic: bool) -> Optimizer:
        return make_optimizer(Component(name, options), space, objectives, deterministic=deterministic)

    return [repr(sorted(c.items())) for c in Simulation(SPACES[space](), build, seed=seed).run(25).configs]


_TRIALS = 12  # of a study whose results are drawn: past the first few of every model
# The same cases each time, so that all who run the suite see the same failures.
_DRAWN = hypothesis_settings(
    max_examples=15,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[
        HealthCheck.differing_executors,
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.data_too_large,
    ],
)


class OptimizerContract:
    """What holds for every optimizer.

    Attributes
    ----------
    component : Component
        The optimizer's name and options; or override `build`.
    """

    component: Component

    def build(
        self, space: Space, objectives: Sequence[Objective] = _ONE, *, deterministic: bool = False
    ) -> Optimizer:
        """Return a new optimizer, or skip the test where its abilities excuse it."""
        try:
            optimizer = make_optimizer(self.component, space, objectives, deterministic=deterministic)
        except AbilityError as refusal:
            if len(objectives) > 1:
                raise
            pytest.skip(f"refused: {refusal}")
        if not optimizer.abilities.proposes:
            pytest.skip("it proposes nothing by itself")
        return optimizer

    def simulate(self, space: Space, **settings: Any) -> Simulation:
        """Return a simulation of this optimizer."""
        return Simulation(space, self.build, **settings)

    # what is proposed --------------------------------------------------------------------------------

    @pytest.mark.parametrize("width", [1, 4])
    @pytest.mark.parametrize("name", SPACES)
    def test_proposals_are_valid(self, name: str, width: int) -> None:
        simulation = self.simulate(SPACES[name]()).run(24, width)
        assert simulation.proposals
        _check_valid(simulation.space, simulation.configs)
        assert all(isinstance(proposal.reason, str) and proposal.reason for proposal in simulation.proposals)

    @pytest.mark.parametrize("name", SPACES)
    def test_a_deterministic_objective_gets_no_configuration_twice(self, name: str) -> None:
        simulation = self.simulate(SPACES[name](), deterministic=True).run(40, width=3)
        _check_distinct(simulation.space, simulation.configs)

    @pytest.mark.parametrize("name", SPACES)
    def test_what_runs_is_not_proposed_again(self, name: str) -> None:
        simulation = self.simulate(SPACES[name](), deterministic=True).run(11)
        for _ in range(8):
            simulation.ask()
        _check_distinct(simulation.space, simulation.configs)

    @pytest.mark.parametrize("name", ["mixed", "conditional"])
    def test_failures_and_pruned_trials_are_survived(self, name: str) -> None:
        simulation = self.simulate(SPACES[name]())
        for number in range(25):
            assert isinstance(simulation.ask(), list)
            kind = ["", "error", "", "timeout", "nan", "memory", "lost", "killed", "invalid"][number % 9]
            simulation.finish(number, TrialState.PRUNED if number % 9 == 2 else TrialState.COMPLETE, kind)
        _check_valid(simulation.space, simulation.configs)

    @pytest.mark.parametrize("kind", ["error", "lost"])
    def test_a_history_of_failures_only_is_survived(self, kind: str) -> None:
        simulation = self.simulate(SPACES["mixed"]())
        for number in range(15):
            assert isinstance(simulation.ask(), list)
            simulation.finish(number, kind=kind)

    # what nobody plans for ---------------------------------------------------------------------------

    @_DRAWN
    @given(st.one_of(spaces(), spaces(finite=True)), outcomes(_TRIALS), st.integers(1, 3), st.booleans())
    def test_whatever_trials_end_with_the_next_proposals_are_valid_and_repeatable(
        self, space: Space, results: list[float | FailureKind], width: int, deterministic: bool
    ) -> None:
        def build(space: Space, objectives: Sequence[Objective], deterministic: bool) -> Optimizer:
            try:
                return make_optimizer(self.component, space, objectives, deterministic=deterministic)
            except AbilityError:
                reject()

        simulation = Simulation(space, build, deterministic=deterministic)
        if not simulation.optimizer.abilities.proposes:
            return
        while len(simulation.history) < _TRIALS and isinstance(simulation.ask(width), list):
            for number in simulation.pending[:_TRIALS]:
                result = results[number % _TRIALS]
                if isinstance(result, FailureKind):
                    simulation.finish(number, kind=result.value)
                else:
                    simulation.finish(number, value=result)
        _check_valid(space, simulation.configs)
        number = len(simulation.proposals)
        here, there = ([Ticket(number, generator(0, number))] for _ in range(2))
        rebuilt = build(space, _ONE, deterministic).ask(_copy(simulation.history), there)
        assert simulation.optimizer.ask(simulation.history, here) == rebuilt

    @pytest.mark.parametrize("name", ODD_SPACES)
    def test_odd_spaces_are_searched(self, name: str) -> None:
        simulation = self.simulate(ODD_SPACES[name]()).run(8, width=2)
        assert simulation.proposals
        _check_valid(simulation.space, simulation.configs)

    def test_one_configuration_may_have_had_different_results(self) -> None:
        space = SPACES["mixed"]()
        simulation = self.simulate(space)
        params = space.dump(space.default())
        simulation.history.add(
            Trial(-1 - k, TrialState.COMPLETE, params, (float(k % 3),)) for k in range(_TRIALS)
        )
        _check_valid(space, simulation.run(4).configs)
        assert len(simulation.proposals) == 4

    # finite spaces -----------------------------------------------------------------------------------

    @pytest.mark.parametrize("name", ["finite", "finite_conditional", "constant"])
    def test_a_finite_space_waits_for_the_last_and_ends(self, name: str) -> None:
        simulation = self.simulate(SPACES[name](), deterministic=True)
        size = simulation.space.size
        assert size is not None
        simulation.run(size - 1)
        assert isinstance(simulation.ask(3), list), "fewer than asked for where the space runs out"
        assert len(simulation.proposals) == size
        assert isinstance(simulation.ask(), Wait)
        simulation.finish(size - 1)
        answer = simulation.ask()
        assert isinstance(answer, Exhausted)
        assert str(size) in answer.reason

    @pytest.mark.parametrize("kind", ["lost", "killed"])
    def test_a_failure_that_says_nothing_frees_its_configuration(self, kind: str) -> None:
        simulation = self.simulate(SPACES["finite"](), deterministic=True).run(11)
        assert isinstance(simulation.ask(), list)
        simulation.finish(11, kind=kind)
        [again] = _proposals(simulation.ask())
        assert again.params == simulation.proposals[11].params

    def test_a_failure_that_teaches_uses_its_configuration_up(self) -> None:
        simulation = self.simulate(SPACES["finite"](), deterministic=True).run(11)
        assert isinstance(simulation.ask(), list)
        simulation.finish(11, kind="error")
        assert isinstance(simulation.ask(), Exhausted)

    # repeatability -----------------------------------------------------------------------------------

    @pytest.mark.parametrize("name", SPACES)
    def test_equal_seeds_give_equal_proposals(self, name: str) -> None:
        once, again = (self.simulate(SPACES[name](), seed=5).run(20, width=2) for _ in range(2))
        assert once.configs == again.configs

    @pytest.mark.parametrize("deterministic", [False, True])
    @pytest.mark.parametrize("name", SPACES)
    def test_rebuilt_from_the_history_it_proposes_the_same(self, name: str, deterministic: bool) -> None:
        simulation = self.simulate(SPACES[name](), deterministic=deterministic).run(3)
        for _ in range(20):
            if not isinstance(simulation.ask(), list):
                break
            number = len(simulation.proposals)
            rebuilt = self.build(simulation.space, deterministic=deterministic)
            copy = _copy(simulation.history)
            ticket = [Ticket(number, generator(0, number))], [Ticket(number, generator(0, number))]
            assert simulation.optimizer.ask(simulation.history, ticket[0]) == rebuilt.ask(copy, ticket[1])
            if number > 5:  # some trials are always pending
                simulation.finish(number - 3)

    @pytest.mark.parametrize("name", ["mixed", "conditional", "constrained"])
    def test_a_fresh_process_proposes_the_same(self, name: str) -> None:
        self.build(SPACES[name]())
        arguments: tuple[Any, ...] = self.component.name, dict(self.component.options), name, 3
        code = (
            "import json, sys; from modelwright.testing.optimizers import fingerprint; "
            "print(json.dumps(fingerprint(*json.loads(sys.argv[1]))))"
        )
        environment = {**os.environ, "PYTHONHASHSEED": "12345"}
        output = subprocess.run(
            [sys.executable, "-c", code, json.dumps(arguments)],
            check=True,
            capture_output=True,
            text=True,
            env=environment,
        ).stdout
        assert json.loads(output) == fingerprint(*arguments)

    def test_the_global_random_state_is_left_alone(self) -> None:
        before = np.random.get_state(legacy=False)
        self.simulate(SPACES["mixed"]()).run(15)
        after = np.random.get_state(legacy=False)
        assert repr(before) == repr(after)

    # abilities ---------------------------------------------------------------------------------------

    def test_several_objectives_are_taken_or_refused(self) -> None:
        space = SPACES["finite"]()
        if self.build(space).abilities.multi_objective:
            simulation = self.simulate(space, objectives=_TWO).run(12, width=2)
            _check_valid(space, simulation.configs)
        else:
            with pytest.raises(AbilityError):
                self.build(space, _TWO)

    def test_only_one_that_proposes_nothing_waits_at_the_start(self) -> None:
        space = SPACES["finite"]()
        optimizer = make_optimizer(self.component, space, _ONE)
        answer = optimizer.ask(History(space, _ONE), [Ticket(0, generator(0, 0))])
        assert isinstance(answer, list) == optimizer.abilities.proposes
        assert isinstance(answer, list | Wait)

    def test_only_declared_inability_refuses_a_space_without_end(self) -> None:
        if self.build(SPACES["finite"]()).abilities.infinite:
            make_optimizer(self.component, SPACES["floats"](), _ONE)


def _proposals(answer: list[Proposal] | Wait | Exhausted) -> list[Proposal]:
    assert isinstance(answer, list), answer
    return answer


def _check_valid(space: Space, configs: Iterable[dict[str, Any]]) -> None:
    for config in configs:
        space.check(config)
        assert space.satisfies(config)
        assert not any(isinstance(value, float) and np.isnan(value) for value in config.values())


def _check_distinct(space: Space, configs: Sequence[dict[str, Any]]) -> None:
    assert len({space.key(config) for config in configs}) == len(configs)


def _copy(history: History) -> History:
    copy = History(history.space, history.objectives)
    copy.add(history.trials)
    copy.set_pending(
        [(k, history.space.dump(c)) for k, c in zip(history.pending_numbers, history.pending, strict=True)]
    )
    copy.add_reports(
        (number, Report(step, {history.objectives[0].name: loss * history.objectives[0].sign}))
        for number in history.reported()
        for step, loss in history.reports(number)
    )
    return copy
