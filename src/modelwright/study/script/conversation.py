"""What passes between a trial that is a command and its run."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from modelwright.errors import ModelwrightError
from modelwright.study.script.lines import MAX_LINE, Lines
from modelwright.study.script.messages import obey, read_request
from modelwright.study.script.paths import Paths
from modelwright.study.trial import RunningTrial

__all__ = ["Conversation", "say"]

_MOST_COMPLAINTS = 20


class Conversation:
    """Reads what a trial requests, has its handle do that, and writes the answers.

    Parameters
    ----------
    trial : RunningTrial
        The handle.
    paths : Paths
        The files.
    here : Path
        What relative paths in requests are relative to.

    Attributes
    ----------
    stopped : bool
        Whether the trial was told to stop, by its scheduler.
    leaving : bool
        Whether it was asked to go; nothing that it says is taken in any more.
    """

    def __init__(self, trial: RunningTrial, paths: Paths, here: Path) -> None:
        self._trial = trial
        self._here = here
        self._paths = paths
        self._lines = Lines(paths.requests)
        self._answers = os.open(paths.answers, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        self._complaints = 0
        self._restarts = 0
        self.stopped = False
        self.leaving = False

    def turn(self) -> bool:
        """Answer what has come, and return whether anything has."""
        active = False
        for line in self._lines.new():
            active = True
            self._answer(line)
        if self._lines.restarts > self._restarts:
            self._restarts = self._lines.restarts
            self._complain('the file of requests was written anew; append to it (">>" in a shell).')
        return active

    def leave(self) -> None:
        """Tell the trial to go."""
        self.leaving = True
        self._paths.stop.touch()

    def close(self) -> None:
        """Let go of the files."""
        self._lines.close()
        os.close(self._answers)

    def _answer(self, line: bytes | None) -> None:
        answer: dict[str, Any] = {}
        try:
            if line is None:
                raise ModelwrightError(f"a request of more than {MAX_LINE} bytes was passed over.")
            request = read_request(line)
            if "id" in request:
                answer["id"] = request["id"]
            answer |= {"ok": True, **self._done(request)}
        except (ModelwrightError, OSError) as error:
            answer |= {"ok": False, "error": str(error)}
            self._complain(str(error))
        if answer.get("stop") and not self.leaving:
            self.stopped = True
            self._paths.stop.touch()  # before the answer: who has that will find this
        os.write(self._answers, json.dumps(answer, default=str).encode() + b"\n")

    def _done(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"stop": True} if self.leaving else obey(self._trial, request, self._here)

    def _complain(self, words: str) -> None:
        self._complaints += 1
        if self._complaints > _MOST_COMPLAINTS:
            return
        more = " (further ones are not told)" if self._complaints == _MOST_COMPLAINTS else ""
        say(self._trial, words + more)


def say(trial: RunningTrial, words: str) -> None:
    """Say something where the errors of the trial's command go."""
    with suppress(OSError):
        os.write(2, f"modelwright: trial {trial.number}: {words}\n".encode("utf-8", "replace"))
