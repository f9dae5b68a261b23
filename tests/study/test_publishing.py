"""Files on their way into a store that is slow, full, out of reach, or somebody else's by now."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modelwright import Float, Space, Study
from modelwright.errors import StorageError, StorageUnavailableError
from modelwright.records import Artifact, Outcome, TrialState
from modelwright.storage import MemoryStorage
from modelwright.storage.artifacts import FolderStore, Incoming
from modelwright.storage.base import Finish
from modelwright.study import Callback, Runner, RunningTrial
from modelwright.study.scratch import Scratch
from modelwright.study.spool import resume_spool
from modelwright.testing.audit import audit


class Served(MemoryStorage):
    """A ledger that keeps files, like one behind a server; a store of it does what the test wants.

    `act` is called with the number of each trial whose file comes.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.files = FolderStore(folder)
        self.act: Callable[[int], None] = lambda number: None

    def artifact_store(self, study_id: int) -> Any:
        return self

    def put(self, number: int, fence: int, name: str, source: Path, *, format: str = "") -> Artifact:
        self.act(number)
        return self.files.put(number, fence, name, source, format=format)

    def get(self, artifact: Artifact, cache: Path) -> Path:
        return self.files.get(artifact, cache)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "state" / "modelwright" / "scratch"


@pytest.fixture
def served(tmp_path: Path) -> Served:
    return Served(tmp_path / "served")


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Return an event that is set in the end, so that no thread is left waiting."""
    event = threading.Event()
    yield event
    event.set()


def make(storage: Served, **options: Any) -> Study:
    space = Space(x=Float(0, 1))
    return Study(space, storage=storage, seed=1, optimizer="random", **{"name": "s", **options})


def objective(trial: RunningTrial) -> float:
    assert trial.folder is not None
    (trial.folder / "model").write_text(f"model {trial.number}")
    trial.log_artifact(trial.folder / "model")
    return float(trial.number)


def leftovers(scratch: Path) -> list[str]:
    return [path.name for path in scratch.iterdir() if path.name != ".lock"] if scratch.exists() else []


@pytest.mark.parametrize("executor", ["inline", "thread", "local"])
def test_trials_work_in_a_folder_of_their_own_that_goes(served: Served, state: Path, executor: str) -> None:
    seen: list[int] = []

    def look(number: int) -> None:
        [run] = state.glob("run-*")
        assert stat.S_IMODE(run.stat().st_mode) == stat.S_IMODE(state.stat().st_mode) == 0o700
        seen.append(number)

    served.act = look
    study = make(served)
    study.run(objective, trials=3, parallel=1 if executor == "inline" else 2, executor=executor)
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 3, [t.failure for t in study.trials]
    assert sorted(seen) == [0, 1, 2]
    assert [study.fetch_artifact(number, "model").read_text() for number in range(3)] == [
        "model 0",
        "model 1",
        "model 2",
    ]
    assert leftovers(state) == []
    assert {a.log_location for a in served.attempts(study.record.id)} == {""}
    audit(served, study.record.id)


def test_a_slow_store_holds_up_neither_other_trials_nor_the_lease(
    served: Served, gate: threading.Event
) -> None:
    done: list[int] = []

    class Watch(Callback):
        def on_trial_end(self, run: Runner, trial: Any) -> None:
            done.append(trial.number)
            if len(done) == 4:  # all others, over more than a lease
                gate.set()

    def objective_with_pause(trial: RunningTrial) -> float:
        threading.Event().wait(0.2)
        return objective(trial)

    def hang(number: int) -> None:
        if number == 0:
            gate.wait()

    served.act = hang
    study = make(served, lease_s=0.4)
    study.run(objective_with_pause, trials=5, parallel=2, executor="thread", callbacks=[Watch()])
    assert done == [1, 2, 3, 4, 0]
    assert [(t.state, t.record.attempts) for t in study.trials] == [(TrialState.COMPLETE, 1)] * 5


def test_the_end_of_a_runs_time_is_kept_against_a_store_that_hangs(
    served: Served, gate: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    served.act = lambda number: gate.wait() and None  # type: ignore[func-returns-value]
    study = make(served)
    study.run(objective, trials=1, timeout=0.5, executor="thread")
    [trial] = study.trials
    assert (trial.state, trial.value) == (TrialState.COMPLETE, 0.0)
    words = "the file 'model' was not kept: the run's time was over."
    assert trial.record.metrics == {"warnings": [words]}
    assert words in caplog.text
    assert study.artifacts(0) == ()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "No space left on device."),
        (StorageError("too long.", code="E_TOO_LARGE"), "too long."),
        (ValueError("what anybody's store may raise"), "ValueError: what anybody's store may raise."),
    ],
)
def test_what_the_store_refuses_is_left_out_and_costs_no_result(
    served: Served, error: Exception, words: str
) -> None:
    def refuse(number: int) -> None:
        if number == 0:
            raise error

    served.act = refuse
    study = make(served)
    study.run(objective, trials=2, executor="inline")
    assert [t.value for t in study.trials] == [0.0, 1.0]
    assert study.trials[0].record.metrics == {"warnings": [f"the file 'model' was not kept: {words}"]}
    assert study.trials[1].record.metrics == {}
    assert [len(study.artifacts(number)) for number in range(2)] == [0, 1]
    audit(served, study.record.id)


def test_a_disk_that_is_full_leaves_nothing_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(self: Incoming, piece: bytes) -> None:
        self._file.write(piece[:3])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def renamed(trial: RunningTrial) -> float:
        assert trial.folder is not None
        (trial.folder / "model").write_text("model")
        trial.log_artifact(trial.folder / "model", "elsewhere")
        return 0.0

    monkeypatch.setattr(Incoming, "write", write)
    study = Study(Space(x=Float(0, 1)), folder=tmp_path / "files")
    study.run(renamed, trials=1, executor="inline")
    assert "No space left" in study.trials[0].record.metrics["warnings"][0]
    assert [path.name for path in (tmp_path / "files").rglob("*") if path.is_file()] == ["model"]


def test_a_trial_that_is_lost_meanwhile_is_somebody_elses(
    served: Served, state: Path, gate: threading.Event
) -> None:
    study = make(served, lease_s=0.3)
    study_id = study.record.id
    claims: list[Any] = []

    def steal(number: int) -> None:
        if claims:
            return
        [trial] = served.trials(study_id, [TrialState.RUNNING])
        served.forfeit(trial.worker, "a test")
        claims.append(served.claim(study_id, "thief", "c", 60.0))
        gate.wait()

    class Ended(Callback):
        def on_tick(self, run: Runner) -> None:
            if claims and not run.in_flight:
                run.stop()

    served.act = steal
    study.run(objective, trials=1, executor="thread", callbacks=[Ended()])
    [trial] = study.trials
    assert (trial.state, trial.record.worker, trial.record.fence) == (TrialState.RUNNING, "thief", 2)
    assert leftovers(state) == []
    gate.set()
    served.finish(claims[0], Outcome(TrialState.COMPLETE, (7.0,)), "c")
    assert study.artifacts(0) == ()  # whatever the late file has become, it is not the trial's
    audit(served, study_id)


def test_files_that_an_outage_held_up_are_kept_and_published_later(
    served: Served, state: Path, tmp_path: Path
) -> None:
    def away(number: int) -> None:
        if number == 1:
            raise StorageUnavailableError("the server cannot be reached.", code="E_DB_UNREACHABLE")

    served.act = away
    study = make(served)
    with pytest.raises(StorageUnavailableError, match=r"kept in .*: 1\."):
        study.run(objective, trials=3, executor="inline")
    [kept] = leftovers(state)
    [path] = tmp_path.glob("results-*.json")
    Scratch().close()  # sweeps what dead runs have left, and not this
    served.act = lambda number: None
    assert resume_spool(served, path) == {1: Finish.ACCEPTED}
    assert study.fetch_artifact(1, "model").read_text() == "model 1"
    assert leftovers(state) == []
    assert kept not in leftovers(state)
    study.run(objective, trials=3, executor="inline")
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 3
    audit(served, study.record.id)


def test_what_a_killed_run_has_left_is_swept(state: Path, start_script: Callable[..., Any]) -> None:
    process = start_script(
        """
        import os, signal
        from modelwright.study.scratch import Scratch
        (Scratch().path / "large").write_text("x")
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    process.wait()
    [left] = leftovers(state)
    alive = Scratch()
    other = Scratch()
    assert left not in leftovers(state)
    assert sorted(leftovers(state)) == sorted([alive.path.name, other.path.name])
    alive.close()
    other.close()
    assert leftovers(state) == []


def test_without_a_home_there_is_another_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null/nowhere")
    scratch = Scratch()
    assert stat.S_IMODE(scratch.path.stat().st_mode) == 0o700
    scratch.close()
    assert not scratch.path.exists()


def test_an_asked_trial_waits_for_a_store_that_is_away(served: Served, state: Path) -> None:
    def away(number: int) -> None:
        raise StorageUnavailableError("the server cannot be reached.")

    study = make(served)
    trial = study.ask()
    objective(trial)
    served.act = away
    with pytest.raises(StorageUnavailableError):
        study.tell(trial, 1.0)
    served.act = lambda number: None
    study.tell(trial, 1.0)
    assert study.fetch_artifact(0, "model").read_text() == "model 0"
    study.ask()
    study.close()
    assert leftovers(state) == []
