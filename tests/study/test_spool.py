"""A ledger that stays out of reach costs no result: what it could not take is kept and told later."""

from __future__ import annotations

import json
import stat
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from modelwright import Float, Space, Study
from modelwright.errors import InputError, StorageUnavailableError, StudyNotFoundError
from modelwright.records import Artifact, Failure, FailureKind, Outcome, Report, TrialState
from modelwright.storage import MemoryStorage
from modelwright.storage.base import Claim, Finish
from modelwright.study import Callback, Result, Runner, RunningTrial
from modelwright.study.spool import SpooledResult, resume_spool, write_spool

_NEEDED = ("claim", "propose", "report", "finish", "release", "renew", "changes", "set_state", "add_space")


class Flaky(MemoryStorage):
    """Is out of reach while `away` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.away = threading.Event()
        for name in (*_NEEDED, "extend", "retire_worker"):
            setattr(self, name, self._guarded(getattr(self, name)))

    def _guarded(self, method: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            if self.away.is_set():
                raise StorageUnavailableError("the storage is out of reach.", code="E_DB_GONE")
            return method(*arguments, **options)

        return call


def make(storage: MemoryStorage, **options: Any) -> Study:
    return Study(
        Space(x=Float(0, 1)), storage=storage, **{"name": "s", "seed": 1, "optimizer": "random", **options}
    )


class GoAway(Callback):
    """Takes the storage away when a trial starts."""

    def __init__(self, storage: Flaky, number: int) -> None:
        self.storage, self.number = storage, number

    def on_trial_start(self, run: Runner, number: int) -> None:
        if number == self.number:
            self.storage.away.set()


def spooled(folder: Path) -> Path:
    (path,) = folder.glob("*.json")
    return path


@pytest.mark.parametrize("executor", ["inline", "thread", "local"])
def test_results_of_running_trials_are_kept_and_told_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executor: str
) -> None:
    monkeypatch.chdir(tmp_path)
    storage = Flaky()
    study = make(storage, scheduler="median")

    def objective(trial: RunningTrial) -> Any:
        if trial.number >= 2:
            time.sleep(0.5)  # until the ledger is gone
            trial.report(0.5, 1)
            trial.user_attrs["note"] = "late"
            assert not trial.should_stop()
        return Result(float(trial.params["x"]), metrics={"rows": 3})

    parallel = 1 if executor == "inline" else 2
    with pytest.raises(StorageUnavailableError, match=r"are kept in .*json': .*2") as raised:
        study.run(objective, trials=9, parallel=parallel, executor=executor, callbacks=[GoAway(storage, 2)])
    path = spooled(tmp_path)
    assert str(path) in str(raised.value)
    assert raised.value.code == "E_DB_GONE"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    storage.away.clear()
    study._view.refresh()
    open_ones = [t.number for t in study.trials if t.state is TrialState.RUNNING]
    told = resume_spool(storage, path)
    assert not path.exists()
    assert set(told) <= set(open_ones)
    assert set(told.values()) == {Finish.ACCEPTED}
    for number in told:
        trial = study.trial(number)
        assert trial.values == (trial.params["x"],)
        if number < 2:
            continue  # it ended in the same moment
        assert trial.user_attrs == {"note": "late"}
        assert trial.record.metrics == {"rows": 3}
        assert storage.reports(study.record.id, number) == [Report(1.0, {"value": 0.5})]


def test_a_trial_that_the_outage_reached_is_left_to_another_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    storage = Flaky()
    study = make(storage, lease_s=0.2)
    with pytest.raises(StorageUnavailableError, match=r"out of reach\.$"):
        study.run(
            lambda trial: time.sleep(0.05) or trial.float("rate", 0, 1),
            trials=2,
            executor="inline",
            callbacks=[GoAway(storage, 0)],
        )
    assert list(tmp_path.glob("*.json")) == []
    storage.away.clear()
    time.sleep(0.3)
    study.run(lambda trial: trial.float("rate", 0, 1), trials=2, executor="inline")
    assert [(t.state, t.record.attempts) for t in study.trials] == [
        (TrialState.COMPLETE, 2),
        (TrialState.COMPLETE, 1),
    ]


def results(study: Study, count: int) -> list[SpooledResult]:
    found = []
    for number in range(count):
        claim = study.storage.claim(study.record.id, "me", f"c{number}", 60.0)
        assert isinstance(claim, Claim)
        found.append(SpooledResult(claim, Outcome(TrialState.COMPLETE, (float(number),))))
    return found


def test_each_kind_of_result_comes_back_as_it_was(tmp_path: Path) -> None:
    storage = MemoryStorage()
    study = make(storage)
    done, failed = results(study, 2)
    failure = Failure(FailureKind.MEMORY, "4.1 GB of 4 GB", "E_MEMORY", "stack")
    artifact = Artifact("model", "1/model.npy", "00", 8, "npy")
    spool = [
        SpooledResult(
            done.claim,
            Outcome(
                TrialState.COMPLETE, (0.5,), artifacts=(artifact,), duration_s=2.0, cost=7.0, exit_code=0
            ),
            (Report(1, {"value": 1.0}, fold=2),),
        ),
        SpooledResult(failed.claim, Outcome(TrialState.FAILED, failure=failure)),
    ]
    path = write_spool(tmp_path / "new" / "folder", study.record, "me", spool)
    assert resume_spool(storage, path) == {0: Finish.ACCEPTED, 1: Finish.ACCEPTED}
    assert storage.artifacts(study.record.id) == [(0, artifact)]
    assert storage.reports(study.record.id, 0) == [Report(1, {"value": 1.0}, fold=2)]
    assert study.trial(1).failure == failure
    study._view.refresh()
    assert study.record.cost == 7.0


def test_a_result_that_comes_too_late_is_kept_as_an_event(tmp_path: Path) -> None:
    storage = MemoryStorage()
    study = make(storage)
    path = write_spool(tmp_path, study.record, "me", results(study, 2))
    storage.forfeit("me", "silent")
    newer = storage.claim(study.record.id, "other", "newer", 60.0)
    assert isinstance(newer, Claim)
    assert newer.number == 0
    assert resume_spool(storage, path) == {0: Finish.STALE, 1: Finish.ACCEPTED}
    assert "stale" in [event.kind for event in storage.events(study.record.id)]


def test_telling_twice_counts_once(tmp_path: Path) -> None:
    storage = MemoryStorage()
    study = make(storage)
    path = write_spool(tmp_path, study.record, "me", results(study, 1))
    text = path.read_text()
    resume_spool(storage, path)
    path.write_text(text)
    assert resume_spool(storage, path) == {0: Finish.DUPLICATE}
    assert study.trial(0).record.attempts == 1


def test_files_that_are_something_else_are_refused(tmp_path: Path) -> None:
    storage = MemoryStorage()
    study = make(storage)
    path = write_spool(tmp_path, study.record, "me", results(study, 1))
    content = json.loads(path.read_text())
    for wrong in (
        "{}",
        "[]",
        "not JSON",
        json.dumps({**content, "format": "other"}),
        json.dumps({**content, "results": 3}),
    ):
        (tmp_path / "wrong.json").write_text(wrong)
        with pytest.raises(InputError, match=r"wrong\.json"):
            resume_spool(storage, tmp_path / "wrong.json")
    with pytest.raises(StudyNotFoundError, match="'s'"):
        resume_spool(MemoryStorage(), path)
    assert path.exists()
