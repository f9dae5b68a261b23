"""Checkpoints between runs that share nothing but a server: packed by one, unpacked by the next."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modelwright import Float, Space, Study
from modelwright.records import TrialState
from modelwright.server.run import serving
from modelwright.storage import MemoryStorage
from modelwright.storage.artifacts import FolderStore
from modelwright.storage.http import HTTPStorage
from modelwright.study import RunningTrial
from modelwright.study.parcels import fetch_parcel, send_parcel

TOKEN = "a-token-of-the-tests-0123456789"

RUN = """
import sys, time
from pathlib import Path
from modelwright import Study
from modelwright.execution import Limits
from modelwright.storage.http import HTTPStorage

def objective(trial):
    first = 0
    if trial.resume_from is not None:
        first = int((trial.resume_from / "deep" / "epoch").read_text())
    with open("log.txt", "a") as log:
        log.write(f"from {first}\\n")
    folder = trial.checkpoint_dir / "deep"
    folder.mkdir()
    for epoch in range(first, 3):
        while epoch == 1 and Path("hold").exists() and not trial.should_stop():
            Path("held").touch()
            time.sleep(0.02)
        (folder / "epoch").write_text(str(epoch))
        if trial.should_stop():
            return 0.0
    return 1.0

study = Study.load("s", storage=HTTPStorage(sys.argv[1], sys.argv[2]))
study.run(objective, trials=1, limits=Limits(grace_s=60))
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def served(tmp_path: Path) -> Path:
    return tmp_path / "served"


@pytest.fixture
def url(served: Path) -> Iterator[str]:
    with serving(MemoryStorage(), TOKEN, artifacts=served) as url:
        yield url


@pytest.fixture
def remote(url: str) -> Iterator[HTTPStorage]:
    storage = HTTPStorage(url, TOKEN)
    yield storage
    storage.close()


def files(served: Path) -> list[str]:
    return [path.name for path in served.rglob("*") if path.is_file()]


@pytest.mark.parametrize("how", ["pause", "signal"])
def test_a_trial_moves_with_its_checkpoint(
    remote: HTTPStorage,
    url: str,
    served: Path,
    home: Path,
    start_python: Callable[..., Any],
    until: Callable[..., None],
    how: str,
) -> None:
    study = Study(Space(x=Float(0, 1)), storage=remote, name="s", seed=1)
    Path("run.py").write_text(RUN)
    Path("hold").touch()
    run = start_python("run.py", url, TOKEN)
    until(lambda: Path("held").exists() or run.poll() is not None)
    if how == "pause":
        study.pause(now=True)
    else:
        run.send_signal(signal.SIGINT)
    _, errors = run.communicate(timeout=120)
    assert [(t.state, t.record.attempts) for t in study.trials] == [(TrialState.WAITING, 0)], errors
    assert [name[:11] for name in files(served)] == ["checkpoint-"]
    assert not list((home / "state" / "modelwright" / "scratch").glob("run-*"))  # another machine, as it were
    Path("hold").unlink()
    study.resume()
    _, errors = start_python("run.py", url, TOKEN).communicate(timeout=120)
    assert Path("log.txt").read_text().splitlines() == ["from 0", "from 1"], errors
    assert [(t.state, t.values) for t in study.trials] == [(TrialState.COMPLETE, (1.0,))]
    assert files(served) == []
    study.close()


def test_a_failed_attempt_sends_its_checkpoint(remote: HTTPStorage, served: Path) -> None:
    def objective(trial: RunningTrial) -> float:
        if trial.resume_from is None:
            (trial.checkpoint_dir / "a").write_text("kept")
            raise ValueError("the first time")
        trial.user_attrs["a"] = (trial.resume_from / "a").read_text()
        return 1.0

    study = Study(Space(x=Float(0, 1)), storage=remote, seed=1, retry={"error": 1})
    study.run(objective, trials=1, executor="inline")
    (trial,) = study.trials
    assert (trial.state, trial.user_attrs["a"]) == (TrialState.COMPLETE, "kept")
    assert files(served) == []


def test_what_was_tampered_with_is_not_gone_on_from(
    remote: HTTPStorage, served: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def objective(trial: RunningTrial) -> float:
        if trial.attempt == 1:
            (trial.checkpoint_dir / "a").write_text("kept")
            raise ValueError("the first time")
        return float(trial.resume_from is None)

    def spoil(study: Study, trial: Any) -> None:
        for path in served.rglob("checkpoint-*"):
            path.write_bytes(path.read_bytes()[::-1])

    from modelwright.study import Callback

    class Spoiling(Callback):
        def on_trial_retry(self, run: Any, trial: Any, failure: Any) -> None:
            spoil(study, trial)

    study = Study(Space(x=Float(0, 1)), storage=remote, seed=1, retry={"error": 1})
    study.run(objective, trials=1, executor="inline", callbacks=[Spoiling()])
    assert study.trials[0].values == (1.0,)
    assert "begins anew" in caplog.text


def test_nothing_leads_out_of_the_folder(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    folder = tmp_path / "0-1" / "checkpoint"
    folder.mkdir(parents=True)
    (folder / "a").write_text("a")
    (folder / "link").symlink_to("/etc/passwd")
    send_parcel(store, 0, 1, folder)
    target = tmp_path / "0-2" / "resumed"
    with pytest.raises(Exception, match="link"):
        fetch_parcel(store, 0, 1, target)
    (folder / "link").unlink()
    send_parcel(store, 0, 2, folder)
    assert fetch_parcel(store, 0, 2, target) == target
    assert (target / "a").read_text() == "a"
    assert fetch_parcel(store, 1, 5, tmp_path / "1-2" / "resumed") is None
