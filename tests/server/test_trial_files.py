"""Files of trials that go to a server: from runs and workers, through refusals, kills and restarts."""

from __future__ import annotations

import errno
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tcp_proxy import TcpProxy

from modelwright import Float, Space, Study
from modelwright.errors import StudyNotFoundError
from modelwright.records import TrialState
from modelwright.server import Limits
from modelwright.server.run import serving
from modelwright.storage import MemoryStorage, open_storage
from modelwright.storage.artifacts import FolderStore, Incoming
from modelwright.storage.http import HTTPStorage
from modelwright.study import RunningTrial
from modelwright.testing.audit import audit
from modelwright.transfer import trim_study

TOKEN = "a-token-of-the-tests-0123456789"
MB = 2**20

OBJECTIVES = """
import os
from pathlib import Path

def objective(trial):
    assert not [name for name in os.environ if name.startswith("MODELWRIGHT_TOKEN")]
    (trial.folder / "model").write_text(f"model {trial.number} of attempt {trial.attempt}")
    trial.log_artifact(trial.folder / "model")
    print("printed by", trial.number)
    return trial.params["x"]
"""

DYING = """
import sys
from modelwright import Study
from modelwright.storage.http import HTTPStorage
from modelwright.testing.faults import Fault, FaultyStorage, die
sys.path.insert(0, ".")
from objectives import objective
storage = FaultyStorage(HTTPStorage(sys.argv[1], sys.argv[2]), [Fault("finish", "call", die)])
Study.load("s", storage=storage).run(objective, trials=1, executor="inline")
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "objectives.py").write_text(OBJECTIVES)
    return tmp_path


@pytest.fixture
def ledger() -> MemoryStorage:
    return MemoryStorage()


@pytest.fixture
def url(ledger: MemoryStorage, tmp_path: Path) -> Iterator[str]:
    with serving(ledger, TOKEN, artifacts=tmp_path / "served", limits=Limits(file=MB)) as url:
        yield url


@pytest.fixture
def remote(url: str) -> Iterator[HTTPStorage]:
    storage = HTTPStorage(url, TOKEN)
    yield storage
    storage.close()


def make(storage: Any, **options: Any) -> Study:
    space = Space(x=Float(0, 1))
    return Study(space, storage=storage, seed=1, optimizer="random", **{"name": "s", **options})


def logs(size: int) -> Callable[[RunningTrial], float]:
    def objective(trial: RunningTrial) -> float:
        assert trial.folder is not None
        (trial.folder / "large").write_bytes(b"x" * size)
        trial.log_artifact(trial.folder / "large")
        (trial.folder / "small").write_text("small")
        trial.log_artifact(trial.folder / "small")
        return 0.5

    return objective


def served(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_run_sends_files_and_others_fetch_them(remote: HTTPStorage, url: str, tmp_path: Path) -> None:
    study = make(remote)
    assert study.folder is None
    study.run(logs(1000), trials=3, parallel=2)
    assert served(tmp_path / "served" / "study-1") == [
        f"trials/{number}-1/{name}" for number in range(3) for name in ("large", "small")
    ]
    assert [path for path in (tmp_path / "state").rglob("*") if path.name != ".lock" and path.is_file()] == []
    other = Study.load("s", storage=HTTPStorage(url, TOKEN))
    assert [item.name for item in other.artifacts(1)] == ["large", "small"]
    cached = other.fetch_artifact(1, "small")
    assert cached.read_text() == "small"
    assert cached.is_relative_to(tmp_path / "cache")
    assert other.fetch_artifact(1, "small") == cached
    assert other.fetch_artifact(2, "small", tmp_path / "mine").read_text() == "small"
    audit(remote, study.record.id)
    other.close()


def test_a_folder_of_ones_own_keeps_the_files_too(remote: HTTPStorage, tmp_path: Path) -> None:
    study = make(remote, folder=tmp_path / "own")
    study.run(logs(10), trials=1)
    assert (tmp_path / "own" / "trials" / "0-1" / "small").exists()
    assert (tmp_path / "own" / "trials" / "0-1" / "stdout.txt").exists()
    assert served(tmp_path / "served" / "study-1") == ["trials/0-1/large", "trials/0-1/small"]


@pytest.mark.parametrize("size", [MB + 1, 40 * MB])
def test_a_file_over_the_servers_limit_costs_no_result(
    remote: HTTPStorage, size: int, tmp_path: Path
) -> None:
    study = make(remote)
    study.run(logs(size), trials=1, executor="inline")
    [trial] = study.trials
    assert (trial.state, trial.value) == (TrialState.COMPLETE, 0.5)
    [warning] = trial.record.metrics["warnings"]
    assert warning.startswith("the file 'large' was not kept: ")
    assert "longer than" in warning
    assert [item.name for item in study.artifacts(0)] == ["small"]
    assert served(tmp_path / "served" / "study-1") == ["trials/0-1/small"]


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "has no room for the file"), (errno.EIO, "disk does not take")]
)
def test_a_disk_at_the_server_that_is_full_costs_no_result(
    remote: HTTPStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    def write(self: Incoming, piece: bytes) -> None:
        if len(piece) > 100:
            self._file.write(piece[:10])
            raise OSError(number, os.strerror(number))
        real(self, piece)

    real = Incoming.write
    monkeypatch.setattr(Incoming, "write", write)
    study = make(remote)
    study.run(logs(MB), trials=1, executor="inline")
    [warning] = study.trials[0].record.metrics["warnings"]
    assert words in warning
    assert [item.name for item in study.artifacts(0)] == ["small"]
    assert served(tmp_path / "served" / "study-1") == ["trials/0-1/small"]


def test_a_server_without_a_place_for_files_says_so(ledger: MemoryStorage) -> None:
    with serving(ledger, TOKEN) as url:
        storage = HTTPStorage(url, TOKEN)
        study = make(storage)
        study.run(logs(1), trials=1, executor="inline")
        [warning] = study.trials[0].record.metrics["warnings"]
        assert warning.startswith("2 files were not kept ('large', 'small'): this server keeps no files.")
        assert "--artifacts" in warning
        assert study.trials[0].state is TrialState.COMPLETE
        storage.close()


def test_a_worker_sends_files(remote: HTTPStorage, url: str, start_python: Any, tmp_path: Path) -> None:
    study = make(remote, objective="objectives.py:objective")
    study.set_budget(2)
    worker = start_python("-m", "modelwright", "worker", "--storage", url, token=TOKEN)
    out, err = worker.communicate(timeout=120)
    assert worker.returncode == 0, err
    assert "printed by 1" in out  # what trials print is the worker's own output
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 2, [t.failure for t in study.trials]
    assert study.fetch_artifact(1, "model").read_text() == "model 1 of attempt 1"
    audit(remote, study.record.id)


@pytest.fixture
def start_python(start_python: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the usual function, which takes the server's token besides."""

    def start(*arguments: object, token: str = "") -> Any:
        with monkeypatch.context() as patch:
            if token:
                patch.setenv("MODELWRIGHT_TOKEN", token)
            return start_python(*arguments)

    return start


def test_a_worker_killed_between_upload_and_result(
    remote: HTTPStorage, url: str, start_python: Any, tmp_path: Path
) -> None:
    study = make(remote)
    study.set_budget(1)
    (tmp_path / "dying.py").write_text(DYING)
    process = start_python("dying.py", url, TOKEN)
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    place = tmp_path / "served" / "study-1"
    assert served(place) == ["trials/0-1/model"]  # it has arrived, and counts for nothing
    assert study.artifacts(0) == ()
    make(remote, load_if_exists=True).run(_objective(tmp_path), executor="inline")
    [artifact] = study.artifacts(0)
    assert artifact.location == "trials/0-2/model"
    assert study.fetch_artifact(0, "model").read_text() == "model 0 of attempt 2"
    audit(remote, study.record.id)
    # What the dead one left goes with the trial.
    assert trim_study(remote, "s", 0).files == 1
    assert served(place) == []


def _objective(folder: Path) -> Any:
    from modelwright._base.registry import load_object

    return load_object(f"{folder / 'objectives.py'}:objective")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_a_server_killed_and_restarted_during_an_upload(
    start_python: Any, tmp_path: Path, until: Callable[..., None]
) -> None:
    port = free_port()

    def serve() -> Any:
        process = start_python("-m", "modelwright", "serve", "--storage", "sqlite:///hub.db", "--port", port)
        process.stdout.readline(), process.stdout.readline()
        return process

    server = serve()
    place = tmp_path / "hub.files"
    with TcpProxy(("127.0.0.1", port)) as proxy:
        storage = HTTPStorage(f"http://127.0.0.1:{proxy.port}", (tmp_path / "hub.token").read_text().strip())
        study = make(storage)

        def objective(trial: RunningTrial) -> float:
            value = logs(20 * MB)(trial)
            proxy.delay_s = 0.02  # for each piece of data: the upload takes its time
            return value

        from threading import Thread

        run = Thread(target=study.run, args=[objective], kwargs={"trials": 1, "executor": "inline"})
        run.start()
        until(lambda: any(part.stat().st_size > MB for part in place.rglob(".part-*")))
        server.kill()
        server.wait()
        serve()
        proxy.delay_s = 0.0
        run.join(120)
        assert not run.is_alive()
        [trial] = study.trials
        assert (trial.state, trial.record.attempts) == (TrialState.COMPLETE, 1)
        assert trial.record.metrics == {}
        assert study.fetch_artifact(0, "large").stat().st_size == 20 * MB
        audit(storage, study.record.id)
        # What broke off is swept by a server that starts an hour later.
        [part] = place.rglob(".part-*")
        os.utime(part, (0, 0))
        assert FolderStore(place / "s-1").sweep() == 1
        storage.close()


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_deleted_study_takes_its_files_along(kind: str, tmp_path: Path) -> None:
    ledger = MemoryStorage() if kind == "memory" else open_storage(tmp_path / "hub.db")
    place = tmp_path / "served" if kind == "memory" else tmp_path / "hub.files"
    with serving(ledger, TOKEN, artifacts=place if kind == "memory" else None) as url:
        storage = HTTPStorage(url, TOKEN)
        for name in ("s", "t"):
            make(storage, name=name).run(logs(1), trials=1, executor="inline")
        assert len(served(place)) == 4
        storage.delete_study("s")
        assert {path.split("/")[0].rpartition("-")[2] for path in served(place)} == {"2"}
        with pytest.raises(StudyNotFoundError):
            storage.delete_study("s")
        assert len(served(place)) == 2
        storage.delete_study("t")
        assert not place.exists()
        storage.close()
    ledger.close()
