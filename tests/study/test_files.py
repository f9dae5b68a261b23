"""Files that trials log: checked, kept with them, and read again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelwright import Float, Space, Study
from modelwright.errors import InputError, StorageError, StudyStateError
from modelwright.records import FailureKind, TrialState
from modelwright.storage import MemoryStorage
from modelwright.study import Runner, RunningTrial, TrialPruned
from modelwright.study.callbacks import Callback
from modelwright.study.logged import MOST_FILES

SPACE = Space(x=Float(0, 1))


def make(folder: Path | None, **options: Any) -> Study:
    return Study(SPACE, folder=folder, seed=1, optimizer="random", **options)


def names(study: Study, number: int = 0) -> list[str]:
    return [item.name for item in study.artifacts(number)]


def failure_of(study: Study, objective: Callable[[RunningTrial], Any]) -> str:
    """Run one trial in this process and return the words of its failure."""
    study.run(objective, more=1, executor="inline")
    failure = study.trials[-1].failure
    assert failure is not None
    return failure.message


@pytest.mark.parametrize("executor", ["inline", "thread", "local"])
@pytest.mark.parametrize("storage", ["memory", "sqlite"])
def test_what_is_logged_is_kept_and_comes_back(tmp_path: Path, executor: str, storage: str) -> None:
    outside = tmp_path / "outside.bin"

    def objective(trial: RunningTrial) -> float:
        assert trial.folder is not None
        outside.write_bytes(b"\0outside")
        (trial.folder / "model").mkdir()
        (trial.folder / "model" / "weights.TXT").write_text("first")
        inside = trial.log_artifact(trial.folder / "model" / "weights.TXT")
        inside.path.write_text("as it is in the end")
        copied = trial.log_artifact(str(outside))
        assert (inside.name, inside.format) == ("model/weights.TXT", "txt")
        assert (copied.name, copied.format, copied.path.parent) == ("outside.bin", "bin", trial.folder)
        trial.log_artifact(outside, "again/o", format="npy")
        outside.write_bytes(b"changed since")
        return 0.5

    if storage == "memory":
        study = make(tmp_path / "files")
    else:
        study = make(None, storage=tmp_path / "hub.db", name="s")
    study.run(objective, trials=1, executor=executor)
    assert study.trials[0].state is TrialState.COMPLETE, study.trials[0].failure
    found = study.artifacts(0)
    assert [(item.name, item.format, item.location) for item in found] == [
        ("again/o", "npy", "trials/0-1/again/o"),
        ("model/weights.TXT", "txt", "trials/0-1/model/weights.TXT"),
        ("outside.bin", "bin", "trials/0-1/outside.bin"),
    ]
    assert found[2].sha256 == hashlib.sha256(b"\0outside").hexdigest()
    assert study.fetch_artifact(0, "model/weights.TXT").read_text() == "as it is in the end"
    assert study.folder is not None
    assert study.fetch_artifact(0, "outside.bin") == study.folder / "trials/0-1/outside.bin"
    assert study.fetch_artifact(0, "outside.bin", tmp_path / "new" / "file").read_bytes() == b"\0outside"
    assert study.fetch_artifact(0, "again/o", to=tmp_path) == tmp_path / "again" / "o"
    study.close()


def test_without_a_place_for_files_it_is_said_what_to_do() -> None:
    study = make(None)

    def objective(trial: RunningTrial) -> float:
        assert trial.folder is None
        trial.log_artifact(__file__)
        return 0.0

    assert "Study(..., folder=...)" in failure_of(study, objective)
    assert study.artifacts(0) == ()


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (lambda trial: trial.log_artifact("nowhere.txt"), "there is no file"),
        (lambda trial: trial.log_artifact(trial.folder), "is a folder"),
        (lambda trial: trial.log_artifact("/dev/null"), "regular file"),
        (lambda trial: trial.log_artifact(b"a"), "expected the path of a file"),
        (lambda trial: trial.log_artifact(__file__, ""), "expected a name"),
        (lambda trial: trial.log_artifact(__file__, " a"), "expected a name"),
        (lambda trial: trial.log_artifact(__file__, "x" * 201), "expected a name"),
        (lambda trial: trial.log_artifact(__file__, 7), "expected a name"),
        (lambda trial: trial.log_artifact(__file__, "../a"), "plain names"),
        (lambda trial: trial.log_artifact(__file__, "/a"), "plain names"),
        (lambda trial: trial.log_artifact(__file__, "a\nb"), "plain names"),
        (lambda trial: trial.log_artifact(__file__, "\udcff"), "plain names"),
        (lambda trial: [trial.log_artifact(__file__, "a") for _ in range(2)], "'a' already"),
        (lambda trial: _taken(trial), "holds another file called 'mine'"),
        (lambda trial: _taken(trial, inside=True), "holds another file called 'mine'"),
    ],
)
def test_what_cannot_be_logged_is_refused(tmp_path: Path, log: Any, words: str) -> None:
    assert words in failure_of(make(tmp_path), log)


def _taken(trial: RunningTrial, *, inside: bool = False) -> None:
    assert trial.folder is not None
    (trial.folder / "mine").write_text("not to be touched")
    (trial.folder / "other").write_text("other")
    try:
        trial.log_artifact(trial.folder / "other" if inside else __file__, "mine")
    finally:
        assert (trial.folder / "mine").read_text() == "not to be touched"


def test_a_trial_logs_a_bounded_number_of_files(tmp_path: Path) -> None:
    def objective(trial: RunningTrial) -> float:
        assert trial.folder is not None
        for i in range(MOST_FILES + 1):
            (trial.folder / f"{i}").touch()
            trial.log_artifact(trial.folder / f"{i}")
        return 0.0

    study = make(tmp_path)
    assert f"{MOST_FILES} files already" in failure_of(study, objective)
    assert len(study.artifacts(0)) == MOST_FILES  # what it logged before its end is kept


def test_a_link_out_of_the_folder_is_copied(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("content")

    def objective(trial: RunningTrial) -> float:
        assert trial.folder is not None
        (trial.folder / "link").symlink_to(tmp_path / "secret")
        trial.log_artifact(trial.folder / "link", "copy")
        return 0.0

    study = make(tmp_path / "files")
    study.run(objective, trials=1, executor="inline")
    path = study.fetch_artifact(0, "copy")
    assert path.read_text() == "content"
    assert not path.is_symlink()


def log_and(end: Callable[[RunningTrial], Any]) -> Callable[[RunningTrial], Any]:
    """Return an objective that logs a file and then ends as it is told."""

    def objective(trial: RunningTrial) -> Any:
        assert trial.folder is not None
        (trial.folder / "early").write_text("early")
        trial.log_artifact(trial.folder / "early")
        return end(trial)

    return objective


def _raise(error: BaseException) -> Any:
    raise error


@pytest.mark.parametrize(
    ("end", "state", "kind"),
    [
        (lambda trial: _raise(ValueError("bad")), TrialState.FAILED, FailureKind.ERROR),
        (lambda trial: float("nan"), TrialState.FAILED, FailureKind.NAN),
        (lambda trial: _raise(TrialPruned()), TrialState.PRUNED, None),
        (lambda trial: os._exit(3), TrialState.FAILED, FailureKind.ERROR),
        (lambda trial: os.kill(os.getpid(), 9), TrialState.FAILED, FailureKind.ERROR),
    ],
)
def test_files_are_kept_however_the_trial_ends(tmp_path: Path, end: Any, state: Any, kind: Any) -> None:
    study = make(tmp_path)
    study.run(log_and(end), trials=1)
    [trial] = study.trials
    assert trial.state is state
    assert (None if trial.failure is None else trial.failure.kind) == kind
    assert study.fetch_artifact(0, "early").read_text() == "early"


def test_files_of_a_killed_trial_are_kept(tmp_path: Path, until: Callable[..., None]) -> None:
    study = make(tmp_path)

    class Kill(Callback):
        def on_tick(self, run: Runner) -> None:
            if (tmp_path / "trials" / "0-1" / "ready").exists():
                study.kill(0)

    def wait(trial: RunningTrial) -> None:
        assert trial.folder is not None
        (trial.folder / "ready").touch()
        while True:
            os.read(os.pipe()[0], 1)

    study.run(log_and(wait), trials=1, callbacks=[Kill()])
    assert study.trials[0].failure is not None
    assert study.trials[0].failure.kind is FailureKind.KILLED
    assert names(study) == ["early"]


def test_a_file_that_has_gone_costs_no_result(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def end(trial: RunningTrial) -> Any:
        from modelwright.study import Result

        trial.log_artifact(__file__, "kept")
        assert trial.folder is not None
        (trial.folder / "early").unlink()
        return Result(0.25, metrics={"warnings": ["my own"]})

    study = make(tmp_path)
    study.run(log_and(end), trials=1, executor="inline")
    [trial] = study.trials
    assert (trial.state, trial.value) == (TrialState.COMPLETE, 0.25)
    assert names(study) == ["kept"]
    words = "the file 'early' was not kept: No such file or directory."
    assert trial.record.metrics["warnings"] == ["my own", words]
    assert words in caplog.text


def test_a_trial_that_is_tried_again_keeps_the_files_of_the_attempt_that_counts(tmp_path: Path) -> None:
    def end(trial: RunningTrial) -> float:
        assert trial.folder is not None
        (trial.folder / "early").write_text(f"attempt {trial.attempt}")
        if trial.attempt == 1:
            raise RuntimeError("once")
        return 0.0

    study = make(tmp_path, retry={"error": 1})
    study.run(log_and(end), trials=1, executor="inline")
    [artifact] = study.artifacts(0)
    assert artifact.location == "trials/0-2/early"
    assert study.fetch_artifact(0, "early").read_text() == "attempt 2"
    assert (tmp_path / "trials" / "0-1" / "early").exists()  # beside what it printed


def test_an_objective_may_go_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def objective(trial: RunningTrial) -> float:
        os.chdir("/")
        return log_and(lambda trial: 0.0)(trial)  # type: ignore[no-any-return]

    monkeypatch.chdir(tmp_path)
    study = make(Path("files"))
    study.run(objective, trials=1, executor="inline")
    monkeypatch.chdir(tmp_path)
    assert study.fetch_artifact(0, "early").read_text() == "early"


def test_asked_trials_keep_files_too(tmp_path: Path) -> None:
    study = make(tmp_path)
    trial = study.ask()
    assert trial.folder == tmp_path / "trials" / "0-1"
    (trial.folder / "model").write_text("told")
    trial.log_artifact(trial.folder / "model")
    study.tell(trial, 1.0)
    assert study.fetch_artifact(0, "model").read_text() == "told"
    nowhere = make(None)
    with pytest.raises(StudyStateError, match="no place for the files"):
        nowhere.ask().log_artifact(__file__)
    nowhere.close()


def test_what_cannot_be_fetched(tmp_path: Path) -> None:
    storage = MemoryStorage()
    study = make(tmp_path / "files", storage=storage, name="s")
    study.run(log_and(lambda trial: 0.0), trials=1, executor="inline")
    with pytest.raises(InputError, match=r"no file called 'earlier'.*'early'"):
        study.fetch_artifact(0, "earlier")
    with pytest.raises(StudyStateError, match=r"not known here.*folder="):
        Study.load("s", storage=storage).fetch_artifact(0, "early")
    target = tmp_path / "target"
    target.write_text("another")
    with pytest.raises(InputError, match="there already"):
        study.fetch_artifact(0, "early", target)
    target.write_text("early")
    assert study.fetch_artifact(0, "early", target) == target
    kept = study.fetch_artifact(0, "early")
    kept.write_text("damaged")
    with pytest.raises(StorageError, match="not the one that its trial left"):
        study.fetch_artifact(0, "early")
    with pytest.raises(StorageError, match="not the one that its trial left"):
        study.fetch_artifact(0, "early", tmp_path / "copy")
    kept.unlink()
    with pytest.raises(StorageError, match="there is no file"):
        study.fetch_artifact(0, "early", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_shared_folder_for_ledgers_on_servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_database: Callable[[str], str]
) -> None:
    url = new_database("postgresql")
    monkeypatch.setenv("MODELWRIGHT_FILES", str(tmp_path))
    study = make(None, storage=url, name="s")
    assert study.folder == tmp_path / "study-1"
    study.run(log_and(lambda trial: 0.0), trials=1, executor="inline")
    study.close()
    elsewhere = Study.load("s", storage=url)
    assert elsewhere.fetch_artifact(0, "early").read_text() == "early"
    elsewhere.close()
    assert make(None).folder is None
