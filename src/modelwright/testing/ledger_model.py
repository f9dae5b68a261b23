"""A ledger as a person would keep it on paper: one dictionary of trials, nothing clever.

It is written from the words of the contract alone, in whole seconds and without records, so that a mistake in
a storage is not likely to be made here too. `modelwright.testing.ledger_machine` compares the two.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

__all__ = ["LEASE_S", "MAX_ATTEMPTS", "RETRY", "PaperStudy", "PaperTrial"]

LEASE_S = 60
MAX_ATTEMPTS = 2
RETRY = {"error": 1}

_LIMITS = ("trials", "time_s", "cost", "parallel")
_RESTING = {"paused": "paused", "complete": "complete", "failed": "complete"}


@dataclass
class PaperTrial:
    """A line in the book."""

    number: int
    state: str = "waiting"
    params: dict[str, int] | None = None
    fence: int = 0
    attempts: int = 0
    claim_id: str = ""
    worker: str = ""
    began: int = 0
    until: int = 0
    kill: bool = False
    kind: str = ""
    result: bool = False
    taken_back: bool = False

    @property
    def teaches(self) -> bool:
        """Whether its configuration counts as tried."""
        return self.kind not in ("lost", "killed")


@dataclass
class PaperStudy:
    """A book: what a study's ledger must say."""

    state: str = "pending"
    abort: bool = False
    closed: bool = False
    issued: int = 0
    cost: float = 0.0
    limits: dict[str, int | None] = field(default_factory=lambda: dict.fromkeys(_LIMITS))
    first_ran: int | None = None
    trials: dict[int, PaperTrial] = field(default_factory=dict)
    released: set[tuple[int, int]] = field(default_factory=set)
    results: dict[int, set[str]] = field(default_factory=dict)
    tried: Counter[tuple[int, str]] = field(default_factory=Counter)
    requests: dict[str, int] = field(default_factory=dict)
    floor: int = 0

    # who holds what ----------------------------------------------------------------------------------

    def held(self, number: int, fence: int) -> PaperTrial | None:
        """Return the trial, if this fence is the newest and it runs."""
        trial = self.trials.get(number)
        if trial is None or trial.state != "running" or trial.fence != fence:
            return None
        return trial

    def live(self, now: int) -> list[PaperTrial]:
        """Return the trials under a lease."""
        return [trial for trial in self.trials.values() if trial.state == "running" and trial.until > now]

    def silent(self, now: int) -> list[PaperTrial]:
        """Return the trials whose lease has run out."""
        return [trial for trial in self.trials.values() if trial.state == "running" and trial.until <= now]

    def _leave(self, trial: PaperTrial, state: str, cost: float, kind: str = "") -> None:
        trial.state, trial.claim_id, trial.kind = state, "", kind
        self.cost += cost

    # claims ------------------------------------------------------------------------------------------

    def claim(self, now: int, worker: str, claim_id: str) -> PaperTrial | str:
        """Return the trial that is given out, or why there is none."""
        for trial in self.trials.values():
            if claim_id and trial.claim_id == claim_id:
                return trial
        if self.state in _RESTING:
            return _RESTING[self.state]
        for trial in self.silent(now):
            if trial.kill or trial.attempts >= MAX_ATTEMPTS:
                kind = "killed" if trial.kill else "lost"
                self._leave(trial, "failed", trial.until - trial.began, kind)
        busy = self.live(now)
        limit = self._limit(now)
        if limit:
            return "busy" if busy else limit
        parallel = self.limits["parallel"]
        if parallel is not None and len(busy) >= parallel:
            return "busy"
        chosen = self._first_ready(now)
        if chosen is None:
            return "busy" if busy else "closed" if self.closed else "spent"
        if chosen.state == "running":
            self.cost += chosen.until - chosen.began
        chosen.state, chosen.claim_id, chosen.worker = "running", claim_id, worker
        chosen.fence = (chosen.fence or self.floor) + 1
        chosen.attempts += 1
        chosen.taken_back = False
        chosen.began, chosen.until = now, now + LEASE_S
        return chosen

    def _limit(self, now: int) -> str:
        time_s, cost = self.limits["time_s"], self.limits["cost"]
        if time_s is not None and self.first_ran is not None and now - self.first_ran >= time_s:
            return "deadline"
        silent = sum(trial.until - trial.began for trial in self.silent(now))
        return "cost" if cost is not None and self.cost + silent >= cost else ""

    def _first_ready(self, now: int) -> PaperTrial | None:
        waiting = [trial for trial in self.trials.values() if trial.state == "waiting"]
        ready = waiting + self.silent(now)
        if ready:
            return min(ready, key=lambda trial: trial.number)
        most = self.limits["trials"]
        if self.closed or (most is not None and self.issued >= most):
            return None
        return self._new()

    def _new(self) -> PaperTrial:
        trial = self.trials[self.issued] = PaperTrial(self.issued)
        self.issued += 1
        return trial

    def release(self, now: int, number: int, fence: int, close: bool) -> bool:
        """Give a trial back."""
        trial = self.held(number, fence)
        if trial is None:
            return (number, fence) in self.released
        self.released.add((number, fence))
        self.closed |= close
        trial.attempts -= 1
        self._leave(trial, "waiting", now - trial.began)
        if trial.kill:
            trial.state, trial.kind = "failed", "killed"
        elif trial.params is None and number == self.issued - 1:
            del self.trials[number]
            self.issued -= 1
            self.floor = max(self.floor, fence)
        return True

    def renew(self, now: int, number: int, fence: int) -> tuple[bool, bool]:
        """Prolong a lease; return whether it is lost, and whether a kill was asked for."""
        trial = self.held(number, fence)
        if trial is not None:
            trial.until = now + LEASE_S
            return False, trial.kill
        gone = self.trials.get(number)
        if gone is None:
            return False, False
        ended = gone.state == "failed" and not gone.result
        return gone.fence != fence or ended or gone.taken_back, False

    def forfeit(self, now: int, worker: str) -> list[int]:
        """Let the leases of a dead worker run out now."""
        gone = [trial for trial in self.live(now) if trial.worker == worker]
        for trial in gone:
            trial.until = now
        return sorted(trial.number for trial in gone)

    # results -----------------------------------------------------------------------------------------

    def twin(self, number: int, params: dict[str, int]) -> int | None:
        """Return the lowest other number with this configuration."""
        same = [
            trial.number
            for trial in self.trials.values()
            if trial.number != number and trial.params == params and trial.teaches
        ]
        return min(same, default=None)

    def finish(self, number: int, fence: int, result_id: str, kind: str, cost: float) -> str:
        """Take a result; `kind` is a kind of failure, or empty if it went well."""
        trial = self.held(number, fence)
        if trial is None:
            return "duplicate" if result_id in self.results.get(number, ()) else "stale"
        self.results.setdefault(number, set()).add(result_id)
        if kind and not trial.kill and self.tried[number, kind] < RETRY.get(kind, 0):
            self.tried[number, kind] += 1
            self._leave(trial, "waiting", cost)
            return "retry"
        self._leave(trial, "failed" if kind else "complete", cost, kind)
        trial.result = True
        return "accepted"

    # control -----------------------------------------------------------------------------------------

    def move(self, now: int, state: str, expected: str | None, abort: bool) -> None:
        """Set the study's state."""
        if expected not in (None, self.state):
            return
        if state == "running" and self.state not in ("pending", "running"):
            return
        self.state = state
        self.abort = state in _RESTING and (abort or self.abort)
        for trial in self.silent(now) if state == "complete" else []:
            kind = "killed" if trial.kill else "lost" if trial.attempts >= MAX_ATTEMPTS else ""
            self._leave(trial, "failed" if kind else "waiting", trial.until - trial.began, kind)
            trial.taken_back = not kind
        if state == "running" and self.first_ran is None:
            self.first_ran = now

    def _reopen(self) -> None:
        if self.state == "complete":
            self.state, self.abort = "pending", False

    def set_limit(self, name: str, value: int | None) -> None:
        """Change one part of the budget."""
        old, self.limits[name] = self.limits[name], value
        if name != "parallel" and old is not None and (value is None or value > old):
            self._reopen()

    def enqueue(self, params: dict[str, int], request_id: str) -> int:
        """Add a trial with a configuration."""
        if request_id in self.requests:
            return self.requests[request_id]
        trial = self._new()
        trial.params = params
        if request_id:
            self.requests[request_id] = trial.number
        if self.limits["trials"] is not None:
            self.limits["trials"] = max(self.limits["trials"], self.issued)
        self._reopen()
        return trial.number

    def kill(self, now: int, number: int) -> str:
        """End a trial, and return its state."""
        trial = self.trials[number]
        if trial.state == "running" and trial.until > now:
            trial.kill = True
        elif trial.state in ("waiting", "running"):
            cost = trial.until - trial.began if trial.state == "running" else 0
            self._leave(trial, "failed", cost, "killed")
        return trial.state
