"""Workers in this process: what they run, in which order, and when they leave."""

from __future__ import annotations

import os
import signal
import socket
import stat
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from modelwright import Study
from modelwright.errors import ExecutionError, StorageUnavailableError, StudyNotFoundError
from modelwright.records import Outcome, Proposal, Provenance, TrialState
from modelwright.storage import open_existing
from modelwright.storage.base import Claim, WorkerInfo
from modelwright.storage.sql import SQLStorage
from modelwright.worker import WorkerOptions, run_workers, turn
from modelwright.worker.objectives import NotRunnableError
from modelwright.worker.places import spool_folder
from modelwright.worker.spooled import tell_spooled


def run(ledger: Any, meanwhile: Callable[[], None] | None = None, **options: Any) -> int:
    """Run a worker here, in the main thread, and `meanwhile` in another one."""
    if meanwhile is None:
        return run_workers(WorkerOptions(ledger.url, **options))
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(meanwhile)
        code = run_workers(WorkerOptions(ledger.url, **options))
        other.result()
    return code


def press(number: int) -> None:
    os.kill(os.getpid(), number)


def test_a_worker_does_all_there_is_the_most_urgent_first_and_leaves(
    ledger: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.make("low", trials=3, priority=1)
    ledger.make("high", trials=3, priority=5)
    ledger.make("bad", "bad", trials=4, priority=3)
    assert run(ledger) == 0
    lines = capsys.readouterr().out.splitlines()
    firsts = [lines.index(f"Computing on study {name!r}") for name in ("high", "bad", "low")]
    assert firsts == sorted(firsts)
    ended = {name: max(t.ended_us for t in ledger.trials(name)) for name in ("high", "bad", "low")}
    assert ended["high"] < ended["bad"] < ended["low"]
    assert lines[-3:] == [
        "Trial budget has run out!",
        "Study 'low' has ended.",
        "No studies with work found. Exiting.",
    ]
    assert any(line.startswith("bad: trial 1 failed (error): RuntimeError: on purpose") for line in lines)
    assert ledger.states("bad") == [TrialState.COMPLETE, TrialState.FAILED] * 2
    for name in ("high", "bad", "low"):
        assert ledger.state(name) == "complete"
        ledger.check(name)
    [worker] = ledger.workers()
    assert worker.left_us is not None
    assert worker.group.startswith("worker-")


def test_a_more_urgent_study_that_comes_later_goes_first(
    ledger: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "TURN_S", 0.05)
    ledger.make("low", "nap", trials=12)

    def meanwhile() -> None:
        until(lambda: len(ledger.states("low")) >= 2)
        ledger.make("high", trials=2, priority=5)

    assert run(ledger, meanwhile) == 0
    ended = [max(t.ended_us for t in ledger.trials(name)) for name in ("high", "low")]
    assert ended == sorted(ended)
    assert {t.attempts for t in ledger.trials("low")} == {1}  # none was broken off
    ledger.check("low")


def test_a_study_whose_last_trials_run_elsewhere_leaves_time_for_others(ledger: Any, until: Any) -> None:
    ledger.make("high", trials=1, priority=5)
    ledger.make("low", trials=3)
    far = open_existing(ledger.url)
    far.register_worker(WorkerInfo("far", "elsewhere", 7, "b", 1.0))
    claim = far.claim(far.study("high").id, "far", "c", 60.0)
    assert isinstance(claim, Claim)
    far.propose(claim, Proposal({"x": 1.0}), Provenance(), 0)

    def meanwhile() -> None:
        until(lambda: ledger.state("low") == "complete")
        far.finish(claim, Outcome(TrialState.COMPLETE, (1.0,)), "r")

    assert run(ledger, meanwhile) == 0
    far.close()
    assert ledger.state("high") == "complete"  # the worker has stayed: the trial might have come back
    ledger.check("high")


def test_handlers_are_as_before_after_a_worker(ledger: Any) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    ledger.make("s", trials=1)
    before = [signal.getsignal(number) for number in numbers]
    run(ledger)
    assert [signal.getsignal(number) for number in numbers] == before


def test_a_study_whose_objective_is_not_there_is_named_once_and_the_rest_is_done(
    ledger: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.make("lost", "nowhere:f", priority=5)
    ledger.make("async", "later", priority=4)
    ledger.make("s", trials=2)
    assert run(ledger) == 0
    told = capsys.readouterr().err
    assert told.count("'lost'") == 1
    assert "No module named 'nowhere'" in told
    assert "--objective" in told
    assert "`async`" in told
    assert ledger.states("lost") == []
    assert len(ledger.states("s")) == 2


def test_a_worker_that_can_do_nothing_at_all_says_so(ledger: Any) -> None:
    ledger.make("lost", "nowhere:f")
    with pytest.raises(NotRunnableError, match="none of it can be done"):
        run(ledger)


def test_an_objective_can_be_given(ledger: Any) -> None:
    ledger.make("s", "", trials=2)
    assert run(ledger, objective="objectives.py:quick") == 0
    assert ledger.states("s") == [TrialState.COMPLETE] * 2


def test_a_worker_gives_the_trials_that_a_run_gives_in_lock_step(ledger: Any) -> None:
    for name in ("run", "worker"):
        ledger.make(name, trials=12, reproducible=True, optimizer="tpe")
    study = Study.load("run", storage=ledger.url)
    study.run(lambda trial: trial.params["x"] ** 2, executor="inline")
    study.close()
    assert run(ledger) == 0
    found = [[(t.params, t.values) for t in ledger.trials(name)] for name in ("run", "worker")]
    assert found[0] == found[1]


def test_only_the_named_studies(ledger: Any) -> None:
    ledger.make("a", trials=1)
    ledger.make("b", trials=1)
    assert run(ledger, studies=("b",)) == 0
    assert (ledger.state("a"), ledger.state("b")) == ("pending", "complete")
    with pytest.raises(StudyNotFoundError, match="'c'"):
        run(ledger, studies=("b,c",))


def test_a_paused_study_is_no_work(ledger: Any) -> None:
    ledger.make("s")
    study = Study.load("s", storage=ledger.url)
    study.pause()
    study.close()
    assert run(ledger) == 0
    assert ledger.states("s") == []
    assert ledger.state("s") == "paused"


def test_the_time_of_a_worker_is_kept_and_its_trial_given_back(ledger: Any) -> None:
    ledger.make("s", "hang", trials=3)
    started = time.monotonic()
    assert run(ledger, total_time_s=1.5) == 0
    assert 1.5 <= time.monotonic() - started < 30
    [trial] = ledger.trials("s")
    assert (trial.state, trial.attempts) == (TrialState.WAITING, 0)
    assert ledger.state("s") == "pending"
    ledger.check("s")


def test_the_second_signal_does_not_wait(ledger: Any, until: Any) -> None:
    ledger.make("s", "hang", trials=1)

    def meanwhile() -> None:
        until(ledger.started)
        press(signal.SIGTERM)
        time.sleep(0.5)
        assert ledger.states("s") == [TrialState.RUNNING]
        press(signal.SIGTERM)

    started = time.monotonic()
    assert run(ledger, meanwhile, grace_s=600.0) == 0
    assert time.monotonic() - started < 60
    [trial] = ledger.trials("s")
    assert (trial.state, trial.attempts) == (TrialState.WAITING, 0)


def test_a_trial_that_ends_within_the_grace_counts(ledger: Any, until: Any) -> None:
    ledger.make("s", "hang", trials=3)

    def meanwhile() -> None:
        until(ledger.started)
        press(signal.SIGINT)
        time.sleep(0.5)
        (ledger.folder / "go").touch()

    assert run(ledger, meanwhile, grace_s=120.0) == 130
    assert ledger.states("s") == [TrialState.COMPLETE]
    assert ledger.state("s") == "pending"


def test_a_wish_in_the_ledger_is_found(ledger: Any, until: Any) -> None:
    """From any machine: nothing but the ledger is needed."""
    ledger.make("s", "hang", trials=2)

    def meanwhile() -> None:
        until(ledger.started)
        [row] = ledger.workers()
        assert ledger.read(lambda storage: storage.ask_worker(row.id, "now", who="me")).asked == "now"

    assert run(ledger, meanwhile) == 0
    assert ledger.states("s") == [TrialState.WAITING]


def test_limits_of_a_trial(ledger: Any) -> None:
    ledger.make("s", "hang", trials=1)
    assert run(ledger, trial_timeout_s=0.5) == 0
    [trial] = ledger.trials("s")
    assert trial.failure is not None
    assert trial.failure.kind == "timeout"


@pytest.mark.parametrize(
    ("objective", "limits", "code"),
    [
        ("compute", {"trial_cpu_s": 0.3}, "E_CPU"),
        ("flood", {"trial_output_mb": 5.0}, "E_OUTPUT"),
        ("store", {"trial_disk_mb": 20.0}, "E_DISK"),
    ],
)
def test_each_limit_of_a_trial(ledger: Any, objective: str, limits: dict[str, float], code: str) -> None:
    ledger.make("s", objective, trials=1)
    assert run(ledger, **limits) == 0
    [trial] = ledger.trials("s")
    assert trial.failure is not None
    assert trial.failure.code == code


def test_a_trial_sees_the_devices_of_its_slot(ledger: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The devices are names: what a trial does with them is its own business."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("MODELWRIGHT_GPUS", "5,6")
    monkeypatch.setattr(tempfile, "tempdir", str(ledger.folder))  # where workers keep each other out
    ledger.make("s", "surroundings", trials=1)
    assert run(ledger, gpus=0.5) == 0
    assert "'CUDA_VISIBLE_DEVICES': '5'" in (ledger.folder / "seen.txt").read_text()
    with pytest.raises(ExecutionError, match=r"5 trials at a time ask for 0\.5 of a GPU each") as refused:
        run(ledger, gpus=0.5, slots=5)
    assert refused.value.hint == "Run 4 at a time."


def test_a_file_that_is_not_there_is_a_mistake(ledger: Any) -> None:
    with pytest.raises(StorageUnavailableError, match="no ledger"):
        run(ledger)


def test_waiting_for_a_ledger_and_for_work(
    ledger: Any, until: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def meanwhile() -> None:
        time.sleep(0.5)
        ledger.make("s", trials=2)
        until(lambda: ledger.state("s") == "complete")
        study = Study.load("s", storage=ledger.url)
        study.set_budget(4)
        study.close()
        until(lambda: len(ledger.states("s")) == 4 and ledger.state("s") == "complete")
        press(signal.SIGUSR1)

    assert run(ledger, meanwhile, wait=True, poll_s=0.2) == 0
    assert ledger.states("s") == [TrialState.COMPLETE] * 4
    told = capsys.readouterr().err
    assert "waiting for the ledger: there is no ledger" in told
    assert "the ledger is there" in told
    assert "no work: waiting for some" in told


def test_a_deleted_study_is_no_reason_to_stop(ledger: Any, until: Any) -> None:
    ledger.make("s", "hang", lease_s=2)
    ledger.make("other", trials=2, priority=0)

    def meanwhile() -> None:
        until(ledger.started)
        ledger.read(lambda storage: storage.delete_study("s", force=True))

    assert run(ledger, meanwhile) == 0
    assert ledger.state("other") == "complete"
    assert [record.spec.name for record in ledger.read(lambda storage: storage.studies())] == ["other"]


def test_the_surroundings_of_a_trial_hold_no_secrets(
    ledger: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ours = ("MODELWRIGHT_STORAGE", "MODELWRIGHT_TOKEN", "MODELWRIGHT_TOKEN_FILE", "MODELWRIGHT_SECRET_WORKER")
    for name in ours:
        monkeypatch.setenv(name, "hidden-value")
    monkeypatch.setenv("DATABASE_URL", "mine")
    ledger.make("s", "surroundings", trials=1)
    assert run(ledger) == 0
    seen, _ = eval((tmp_path / "seen.txt").read_text())
    assert not set(ours) & set(seen)
    assert "hidden-value" not in seen.values()
    assert seen["DATABASE_URL"] == "mine"


# a ledger that is out of reach ------------------------------------------------------------------------


def test_a_server_that_is_not_there_is_waited_for(ledger: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("psycopg")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and does not listen
        url = f"postgresql://me:secret@127.0.0.1:{unused.getsockname()[1]}/db"
        assert run_workers(WorkerOptions(url, patience_s=4.0)) == 75
    told = capsys.readouterr().err
    assert told.count("waiting for the ledger") == 1
    assert "the ledger is out of reach" in told
    assert "secret" not in told


def test_a_result_that_cannot_be_told_is_kept_and_told_later(
    ledger: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def finish(*_: Any) -> None:
        raise StorageUnavailableError("the server is away")

    ledger.make("s", trials=2)
    with monkeypatch.context() as patch:
        patch.setattr(SQLStorage, "finish", finish)
        assert run(ledger) == 75
    assert "the server is away" in capsys.readouterr().err
    [path] = spool_folder().glob("*.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ledger.states("s") == [TrialState.RUNNING]

    options = WorkerOptions(ledger.url)
    assert tell_spooled(options) == [f"{path.name}: trial 0 accepted"]
    assert tell_spooled(options) == ["no results were kept"]
    assert run(ledger) == 0
    assert ledger.states("s") == [TrialState.COMPLETE] * 2
    assert [t.attempts for t in ledger.trials("s")] == [1, 1]
    ledger.check("s")


def test_results_for_another_ledger_stay(ledger: Any) -> None:
    ledger.make("s", trials=1)
    spool_folder().mkdir(parents=True)
    path = spool_folder() / "results-x.json"
    path.write_text("{}")
    [line] = tell_spooled(WorkerOptions(ledger.url))
    assert line.startswith("results-x.json stays: ")
    assert path.exists()
