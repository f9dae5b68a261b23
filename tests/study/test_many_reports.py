"""F21: a trial that reports without end is written in batches, and others report beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelwright import Float, Space, Study
from modelwright.records import TrialState
from modelwright.testing.audit import audit


@pytest.mark.parametrize("executor", ["inline", "local", "dask"])
@pytest.mark.parametrize("count", [3_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_f21_a_flood_of_reports(
    executor: str, count: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    def talk(trial: Any) -> float:
        for step in range(count if trial.number == 0 else 5):
            trial.report(step / count, step)
        return 0.5

    place: dict[str, Any] = {"executor": executor, "parallel": 1 if executor == "inline" else 2}
    if executor == "dask":
        place["address"] = request.getfixturevalue("dask_cluster").address
    study = Study(Space(x=Float(0, 1)), storage=tmp_path / "hub.db", seed=1, optimizer="random")
    study.run(talk, trials=3, **place)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 3
    storage, study_id = study.storage, study.record.id
    reports = storage.reports(study_id, 0)
    assert [report.step for report in reports] == list(range(count)), "none is lost, and they are in order"
    assert reports[-1].values == {"value": (count - 1) / count}
    events = [event for event in storage.events(study_id) if event.kind == "report" and event.number == 0]
    assert 1 <= len(events) <= 2 + count / 100, "they go to the ledger in batches"
    audit(storage, study_id)
    study.close()
