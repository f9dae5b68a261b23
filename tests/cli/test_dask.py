"""`modelwright fit --executor dask`: where the workers share the run's folder, and where not."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from dask_programs import DaskPrograms

from modelwright import Study

from .conftest import Done

Command = Callable[..., Done]


def fit(address: str, *options: str) -> list[str]:
    words = ["fit", "t.csv", "--target", "y", "--methods", "dt,knn", "--trials", "4"]
    return [*words, "--executor", "dask", "--address", address, *options]


@pytest.mark.slow
def test_models_are_fitted_on_the_cluster(
    script: Command, table: str, own_dask_cluster: DaskPrograms
) -> None:
    limits = ["--trial-timeout", "5m", "--trial-cpu", "5m", "--trial-output", "50MB", "--trial-disk", "1GB"]
    done = script(*fit(own_dask_cluster.address, "--json", *limits))
    assert done.code == 0, done.err
    assert len(json.loads(done.out)["rows"]) == 5
    folder = Path(own_dask_cluster.folder).parent / "runs" / "t"
    study = Study.load("t", storage=folder / "ledger.db")
    assert study.user_attrs["jobs"] == 2  # as many as the workers have threads
    assert [trial.failure for trial in study.trials] == [None] * 4
    study.close()
    assert (folder / "bundle").exists()
    assert list(folder.parent.rglob(".shared*")) == []


@pytest.mark.slow
def test_a_worker_joins_it_there(script: Command, table: str, own_dask_cluster: DaskPrograms) -> None:
    assert script(*fit(own_dask_cluster.address, "-q")).code == 0
    ledger = Path(own_dask_cluster.folder).parent / "runs" / "t" / "ledger.db"
    study = Study.load("t", storage=ledger)
    study.set_budget(7)
    study.close()
    where = ("--executor", "dask", "--address", own_dask_cluster.address)
    done = script("worker", "--storage", f"sqlite:///{ledger}", "--slots", "2", *where)
    assert done.code == 0, done.err
    study = Study.load("t", storage=ledger)
    assert [trial.failure for trial in study.trials] == [None] * 7
    study.close()


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc/self/cwd")
def test_workers_that_do_not_share_the_folder_are_told_and_nothing_is_left(
    script: Command, table: str, tmp_path: Path, own_dask_cluster: DaskPrograms
) -> None:
    done = script(*fit(own_dask_cluster.address, "--out", "/proc/self/cwd/runs/x"))
    done.refuses("2 of 2 workers of the Dask cluster do not see the folder '/proc/self/cwd/runs/x'")
    assert "Choose a folder that all machines reach under the same path" in done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dask", "t.csv"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc/self/cwd")
def test_a_worker_leaves_a_fit_alone_whose_folder_the_cluster_does_not_see(
    script: Command, table: str, tmp_path: Path, own_dask_cluster: DaskPrograms
) -> None:
    run = Path("/proc/self/cwd/runs/x")
    done = script("fit", table, "--target", "y", "--methods", "dt", "--trials", "1", "--out", str(run), "-q")
    assert done.code == 0, done.err
    study = Study.load("x", storage=tmp_path / "runs" / "x" / "ledger.db")
    study.set_budget(3)
    study.close()
    where = ("--executor", "dask", "--address", own_dask_cluster.address)
    done = script("worker", "--storage", f"sqlite:///{run}/ledger.db", *where)
    assert done.code == 2
    assert "2 of 2 workers of the Dask cluster do not see the folder '/proc/self/cwd/runs/x'" in done.err
    study = Study.load("x", storage=tmp_path / "runs" / "x" / "ledger.db")
    assert len(study.trials) == 1
    study.close()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--executor", "dask", "--address", "tcp://127.0.0.1:9"],
            "no Dask scheduler at 'tcp://127.0.0.1:9'",
        ),
        (["--executor", "dask", "--address", "nowhere"], "no Dask scheduler at 'nowhere': missing port"),
        (["--executor", "dask", "--address", "ftp://h:1"], "unknown address scheme 'ftp'"),
        (["--executor", "dask"], "expected the address of a scheduler with the executor 'dask', got none"),
        (["--address", "tcp://127.0.0.1:9"], "an address with the executor 'dask' alone"),
        (["--executor", "cloud"], "expected executor to be 'local' or 'dask', got 'cloud'"),
        (["--trial-cpu", "0"], "--trial-cpu"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(
    command: Command, table: str, tmp_path: Path, words: list[str], said: str
) -> None:
    pytest.importorskip("distributed", reason="the library 'distributed' is not installed")
    command("fit", table, "--target", "y", *words).refuses(said)
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_a_missing_library_is_named_with_the_command_that_installs_it(
    command: Command, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    done = command(*fit("tcp://127.0.0.1:9"))
    assert done.code == 1
    assert 'pip install "modelwright[dask]"' in done.err
    assert "needs the library 'distributed'" in done.err
