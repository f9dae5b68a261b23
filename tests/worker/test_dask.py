"""`modelwright worker --executor dask`: one process at the ledger, and its trials on a cluster."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dask_programs import DaskPrograms

from modelwright.errors import InputError
from modelwright.records import TrialState
from modelwright.worker import WorkerOptions

CROWD = """

def crowd(trial):
    \"\"\"Return how many are here at a time; all wait until two have been.\"\"\"
    here = Path("{folder}/here")
    here.mkdir(exist_ok=True)
    (here / str(trial.number)).touch()
    while not Path("{folder}/two").exists():
        if len(list(here.iterdir())) >= 2:
            Path("{folder}/two").touch()
        time.sleep(0.01)
    count = len(list(here.iterdir()))
    (here / str(trial.number)).unlink()
    return count

def linger(trial):
    Path(f"{folder}/{{trial.number}}.started").touch()
    time.sleep(600)
"""


@pytest.fixture
def cluster_words(own_dask_cluster: DaskPrograms, ledger: Any) -> tuple[str, ...]:
    """The options of a worker on a cluster of two threads, for which the ledger's objectives are fit."""
    with (ledger.folder / "objectives.py").open("a") as file:
        file.write(CROWD.format(folder=ledger.folder))
    return ("--executor", "dask", "--address", own_dask_cluster.address)


def test_it_does_all_there_is_with_no_more_trials_out_than_the_cluster_has_threads(
    ledger: Any, start_worker: Callable[..., Any], cluster_words: tuple[str, ...]
) -> None:
    ledger.make("crowd", "crowd", trials=8)
    ledger.make("bad", "bad", trials=4)
    ledger.make("steps", "quick", trials=4, reproducible=True)
    worker = start_worker(*cluster_words, "--slots", 6)
    out, err = worker.communicate(timeout=200)
    assert (worker.returncode, err) == (0, "")
    assert out.splitlines()[-1] == "No studies with work found. Exiting."
    assert ledger.states("crowd") == [TrialState.COMPLETE] * 8
    assert max(trial.values[0] for trial in ledger.trials("crowd")) == 2
    assert ledger.states("bad") == [TrialState.COMPLETE, TrialState.FAILED] * 2
    assert ledger.read(lambda storage: storage.study("steps").window) == 6
    for name in ("crowd", "bad", "steps"):
        ledger.check(name)
    assert len(ledger.workers()) == 1


def test_a_signal_gives_its_trials_back(
    ledger: Any,
    start_worker: Callable[..., Any],
    cluster_words: tuple[str, ...],
    until: Callable[[Callable[[], object]], None],
) -> None:
    ledger.make("long", "linger", trials=4)
    worker = start_worker(*cluster_words, "--slots", 2)
    until(lambda: len(list(ledger.folder.glob("*.started"))) == 2)
    worker.send_signal(signal.SIGTERM)
    _, err = worker.communicate(timeout=200)
    assert worker.returncode == 0, err
    assert set(ledger.states("long")) == {TrialState.WAITING}
    assert {trial.attempts for trial in ledger.trials("long")} == {0}
    ledger.check("long")


def test_in_the_background_it_is_one_process_too(
    ledger: Any,
    start_worker: Callable[..., Any],
    cluster_words: tuple[str, ...],
    until: Callable[[Callable[[], object]], None],
) -> None:
    ledger.make("crowd", "crowd", trials=4)
    worker = start_worker(*cluster_words, "--slots", 2, "--background")
    out, err = worker.communicate(timeout=200)
    assert (worker.returncode, err) == (0, "")
    assert "2 slot(s)" in out
    until(lambda: ledger.workers() and all(worker.left_us is not None for worker in ledger.workers()))
    assert ledger.states("crowd") == [TrialState.COMPLETE] * 4
    assert len(ledger.workers()) == 1


def test_an_address_where_nobody_listens_is_told_at_once(
    ledger: Any, start_worker: Callable[..., Any]
) -> None:
    ledger.make("some")
    for words in ((), ("--background",)):
        worker = start_worker("--executor", "dask", "--address", "tcp://127.0.0.1:9", *words)
        out, err = worker.communicate(timeout=100)
        assert (worker.returncode, out) == (2, "")
        assert err.startswith("error: there is no Dask scheduler at 'tcp://127.0.0.1:9'")
    assert ledger.workers() == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"executor": "dask"}, "expected the address of a scheduler with the executor 'dask'"),
        ({"address": "tcp://127.0.0.1:1"}, "an address with the executor 'dask' alone"),
        ({"executor": "cloud"}, "expected executor to be 'local' or 'dask', got 'cloud'"),
        ({"executor": "dask", "address": "tcp://h:1", "gpus": 1.0}, "--gpus with --executor local alone"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        WorkerOptions("sqlite:///hub.db", **options)


def test_options_go_to_slots_and_files_as_they_are(tmp_path: Path) -> None:
    options = WorkerOptions("sqlite:///hub.db", slots=7, executor="dask", address="tcp://10.0.0.1:8786")
    assert WorkerOptions.from_json(options.to_json()) == options
    assert (options.processes, WorkerOptions("sqlite:///hub.db", slots=7).processes) == (1, 7)
