"""A command as it runs: started, answered, asked to go, and its result read."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelwright.errors import InputError, ModelwrightError
from modelwright.execution.base import environment_for
from modelwright.execution.local import system
from modelwright.records import Failure, FailureKind
from modelwright.study.script.command import ABOUT_TRIAL, filled, runnable
from modelwright.study.script.conversation import Conversation, say
from modelwright.study.script.messages import describe
from modelwright.study.script.paths import Paths, parameter_variables, without_ours
from modelwright.study.script.process import Process
from modelwright.study.script.result import read_result
from modelwright.study.script.script import Script
from modelwright.study.trial import RunningTrial, TrialPruned
from modelwright.study.values import Broken, Result

__all__ = ["run_script"]

_SOON_S, _LATE_S, _SLOWER = 0.003, 0.1, 1.3  # between two looks at the files
_PATIENCE_S = 5.0  # for a command after a signal that may have reached this process alone
_NO_RESULT = (
    "the command has ended without a result; write a number, or JSON, into the file that the variable "
    'MODELWRIGHT_RESULT names: echo 0.34 > "$MODELWRIGHT_RESULT"'
)


def run_script(script: Script, trial: RunningTrial) -> Result | Broken:
    """Run the command for a trial, and return what came of it.

    Raises
    ------
    InputError
        It cannot be started.
    TrialPruned
        It has ended early, as it was told, without a value of its own.
    """
    folder = script.folder()
    description = describe(trial)
    paths = Paths.below(Path(description["checkpoint_dir"]).parent)
    paths.begin(description)
    command = _command(script, description, folder)
    environment = _environment(script, trial, paths, description)
    talk = Conversation(trial, paths, folder)
    oom_kills = system.oom_kills()
    guarded = not trial._argument["own_process"]
    with contextlib.closing(talk), _started(command, environment, folder, guarded, trial) as process:
        _follow(process, talk, trial)
    if process.code:
        return _broken(process, trial, oom_kills)
    return _outcome(talk, paths)


def _command(script: Script, description: Mapping[str, Any], folder: Path) -> list[str]:
    params = description["params"]

    def value_of(name: str) -> Any:
        about = name.removeprefix("trial.")
        if name not in params and name != about and about in ABOUT_TRIAL:
            return description[about]
        return params[name]

    if script.shell:
        text = filled(script.words[0], lambda name: _or_empty(value_of, name), shlex.quote)
        assert text is not None
        return ["/bin/sh", "-c", text]
    words = [filled(word, value_of) for word in script.words]
    if words[0] is None:
        raise InputError(f"the program {script.words[0]!r:.80} names a parameter that is not active.")
    return runnable([word for word in words if word is not None], folder)


def _environment(
    script: Script, trial: RunningTrial, paths: Paths, description: Mapping[str, Any]
) -> dict[str, str]:
    params, left_out = parameter_variables(description["params"])
    if left_out:
        say(trial, f"no variables are set for these parameters, see {paths.trial.name}: {left_out}")
    ours = without_ours(environment_for(trial._channel.resources, os.environ))
    return {**ours, **script.env, **paths.variables(description), **params}


def _or_empty(value_of: Any, name: str) -> Any:
    try:
        return value_of(name)
    except KeyError:
        return ""  # an inactive parameter, within the text of a shell


@contextlib.contextmanager
def _started(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, guarded: bool, trial: RunningTrial
) -> Iterator[Process]:
    """Run the command; when the block is left by an exception it has its grace, and then is killed."""
    try:
        process = Process(command, environment, folder, guarded=guarded)
    except OSError as error:
        raise InputError(
            f"the command {command[0]!r} cannot be started: {error.strerror or error}.",
            hint="A script needs a first line that names its interpreter, such as #!/bin/sh.",
            code="E_SCRIPT",
        ) from error
    try:
        yield process
    except BaseException:
        process.terminate()
        process.wait(0.8 * _grace_s(trial))
        raise
    finally:
        process.close()


def _follow(process: Process, talk: Conversation, trial: RunningTrial) -> None:
    """Answer the command until it has ended."""
    pause_s, kill_at = _SOON_S, float("inf")
    while not process.wait(pause_s):
        pause_s = _SOON_S if talk.turn() else min(pause_s * _SLOWER, _LATE_S)
        now = time.monotonic()
        if trial.asked_to_go and not talk.leaving:
            talk.leave()
            kill_at = _ask_to_go(process, trial, now)
        if now >= kill_at:
            break
    talk.turn()


def _grace_s(trial: RunningTrial) -> float:
    grace_s: float = trial._argument["grace_s"]
    return grace_s


def _ask_to_go(process: Process, trial: RunningTrial, now: float) -> float:
    """Pass on that the trial has to go, and return when the command's patience is over."""
    if trial._argument["own_process"]:
        # Who has signalled this process has signalled all below it, and its keeper will end them.
        return now + max(_PATIENCE_S, 2 * _grace_s(trial))
    process.terminate()
    return now + 0.8 * _grace_s(trial)  # before its slot is given away


def _broken(process: Process, trial: RunningTrial, oom_kills: system.OomKills) -> Broken:
    code, lines = process.code, process.last_lines
    assert code is not None
    # Where output goes to files, their ends are added to each failure anyway.
    stack = "\n".join(lines) if trial._channel.folder is None else ""
    killed = code in (-signal.SIGKILL, 128 + signal.SIGKILL)  # itself, or what a shell has started
    if killed and (words := system.out_of_memory(oom_kills)):
        return Broken(Failure(FailureKind.MEMORY, words, "E_MEMORY", stack), code)
    said = f": {lines[-1].strip()}" if lines else ""
    return Broken(Failure(FailureKind.ERROR, f"the command {_how(code)}{said}", "E_EXIT", stack), code)


def _outcome(talk: Conversation, paths: Paths) -> Result | Broken:
    try:
        result = read_result(paths.result)
    except (ModelwrightError, OSError) as error:
        return Broken(Failure(FailureKind.INVALID, str(error), "E_RESULT"))
    if result is not None:
        return result
    if talk.stopped:
        raise TrialPruned
    return Broken(Failure(FailureKind.INVALID, _NO_RESULT, "E_NO_RESULT"))


def _how(code: int) -> str:
    if code > 0:
        return f"left with exit code {code}"
    with contextlib.suppress(ValueError):
        number = signal.Signals(-code)
        return f"died of {number.name} ({signal.strsignal(number)})"
    return f"died of signal {-code}"
