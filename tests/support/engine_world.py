"""Runs of a study on paper: real engines and a real ledger, with time and tasks that obey the test.

A `Run` does what `modelwright.study.runner.Runner` does, without processes and threads, and checks each
instruction as it carries it out.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any

from modelwright.errors import StaleClaimError
from modelwright.records import (
    Failure,
    FailureKind,
    Outcome,
    Proposal,
    Provenance,
    StudyState,
    TrialState,
)
from modelwright.storage import Claim, MemoryStorage, NoClaim
from modelwright.study import engine as e
from modelwright.study.budgets import is_over
from modelwright.testing.audit import audit
from modelwright.testing.storage import ManualClock, make_spec

__all__ = ["LEASE_S", "Run", "World"]

LEASE_S = 10.0
_BOUND = 400  # ticks within which whatever is left to itself must be over
_AWAKE = (StudyState.PENDING, StudyState.RUNNING)
_FAILED = Outcome(TrialState.FAILED, (), Failure(FailureKind.ERROR, "words"))
_KILLED = Outcome(TrialState.FAILED, (), Failure(FailureKind.KILLED, "words"))


class World:
    """One study, its clock, and whoever runs it."""

    def __init__(self, trials: int, make_engine: Callable[..., e.Engine] = e.Engine) -> None:
        self.clock = ManualClock()
        self.storage = MemoryStorage(clock=self.clock.seconds, now_us=lambda: self.clock.us)
        spec = make_spec(max_attempts=3, retry={"error": 1}, lease_s=LEASE_S)
        self.study_id = self.storage.create_study(spec).id
        self.storage.set_budget(self.study_id, trials)
        self.make_engine = make_engine
        self.moods = ["comes", "comes"]  # what the optimizer says to even and to odd numbers
        self.runs: list[Run] = []
        self.started = 0
        self.given: set[str] = set()
        self.fates: dict[str, str] = {}

    @property
    def record(self) -> Any:
        """The study."""
        return self.storage.changes(self.study_id, 2**40).study

    def mood(self, number: int) -> str:
        """Return what the optimizer says to this trial: comes, waits or exhausted."""
        return self.moods[number % 2]

    def start(self, slots: int, prompt: bool = True, lasts_s: float | None = None) -> Run | None:
        """Begin a run as `Study.run` does; None where it would refuse to."""
        if self.storage.set_state(self.study_id, StudyState.RUNNING).state is not StudyState.RUNNING:
            return None
        self.started += 1
        deadline_s = None if lasts_s is None else self.clock.seconds() + lasts_s
        run = Run(self, f"w{self.started}", self.make_engine(slots, deadline_s), prompt)
        self.runs.append(run)
        return run

    def lose(self, run: Run) -> None:
        """Let a run's process die with all that it knows."""
        for claim in run.claims.values():
            self.settle(claim, "died")
        for answer in run.inbox:
            if isinstance(answer, e.Claimed):
                self.settle(answer.claim, "died")
        self.runs.remove(run)

    def settle(self, claim: Claim, fate: str) -> None:
        """Note what became of a claim, once."""
        assert claim.claim_id in self.given, f"trial {claim.number} was never claimed"
        before = self.fates.setdefault(claim.claim_id, fate)
        assert before is fate, f"trial {claim.number} was {before}, and is now {fate}"

    def check(self) -> None:
        """Raise if the ledger has gone beyond its budget or contradicts the runs."""
        record = self.record
        trials = self.storage.trials(self.study_id)
        assert [trial.number for trial in trials] == list(range(record.issued))
        for run in self.runs:
            run.check()

    def rest(self) -> None:
        """Let all go well from now on: each run must end, and a last one complete the study."""
        self.moods = ["comes", "comes"]
        self.storage.set_budget(self.study_id, parallel=None)
        self._drive()
        self.storage.set_state(self.study_id, StudyState.PENDING)
        last = self.start(2)
        assert last is not None
        self._drive()
        assert last.end is not None
        assert last.end.complete, last.end
        record = self.record
        assert record.state is StudyState.COMPLETE
        states = {trial.state for trial in self.storage.trials(self.study_id)}
        assert not states & {TrialState.WAITING, TrialState.RUNNING}, states
        assert record.closed or record.issued >= record.budget.trials, record
        assert self.fates.keys() == self.given
        audit(self.storage, self.study_id)

    def _drive(self) -> None:
        for _ in range(_BOUND):
            if not self.runs:
                return
            self.clock.advance(0.5)
            for run in list(self.runs):
                run.go_on()
        raise AssertionError(f"after {_BOUND} ticks these runs go on: {[run.name for run in self.runs]}")


class Run:
    """An engine, and a runner on paper.

    Attributes
    ----------
    claims : dict of int to Claim
        The trials that it holds.
    tasks : dict of int to bool
        Those that run, and whether they were asked to go.
    inbox : list of Event
        Answers of the ledger that are still on their way.
    closing : bool
        Whether the engine has heard that nothing more is to start.
    """

    def __init__(self, world: World, name: str, engine: e.Engine, prompt: bool) -> None:
        self.world = world
        self.name = name
        self.engine = engine
        self.prompt = prompt
        self.claims: dict[int, Claim] = {}
        self.tasks: dict[int, bool] = {}
        self.inbox: list[e.Event] = []
        self.closing = False
        self.interrupted = False
        self.end: e.EndRun | None = None
        self._known: set[int] = set()  # trials that have their configuration
        self._ends: dict[int, Outcome] = {}
        self._lost: set[int] = set()
        self._stop: set[int] = set()
        self._moved: tuple[StudyState, bool] | None = None
        self._go_at_s = math.inf  # when all tasks are to be asked to go
        self._over = False  # whether the ledger has said last that nothing is left for anybody
        self._spent_at = -1  # the ledger's revision when it said so of itself
        self._count = 0

    # what happens to it ------------------------------------------------------------------------------

    def tick(self) -> None:
        """Let it look at the time."""
        self.feed(e.Tick(self._now))
        if self.end is None and self._now >= self._go_at_s:
            assert all(self.tasks.values()), f"{self.name} has not asked its tasks to go"

    def go_on(self) -> None:
        """Do what a run does that nobody disturbs."""
        self.deliver()
        self.beat()
        self.listen()
        for number in list(self.tasks):
            self.task_ends(number, "gone" if self.tasks[number] else "result")
        if self.end is None:
            self.tick()

    def deliver(self) -> None:
        """Let the ledger's answers arrive."""
        while self.inbox:
            self.feed(self._arrived(self.inbox.pop(0)))

    def beat(self) -> None:
        """Renew the leases."""
        if not self.claims or self.end is not None:
            return
        controls = self.world.storage.renew(list(self.claims.values()), LEASE_S)
        self._lost |= controls.lost
        self._stop |= controls.stop
        self._moved = controls.state[self.world.study_id], bool(controls.abort)

    def listen(self) -> None:
        """Let the engine hear what the ledger said to that."""
        lost, stop, moved = sorted(self._lost), sorted(self._stop), self._moved
        self._lost, self._stop, self._moved = set(), set(), None
        for number in lost:
            self.feed(e.ClaimLost(number))
        for number in stop:
            self.feed(e.StopAsked(number))
        if moved is not None:
            self.feed(e.StudyMoved(*moved, self._now))

    def task_ends(self, number: int, how: str) -> None:
        """End a task: with a result, a failure, or on our word and without either ("gone")."""
        asked = self.tasks.pop(number)
        assert how != "gone" or asked or self.interrupted
        if how != "gone":
            self._ends[number] = Outcome(TrialState.COMPLETE, (0.5,)) if how == "result" else _FAILED
        self.feed(e.TaskEnded(number, cancelled=how == "gone"))

    def interrupt(self, hard: bool) -> None:
        """Press Ctrl-C."""
        self.interrupted = True
        self.feed(e.Interrupted(self._now, hard))

    def feed(self, event: e.Event) -> None:
        """Hand an event to the engine, and carry out what it decides, as the runner does."""
        events = deque([event])
        while events:
            event = events.popleft()
            self._note(event)
            for instruction in self.engine.handle(event):
                answer = self._perform(instruction)
                if answer is not None:
                    e.put_answer(events, answer)
        self.check()

    def check(self) -> None:
        """Raise if the run is in a state that it must never be in."""
        assert len(self.tasks) <= self.engine.slots, f"{self.name} has more tasks than slots: {self.tasks}"
        assert self.tasks.keys() <= self.claims.keys()
        assert self.engine.in_flight == len(self.claims), f"{self.name} has forgotten one of {self.claims}"
        if self.closing:
            idle = self.claims.keys() - self.tasks.keys()
            assert not idle, f"{self.name} keeps {idle}, which it will not start"

    # what it does ------------------------------------------------------------------------------------

    @property
    def _now(self) -> float:
        return self.world.clock.seconds()

    def _note(self, event: e.Event) -> None:
        """Know what the engine knows from this event on."""
        match event:
            case e.Tick(now_s):
                if self.engine.deadline_s is not None and now_s >= self.engine.deadline_s:
                    self._close(self.engine.deadline_s)
            case e.Interrupted(now_s, hard):
                self._close(now_s if hard else now_s + self.engine.grace_s)
            case e.StudyMoved(state, abort, now_s) if state not in _AWAKE:
                self._close(now_s if abort else math.inf)
            case e.StopRequested() | e.NothingToClaim(NoClaim("paused")):
                self._close(math.inf)

    def _close(self, go_at_s: float) -> None:
        self.closing = True
        self._go_at_s = min(self._go_at_s, go_at_s)

    def _perform(self, instruction: e.Instruction) -> e.Event | None:
        assert self.end is None, f"{self.name} has ended, and then {instruction}"
        starts = isinstance(instruction, e.ClaimTrial | e.ProposeFor | e.StartTrial)
        assert not (starts and self.closing), f"{self.name} is to start nothing more, and then {instruction}"
        match instruction:
            case e.ClaimTrial():
                return self._claim()
            case e.ProposeFor(number):
                return self._propose(number)
            case e.StartTrial(number):
                assert number not in self.tasks, f"trial {number} runs already"
                assert number in self.claims
                assert number in self._known, f"trial {number} has no configuration"
                self.tasks[number] = False
                assert len(self.tasks) <= self.engine.slots, f"more tasks than slots: {self.tasks}"
            case e.CancelTrial(number):
                assert self.tasks[number] is False, f"trial {number} was asked to go before"
                self.tasks[number] = True
            case e.FinishTrial(number):
                outcome = self._ends.get(number, _KILLED)
                claim = self._forget(number, "finished")
                self.world.storage.finish(claim, outcome, claim.claim_id)
            case e.ReleaseTrial(number, why, close):
                self.world.storage.release(self._forget(number, "released"), why, close=close)
            case e.DropTrial(number):
                self._forget(number, "dropped")
            case e.EndRun():
                self._leave(instruction)
        return None

    def _claim(self) -> e.Event | None:
        assert not self.inbox, "a claim is on its way"
        self._count += 1
        world, claim_id = self.world, f"{self.name}-{self._count}"
        answer = world.storage.claim(world.study_id, self.name, claim_id, LEASE_S)
        event: e.Event
        if isinstance(answer, NoClaim):
            self._over = answer.reason in ("spent", "closed", "complete")
            self._spent_at = world.record.revision if answer.reason in ("spent", "closed") else -1
            event = e.NothingToClaim(answer, self._now)
        else:
            self._over = False
            world.given.add(claim_id)
            event = e.Claimed(answer, ready=world.mood(answer.number) != "waits")
        if self.prompt:
            return self._arrived(event)
        self.inbox.append(event)
        return None

    def _arrived(self, event: e.Event) -> e.Event:
        if isinstance(event, e.Claimed):
            number = event.claim.number
            if number in self.claims:  # its lease had run out, and nobody was quicker than we
                self.world.settle(self.claims[number], "claimed anew")
            self.claims[number] = event.claim
            self._lost.discard(number)
            self._stop.discard(number)
            if event.claim.params is not None:
                self._known.add(number)
        return event

    def _propose(self, number: int) -> e.Event:
        claim, mood = self.claims[number], self.world.mood(number)
        assert number not in self.tasks
        if mood == "waits":
            return e.ProposalWaits(number)
        if claim.params is None:
            if mood == "exhausted":
                return e.SpaceExhausted(number, "all tried")
            try:
                self.world.storage.propose(claim, Proposal({"n": number}), Provenance(), 0)
            except StaleClaimError:
                return e.ClaimLost(number)
        self._known.add(number)
        return e.Proposed(number)

    def _forget(self, number: int, fate: str) -> Claim:
        assert number not in self.tasks, f"trial {number} still runs, and is {fate}"
        claim = self.claims.pop(number)
        self.world.settle(claim, fate)
        self._known.discard(number)
        self._ends.pop(number, None)
        self._lost.discard(number)
        self._stop.discard(number)
        return claim

    def _leave(self, ended: e.EndRun) -> None:
        """Say in the ledger how the study stands, as the runner does."""
        left = [*self.claims, *self.tasks, *self.inbox]
        assert not left, f"{self.name} ends, and holds {left}"
        self.end = ended
        self.world.runs.remove(self)
        storage, study_id, record = self.world.storage, self.world.study_id, self.world.record
        counts = storage.counts(study_id)
        unfinished = counts.get(TrialState.WAITING, 0) + counts.get(TrialState.RUNNING, 0)
        if ended.complete and self._spent_at == record.revision:
            assert not unfinished, f"{self.name} says complete, and {counts}"
        if record.state not in _AWAKE:
            return
        if ended.complete:
            assert self._over, f"{self.name} says complete, and the ledger did not"
            storage.set_state(study_id, StudyState.COMPLETE, expected=record.state)
            if not is_over(record, unfinished, self.world.clock.us):
                storage.set_state(study_id, StudyState.PENDING, expected=StudyState.COMPLETE)
        elif not counts.get(TrialState.RUNNING):
            storage.set_state(study_id, StudyState.PENDING, expected=StudyState.RUNNING)
