"""A worker takes part in a run of `fit`, given nothing but the ledger."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from modelwright import Study
from modelwright.automl.fit import fit_table
from modelwright.automl.joining import join_fit
from modelwright.automl.leaderboard import read_leaderboard
from modelwright.automl.settings import FitSettings
from modelwright.errors import InputError
from modelwright.records import StudyState, TrialState
from modelwright.storage import open_existing
from modelwright.worker import WorkerOptions, run_workers

pd = pytest.importorskip("pandas")


@pytest.fixture
def run(ledger: Any, tmp_path: Path) -> Path:
    """Return the folder of a run that has two models and may have a third; its ledger is elsewhere."""
    table = pd.DataFrame({"a": range(40), "b": [i % 7 for i in range(40)], "y": ["no", "yes"] * 20})
    folder = tmp_path / "run"
    settings = FitSettings(target="y", trials=2, methods=("dt",), folds=2, jobs=1)
    fit_table(table, settings, out=folder, storage=ledger.url)
    [record] = ledger.read(lambda storage: storage.studies())
    ledger.read(lambda storage: storage.set_budget(record.id, 3))
    return folder


def study_of(ledger: Any) -> Any:
    [record] = ledger.read(lambda storage: storage.studies())
    return record


def test_a_worker_takes_part_in_a_fit(ledger: Any, run: Path) -> None:
    assert study_of(ledger).user_attrs["run_folder"] == str(run)
    assert run_workers(WorkerOptions(ledger.url)) == 0
    record = study_of(ledger)
    assert record.state is StudyState.COMPLETE
    name = record.spec.name
    assert ledger.states(name) == [TrialState.COMPLETE] * 3
    models = [row.model for row in read_leaderboard(run).rows]
    assert {"dt-0", "dt-1", "dt-2"} <= set(models)  # its files lie where the fit's own do
    assert record.user_attrs["ensemble_built_from"] == 3
    ledger.check(name)

    # The time of a fit is kept by workers, too.
    study = Study.load(name, storage=ledger.url)
    study.set_user_attr("budget_s", 1.0)
    study.set_user_attr("time_used_s", 1.0)
    study.set_budget(None)
    study.close()
    assert run_workers(WorkerOptions(ledger.url)) == 0
    assert len(ledger.states(name)) == 3
    assert study_of(ledger).state is StudyState.COMPLETE

    # Where its folder is gone, that is said; a fit in its new place would write that down.
    moved = run.with_name("moved")
    shutil.move(run, moved)
    storage = open_existing(ledger.url)
    with pytest.raises(InputError, match="cannot be reached from here") as caught:
        join_fit(storage, record)
    assert str(run) in str(caught.value)
    storage.set_user_attrs(record.id, {"run_folder": str(moved)})
    assert join_fit(storage, storage.study(name)).study.folder == moved
    storage.close()
