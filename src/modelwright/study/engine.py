"""What a run does next, decided without touching anything.

The engine is a pure state machine: events go in, instructions come out, and time is part of the events. The
runner carries the instructions out and reports back. So the same engine decides for trials in this process,
in others, and in a simulation.

A trial's way through the engine::

    ClaimTrial ─ Claimed ─> ProposeFor ─ Proposed ─> StartTrial ─ TaskEnded ─> FinishTrial
                   │            │                        │
                   │            ├ ProposalWaits: asked again at the next tick
                   │            └ SpaceExhausted ─> ReleaseTrial(close=True)
                   └ with params already: StartTrial     ├ deadline, interrupt, study paused or stopped "now":
                                                         │ CancelTrial, then ReleaseTrial
                                                         ├ StopAsked: CancelTrial, then FinishTrial (killed)
                                                         └ ClaimLost: CancelTrial, then DropTrial

Two knots have to be untied where several processes work on one study and any of them may die:

- *All that is held waits* for a trial whose worker is gone. Trials that wait use no slot, so one more is
  claimed now and then: the ledger gives the abandoned one first. One that has to wait too goes straight back.
- *The space is exhausted*, and several trials never had a configuration. A number is only given back from the
  top, so all of them are claimed and held before they go back, the highest first.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from modelwright.records import StudyState
from modelwright.storage.base import Claim, NoClaim
from modelwright.study.flights import Flight, Flights, Phase

__all__ = [
    "CancelTrial",
    "ClaimLost",
    "ClaimTrial",
    "Claimed",
    "DropTrial",
    "EndRun",
    "Engine",
    "Event",
    "FinishTrial",
    "Instruction",
    "Interrupted",
    "NothingToClaim",
    "ProposalWaits",
    "ProposeFor",
    "Proposed",
    "ReleaseTrial",
    "SpaceExhausted",
    "StartTrial",
    "StopAsked",
    "StopRequested",
    "StudyMoved",
    "TaskEnded",
    "Tick",
    "put_answer",
]

_PATIENCE = 1 / 8  # the pause between two looks, as a part of the time that was waited

# Events ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed, or something in the ledger may have moved."""

    now_s: float


@dataclass(frozen=True, slots=True)
class Claimed:
    """The ledger gave a trial.

    One that has a configuration starts at once if it is `ready`: in lock-step mode what its early stopping
    compares it with may still be to come. One whose task runs here already goes on under this claim.
    """

    claim: Claim
    ready: bool = True


@dataclass(frozen=True, slots=True)
class NothingToClaim:
    """The ledger had no trial to give."""

    answer: NoClaim
    now_s: float


@dataclass(frozen=True, slots=True)
class Proposed:
    """The trial has its configuration now."""

    number: int


@dataclass(frozen=True, slots=True)
class ProposalWaits:
    """The optimizer, or lock-step mode, needs other results first."""

    number: int


@dataclass(frozen=True, slots=True)
class SpaceExhausted:
    """The optimizer has nothing left to propose."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class TaskEnded:
    """The trial's task is over; `cancelled` when it was ended on our word and left no result."""

    number: int
    cancelled: bool


@dataclass(frozen=True, slots=True)
class ClaimLost:
    """Another worker has the trial now."""

    number: int


@dataclass(frozen=True, slots=True)
class StopAsked:
    """Somebody asked to kill this trial."""

    number: int


@dataclass(frozen=True, slots=True)
class StopRequested:
    """Somebody asked to end the run once the running trials are done."""

    reason: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The user pressed Ctrl-C, or the process was asked to go; the second time it is `hard`."""

    now_s: float
    hard: bool


@dataclass(frozen=True, slots=True)
class StudyMoved:
    """The study's state, as last heard; with `abort` running trials are to be broken off and given back."""

    state: StudyState
    abort: bool
    now_s: float


Event = (
    Tick
    | Claimed
    | NothingToClaim
    | Proposed
    | ProposalWaits
    | SpaceExhausted
    | TaskEnded
    | ClaimLost
    | StopAsked
    | StopRequested
    | Interrupted
    | StudyMoved
)

# Instructions ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ClaimTrial:
    """Ask the ledger for a trial; answer with Claimed or NothingToClaim."""


@dataclass(frozen=True, slots=True)
class ProposeFor:
    """Ask the optimizer, unless it has a configuration.

    Answer with Proposed, ProposalWaits, SpaceExhausted or ClaimLost.
    """

    number: int


@dataclass(frozen=True, slots=True)
class StartTrial:
    """Submit the trial's task; answer with TaskEnded when it is over."""

    number: int


@dataclass(frozen=True, slots=True)
class CancelTrial:
    """End the trial's task; TaskEnded follows."""

    number: int
    why: str


@dataclass(frozen=True, slots=True)
class FinishTrial:
    """Write how the task ended."""

    number: int


@dataclass(frozen=True, slots=True)
class ReleaseTrial:
    """Give the trial back without spending an attempt; with `close` issue no more."""

    number: int
    why: str
    close: bool = False


@dataclass(frozen=True, slots=True)
class DropTrial:
    """Forget the trial; it belongs to somebody else."""

    number: int


@dataclass(frozen=True, slots=True)
class EndRun:
    """The run is over. `complete` when the study is: nothing is left to do for anybody."""

    reason: str
    complete: bool


Instruction = (
    ClaimTrial | ProposeFor | StartTrial | CancelTrial | FinishTrial | ReleaseTrial | DropTrial | EndRun
)


def put_answer(waiting: deque[Event], answer: Event) -> None:
    """Put an answer behind those that wait to be handled.

    A claim may bring a trial that is held already, whose lease had run out. What was found out under the old
    claim is void then.
    """
    if isinstance(answer, Claimed):
        void = [item for item in waiting if getattr(item, "number", None) == answer.claim.number]
        for item in void:
            waiting.remove(item)
    waiting.append(answer)


@dataclass(slots=True)
class Engine:
    """Decides what a run does next.

    Parameters
    ----------
    slots : int
        How many trials may be in flight.
    deadline_s : float, optional
        When the run has to be over, on the clock of the events.
    grace_s : float
        How long running trials may go on after an interrupt.
    poll_s : float
        How long to wait at first before the ledger is asked again when others hold the last trials.
    most_patient_s : float
        The longest time between two such looks, and between two for an abandoned trial while all trials that
        are held wait.
    """

    slots: int
    deadline_s: float | None = None
    grace_s: float = 5.0
    poll_s: float = 0.25
    most_patient_s: float = 2.0
    _flights: Flights = field(default_factory=Flights)
    _next_claim_s: float = -math.inf
    _refused_since_s: float = math.inf  # the ledger has given nothing since then
    _claiming: bool = False
    _ending: str = ""  # why no more trials are started; empty while they are
    _spent: bool = False  # the ledger has nothing left for anybody, as of the last answer
    _draining: bool = False  # the space is exhausted
    _patience_s: float = 0.0
    _probe_at_s: float = math.inf
    _cancel_at_s: float = math.inf
    _ended: bool = False

    @property
    def in_flight(self) -> int:
        """How many trials are claimed and not over."""
        return len(self._flights)

    @property
    def waiting(self) -> bool:
        """Whether some trial waits for a proposal that others' results will allow."""
        return self._flights.any_at(Phase.CLAIMED)

    @property
    def due_s(self) -> float:
        """When the next tick is needed if nothing happens until then; infinite when none is."""
        if self._ended:
            return math.inf
        if self._ending:
            return self._cancel_at_s if self._flights.any_at(Phase.RUNNING) else math.inf
        due_s = math.inf if self.deadline_s is None else self.deadline_s
        if len(self._flights) < self.slots:
            return min(due_s, self._next_claim_s)
        return due_s if self._flights.started else min(due_s, self._probe_at_s)

    def handle(self, event: Event) -> list[Instruction]:
        """Take in one event and return what to do about it, in order."""
        match event:
            case Tick(now_s):
                return self._tick(now_s)
            case Claimed(claim, ready):
                return self._claimed(claim, ready)
            case NothingToClaim(answer, now_s):
                return self._refused(answer, now_s)
            case Proposed(number):
                return self._proposed(number)
            case ProposalWaits(number):
                return self._waits(number)
            case SpaceExhausted(number, reason):
                return self._exhausted(number, reason)
            case TaskEnded(number, cancelled):
                return self._task_ended(number, cancelled)
            case ClaimLost(number):
                return self._cancel(number, Phase.LOST, "another worker has it")
            case StopAsked(number):
                return self._cancel(number, Phase.KILLING, "stopped on request")
            case StopRequested(reason):
                return self._end(reason)
            case Interrupted(now_s, hard):
                self._cancel_at_s = now_s if hard else min(self._cancel_at_s, now_s + self.grace_s)
                return self._end("interrupted") + self._tick(now_s)
            case StudyMoved(state, abort, now_s):
                return self._moved(state, abort, now_s)

    def _moved(self, state: StudyState, abort: bool, now_s: float) -> list[Instruction]:
        if state in (StudyState.PENDING, StudyState.RUNNING):
            return []
        # Nobody completes a study whose trials run, unless somebody has stopped it.
        ending = self._end("paused" if state is StudyState.PAUSED else "stopped")
        if not abort:
            return ending
        self._cancel_at_s = min(self._cancel_at_s, now_s)
        return ending + self._tick(now_s)

    def _tick(self, now_s: float) -> list[Instruction]:
        if self._ended:
            return []
        instructions: list[Instruction] = []
        if self.deadline_s is not None and now_s >= self.deadline_s:
            instructions += self._end("time is up")
            self._cancel_at_s = min(self._cancel_at_s, self.deadline_s)
        if now_s >= self._cancel_at_s:
            for number in self._flights.at(Phase.RUNNING):
                instructions += self._cancel(number, Phase.RELEASING, self._ending)
        if self._ending:
            return instructions + self._end_if_empty()
        for number in self._flights.at(Phase.READY):
            instructions += self._start(number)
        if self._claiming:
            return instructions
        instructions += [ProposeFor(number) for number in self._flights.at(Phase.CLAIMED)]
        return instructions + self._claim_if_free(now_s)

    def _claim_if_free(self, now_s: float) -> list[Instruction]:
        free = len(self._flights) < self.slots or self._may_probe(now_s)
        if not free or now_s < self._next_claim_s:
            return []
        self._claiming = True
        return [ClaimTrial()]

    def _may_probe(self, now_s: float) -> bool:
        """Whether to claim beyond the slots, because all that is held has been waiting for a while."""
        if self._flights.started:
            self._probe_at_s = math.inf
            return False
        if self._probe_at_s == math.inf:
            self._patience_s = min(max(self.poll_s, 2 * self._patience_s), self.most_patient_s)
            self._probe_at_s = now_s + self._patience_s
        if now_s < self._probe_at_s:
            return False
        self._probe_at_s = math.inf
        return True

    def _claimed(self, claim: Claim, ready: bool) -> list[Instruction]:
        self._claiming = False
        self._spent = False
        self._refused_since_s = math.inf
        flight = self._flights.get(claim.number)
        if flight is not None and flight.started:
            # Its lease had run out while it ran here: it goes on under the new claim, or goes back with it.
            if flight.phase is Phase.LOST:
                self._flights.put(claim.number, Phase.RELEASING, flight.why)
            return []
        if self._ending:
            return [ReleaseTrial(claim.number, self._ending)]
        if claim.params is not None and ready:
            return self._start(claim.number)
        self._flights.put(claim.number, Phase.CLAIMED)
        return [ProposeFor(claim.number)]

    def _proposed(self, number: int) -> list[Instruction]:
        self._patience_s = 0.0
        self._draining = False
        for held in self._flights.at(Phase.HELD):
            self._flights.put(held, Phase.CLAIMED)  # there is something left after all
        return self._start(number)

    def _start(self, number: int) -> list[Instruction]:
        """Start a trial that has its configuration, once there is a slot: more may be held than run."""
        if self._flights.started >= self.slots:
            self._flights.put(number, Phase.READY)
            return []
        self._flights.put(number, Phase.RUNNING)
        return [StartTrial(number)]

    def _waits(self, number: int) -> list[Instruction]:
        if len(self._flights) <= self.slots:
            return []
        self._flights.pop(number)
        return [ReleaseTrial(number, "there was none to take over")]

    def _exhausted(self, number: int, reason: str) -> list[Instruction]:
        if not self._draining:
            self._draining = True
            self._flights.pop(number)
            return [ReleaseTrial(number, reason, close=True)]
        self._flights.put(number, Phase.HELD, reason)
        if self._claiming:
            return []
        self._claiming = True
        return [ClaimTrial()]

    def _refused(self, answer: NoClaim, now_s: float) -> list[Instruction]:
        self._claiming = False
        if answer.reason == "paused":
            return self._end("paused") + self._end_if_empty()
        if held := self._flights.at(Phase.HELD):
            self._next_claim_s = -math.inf  # these stood in the way of a clear answer
            first = self._flights.get(held[0])
            return self._release(held, first.why if first else "")
        # Asked again when a trial of ours ends, or after a pause, since others' trials may come back. Who has
        # waited for long can wait a little longer: at the end of a study thousands of workers ask.
        self._refused_since_s = min(self._refused_since_s, now_s)
        pause_s = max(self.poll_s, (now_s - self._refused_since_s) * _PATIENCE)
        self._next_claim_s = now_s + min(pause_s, max(self.poll_s, self.most_patient_s))
        if answer.reason == "complete" and self._flights:
            return self._end("stopped") + self._end_if_empty()
        if answer.reason != "busy":
            self._spent = True
            if not self._flights:
                self._ending = self._ending or answer.reason
        return self._end_if_empty() if self._ending else []

    def _task_ended(self, number: int, cancelled: bool) -> list[Instruction]:
        flight = self._flights.pop(number)
        self._next_claim_s = -math.inf
        if flight.phase is Phase.LOST:
            done: Instruction = DropTrial(number)
        elif cancelled and (flight.phase is Phase.RELEASING or self._broken_off(flight)):
            done = ReleaseTrial(number, flight.why or self._ending)
            self._spent = False
        else:
            # What came in the last moment still counts, also after a deadline.
            done = FinishTrial(number)
        return [done, *(self._end_if_empty() if self._ending else [])]

    def _broken_off(self, flight: Flight) -> bool:
        """Whether a signal broke into an objective in the run's own thread, before we had to ask it to go."""
        return flight.phase is Phase.RUNNING and bool(self._ending)

    def _cancel(self, number: int, phase: Phase, why: str) -> list[Instruction]:
        flight = self._flights.get(number)
        if flight is None or flight.phase in (Phase.LOST, phase):
            return []
        if not flight.started:
            self._flights.pop(number)
            return [DropTrial(number) if phase is Phase.LOST else FinishTrial(number)]
        already = flight.phase is not Phase.RUNNING
        self._flights.put(number, phase, why)
        return [] if already else [CancelTrial(number, why)]

    def _end(self, reason: str) -> list[Instruction]:
        """Start nothing more, and give back what has not started."""
        self._ending = reason if reason == "interrupted" else self._ending or reason
        return self._release(self._flights.waiting, self._ending)

    def _release(self, numbers: list[int], why: str) -> list[Instruction]:
        for number in numbers:
            self._flights.pop(number)
        # Highest first, so that each number can be given back to the study's counter.
        return [ReleaseTrial(number, why) for number in sorted(numbers, reverse=True)]

    def _end_if_empty(self) -> list[Instruction]:
        if self._flights or self._claiming or self._ended:
            return []
        self._ended = True
        return [EndRun(self._ending, complete=self._spent)]
