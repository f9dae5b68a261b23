"""`modelwright studies` and `modelwright trials`: steering from a terminal, answers for programs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelwright import Categorical, Float, Int, Space, Study
from modelwright.cli import studies
from modelwright.records import Failure, FailureKind, StudyState, Trial, TrialState
from modelwright.storage.base import AdoptedTrial
from modelwright.storage.sql.schema import VERSION
from modelwright.study.worker import retire, this_worker

from .conftest import Done

Command = Callable[..., Done]

SPACE = Space(x=Float(0, 1), n=Int(1, 9), opt=Categorical("adam", "sgd"), size=Categorical("1", "2"))
OBJECTIVE = """
def objective(trial):
    if trial.params["n"] == 9:
        raise ValueError("nine")
    trial.report(1.0, 1)
    return trial.params["x"]
"""


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    """Return a study in ``modelwright.db`` with one complete trial, one failed and one that waits."""
    (tmp_path / "obj.py").write_text(OBJECTIVE)
    study = Study(SPACE, storage=tmp_path / "modelwright.db", name="s", seed=1, optimizer="random")
    for n in (1, 9):
        study.enqueue({"x": 0.5, "n": n, "opt": "adam", "size": "1"})
    scope: dict[str, Any] = {}
    exec(OBJECTIVE, scope)
    study.run(scope["objective"], executor="inline", trials=2)
    study.enqueue({"x": 0.25, "n": 2, "opt": "sgd", "size": "2"})
    yield study
    study.close()


@pytest.fixture
def ask(command: Command) -> Callable[..., Any]:
    """Return a function that runs a command with ``--json`` and returns what it answers."""

    def run(*arguments: str) -> Any:
        done = command(*arguments, "--json")
        assert done.code == 0, done.err
        return json.loads(done.out)

    return run


def test_a_ledger_is_upgraded_once(command: Command, ask: Callable[..., Any], tmp_path: Path) -> None:
    old = (Path(__file__).parents[1] / "assets" / "ledger-0001.sql").read_text(encoding="utf-8")
    with closing(sqlite3.connect(tmp_path / "old.db")) as raw:
        raw.executescript(old)
    upgrade = ("studies", "upgrade", "--storage", "sqlite:///old.db")
    done = command(*upgrade)
    backup = tmp_path / "old.db.backup-0001"
    url = f"sqlite:///{tmp_path}/old.db"
    assert done.out.splitlines() == [
        f"{url}: upgraded from schema 0001 to {VERSION}",
        f"as it was before: {backup}",
    ]
    assert backup.is_file()
    assert command(*upgrade).out == f"{url} is up to date: its schema is {VERSION}\n"
    assert ask(*upgrade) == {"url": url, "from": VERSION, "to": VERSION, "backup": None}


@pytest.mark.parametrize("storage", ["memory://", "http://127.0.0.1:1", "sqlite:///missing.db"])
def test_what_is_no_ledger_in_a_database_is_not_upgraded(command: Command, storage: str) -> None:
    done = command("studies", "upgrade", "--storage", storage)
    assert done.code in (1, 2)
    assert done.err.startswith("error: ")
    assert "Traceback" not in done.err


def test_a_lost_trial_is_called_so_once(command: Command, study: Study) -> None:
    spec = study.spec
    storage = study.storage
    lost = Failure(FailureKind.LOST, "lost: its worker\x1b[31m fell silent", "E_LOST")
    storage.adopt(study.record.id, [AdoptedTrial(Trial(0, TrialState.FAILED, failure=lost))])
    for arguments in (
        ("studies", "show", spec.name),
        ("trials", "list", spec.name),
        ("trials", "show", spec.name, "3"),
    ):
        out = command(*arguments).out
        assert "lost: its worker" in out
        assert "lost: lost" not in out
        assert "\x1b" not in out


def test_pause_resume_and_stop_answer_with_the_state(ask: Callable[..., Any], study: Study) -> None:
    for _ in range(2):
        assert ask("studies", "pause", "s")["state"] == "paused"
    assert ask("studies", "pause", "s", "--now")["abort"] is True
    for _ in range(2):
        assert ask("studies", "resume", "s")["state"] == "pending"
    for _ in range(2):
        assert ask("studies", "stop", "s")["state"] == "complete"
    assert ask("studies", "resume", "s")["state"] == "pending"
    assert study.state is StudyState.PENDING


def test_resume_runs_with_an_objective_and_wakes_a_paused_study(command: Command, study: Study) -> None:
    study.pause()
    done = command("studies", "resume", "s", "--objective", "obj.py:objective", "--trials", "4")
    assert (done.code, done.out) == (0, "s: complete, 4 trials\n")
    command("studies", "resume", "s", "--trials", "9").refuses("--objective")


def test_a_budget_is_shown_and_changed(ask: Callable[..., Any], command: Command, study: Study) -> None:
    budget = ask("studies", "budget", "s")["budget"]
    assert budget == {"trials": 3, "time_s": None, "deadline": None, "cost": None, "parallel": None}
    line = ["--trials", "200", "--time", "2h", "--cost", "1.5", "--parallel", "4"]
    budget = ask("studies", "budget", "s", *line, "--deadline", "2030-01-31T18:00+00:00")["budget"]
    assert budget == {
        "trials": 200,
        "time_s": 7200.0,
        "deadline": "2030-01-31T18:00:00+00:00",
        "cost": 1.5,
        "parallel": 4,
    }
    assert ask("studies", "budget", "s", "--time", "none")["budget"]["time_s"] is None
    text = command("studies", "budget", "s", "--deadline", "none").out
    assert text == "s: pending, 3 trials, priority 1, budget: trials 200, cost 1.5, at a time 4\n"


@pytest.mark.parametrize(
    "line",
    [
        ["--trials", "-1"],
        ["--trials", "1e3"],
        ["--time", "soon"],
        ["--deadline", "tomorrow"],
        ["--cost", "nan"],
        ["--parallel", "0"],
    ],
)
def test_a_budget_that_makes_no_sense_is_refused(command: Command, study: Study, line: list[str]) -> None:
    command("studies", "budget", "s", *line).refuses(line[0])


def test_a_priority_is_set(ask: Callable[..., Any], study: Study) -> None:
    assert ask("studies", "priority", "s", "7")["priority"] == 7
    assert ask("studies", "priority", "s", "-7")["priority"] == -7


def test_a_space_is_shown_and_changed(
    ask: Callable[..., Any], command: Command, study: Study, tmp_path: Path
) -> None:
    shown = json.loads(command("studies", "space", "s").out)
    assert [entry["name"] for entry in shown["parameters"]] == ["x", "n", "opt", "size"]
    line = ["--range", "x=0:2.5", "--range", "n=1:20", "--choices", "opt=adam,lion", "--choices", "size=1,3"]
    assert ask("studies", "space", "s", *line)["space_version"] == 1
    assert ask("studies", "space", "s", *line)["space_version"] == 1
    assert study.space["x"] == Float(0, 2.5)
    assert study.space["opt"] == Categorical("adam", "lion")
    assert study.space["size"] == Categorical("1", "3")
    (tmp_path / "space.json").write_text(json.dumps(shown))
    assert ask("studies", "space", "s", "--file", "space.json")["space_version"] == 2
    assert study.space == SPACE


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["--range", "y=0:1"], "x, n"),
        (["--range", "x=1"], "LOW:HIGH"),
        (["--range", "x=a:b"], "a number"),
        (["--range", "x=1:0"], "x"),
        (["--choices", "x=1,2"], "opt, size"),
        (["--range", "x=1:2", "--range", "x=1:3"], "given twice"),
        (["--choices", "opt"], "--choices"),
        (["--file", "missing.json"], "missing.json"),
        (["--file", "obj.py"], "'obj.py' is not JSON"),
    ],
)
def test_a_space_that_makes_no_sense_is_refused(
    command: Command, study: Study, line: list[str], words: str
) -> None:
    command("studies", "space", "s", *line).refuses(words)
    assert study.record.space_version == 0


def test_trials_are_listed_and_shown(ask: Callable[..., Any], command: Command, study: Study) -> None:
    assert [trial["state"] for trial in ask("trials", "list", "s")] == ["complete", "failed", "waiting"]
    (failed,) = ask("trials", "list", "s", "--state", "failed")
    assert failed["failure"] == {"kind": "error", "code": "E_EXCEPTION", "message": "ValueError: nine"}
    lines = command("trials", "list", "s").out.splitlines()
    assert len(lines) == 4
    shown = ask("trials", "show", "s", "0")
    assert shown["params"] == {"x": 0.5, "n": 1, "opt": "adam", "size": "1"}
    assert shown["reports"] == [{"step": 1.0, "fold": None, "values": {"value": 1.0}}]
    assert [attempt["outcome"] for attempt in shown["tries"]] == ["complete"]
    assert "ValueError: nine" in command("trials", "show", "s", "1").out
    assert "code: E_EXCEPTION\nTraceback" in command("trials", "show", "s", "1").out
    assert ask("trials", "show", "s", "1")["failure"]["traceback"].startswith("Traceback")
    command("trials", "list", "s", "--state", "odd").refuses("waiting")
    command("trials", "show", "s", "9").refuses("no trial 9")


def test_a_trial_is_killed_and_tried_again(ask: Callable[..., Any], command: Command, study: Study) -> None:
    for _ in range(2):
        killed = ask("trials", "kill", "s", "2")
        assert killed["failure"]["kind"] == "killed"
    for _ in range(2):
        again = ask("trials", "retry", "s", "1")
        assert (again["number"], again["state"], again["params"]["n"]) == (3, "waiting", 9)
    assert command("trials", "retry", "s", "3").code == 1
    command("trials", "kill", "s", "77").refuses("no trial 77")


def test_a_configuration_is_enqueued(ask: Callable[..., Any], command: Command, study: Study) -> None:
    line = ["x=1", "n=3", "opt=sgd", "size=2"]
    added = ask("trials", "enqueue", "s", *line, "--request-id", "r")
    assert (added["number"], added["params"]) == (3, {"x": 1.0, "n": 3, "opt": "sgd", "size": "2"})
    assert ask("trials", "enqueue", "s", *line, "--request-id", "r")["number"] == 3
    like = ask("trials", "enqueue", "s", "--like", "0", "x=0.75")
    assert (like["number"], like["params"]["x"], like["params"]["n"]) == (4, 0.75, 1)
    for words, wrong in (
        ("'n'", ["x=1"]),
        ("'x'", [*line[1:], "x=7"]),
        ("'q'", [*line, "q=1"]),
        ("=", ["x"]),
        ("'x' once, and it is given twice", [*line, "x=2"]),
        ("no trial 99999999999999999999", ["--like", "9" * 20]),
    ):
        command("trials", "enqueue", "s", *wrong).refuses(words)
    assert study.counts[TrialState.WAITING] == 3


def test_a_study_that_runs_is_deleted_by_force_only(command: Command, study: Study) -> None:
    study.ask()
    done = command("studies", "delete", "s", "--yes")
    assert done.code == 1
    assert "error: " in done.err
    assert command("studies", "delete", "s", "--yes", "--force").out == "s deleted\n"


def test_show_tells_how_the_study_stands(ask: Callable[..., Any], command: Command, study: Study) -> None:
    study.pause()
    shown = ask("studies", "show", "s")
    assert (shown["state"], shown["budget"]["trials"], shown["issued"]) == ("paused", 3, 3)
    assert shown["counts"] == {"complete": 1, "failed": 1, "waiting": 1}
    assert command("studies", "show", "s").out.startswith(
        "s: paused, 3 trials, priority 1, budget: trials 3\n"
    )
    (listed,) = ask("studies", "list")
    assert (listed["name"], listed["state"], listed["budget"]["trials"]) == ("s", "paused", 3)


def test_show_tells_of_one_moment(command: Command, study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """What finishes while the command reads is not the best of trials that are still said to run."""
    study.storage.set_state(study.record.id, StudyState.RUNNING)
    trial = study.ask()
    notes_on = studies.notes_on

    def meanwhile(*given: Any) -> dict[int, str]:
        if study.trial(trial.number).state is TrialState.RUNNING:
            study.tell(trial, -1e9)
        return notes_on(*given)

    monkeypatch.setattr(studies, "notes_on", meanwhile)
    shown = command("studies", "show", "s").out
    assert "1 running" in shown
    assert f"best: trial {trial.number}" not in shown
    assert f"best: trial {trial.number}" in command("studies", "show", "s").out


def test_a_trial_that_nobody_runs_is_told_apart(
    ask: Callable[..., Any], command: Command, study: Study
) -> None:
    """A worker that was killed leaves a running trial behind, which nobody works on."""
    key = study.record.id
    study.storage.set_state(key, StudyState.RUNNING)
    me = this_worker(study.storage)
    study.storage.register_worker(replace(me, id="dead", pid=2**22 + 1))
    study.storage.claim(key, "dead", "c", 60.0)
    gone = "running (its worker is gone)"
    assert f"trials: 1 complete, 1 failed, 1 {gone}" in command("studies", "show", "s").out
    assert gone in command("trials", "list", "s").out
    assert command("trials", "show", "s", "2").out.splitlines()[1].startswith("its worker is gone")
    assert "running (by nobody)" in command("studies", "list").out
    assert ask("studies", "show", "s")["counts"]["running"] == 1
    assert [trial["note"] for trial in ask("trials", "list", "s")] == [None, None, "its worker is gone"]
    assert "asked to end" in command("trials", "kill", "s", "2").out
    retire(me.id)
