"""A study that has one of everything, and all that can be read of one."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelwright import Bool, Categorical, Float, Int, Space, Study
from modelwright.records import (
    Artifact,
    Component,
    Failure,
    FailureKind,
    Objective,
    Outcome,
    Proposal,
    Provenance,
    Report,
    StudySpec,
    StudyState,
    TrialState,
)
from modelwright.storage.base import Attempt, Claim, Dataset, EnsembleRecord, Partition, Storage
from modelwright.transfer.snapshot import as_waiting

SPACE = Space(
    lr=Float(1e-5, 1e-1, log=True),
    layers=Int(1, 4),
    kind=Categorical("svm", "=tree", None, 3),
    C=Float(0.5, 2.0, step=0.5, when={"kind": "svm"}),
    fast=Bool(),
    constraints=["layers <= 4"],
)
PARAMS = [
    {"lr": 1e-3, "layers": 2, "kind": "svm", "C": 0.5, "fast": True},
    {"lr": 1e-4, "layers": 1, "kind": "=tree", "fast": False},
    {"lr": 1e-2, "layers": 4, "kind": None, "fast": False},
    {"lr": 0.1, "layers": 3, "kind": 3, "fast": True},
]


def make_rich(storage: Storage, name: str = "rich") -> None:
    """Create a study with trials in every state, files, partitions, ensembles and two spaces."""
    dataset = Dataset("iris", "iris.csv", "class", 150, 3, 4, 1 / 3, 8, metadata={"rows": [1, 2]})
    spec = StudySpec(
        name,
        SPACE,
        (Objective("loss"), Objective("gain", "maximize")),
        optimizer=Component("random"),
        scheduler=Component("median"),
        seed=7,
        deterministic=True,
        lease_s=30.0,
        max_attempts=4,
        retry={"error": 1},
        priority=5,
        objective_ref="module:function",
        description="a study with ünïcode",
        dataset_id=storage.add_dataset(dataset),
    )
    record = storage.create_study(spec)
    key = record.id
    storage.add_partitions(key, [Partition(0, "dt", {"k": 1}, ["depth"], {"c": 2.5})])
    storage.set_partition_status(key, 0, "gridding_done")
    storage.set_user_attrs(key, {"team": "blue", "limit": float("inf"), "nested": {"a": [1, None]}})
    storage.set_budget(key, 9, time_s=3600.0, cost=1000.5, parallel=4)
    storage.set_window(key, 2)
    storage.set_state(key, StudyState.RUNNING)
    storage.enqueue(key, PARAMS[0], {"by": "me"})
    folder = Study.load(name, storage=storage).folder
    claims = [claimed(storage, key, f"c{i}") for i in range(4)]
    for claim, params in list(zip(claims, PARAMS, strict=True))[1:]:
        storage.propose(
            claim, Proposal(params, "why not", fidelity=2.0), Provenance("random", "1", "r", 3), 0
        )
    storage.report(claims[1], [Report(2, {"loss": 2.5}, 1), Report(1, {"loss": 3.5}, 0)])
    storage.report(claims[1], [Report(1, {"loss": 3.25}, 0)])
    finish(storage, claims[2], Outcome(TrialState.PRUNED, (1.0, 2.0), duration_s=0.5))
    finish(storage, claims[1], failed_once())  # it is tried again
    again = claimed(storage, key, "again")
    assert again.number == 1
    storage.report(again, [Report(1, {"loss": 9.0}, 0)])
    artifact = written(folder, "trials/1-2/model.bin", b"weights") if folder is not None else ()
    finish(
        storage,
        again,
        Outcome(
            TrialState.COMPLETE,
            (0.25, -float("inf")),
            user_attrs={"=cmd": "=1+1", "tags": ["a", {"b": None}]},
            metrics={"cv_mean": 0.5, "folds": [0.25, 0.75], "model_location": "trials/1-2/model.bin"},
            artifacts=artifact,
            duration_s=1.5,
            peak_memory_mb=12.5,
            exit_code=0,
            log_location="" if folder is None else str(folder / "trials/1-2"),
            cost=2.0,
        ),
    )
    failure = Failure(FailureKind.TIMEOUT, "timeout: 10 s", "E_TIMEOUT", "a trace\nof lines")
    finish(storage, claims[0], Outcome(TrialState.FAILED, failure=failure, duration_s=10.0))
    storage.enqueue(key, PARAMS[1], {})
    assert storage.lease_ensemble(key, "me", 60)
    storage.add_ensemble(key, "me", EnsembleRecord(0, [(1, 0.75), (2, 0.25)], 0.5, "e/0", {"rows": 3}))
    storage.release_ensemble(key, "me")
    wider = SPACE.with_parameter("added", Int(0, 9))
    storage.add_space(key, wider.to_json(), 0)


def failed_once() -> Outcome:
    failure = Failure(FailureKind.ERROR, "ValueError: no", "E_EXCEPTION", "trace")
    return Outcome(TrialState.FAILED, failure=failure, duration_s=0.25)


def claimed(storage: Storage, study_id: int, claim_id: str) -> Claim:
    claim = storage.claim(study_id, "worker", claim_id, 60)
    assert isinstance(claim, Claim)
    return claim


def finish(storage: Storage, claim: Claim, outcome: Outcome) -> None:
    assert storage.finish(claim, outcome, f"result of {claim.claim_id}").value in ("accepted", "retry")


def written(folder: Path, location: str, content: bytes) -> tuple[Artifact, ...]:
    path = folder / location
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return (Artifact("model", location, hashlib.sha256(content).hexdigest(), len(content), "bin"),)


def everything(storage: Storage, name: str, *, folder: str = "") -> dict[str, Any]:
    """Return all that can be read of a study, less what belongs to its place: keys, revisions, folders.

    A trial that runs is shown as one that waits, which is what it becomes elsewhere.
    """
    record = storage.study(name)
    trials, attempts = [], []
    for trial in storage.trials(record.id):
        own: Sequence[Attempt] = storage.attempts(record.id, trial.number)
        if not trial.state.finished:
            trial, own = as_waiting(trial, own)
        trials.append(trial)
        attempts += [
            dataclasses.replace(item, log_location=item.log_location.replace(folder, "")) for item in own
        ]
    order = sorted(trials, key=lambda trial: trial.finished_revision)
    dataset = record.spec.dataset_id
    return {
        "spec": dataclasses.replace(record.spec, dataset_id=None),
        "budget": record.budget,
        "issued": record.issued,
        "cost": record.cost,
        "started_us": record.started_us,
        "window": record.window,
        "user_attrs": record.user_attrs,
        "spaces": storage.spaces(record.id),
        "trials": [dataclasses.replace(trial, revision=0, finished_revision=0) for trial in trials],
        "order": [trial.number for trial in order if trial.state.finished],
        "reports": [storage.reports(record.id, number) for number in range(record.issued)],
        "attempts": attempts,
        "artifacts": storage.artifacts(record.id),
        "partitions": storage.partitions(record.id),
        "ensembles": [dataclasses.replace(item, created_us=0) for item in storage.ensembles(record.id)],
        "dataset": None if dataset is None else dataclasses.replace(storage.dataset(dataset), id=None),
    }
