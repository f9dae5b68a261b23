"""Random walks through a storage: the same steps in two storages must give the same answers."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from modelwright.errors import StaleClaimError, StudyStateError
from modelwright.records import (
    Failure,
    FailureKind,
    Outcome,
    Proposal,
    Provenance,
    Report,
    StudyState,
    TrialState,
)
from modelwright.storage.base import Claim, Storage

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
    "stop": 1,
    "attrs": 1,
    "forfeit": 1,
    "extend": 1,
    "state": 3,
    "budget": 1,
}


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
        return mirror.storage.propose(claim, proposal, Provenance("walk", "1", "why", self._count), 0)

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
        failure = Failure(FailureKind.ERROR, "went wrong", "E", "Traceback")
        outcome = rng.choice(
            [
                Outcome(TrialState.COMPLETE, (rng.random(),), user_attrs={"a": 1}, metrics={"cv_std": 0.1}),
                Outcome(TrialState.PRUNED, (1.0,), duration_s=2.0),
                Outcome(TrialState.FAILED, failure=failure),
            ]
        )
        return mirror.storage.finish(claim, outcome, claim.claim_id)

    def _release(self, mirror: Mirror, study_id: int, rng: random.Random) -> Any:
        close = rng.random() < 0.05
        return mirror.storage.release(self._any_claim(rng, study_id), "released", close=close)

    def _renew(self, mirror: Mirror, study_id: int, rng: random.Random) -> Any:
        controls = mirror.storage.renew(self._claims[-4:], self._lease_s)
        return controls.lost, controls.stop, list(controls.state.values())

    def _advance(self, mirror: Mirror, study_id: int, rng: random.Random) -> Any:
        mirror.advance(rng.choice([0.75, 2]) * self._lease_s)

    def _enqueue(self, mirror: Mirror, study_id: int, rng: random.Random) -> Any:
        return mirror.storage.enqueue(study_id, {"x": rng.random()}, {"from": "user"})

    def _stop(self, mirror: Mirror, study_id: int, rng: random.Random) -> Any:
        return mirror.storage.request_stop(study_id, rng.randrange(5))

    def _attrs(self, mirror: Mirror, study_id: int, rng: random.Random) -> Any:
        return mirror.storage.set_trial_attrs(study_id, rng.randrange(5), {f"k{self._count}": rng.random()})

    def _forfeit(self, mirror: Mirror, study_id: int, rng: random.Random) -> Any:
        return mirror.storage.forfeit(rng.choice(["w1", "w2"]), "gone")

    def _state(self, mirror: Mirror, study_id: int, rng: random.Random) -> Any:
        resting = rng.choice([StudyState.PAUSED, StudyState.COMPLETE])
        return mirror.storage.set_state(study_id, resting if rng.random() < 0.2 else StudyState.RUNNING).state

    def _budget(self, mirror: Mirror, study_id: int, rng: random.Random) -> Any:
        return mirror.storage.set_budget(study_id, rng.choice([None, 5, 20])).state


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
    return {
        "study": (replace(study, id=0, created_us=0, started_us=None, ended_us=None, spec=None), moments),  # type: ignore[arg-type]
        "trials": trials,
        "new_reports": changes.reports,
        "reports": [storage.reports(study_id, trial.number) for trial in storage.trials(study_id)],
        "events": [replace(event, at_us=0) for event in storage.events(study_id, limit=10_000)],
        "holders": storage.workers(study_id),
    }
