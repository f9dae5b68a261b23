"""Workers of a ledger on a database server keep files in a folder that all machines share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from modelwright import Float, Space, Study
from modelwright.testing.audit import audit

OBJECTIVE = """
def keep(trial):
    (trial.folder / "model").write_text(f"model {trial.number}")
    trial.log_artifact(trial.folder / "model")
    return trial.params["x"]
"""


def test_a_shared_folder(
    ledger: Any, start_python: Any, new_database: Callable[[str], str], tmp_path: Path
) -> None:
    url = new_database("postgresql")
    (tmp_path / "keeping.py").write_text(OBJECTIVE)
    study = Study(Space(x=Float(0, 1)), storage=url, name="s", seed=1, objective="keeping.py:keep")
    study.set_budget(4)
    line = ("-m", "modelwright", "worker", "--storage", url)
    without = start_python(*line, "--total-time", "60s")
    _, err = without.communicate(timeout=120)
    assert without.returncode == 0, err
    assert {trial.state.value for trial in study.trials} == {"failed"}  # there was no place for the files
    study.set_budget(8)
    workers = [start_python(*line, "--files", "shared") for _ in range(2)]
    for worker in workers:
        _, err = worker.communicate(timeout=120)
        assert worker.returncode == 0, err
    here = Study.load("s", storage=url, folder=tmp_path / "shared" / "study-1")
    for number in range(4, 8):
        assert here.fetch_artifact(number, "model").read_text() == f"model {number}"
        assert (tmp_path / "shared/study-1/trials" / f"{number}-1" / "stdout.txt").exists()
    audit(study.storage, study.record.id)
    here.close()
    study.close()
