"""A command as an objective, in each place where trials run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelwright import Categorical, Float, Int, Script, Space, Study
from modelwright.errors import InputError
from modelwright.execution.local import system
from modelwright.records import FailureKind, TrialState
from modelwright.study import TrialResult

Write = Callable[[str, str], Path]

PLACES = pytest.mark.parametrize("executor", ["inline", "thread", "local"])
SPACE = Space(x=Float(0, 1))


def run(script: Script, executor: str = "inline", *, trials: int = 1, **options: Any) -> Study:
    space = options.pop("space", SPACE)
    study = Study(space, storage="sqlite:///hub.db", name="s", seed=1, **options)
    study.run(script, trials=trials, executor=executor)
    return study


def only(study: Study) -> TrialResult:
    (trial,) = study.trials
    return trial


def failed(script: Script, executor: str = "inline") -> Any:
    """Return the failure of the one trial."""
    failure = only(run(script, executor)).record.failure
    assert failure is not None
    return failure


@PLACES
def test_parameters_go_in_and_a_result_comes_out(write: Write, executor: str) -> None:
    write(
        "train.sh",
        """
        echo "$1 $2 $3 $MODELWRIGHT_PARAM_N $MODELWRIGHT_PARAM_FLAG" > words.txt
        test -d "$MODELWRIGHT_CHECKPOINT_DIR" || exit 3
        test -z "${MODELWRIGHT_RESUME_FROM+x}" || exit 4
        test -e "$MODELWRIGHT_STOP" && exit 5
        echo "{\\"attr\\": {\\"host\\": \\"here\\"}}" >> "$MODELWRIGHT_REQUESTS"
        echo "{\\"report\\": 1, \\"step\\": 1}" >> "$MODELWRIGHT_REQUESTS"
        echo "{\\"value\\": $MODELWRIGHT_PARAM_X, \\"metrics\\": {\\"m\\": 1}}" > "$MODELWRIGHT_RESULT"
        """,
    )
    space = Space(x=Float(0, 1), n=Int(1, 5), flag=Categorical(True, False), kind=Categorical("a b", "c d"))
    study = run(Script(["train.sh", "--x={x:.2f}", "{kind}", "{trial.number}"]), executor, space=space)
    trial = only(study)
    assert trial.state is TrialState.COMPLETE
    params = trial.params
    assert trial.values == (params["x"],)
    assert trial.user_attrs["host"] == "here"
    assert trial.record.metrics["m"] == 1
    flag = str(params["flag"]).lower()
    expected = f"--x={params['x']:.2f} {params['kind']} 0 {params['n']} {flag}\n"
    assert Path("words.txt").read_text() == expected


@PLACES
def test_the_description_has_all_of_it(write: Write, executor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELWRIGHT_TOKEN", "secret")
    monkeypatch.setenv("MODELWRIGHT_RESUME_FROM", "/of/another/trial")
    monkeypatch.setenv("MODELWRIGHT_PARAM_Z", "of another trial")
    write("train.sh", 'cp "$MODELWRIGHT_TRIAL" told.json; env > env.txt; echo 1 > "$MODELWRIGHT_RESULT"')
    study = run(Script("train.sh", env={"OWN": "a b"}), executor, direction="maximize")
    told = json.loads(Path("told.json").read_text())
    folder = str(study.folder / "trials/0-1") if study.folder is not None else ""
    assert told.pop("checkpoint_dir") == f"{folder}/checkpoint"
    assert told.pop("seed") > 0
    assert told == {
        "protocol": 1,
        "study": "s",
        "number": 0,
        "attempt": 1,
        "fidelity": None,
        "params": {"x": 0.5},
        "objectives": [{"name": "value", "direction": "maximize"}],
        "user_attrs": {},
        "folder": folder,
        "resume_from": None,
    }
    lines = Path("env.txt").read_text().splitlines()
    assert {"OWN=a b", "MODELWRIGHT_PARAM_X=0.5"} <= set(lines)
    assert not [line for line in lines if "secret" in line or "another trial" in line or "/of/" in line]


@PLACES
def test_a_command_that_fails_says_why(write: Write, executor: str) -> None:
    write("train.sh", "echo first >&2; echo no such data >&2; echo 1 > $MODELWRIGHT_RESULT; exit 3")
    failure = failed(Script("train.sh"), executor)
    assert (failure.kind, failure.code) == (FailureKind.ERROR, "E_EXIT")
    assert failure.message == "the command left with exit code 3: no such data"
    assert failure.traceback.count("first\nno such data") == 1


@PLACES
def test_death_by_a_signal_is_told(write: Write, executor: str) -> None:
    write("train.sh", "kill -SEGV $$")
    assert failed(Script("train.sh"), executor).message.startswith("the command died of SIGSEGV (")


@pytest.mark.parametrize("text", ["kill -KILL $$", "sh -c 'kill -KILL $$'"])
def test_a_kill_by_the_kernel_for_want_of_memory_is_told_apart(
    write: Write, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    counts = iter([1, 2])
    monkeypatch.setattr(system, "oom_kills", lambda: system.OomKills(next(counts), 0))
    write("train.sh", text)
    failure = failed(Script("train.sh"))
    assert (failure.kind, failure.code) == (FailureKind.MEMORY, "E_MEMORY")
    assert "out of memory" in failure.message


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("true", FailureKind.INVALID, "without a result.*MODELWRIGHT_RESULT"),
        ("echo nan > $MODELWRIGHT_RESULT", FailureKind.NAN, "not a finite number"),
        ("echo done > $MODELWRIGHT_RESULT", FailureKind.INVALID, "expected a number or JSON"),
        ("echo '[1, 2]' > $MODELWRIGHT_RESULT", FailureKind.INVALID, "expected 1 value"),
        ("echo '\"1\"' > $MODELWRIGHT_RESULT", FailureKind.INVALID, "expected a real number, got text"),
        ("mkdir $MODELWRIGHT_RESULT", FailureKind.INVALID, "Is a directory"),
    ],
)
def test_results_are_checked_as_those_of_functions(
    write: Write, text: str, kind: FailureKind, words: str
) -> None:
    import re

    write("train.sh", text)
    failure = failed(Script("train.sh"))
    assert failure.kind is kind
    assert re.search(words, failure.message)


def test_a_trial_may_say_that_it_has_ended_early(write: Write) -> None:
    write(
        "train.sh",
        """
        echo '{"report": 7, "step": 1}' >> "$MODELWRIGHT_REQUESTS"
        echo '{"state": "pruned"}' > "$MODELWRIGHT_RESULT"
        """,
    )
    trial = only(run(Script("train.sh")))
    assert (trial.state, trial.values) == (TrialState.PRUNED, (7.0,))


def test_a_line_that_cannot_be_read_ends_nothing(write: Write, capfd: pytest.CaptureFixture[str]) -> None:
    write(
        "train.sh",
        """
        exec 3>> "$MODELWRIGHT_REQUESTS"
        echo garbage >&3
        echo '{"report": 2, "step": 1, "id": "mine"}' >&3
        printf '{"report": 3, "st' >&3
        until [ "$(wc -l < "$MODELWRIGHT_ANSWERS")" -ge 2 ]; do sleep 0.01; done
        cp "$MODELWRIGHT_ANSWERS" answers.txt
        echo 1 > "$MODELWRIGHT_RESULT"
        """,
    )
    assert only(run(Script("train.sh"))).state is TrialState.COMPLETE
    first, second = map(json.loads, Path("answers.txt").read_text().splitlines())
    assert not first["ok"]
    assert "garbage" in first["error"]
    assert second == {"id": "mine", "ok": True, "stop": False}
    assert "modelwright: trial 0: expected one JSON object" in capfd.readouterr().err


def test_files_and_new_parameters(write: Write) -> None:
    write(
        "train.sh",
        """
        echo weights > model.txt
        echo '{"artifact": "model.txt", "name": "m/model.txt"}' >> "$MODELWRIGHT_REQUESTS"
        p='{"name": "depth", "kind": "int", "options": {"low": 2, "high": 3}}'
        echo '{"parameter": '"$p"', "id": 5}' >> "$MODELWRIGHT_REQUESTS"
        until grep -q '"id": 5' "$MODELWRIGHT_ANSWERS"; do sleep 0.01; done
        sed -n 's/.*"id": 5.*"value": \\([0-9]*\\).*/\\1/p' "$MODELWRIGHT_ANSWERS" > "$MODELWRIGHT_RESULT"
        """,
    )
    (Path("sub")).mkdir()
    study = run(Script("../train.sh", cwd="sub"))
    trial = only(study)
    assert trial.values == (trial.params["depth"],)
    assert study.fetch_artifact(0, "m/model.txt").read_text() == "weights\n"


def test_names_that_fall_together_are_said(write: Write, capfd: pytest.CaptureFixture[str]) -> None:
    write("train.sh", 'env | grep -c MODELWRIGHT_PARAM_ > "$MODELWRIGHT_RESULT"')
    space = Space(**{"a.b": Float(0, 1), "a_b": Float(0, 1), "c": Float(0, 1)})
    assert only(run(Script("train.sh"), space=space)).values == (1.0,)
    assert "no variables are set for these parameters" in capfd.readouterr().err


def test_an_inactive_parameter_is_left_out(write: Write) -> None:
    write("train.sh", 'echo $# > "$MODELWRIGHT_RESULT"')
    space = Space(kind=Categorical("a", "b"), rate=Float(0, 1, when={"kind": "a"}))
    study = run(Script("train.sh --rate={rate} {kind}"), space=space, trials=6, optimizer="random")
    counts = {trial.params["kind"]: trial.values[0] for trial in study.trials}
    assert counts == {"a": 2.0, "b": 1.0}


def test_a_shell_is_run_when_it_is_asked_for(write: Write) -> None:
    write("unused", "")
    script = Script('echo {kind} | wc -w > "${MODELWRIGHT_RESULT}"', shell=True)
    trial = only(run(script, space=Space(kind=Categorical("a; b", "a; b c"))))
    assert trial.values[0] == len(str(trial.params["kind"]).split())


def test_what_cannot_run_is_refused_before_a_trial(write: Write) -> None:
    write("train.sh", "true")
    study = Study(SPACE, seed=1)
    for script in (Script("nowhere.sh"), Script("train.sh {y}")):
        with pytest.raises(InputError):
            study.run(script, trials=1)
    assert study.trials == []


def test_a_study_without_files_runs_scripts_too(write: Write, tmp_path: Path) -> None:
    write("train.sh", 'echo "$MODELWRIGHT_TRIAL" > where.txt; echo 1 > "$MODELWRIGHT_RESULT"')
    study = Study(SPACE, seed=1)
    study.run(Script("train.sh"), trials=1, executor="inline")
    assert only(study).state is TrialState.COMPLETE
    assert not Path(Path("where.txt").read_text().strip()).exists()


@PLACES
@pytest.mark.parametrize("detached", [False, True])
def test_nothing_is_left_of_a_command(
    write: Write, tmp_path: Path, alive: Callable[[Path], list[int]], executor: str, detached: bool
) -> None:
    """Neither children in the background nor those that have cut themselves loose."""
    write(
        "train.py",
        """
        import os, subprocess, sys
        loose = sys.argv[1] == "True"
        code = "import os, time; open('child.pid', 'w').write(str(os.getpid())); time.sleep(1000)"
        subprocess.Popen([sys.executable, "-c", code], start_new_session=loose)
        while not os.path.exists("child.pid") or not open("child.pid").read():
            pass
        open(os.environ["MODELWRIGHT_RESULT"], "w").write("1")
        """,
    )
    assert only(run(Script(f"train.py {detached}"), executor)).state is TrialState.COMPLETE
    assert (tmp_path / "child.pid").exists()
    assert alive(tmp_path) == []


def test_waiting_costs_next_to_nothing(write: Write) -> None:
    """The looks at the files of an idle command are few; counted, not timed."""
    from modelwright.study.script import running

    pauses, pause = 0, running._SOON_S
    spent = 0.0
    while spent < 10.0:
        pause = min(pause * running._SLOWER, running._LATE_S)
        spent, pauses = spent + pause, pauses + 1
    assert pauses / spent < 12
