"""Scripts report, are stopped early, and go on from their checkpoints, whatever happens to their run."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from modelwright import Categorical, Float, Script, Space, Study
from modelwright.records import FailureKind, TrialState
from modelwright.study import RunningTrial

Write = Callable[[str, str], Path]
Start = Callable[..., "subprocess.Popen[str]"]
Until = Callable[..., None]

# Ten epochs, one number each; the checkpoint is the number of epochs that are done. A file `hold` makes
# it wait after epoch 3, so that it can be interrupted there.
EPOCHS = """
#!/bin/sh
set -eu
n=0
report() {
    printf '{"report": %s, "step": %s}\\n' "$1" "$2" >> "$MODELWRIGHT_REQUESTS"
    n=$((n + 1))
    until [ "$(wc -l < "$MODELWRIGHT_ANSWERS")" -ge "$n" ]; do sleep 0.01; done
}
echo $$ > "$MODELWRIGHT_SEED.pid"
done=0
if [ -n "${MODELWRIGHT_RESUME_FROM:-}" ]; then done=$(cat "$MODELWRIGHT_RESUME_FROM/epoch"); fi
echo "from $done" >> log.txt
while [ "$done" -lt 10 ]; do
    done=$((done + 1))
    echo "$done" > "$MODELWRIGHT_CHECKPOINT_DIR/part"
    mv "$MODELWRIGHT_CHECKPOINT_DIR/part" "$MODELWRIGHT_CHECKPOINT_DIR/epoch"
    report "$MODELWRIGHT_PARAM_X" "$done"
    if [ -e "$MODELWRIGHT_STOP" ]; then echo "stopped at $done" >> log.txt; exit 0; fi
    if [ "$done" = 3 ] && [ -e hold ]; then echo > held; while :; do sleep 0.05; done; fi
done
echo "$MODELWRIGHT_PARAM_X" > "$MODELWRIGHT_RESULT"
"""

RUN = """
import sys
from modelwright import Float, Script, Space, Study
from modelwright.execution import Limits

study = Study(Space(x=Float(0, 1)), storage="sqlite:///hub.db", name="s", seed=1,
              scheduler="median", load_if_exists=True)
limits = Limits(grace_s=float(sys.argv[2]) if len(sys.argv) > 2 else 60)
study.run(Script("epochs.sh"), trials=1, executor=sys.argv[1], limits=limits)
"""


def log() -> list[str]:
    return Path("log.txt").read_text().splitlines()


@pytest.mark.parametrize("executor", ["inline", "thread", "local"])
def test_the_median_rule_stops_a_shell_script(write: Write, executor: str) -> None:
    write("epochs.sh", EPOCHS)
    space = Space(x=Categorical(1, 5))
    study = Study(space, storage="sqlite:///hub.db", scheduler="median", seed=1)
    for x in (1, 1, 1, 1, 1, 5):
        study.enqueue({"x": x})
    study.run(Script("epochs.sh"), trials=6, executor=executor)
    *first, last = study.trials
    assert {trial.state for trial in first} == {TrialState.COMPLETE}
    assert (last.state, last.values) == (TrialState.PRUNED, (5.0,))
    assert log()[-1].startswith("stopped at ")
    reports = [report.step for _, report in study.storage.changes(study.record.id, 0).reports if _ == 5]
    assert max(reports) == float(log()[-1].split()[-1])
    assert study.folder is not None
    kept = sorted(path.parent.name for path in study.folder.glob("trials/*/checkpoint"))
    assert kept == ["5-1"]  # complete trials need theirs no more


@pytest.mark.parametrize("executor", ["inline", "thread", "local"])
def test_a_killed_run_goes_on_from_the_checkpoint(
    write: Write,
    tmp_path: Path,
    start_python: Start,
    until: Until,
    alive: Callable[[Path], list[int]],
    executor: str,
) -> None:
    write("epochs.sh", EPOCHS)
    write("run.py", RUN)
    write("hold", "")
    run = start_python("run.py", executor)
    until(lambda: Path("held").exists())
    assert alive(tmp_path)
    run.send_signal(signal.SIGKILL)
    run.wait()
    until(lambda: not alive(tmp_path))  # nobody is left behind
    Path("hold").unlink()
    done = start_python("run.py", executor)
    _, errors = done.communicate(timeout=120)
    assert done.returncode == 0, errors
    assert log() == ["from 0", "from 3"]
    study = Study.load("s", storage="sqlite:///hub.db")
    (trial,) = study.trials
    assert (trial.state, trial.record.attempts) == (TrialState.COMPLETE, 2)
    steps = {report.step for _, report in study.storage.changes(study.record.id, 0).reports}
    assert steps == set(map(float, range(1, 11)))
    study.close()


# What a script and a function do when they are asked to go: note at which epoch, and keep it.
LEAVES = """
#!/bin/sh
trap 'echo "$i" > "$MODELWRIGHT_CHECKPOINT_DIR/epoch"; echo "asked at $i" >> log.txt; exit 0' TERM
i=0
if [ -n "${MODELWRIGHT_RESUME_FROM:-}" ]; then i=$(cat "$MODELWRIGHT_RESUME_FROM/epoch"); fi
echo "from $i" >> log.txt
i=$((i + 1))
if [ "$i" = 1 ]; then
    echo > held
    while :; do sleep 0.05; done
fi
echo "$i" > "$MODELWRIGHT_RESULT"
"""


@pytest.mark.parametrize("executor", ["thread", "local"])
def test_a_paused_script_has_its_grace_and_goes_on_later(
    write: Write, start_python: Start, until: Until, executor: str
) -> None:
    write("epochs.sh", LEAVES)
    write("run.py", RUN)
    run = start_python("run.py", executor)
    until(lambda: Path("held").exists())
    study = Study.load("s", storage="sqlite:///hub.db")
    study.pause(now=True)
    run.communicate(timeout=120)
    assert [(t.state, t.record.attempts) for t in study.trials] == [(TrialState.WAITING, 0)]
    assert log() == ["from 0", "asked at 1"]
    study.resume()
    start_python("run.py", executor).communicate(timeout=120)
    assert log() == ["from 0", "asked at 1", "from 1"]
    assert [(t.state, t.values, t.record.attempts) for t in study.trials] == [
        (TrialState.COMPLETE, (2.0,), 1)
    ]
    study.close()


@pytest.mark.parametrize("executor", ["inline", "thread", "local"])
def test_ctrl_c_reaches_the_command(
    write: Write,
    tmp_path: Path,
    start_python: Start,
    until: Until,
    alive: Callable[[Path], list[int]],
    executor: str,
) -> None:
    write("epochs.sh", LEAVES.replace("i=0\n", "echo $$ > 1.pid; i=0\n"))
    write("run.py", RUN)
    run = start_python("run.py", executor)
    until(lambda: Path("held").exists())
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=120)
    assert log() == ["from 0", "asked at 1"]
    assert alive(tmp_path) == []
    study = Study.load("s", storage="sqlite:///hub.db")
    assert [trial.state for trial in study.trials] == [TrialState.WAITING]
    study.close()


def test_a_command_that_will_not_go_is_killed(
    write: Write,
    tmp_path: Path,
    start_python: Start,
    until: Until,
    alive: Callable[[Path], list[int]],
) -> None:
    write("epochs.sh", "trap '' TERM; echo $$ > 1.pid; echo > held; while :; do sleep 0.05; done")
    write("run.py", RUN)
    run = start_python("run.py", "thread", 1)
    until(lambda: Path("held").exists())
    study = Study.load("s", storage="sqlite:///hub.db")
    study.pause(now=True)
    run.communicate(timeout=120)
    assert alive(tmp_path) == []
    assert [trial.state for trial in study.trials] == [TrialState.WAITING]
    study.close()


@pytest.mark.parametrize("all_at_once", [False, True])
def test_a_worker_that_is_taken_away_gives_its_trial_to_another(
    write: Write, start_python: Start, until: Until, all_at_once: bool
) -> None:
    """Also where a cluster signals each process of the worker, those of the trial included."""
    write("epochs.sh", LEAVES)
    named = None if all_at_once else Script("./epochs.sh {x}")
    study = Study(Space(x=Float(0, 1)), storage="sqlite:///hub.db", name="s", seed=1, objective=named)
    study.set_budget(1)
    command = ["-m", "modelwright", "worker", "--storage", "sqlite:///hub.db", "--grace", "8s"]
    command += ["--objective", "./epochs.sh"] if named is None else []
    worker = start_python(*command)
    until(lambda: Path("held").exists() or worker.poll() is not None)
    assert worker.poll() is None, worker.communicate()
    below = psutil.Process(worker.pid).children(recursive=True) if all_at_once else []
    for process in (psutil.Process(worker.pid), *below):
        with contextlib.suppress(psutil.NoSuchProcess):  # a `sleep` of the script's
            process.send_signal(signal.SIGTERM)
    worker.communicate(timeout=120)
    assert log() == ["from 0", "asked at 1"]
    _, errors = start_python(*command).communicate(timeout=120)
    assert log()[2:] == ["from 1"], errors
    (trial,) = study.trials
    assert (trial.state, trial.values, trial.record.attempts) == (TrialState.COMPLETE, (2.0,), 1)
    study.close()


FUNCTION = """
import os, sys, time
from modelwright import Float, Space, Study
from modelwright.execution import Limits

def objective(trial):
    first = 0
    if trial.resume_from is not None:
        first = int((trial.resume_from / "epoch").read_text())
    with open("log.txt", "a") as file:
        file.write(f"from {first}\\n")
    folder = trial.checkpoint_dir
    for epoch in range(first, 3):
        while epoch == 1 and os.path.exists("hold") and not trial.should_stop():
            open("held", "w").close()
            time.sleep(0.02)
        if trial.should_stop():
            (folder / "epoch").write_text(str(epoch))
            assert trial.asked_to_go
            return 0.0
        trial.report(1.0, epoch)
    return 1.0

study = Study(Space(x=Float(0, 1)), storage="sqlite:///hub.db", name="s", seed=1, load_if_exists=True)
study.run(objective, trials=1, executor=sys.argv[1], limits=Limits(grace_s=60))
"""


@pytest.mark.parametrize("executor", ["thread", "local"])
def test_a_function_with_a_checkpoint_folder_is_given_notice(
    write: Write, start_python: Start, until: Until, executor: str
) -> None:
    write("run.py", FUNCTION)
    write("hold", "")
    run = start_python("run.py", executor)
    until(lambda: Path("held").exists())
    study = Study.load("s", storage="sqlite:///hub.db")
    study.pause(now=True)
    _, errors = run.communicate(timeout=120)
    assert log() == ["from 0"], errors
    assert [(t.state, t.record.attempts) for t in study.trials] == [(TrialState.WAITING, 0)]
    Path("hold").unlink()
    study.resume()
    start_python("run.py", executor).communicate(timeout=120)
    assert log() == ["from 0", "from 1"]
    assert [(t.state, t.values) for t in study.trials] == [(TrialState.COMPLETE, (1.0,))]
    study.close()


def test_a_failed_attempt_leaves_its_checkpoint_to_the_next(write: Write) -> None:
    write(
        "train.sh",
        """
        if [ -z "${MODELWRIGHT_RESUME_FROM:-}" ]; then
            echo 7 > "$MODELWRIGHT_CHECKPOINT_DIR/epoch"
            echo '{"artifact": "'"$MODELWRIGHT_CHECKPOINT_DIR/epoch"'"}' >> "$MODELWRIGHT_REQUESTS"
            exit 1
        fi
        cat "$MODELWRIGHT_RESUME_FROM/epoch" > "$MODELWRIGHT_RESULT"
        """,
    )
    study = Study(Space(x=Float(0, 1)), storage="sqlite:///hub.db", seed=1, retry={"error": 1})
    study.run(Script("train.sh"), trials=1, executor="local")
    (trial,) = study.trials
    assert (trial.state, trial.values, trial.record.attempts) == (TrialState.COMPLETE, (7.0,), 2)


def test_a_logged_checkpoint_stays(write: Write) -> None:
    write(
        "train.sh",
        """
        echo weights > "$MODELWRIGHT_CHECKPOINT_DIR/model"
        printf '{"artifact": "%s"}\\n' "$MODELWRIGHT_CHECKPOINT_DIR/model" >> "$MODELWRIGHT_REQUESTS"
        echo 1 > "$MODELWRIGHT_RESULT"
        """,
    )
    study = Study(Space(x=Float(0, 1)), storage="sqlite:///hub.db", seed=1)
    study.run(Script("train.sh"), trials=1, executor="inline")
    assert study.fetch_artifact(0, "checkpoint/model").read_text() == "weights\n"


def test_reports_of_an_earlier_attempt_belong_to_the_curve() -> None:
    from modelwright.records import Objective, Report
    from modelwright.storage.base import Claim
    from modelwright.study.attempts import Attempt

    attempt = Attempt(Claim(1, 0, 2, "c", 2))
    attempt.earlier = [Report(step, {"value": 10.0 + step}) for step in (1, 2, 3, 4)]
    assert attempt.curve(Objective()) == []
    attempt.reports = [Report(3, {"value": 3.0})]
    assert attempt.curve(Objective()) == [(1, 11.0), (2, 12.0), (3, 3.0)]


LOCKSTEP = """
import sys
from modelwright import Float, Script, Space, Study

study = Study(Space(x=Float(0, 1)), storage="sqlite:///" + sys.argv[1], name="s", seed=1, reproducible=True,
              scheduler="median", load_if_exists=True)
study.run(Script("epochs.sh"), trials=9)
"""


@pytest.mark.slow
def test_lock_step_gives_the_same_trials_after_a_kill_and_a_checkpoint(
    write: Write, start_python: Start, until: Until
) -> None:
    write("epochs.sh", EPOCHS)
    write("run.py", LOCKSTEP)
    assert start_python("run.py", "whole.db").wait(120) == 0
    write("hold", "")
    for _ in range(2):
        run = start_python("run.py", "torn.db")
        until(lambda: Path("held").exists())
        run.send_signal(signal.SIGKILL)
        run.wait()
        Path("held").unlink()
    Path("hold").unlink()
    assert start_python("run.py", "torn.db").wait(120) == 0
    tables = []
    for name in ("whole.db", "torn.db"):
        study = Study.load("s", storage=f"sqlite:///{name}")
        tables.append([(t.number, t.state, t.params, t.values) for t in study.trials])
        study.close()
    assert tables[0] == tables[1]
    assert "pruned" in {state.value for _, state, _, _ in tables[0]}


def test_a_trial_that_takes_too_long_has_failed_by_its_limit(write: Write) -> None:
    write("train.sh", 'trap "exit 0" TERM; while :; do sleep 0.05; done')
    study = Study(Space(x=Float(0, 1)), storage="sqlite:///hub.db", seed=1)
    study.run(Script("train.sh"), trials=1, trial_timeout=0.5)
    failure = study.trials[0].record.failure
    assert failure is not None
    assert (failure.kind, failure.code) == (FailureKind.TIMEOUT, "E_TIMEOUT")


def test_a_checkpoint_of_the_trial_that_was_promoted(tmp_path: Path) -> None:
    from modelwright.storage import open_storage
    from modelwright.storage.base import Claim
    from modelwright.study.publishing import TrialFiles

    files = TrialFiles(open_storage("memory://"), 1, tmp_path)
    child = Claim(1, 7, 2, "c", 1, parent=3)
    assert files.resume(child, 2) is None
    for name in ("3-1", "3-2", "7-2"):
        (tmp_path / "trials" / name / "checkpoint").mkdir(parents=True)
    (tmp_path / "trials" / "3-1" / "checkpoint" / "a").touch()
    assert files.resume(child, 2) == tmp_path / "trials" / "3-1" / "checkpoint"  # the newer one is empty
    (tmp_path / "trials" / "7-1" / "checkpoint").mkdir(parents=True)
    (tmp_path / "trials" / "7-1" / "checkpoint" / "a").touch()
    assert files.resume(child, 2) == tmp_path / "trials" / "7-1" / "checkpoint"


def test_a_checkpoint_folder_is_there_without_a_place_for_files() -> None:
    found = []

    def objective(trial: RunningTrial) -> float:
        (trial.checkpoint_dir / "a").touch()
        found.append(trial.checkpoint_dir)
        assert trial.folder is None
        assert trial.resume_from is None
        return 1.0

    study = Study(Space(x=Float(0, 1)), seed=1)
    study.run(objective, trials=1, executor="inline")
    assert study.trials[0].state is TrialState.COMPLETE
    assert not found[0].parent.exists()


def test_a_process_that_runs_several_trials_dies_of_the_signal_as_ever_after_each(write: Write) -> None:
    def objective(trial: RunningTrial) -> float:
        before = signal.getsignal(signal.SIGTERM)
        _ = trial.checkpoint_dir
        noted = signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        return float(before is signal.SIG_DFL and noted)

    study = Study(Space(x=Float(0, 1)), storage="sqlite:///hub.db", seed=1)
    study.run(objective, trials=3, reuse=3)
    assert [trial.values for trial in study.trials] == [(1.0,)] * 3


def test_asked_trials_have_checkpoints_too(write: Write) -> None:
    study = Study(Space(x=Float(0, 1)), storage="sqlite:///hub.db", seed=1)
    first = study.ask()
    (first.checkpoint_dir / "a").write_text("kept")
    study.close()  # it is given back
    study = Study.load(study.name, storage="sqlite:///hub.db")
    again = study.ask()
    assert again.number == first.number
    assert again.resume_from is not None
    assert (again.resume_from / "a").read_text() == "kept"
    study.tell(again, 1.0)
    study.close()


def test_processes_that_a_trial_forks_die_of_the_signal(write: Write) -> None:
    """Such as those of a pool of `multiprocessing`, which it ends so."""

    def objective(trial: RunningTrial) -> float:
        _ = trial.checkpoint_dir
        ready, told = os.pipe()
        child = os.fork()
        if child == 0:
            signal.alarm(60)  # a signal that was only noted must not hold the test up
            os.write(told, b"x")
            while True:
                signal.pause()
        os.read(ready, 1)
        os.kill(child, signal.SIGTERM)
        return float(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    study = Study(Space(x=Float(0, 1)), storage="sqlite:///hub.db", seed=1)
    study.run(objective, trials=1)
    assert study.trials[0].values == (-signal.SIGTERM,)
