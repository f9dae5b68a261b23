"""Random walks through a storage: the same steps in two storages must give the same answers."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from modelwright.errors import StaleClaimError, StudyStateError
from modelwright.records import (
    Artifact,
    Failure,
    FailureKind,
    Outcome,
    Proposal,
    Provenance,
    Report,
    StudyState,
    Trial,
    TrialState,
)
from modelwright.storage.base import AdoptedTrial, Attempt, Claim, Event, Storage

__all__ = ["Mirror", "Walk", "snapshot"]

_STEPS = {
    "claim": 8,
    "propose": 6,
    "report": 3,
    "finish": 4,
    "release": 3,
    "renew": 2,
    "advance": 1,
    "enqueue": 1,
    "kill": 1,
    "adopt": 1,
    "trim": 1,
    "attrs": 1,
    "forfeit": 1,
    "extend": 1,
    "state": 3,
    "budget": 1,
}

_KINDS = [FailureKind.ERROR, FailureKind.ERROR, FailureKind.MEMORY]


@dataclass(frozen=True)
class Mirror:
    """A storage, and how to let time pass on its clock."""

    storage: Storage
    advance: Callable[[float], None]


class Walk:
    """Steps drawn at random, many of them with claims that are out of date.

    Parameters
    ----------
    rng : random.Random
        Draws the steps: equal generators give equal walks.
    lease_s : float
        Length of the leases.
    """

    def __init__(self, rng: random.Random, lease_s: float) -> None:
        self._rng = rng
        self._lease_s = lease_s
        self._claims: list[Claim] = []
        self._count = 0

    def step(self, mirror: Mirror, study_id: int) -> Any:
        """Take one step and return the answer, less the key of the study."""
        self._count += 1
        (name,) = self._rng.choices(list(_STEPS), list(_STEPS.values()))
        method: Callable[[Mirror, int, random.Random], Any] = getattr(self, f"_{name}")
        try:
            answer = method(mirror, study_id, self._rng)
        except (StaleClaimError, StudyStateError, KeyError) as error:
            answer = type(error).__name__
        return name, replace(answer, study_id=0) if isinstance(answer, Claim) else answer

    def _any_claim(self, rng: random.Random, study_id: int) -> Claim:
        known = self._claims[-6:] or [Claim(study_id, 0, 1, "none", 1)]
        return rng.choice(known)

    def _claim(self, mirror: Mirror, study_id: int, rng: random.Random) -> Any:
        repeat = rng.random() < 0.2
        claim_id = self._any_claim(rng, study_id).claim_id if repeat else f"c{self._count}"
        worker = rng.choice(["w1", "w2"])
        answer = mirror.storage.claim(study_id, worker, claim_id, self._lease_s)
        if isinstance(answer, Claim):
            self._claims.append(answer)
        return answer

    def _propose(self, mirror: Mirror, study_id: int, rng: random.Random) -> Any:
        claim = self._any_claim(rng, study_id)
        params = {"x": rng.choice([0.25, 0.5]), "n": [1, None]}
        proposal = Proposal(params, "why", rng.choice([None, 3.0]), None, rng.choice([None, 1]))
        provenance = Provenance("walk", "1", "why", self._count)
        return mirror.storage.propose(claim, proposal, provenance, 0, unique=rng.random() < 0.5)

    def _extend(self, mirror: Mirror, study_id: int, rng: random.Random) -> Any:
        return mirror.storage.extend(self._any_claim(rng, study_id), {f"y{self._count}": rng.random()}, 0)

    def _report(self, mirror: Mirror, study_id: int, rng: random.Random) -> Any:
        reports = [
            Report(
                rng.randrange(4),
                {"value": rng.choice([rng.random(), float("inf")])},
                rng.choice([None, 0, 1]),
            )
            for _ in range(rng.randrange(4))
        ]
        return mirror.storage.report(self._any_claim(rng, study_id), reports)

    def _finish(self, mirror: Mirror, study_id: int, rng: random.Random) -> Any:
        claim = self._any_claim(rng, study_id)
        failure = Failure(rng.choice(_KINDS), "went wrong", "E", "Traceback")
        artifact = Artifact("model", "0-1/model", "ab" * 32, 7, "npy")
        outcome = rng.choice(
            [
                Outcome(
                    TrialState.COMPLETE,
                    (rng.random(),),
                    user_attrs={"a": 1},
                    metrics={"cv_std": 0.1},
                    artifacts=(artifact,),
                    cost=0.25,
                ),
                Outcome(TrialState.PRUNED, (1.0,), duration_s=2.0),
                Outcome(TrialState.FAILED, failure=failure, duration_s=0.5, log_location="logs"),
            ]
        )
        return mirror.storage.finish(claim, outcome, claim.claim_id)

    def _release(self, mirror: Mirror, study_id: int, rng: random.Random) -> Any:
        close = rng.random() < 0.05
        return mirror.storage.release(self._any_claim(rng, study_id), "released", close=close)

    def _renew(self, mirror: Mirror, study_id: int, rng: random.Random) -> Any:
        controls = mirror.storage.renew(self._claims[-4:], self._lease_s)
        return controls.lost, controls.stop, list(controls.state.values()), len(controls.abort)

    def _advance(self, mirror: Mirror, study_id: int, rng: random.Random) -> Any:
        mirror.advance(rng.choice([0.75, 2]) * self._lease_s)

    def _enqueue(self, mirror: Mirror, study_id: int, rng: random.Random) -> Any:
        request = rng.choice(["", "again", f"r{self._count}"])
        params = {"x": rng.choice([0.25, rng.random()]), "n": [1, None]}
        return mirror.storage.enqueue(study_id, params, {"from": "user"}, request_id=request, who="walker")

    def _kill(self, mirror: Mirror, study_id: int, rng: random.Random) -> Any:
        return mirror.storage.kill(study_id, rng.randrange(12), who="walker").state

    def _adopt(self, mirror: Mirror, study_id: int, rng: random.Random) -> Any:
        state = rng.choice([TrialState.COMPLETE, TrialState.WAITING, TrialState.RUNNING])
        trial = Trial(0, state, {"x": rng.random()}, fence=1, attempts=1, queued_us=5, space_version=0)
        outcome = "running" if state is TrialState.RUNNING else "error"
        attempt = Attempt(0, 1, "elsewhere", outcome, 5, 6, 0.5)
        number = rng.choice([None, None, rng.randrange(40)])
        item = AdoptedTrial(trial, number, [Report(1, {"value": 1.0})], [attempt] * rng.randrange(2))
        return mirror.storage.adopt(study_id, [item], who="walker")

    def _trim(self, mirror: Mirror, study_id: int, rng: random.Random) -> Any:
        return mirror.storage.trim(study_id, [rng.randrange(12) for _ in range(2)], who="walker")

    def _attrs(self, mirror: Mirror, study_id: int, rng: random.Random) -> Any:
        return mirror.storage.set_trial_attrs(study_id, rng.randrange(5), {f"k{self._count}": rng.random()})

    def _forfeit(self, mirror: Mirror, study_id: int, rng: random.Random) -> Any:
        return mirror.storage.forfeit(rng.choice(["w1", "w2"]), "gone")

    def _state(self, mirror: Mirror, study_id: int, rng: random.Random) -> Any:
        resting = rng.choice([StudyState.PAUSED, StudyState.COMPLETE, StudyState.FAILED])
        state = resting if rng.random() < 0.2 else rng.choice([StudyState.PENDING, StudyState.RUNNING])
        expected = rng.choice([None, None, StudyState.RUNNING])
        abort = rng.random() < 0.5
        record = mirror.storage.set_state(study_id, state, expected=expected, abort=abort, who="walker")
        return record.state, record.abort

    def _budget(self, mirror: Mirror, study_id: int, rng: random.Random) -> Any:
        trials = rng.choice([None, 5, 20])
        if rng.random() < 0.6:
            return mirror.storage.set_budget(study_id, trials).state
        parts: dict[str, Any] = {
            "cost": rng.choice([None, None, 2.0 * self._lease_s]),
            "parallel": rng.choice([None, 2]),
            "time_s": rng.choice([None, None, 9.0 * self._lease_s]),
        }
        return mirror.storage.set_budget(study_id, who="walker", **parts).budget


def snapshot(storage: Storage, study_id: int) -> dict[str, Any]:
    """Return all that can be seen of a study, less its key and the moments."""
    changes = storage.changes(study_id, 0)
    study = changes.study
    moments = [value is None for value in (study.started_us, study.ended_us)]
    trials = [
        (
            replace(trial, queued_us=None, started_us=None, ended_us=None),
            [value is None for value in (trial.queued_us, trial.started_us, trial.ended_us)],
        )
        for trial in changes.trials
    ]
    attempts = [
        (
            replace(item, started_us=0, ended_us=None, cost=None),
            item.ended_us is None,
            _rounded(item.cost),
        )
        for item in storage.attempts(study_id)
    ]
    bare = replace(study, id=0, created_us=0, started_us=None, ended_us=None, cost=0.0, spec=None)  # type: ignore[arg-type]
    return {
        "study": (bare, moments, _rounded(study.cost)),
        "trials": trials,
        "counts": {state: count for state, count in storage.counts(study_id).items() if count},
        "attempts": attempts,
        "artifacts": storage.artifacts(study_id),
        "new_reports": changes.reports,
        "reports": [storage.reports(study_id, trial.number) for trial in storage.trials(study_id)],
        "events": [_bare(event) for event in storage.events(study_id, limit=10_000)],
        "holders": storage.workers(study_id),
    }


def _bare(event: Event) -> Event:
    """Return an event without its moment, and without a name that a storage may give to a request."""
    payload = {name: value for name, value in event.payload.items() if name != "request_id"}
    return replace(event, at_us=0, payload=payload)


def _rounded(cost: float | None) -> float | None:
    """Return a cost to the microsecond: sums of floats depend on their order."""
    return None if cost is None else round(cost, 6)
