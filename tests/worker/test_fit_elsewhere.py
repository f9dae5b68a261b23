"""A worker takes part in a `fit` whose folder it cannot see: table and models go by way of the server."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from modelwright import Study
from modelwright.automl.fit import fit_table
from modelwright.automl.joining import join_fit
from modelwright.automl.settings import FitSettings
from modelwright.automl.sharing import TableSharing
from modelwright.errors import InputError, StorageError
from modelwright.records import TrialState
from modelwright.server.run import serving
from modelwright.storage import MemoryStorage
from modelwright.storage.http import HTTPStorage
from modelwright.testing.audit import audit
from modelwright.worker import WorkerOptions
from modelwright.worker.objectives import NotYetRunnableError, Objectives
from modelwright.worker.work import open_work

pd = pytest.importorskip("pandas")

TOKEN = "a-token-of-the-tests-0123456789"
# Each process finds its own current folder there, as if each were on a machine of its own.
RUN = "/proc/self/cwd/run"
IN_FOLDER = (
    "import os, runpy, sys; os.chdir(sys.argv.pop(1)); "
    "runpy.run_module('modelwright', run_name='__main__', alter_sys=True)"
)


class World:
    """A server, and programs that run in folders of their own."""

    def __init__(self, folder: Path, start_python: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._start = start_python
        self._patch = monkeypatch
        for name in ("server", "here", "there"):
            (folder / name).mkdir()
        self.server = self.start("server", "serve", "--storage", "sqlite:///hub.db", "--port", "0")
        self.url = self.server.stdout.readline().split()[-1]
        self.server.stdout.readline()
        monkeypatch.setenv("MODELWRIGHT_TOKEN_FILE", str(folder / "server" / "hub.token"))
        self.storage = HTTPStorage(self.url, (folder / "server" / "hub.token").read_text().strip())
        rng = random.Random(0)
        rows = [(rng.gauss(0, 1), rng.gauss(0, 1), rng.gauss(0, 1)) for _ in range(120)]
        lines = [f"{a:.4f},{b:.4f},{'yes' if a * b + rng.gauss(0, 0.3) > 0 else 'no'}" for a, b, _ in rows]
        (folder / "here" / "t.csv").write_text("\n".join(["a,b,y", *lines, ""]))

    def start(self, place: str, *arguments: object) -> Any:
        with self._patch.context() as patch:
            patch.setenv("XDG_STATE_HOME", str(self.folder / place / "state"))
            patch.setenv("XDG_CACHE_HOME", str(self.folder / place / "cache"))
            return self._start("-c", IN_FOLDER, self.folder / place, *arguments)

    def run(self, place: str, *arguments: object) -> str:
        process = self.start(place, *arguments)
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
        return str(out + err)

    def fit(self, trials: int, *more: object) -> tuple[object, ...]:
        line = ("fit", "t.csv", "--target", "y", "--jobs", 1, "--folds", 2, "--out", RUN)
        return (*line, "--trials", trials, "--storage", self.url, *more)

    @property
    def record(self) -> Any:
        [record] = self.storage.studies()
        return record

    def made_by(self) -> dict[bool, set[int]]:
        """Return the numbers of the trials that a worker has run, and of those that the fit has."""
        groups = {info.id: info.group for info in self.storage.workers()}
        found: dict[bool, set[int]] = {True: set(), False: set()}
        for attempt in self.storage.attempts(self.record.id):
            found[groups[attempt.worker].startswith("worker-")].add(attempt.number)
        return found

    def check(self, trials: int) -> None:
        """Check that the last ensemble knows every trial, and that the ledger has kept its promises."""
        record = self.record
        found = self.storage.trials(record.id)
        assert [t.state for t in found] == [TrialState.COMPLETE] * trials, [t.failure for t in found]
        assert record.user_attrs["ensemble_built_from"] == trials
        here = self.folder / "here" / "run" / "trials"
        assert all((here / f"{number}-1" / "oof.npy").exists() for number in range(trials))
        assert not (self.folder / "there" / "run").exists()
        assert not list((self.folder / "there" / "state").rglob("run-*"))
        audit(self.storage, record.id)


@pytest.fixture
def world(tmp_path: Path, start_python: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    world = World(tmp_path, start_python, monkeypatch)
    yield world
    world.storage.close()


def test_models_made_elsewhere_become_members(world: World) -> None:
    world.run("here", *world.fit(1, "--methods", "knn,dt"))
    record = world.record
    assert record.user_attrs["run_folder"] == RUN
    world.storage.set_budget(record.id, 5)
    out = world.run("there", "worker", "--storage", world.url)
    assert "trial 4" in out
    made = world.made_by()
    assert made == {False: {0}, True: {1, 2, 3, 4}}
    local = world.folder / "here" / "run" / "trials"
    assert [path.name for path in local.iterdir()] == ["0-1"]
    out = world.run("here", *world.fit(5, "--methods", "knn,dt"))
    world.check(5)
    last = world.storage.ensembles(record.id)[-1]
    assert int(last.metrics["candidates"]) == 5
    members = {number for number, _ in last.members}
    assert members & made[True]
    for number in range(5):  # of those that are no members nothing but predictions has come
        assert (local / f"{number}-1" / "models").exists() == (number in members or number == 0)
    world.run("here", "predict", "run/bundle", "t.csv", "--output", "p.csv")
    assert (world.folder / "here" / "p.csv").read_text().count("\n") == 121
    # The same command again has nothing left to do, and says so.
    assert "complete: all 5 trials are done" in world.run("here", *world.fit(5, "--methods", "knn,dt"))

    # What the server has goes with the study.
    files = world.folder / "server" / "hub.files"
    assert len(list(files.rglob("oof.npy"))) == 5
    world.storage.delete_study(record.spec.name)
    assert not files.exists()


@pytest.mark.slow
def test_a_worker_that_waits_takes_part_while_the_fit_runs(world: World, until: Callable[..., None]) -> None:
    worker = world.start("there", "worker", "--storage", world.url, "--wait", "--poll", "0.2s")
    until(lambda: world.storage.workers())
    world.run("here", *world.fit(12, "--methods", "rf,et"))
    worker.terminate()
    worker.communicate(timeout=60)
    made = world.made_by()
    assert made[True]
    assert made[False]
    world.check(12)


def test_data_that_are_not_there_yet_are_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: Callable[..., None]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MODELWRIGHT_TOKEN", TOKEN)
    table = pd.DataFrame({"a": range(40), "b": [i % 7 for i in range(40)], "y": ["no", "yes"] * 20})
    settings = FitSettings(target="y", trials=1, methods=("dt",), folds=2, jobs=1)
    with serving(MemoryStorage(), TOKEN, artifacts=tmp_path / "files") as url:
        result = fit_table(table, settings, out=tmp_path / "run", storage=url)
        storage = HTTPStorage(url, TOKEN)
        [record] = storage.studies()
        sent = record.user_attrs["shared_files"]
        assert {form["location"] for form in sent} >= {"run/run.json", "run/data/X.npy"}
        storage.set_budget(record.id, 2)
        storage.set_user_attrs(record.id, {"run_folder": "/nowhere"})

        def attrs(value: Any) -> Any:
            storage.set_user_attrs(record.id, {"shared_files": value})
            return storage.study(record.spec.name)

        options = WorkerOptions(url)
        with pytest.raises(NotYetRunnableError, match=r"not at http.* yet"):
            open_work(storage, attrs(None), options, Objectives(), 1)
        with pytest.raises(InputError, match=r"could not be sent.*no room"):
            join_fit(storage, attrs("no room"))
        with pytest.raises(StorageError, match="not the one"):
            join_fit(storage, attrs([{**sent[0], "sha256": "0" * 64}, *sent[1:]]))

        # The next run of the fit sends them again; so it does when the server has lost some.
        study = Study.load(record.spec.name, storage=storage)
        for damage in (
            lambda: attrs("no room"),
            lambda: (tmp_path / "files/study-1" / "run/run.json").unlink(),
        ):
            damage()
            study.state  # noqa: B018 - brings the record up to date
            run: Any = SimpleNamespace(study=study)
            TableSharing(result.folder, print).on_start(run)
            until(lambda: storage.study(record.spec.name).user_attrs["shared_files"] == sent)
            until(lambda: (tmp_path / "files/study-1" / "run/run.json").exists())
        joined = join_fit(storage, storage.study(record.spec.name))
        session = joined.begin()
        assert joined.study.folder is None
        assert session is not None
        assert [type(item).__name__ for item in session.callbacks] == [
            "TimeBudget",
            "PartitionStatusCallback",
        ]
        storage.close()


def test_a_server_that_keeps_no_files_is_said_to_keep_others_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELWRIGHT_TOKEN", TOKEN)
    table = pd.DataFrame({"a": range(40), "b": [i % 7 for i in range(40)], "y": ["no", "yes"] * 20})
    notes: list[str] = []
    progress: Any = SimpleNamespace(note=notes.append, update=lambda status: None)
    settings = FitSettings(target="y", trials=2, methods=("dt",), folds=2, jobs=1)
    with serving(MemoryStorage(), TOKEN) as url:
        result = fit_table(table, settings, out=tmp_path / "run", storage=url, progress=progress)
        assert (
            result.folder.bundle / "manifest.json"
        ).exists()  # the fit itself needs no server for its files
        storage = HTTPStorage(url, TOKEN)
        [record] = storage.studies()
        for trial in storage.trials(record.id):
            assert trial.state is TrialState.COMPLETE
            assert any("--artifacts" in text for text in trial.metrics["warnings"])
        storage.close()
    assert [note for note in notes if "take no part" in note and "--artifacts" in note]
