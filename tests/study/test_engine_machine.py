"""Engines driven at random, with all that may come between: see `engine_world` for what must hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from engine_world import LEASE_S, Run, World
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from modelwright.records import StudyState
from modelwright.study import engine as e

_PICK = st.integers(0, 5)
_SLOTS = st.integers(1, 3)
_MOODS = st.sampled_from(["comes", "comes", "waits", "exhausted"])


def _some(self: Any) -> bool:
    return bool(self.world.runs)


def _busy(self: Any) -> bool:
    return any(run.tasks for run in self.world.runs)


class EngineMachine(RuleBasedStateMachine):
    """One or two runs of a study, and the people, machines and accidents around them."""

    make_engine: Callable[..., e.Engine] = e.Engine

    @initialize(trials=st.integers(1, 6), slots=_SLOTS, prompt=st.booleans(), even=_MOODS, odd=_MOODS)
    def begin(self, trials: int, slots: int, prompt: bool, even: str, odd: str) -> None:
        self.world = World(trials, type(self).make_engine)
        self.world.moods = [even, odd]
        first = self.world.start(slots, prompt)
        assert first is not None
        first.tick()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.rest()

    def _run(self, pick: int) -> Run:
        return self.world.runs[pick % len(self.world.runs)]

    @invariant()
    def all_is_in_order(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    # runs --------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.world.runs) < 2)
    @rule(slots=_SLOTS, prompt=st.booleans(), lasts_s=st.sampled_from([None, None, 2.0, 20.0]))
    def start(self, slots: int, prompt: bool, lasts_s: float | None) -> None:
        self.world.start(slots, prompt, lasts_s)

    @precondition(_some)
    @rule(pick=_PICK)
    def tick(self, pick: int) -> None:
        self._run(pick).tick()

    @precondition(_some)
    @rule(pick=_PICK, ticks=st.integers(1, 3))
    def go_on(self, pick: int, ticks: int) -> None:
        """What a run does that nobody disturbs."""
        run = self._run(pick)
        for _ in range(ticks):
            if run.end is None:
                self.world.clock.advance(0.5)
                run.go_on()

    @precondition(_some)
    @rule(pick=_PICK, heard=st.booleans())
    def beat(self, pick: int, heard: bool) -> None:
        """Renew the leases; what the ledger says to that may be heard later."""
        run = self._run(pick)
        run.beat()
        if heard:
            run.listen()

    @precondition(lambda self: any(run.inbox for run in self.world.runs))
    @rule()
    def deliver(self) -> None:
        for run in list(self.world.runs):
            run.deliver()

    @precondition(_some)
    @rule(pick=_PICK, hard=st.booleans())
    def interrupt(self, pick: int, hard: bool) -> None:
        self._run(pick).interrupt(hard)

    @precondition(_some)
    @rule(pick=_PICK, dies=st.booleans())
    def leave(self, pick: int, dies: bool) -> None:
        run = self._run(pick)
        if dies:
            self.world.lose(run)
        else:
            run.feed(e.StopRequested("enough"))

    @precondition(_busy)
    @rule(pick=_PICK, task=_PICK, how=st.sampled_from(["result", "result", "failure", "gone", "gone"]))
    def task_ends(self, pick: int, task: int, how: str) -> None:
        busy = [run for run in self.world.runs if run.tasks]
        run = busy[pick % len(busy)]
        number = sorted(run.tasks)[task % len(run.tasks)]
        broken_off = run.interrupted and run.engine.slots == 1  # the signal rose in the objective itself
        if how == "gone" and not (run.tasks[number] or broken_off):
            how = "result"
        run.task_ends(number, how)

    # what is around them -----------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.3, 1.0, 3.0, LEASE_S + 1]))
    def time_passes(self, seconds: float) -> None:
        self.world.clock.advance(seconds)

    @rule(even=_MOODS, odd=_MOODS)
    def the_optimizer_thinks(self, even: str, odd: str) -> None:
        self.world.moods = [even, odd]

    @precondition(_some)
    @rule(pick=_PICK)
    def leases_are_forfeit(self, pick: int) -> None:
        """Somebody takes a run for dead."""
        self.world.storage.forfeit(self._run(pick).name, "thought dead")

    @rule(state=st.sampled_from(["paused", "complete", "pending", "pending"]), abort=st.booleans())
    def set_state(self, state: str, abort: bool) -> None:
        self.world.storage.set_state(self.world.study_id, StudyState(state), abort=abort)

    @rule(trials=st.integers(1, 9), parallel=st.sampled_from([None, None, 1, 2]))
    def set_budget(self, trials: int, parallel: int | None) -> None:
        self.world.storage.set_budget(self.world.study_id, trials, parallel=parallel)

    @rule(number=_PICK, add=st.booleans())
    def about_a_trial(self, number: int, add: bool) -> None:
        """Somebody kills a trial, or adds one."""
        storage, study_id = self.world.storage, self.world.study_id
        if add:
            storage.enqueue(study_id, {"n": number}, {})
        elif issued := self.world.record.issued:
            storage.kill(study_id, number % issued)


def walk(count: int, steps: int, make_engine: Callable[..., e.Engine] = e.Engine, **changes: Any) -> None:
    machine = type("Machine", (EngineMachine,), {"make_engine": staticmethod(make_engine)})
    how = settings(
        max_examples=count,
        stateful_step_count=steps,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=settings(how, **changes))


def test_walks() -> None:
    walk(120, 40)


@pytest.mark.slow
@pytest.mark.parametrize(("count", "steps"), [(2000, 25), (400, 100)])
def test_long_walks(count: int, steps: int) -> None:
    walk(count, steps)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("thinks", ["exhausted", "waits", "comes"])
def test_what_was_found_out_under_an_earlier_claim_is_void(thinks: str, late: bool) -> None:
    """A run is thought dead, and claims a trial that it holds at the moment when it proposes for it."""
    world = World(1, e.Engine)
    world.moods = ["waits", "comes"]
    run = world.start(3, not late)
    assert run is not None
    run.tick()
    run.deliver()
    world.storage.forfeit(run.name, "thought dead")
    world.clock.advance(60.0)
    world.moods = [thinks, "comes"]
    run.tick()
    run.deliver()
    world.rest()


# engines that make a mistake -----------------------------------------------------------------------------


class KeepsAtTheEnd(e.Engine):
    """Forgets to give back what has not started when Ctrl-C is pressed, or when it is asked to end."""

    def handle(self, event: e.Event) -> list[e.Instruction]:
        answer = super().handle(event)
        if isinstance(event, e.Interrupted | e.StopRequested):
            return [item for item in answer if not isinstance(item, e.ReleaseTrial)]
        return answer


class DeafToPause(e.Engine):
    """Starts further trials after a pause."""

    def handle(self, event: e.Event) -> list[e.Instruction]:
        return [] if isinstance(event, e.StudyMoved) else super().handle(event)


class DropsTooEarly(e.Engine):
    """Forgets a trial that is somebody else's while its task still runs."""

    def handle(self, event: e.Event) -> list[e.Instruction]:
        answer = super().handle(event)
        if isinstance(event, e.ClaimLost):
            return [e.DropTrial(event.number), *answer]
        return answer


class NeverSure(e.Engine):
    """Says complete whenever it ends."""

    def handle(self, event: e.Event) -> list[e.Instruction]:
        answer = super().handle(event)
        return [e.EndRun(a.reason, complete=True) if isinstance(a, e.EndRun) else a for a in answer]


@pytest.mark.parametrize("careless", [KeepsAtTheEnd, DeafToPause, DropsTooEarly, NeverSure])
def test_a_careless_engine_is_found(careless: type[e.Engine]) -> None:
    quick: dict[str, Any] = {"phases": [Phase.generate], "database": None, "derandomize": True}
    with pytest.raises((AssertionError, KeyError)):
        walk(500, 30, careless, report_multiple_bugs=False, **quick)
