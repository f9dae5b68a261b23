"""A study that runs is read as it stands at one moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich_study import claimed, finish

from modelwright import Float, Space, Study
from modelwright.records import (
    Artifact,
    Outcome,
    Proposal,
    Provenance,
    Report,
    StudySpec,
    StudyState,
    TrialState,
)
from modelwright.storage import MemoryStorage
from modelwright.storage.base import Attempt, EnsembleRecord, Storage
from modelwright.testing.audit import audit
from modelwright.transfer import export_study, import_study, read_lines_file, read_snapshot

Open = Callable[[str], Storage]


def test_what_happens_while_it_is_read_is_left_out(
    memory: MemoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = memory.create_study(StudySpec("s", Space(x=Float(0, 1)))).id
    memory.set_state(key, StudyState.RUNNING)
    done, ends, waits = (claimed(memory, key, name) for name in "abc")
    for claim in (done, ends, waits):
        memory.propose(claim, Proposal({"x": 0.5}, ""), Provenance(), 0)
    finish(memory, done, Outcome(TrialState.COMPLETE, (1.0,), cost=1.0))
    memory.release(waits, "later")
    changes = memory.changes

    def meanwhile(*arguments: Any) -> Any:
        found = changes(*arguments)
        monkeypatch.setattr(memory, "changes", changes)
        artifact = Artifact("model", "trials/1-1/model", "0" * 64, 3)
        finish(memory, ends, Outcome(TrialState.COMPLETE, (2.0,), artifacts=(artifact,), cost=9.0))
        again = claimed(memory, key, "d")
        assert again.number == waits.number
        finish(memory, again, Outcome(TrialState.COMPLETE, (3.0,), cost=9.0))
        assert memory.lease_ensemble(key, "me", 60)
        for i, members in enumerate([[(0, 1.0)], [(0, 0.5), (1, 0.5)]]):
            memory.add_ensemble(key, "me", EnsembleRecord(i, members, 0.5))
        return found

    monkeypatch.setattr(memory, "changes", meanwhile)
    snapshot = read_snapshot(memory, "s")
    first, second, third = snapshot.trials
    assert first.trial.state is TrialState.COMPLETE
    assert (second.trial.state, second.trial.attempts, second.artifacts) == (TrialState.WAITING, 0, [])
    (attempt,) = second.attempts
    assert attempt == Attempt(1, 1, "worker", "released", attempt.started_us)
    assert (third.trial.state, [item.fence for item in third.attempts]) == (TrialState.WAITING, [1])
    assert [item.members for item in snapshot.ensembles] == [[(0, 1.0)]]
    copied = import_study(memory, snapshot, name="copied").study
    assert copied.cost == pytest.approx(1.0, abs=0.5)  # and what the one that was given back took
    audit(memory, copied.id)


def test_each_export_of_a_study_that_runs_is_a_whole_one(
    memory: MemoryStorage, sqlite: Open, tmp_path: Path
) -> None:
    storage = sqlite("busy")
    study = Study(Space(x=Float(0, 1)), storage=storage, name="s", optimizer="random")

    def objective(trial: Any) -> float:
        for step in range(3):
            trial.report(trial.params["x"], step)
        return float(trial.params["x"])

    run = threading.Thread(target=study.run, args=(objective,), kwargs={"trials": 60, "executor": "thread"})
    run.start()
    count = 0
    while run.is_alive() or count == 0:
        for kind in ("jsonl", "csv"):
            export_study(storage, "s", tmp_path / f"{count}.{kind}")
        count += 1
    run.join()
    for i in range(count):
        snapshot = read_lines_file(tmp_path / f"{i}.jsonl")
        record = import_study(memory, snapshot, name=f"copy {i}").study
        audit(memory, record.id)
        for item in snapshot.trials:
            if item.trial.state is TrialState.COMPLETE:
                assert [report.step for report in item.reports] == [0, 1, 2]
                assert item.reports[-1] == Report(2.0, {"value": item.trial.values[0]})
                assert [attempt.outcome for attempt in item.attempts] == ["complete"]
            else:
                assert all(attempt.outcome == "released" for attempt in item.attempts)
