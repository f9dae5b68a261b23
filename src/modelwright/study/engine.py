"""What a run does next, decided without touching anything.

The engine is a pure state machine: events go in, instructions come out, and time is part of the events. The
runner carries the instructions out and reports back. So the same engine decides for trials in this process,
in others, and in a simulation.

A trial's way through the engine::

    ClaimTrial ─ Claimed ─> ProposeFor ─ Proposed ─> StartTrial ─ TaskEnded ─> FinishTrial
                   │            │                        │
                   │            ├ ProposalWaits: asked again at the next tick
                   │            └ SpaceExhausted ─> ReleaseTrial(close=True)
                   └ with params already: StartTrial     ├ deadline, interrupt: CancelTrial, then ReleaseTrial
                                                         ├ StopAsked: CancelTrial, then FinishTrial (killed)
                                                         └ ClaimLost: CancelTrial, then DropTrial
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum

from modelwright.records import StudyState
from modelwright.storage.base import Claim, NoClaim

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
]

# Events ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed, or something in the ledger may have moved."""

    now_s: float


@dataclass(frozen=True, slots=True)
class Claimed:
    """The ledger gave a trial."""

    claim: Claim


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
    """The study is in another state now."""

    state: StudyState


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
    """Ask the optimizer; answer with Proposed, ProposalWaits, SpaceExhausted or ClaimLost."""

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
    ClaimTrial
    | ProposeFor
    | StartTrial
    | CancelTrial
    | FinishTrial
    | ReleaseTrial
    | DropTrial
    | EndRun
)


class _Phase(Enum):
    CLAIMED = "claimed"
    RUNNING = "running"
    RELEASING = "releasing"  # cancelled; goes back to the ledger when its task is over
    KILLING = "killing"  # cancelled; counts as failed
    LOST = "lost"  # cancelled; somebody else's


@dataclass(slots=True)
class _Flight:
    phase: _Phase
    why: str = ""


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
        How long to wait before the ledger is asked again when others hold the last trials.
    """

    slots: int
    deadline_s: float | None = None
    grace_s: float = 5.0
    poll_s: float = 0.25
    _flights: dict[int, _Flight] = field(default_factory=dict)
    _next_claim_s: float = -math.inf
    _claiming: bool = False
    _ending: str = ""  # why no more trials are started; empty while they are
    _spent: bool = False  # the ledger has nothing left for anybody, as of the last answer
    _cancel_at_s: float = math.inf
    _ended: bool = False

    @property
    def in_flight(self) -> int:
        """How many trials are claimed and not over."""
        return len(self._flights)

    @property
    def waiting(self) -> bool:
        """Whether some trial waits for a proposal that others' results will allow."""
        return any(flight.phase is _Phase.CLAIMED for flight in self._flights.values())

    def handle(self, event: Event) -> list[Instruction]:
        """Take in one event and return what to do about it, in order."""
        match event:
            case Tick(now_s):
                return self._tick(now_s)
            case Claimed(claim):
                return self._claimed(claim)
            case NothingToClaim(answer, now_s):
                return self._refused(answer, now_s)
            case Proposed(number):
                self._flights[number].phase = _Phase.RUNNING
                return [StartTrial(number)]
            case ProposalWaits():
                return []
            case SpaceExhausted(number, reason):
                del self._flights[number]
                return [ReleaseTrial(number, reason, close=True)]
            case TaskEnded(number, cancelled):
                return self._task_ended(number, cancelled)
            case ClaimLost(number):
                return self._cancel(number, _Phase.LOST, "another worker has it")
            case StopAsked(number):
                return self._cancel(number, _Phase.KILLING, "stopped on request")
            case StopRequested(reason):
                self._ending = self._ending or reason
                return self._release_unstarted(reason)
            case Interrupted(now_s, hard):
                self._ending = "interrupted"
                self._cancel_at_s = now_s if hard else min(self._cancel_at_s, now_s + self.grace_s)
                return self._release_unstarted("interrupted") + self._tick(now_s)
            case StudyMoved(state):
                if state is StudyState.PAUSED:
                    self._ending = self._ending or "paused"
                return []

    def _tick(self, now_s: float) -> list[Instruction]:
        if self._ended:
            return []
        if self.deadline_s is not None and now_s >= self.deadline_s:
            self._ending = self._ending or "time is up"
            self._cancel_at_s = min(self._cancel_at_s, self.deadline_s)
        instructions: list[Instruction] = []
        if now_s >= self._cancel_at_s:
            instructions += self._release_unstarted(self._ending)
            for number in [n for n, f in self._flights.items() if f.phase is _Phase.RUNNING]:
                instructions += self._cancel(number, _Phase.RELEASING, self._ending)
        if self._ending:
            return instructions + self._end_if_empty()
        if self._claiming:
            return instructions
        instructions += [
            ProposeFor(number)
            for number, flight in self._flights.items()
            if flight.phase is _Phase.CLAIMED
        ]
        return instructions + self._claim_if_free(now_s)

    def _claim_if_free(self, now_s: float) -> list[Instruction]:
        if len(self._flights) < self.slots and now_s >= self._next_claim_s:
            self._claiming = True
            return [ClaimTrial()]
        return []

    def _claimed(self, claim: Claim) -> list[Instruction]:
        self._claiming = False
        self._spent = False
        if self._ending:
            return [ReleaseTrial(claim.number, self._ending)]
        if claim.params is not None:
            self._flights[claim.number] = _Flight(_Phase.RUNNING)
            return [StartTrial(claim.number)]
        self._flights[claim.number] = _Flight(_Phase.CLAIMED)
        return [ProposeFor(claim.number)]

    def _refused(self, answer: NoClaim, now_s: float) -> list[Instruction]:
        self._claiming = False
        # Asked again when a trial of ours ends, or after a pause, since others' trials may come back.
        self._next_claim_s = now_s + self.poll_s
        if answer.reason in ("spent", "closed", "complete"):
            self._spent = True
            if not self._flights:
                self._ending = self._ending or answer.reason
        elif answer.reason == "paused":
            self._ending = self._ending or "paused"
        return self._end_if_empty() if self._ending else []

    def _task_ended(self, number: int, cancelled: bool) -> list[Instruction]:
        flight = self._flights.pop(number)
        self._next_claim_s = -math.inf
        if flight.phase is _Phase.LOST:
            done: Instruction = DropTrial(number)
        elif flight.phase is _Phase.RELEASING and cancelled:
            done = ReleaseTrial(number, flight.why)
            self._spent = False
        else:
            # What came in the last moment still counts, also after a deadline.
            done = FinishTrial(number)
        return [done, *(self._end_if_empty() if self._ending else [])]

    def _cancel(self, number: int, phase: _Phase, why: str) -> list[Instruction]:
        flight = self._flights.get(number)
        if flight is None or flight.phase in (_Phase.LOST, phase):
            return []
        if flight.phase is _Phase.CLAIMED:
            del self._flights[number]
            return [DropTrial(number) if phase is _Phase.LOST else FinishTrial(number)]
        already = flight.phase is not _Phase.RUNNING
        flight.phase, flight.why = phase, why
        return [] if already else [CancelTrial(number, why)]

    def _release_unstarted(self, why: str) -> list[Instruction]:
        unstarted = [n for n, f in self._flights.items() if f.phase is _Phase.CLAIMED]
        for number in unstarted:
            del self._flights[number]
        # Highest first, so that each number can be given back to the study's counter.
        return [ReleaseTrial(number, why) for number in sorted(unstarted, reverse=True)]

    def _end_if_empty(self) -> list[Instruction]:
        if self._flights or self._claiming or self._ended:
            return []
        self._ended = True
        return [EndRun(self._ending, complete=self._spent)]
