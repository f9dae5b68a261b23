"""The files by which a trial that is a command and its run speak, and the variables that name them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["PROTOCOL", "TRIAL", "Paths", "parameter_variables", "text_of", "without_ours"]

PROTOCOL = 1
"""The version of the protocol, in the description of each trial."""

TRIAL = "MODELWRIGHT_TRIAL"

_NAMES = {
    TRIAL: "trial.json",
    "MODELWRIGHT_REQUESTS": "requests.jsonl",
    "MODELWRIGHT_ANSWERS": "answers.jsonl",
    "MODELWRIGHT_RESULT": "result.json",
    "MODELWRIGHT_STOP": "stop",
}
_CHECKPOINT_DIR, _RESUME_FROM = "MODELWRIGHT_CHECKPOINT_DIR", "MODELWRIGHT_RESUME_FROM"
_SEED, _PARAM = "MODELWRIGHT_SEED", "MODELWRIGHT_PARAM_"


@dataclass(frozen=True, slots=True)
class Paths:
    """The files of one attempt.

    Attributes
    ----------
    folder : Path
        Where they lie; absolute.
    """

    folder: Path

    @property
    def trial(self) -> Path:
        """What the trial is, as JSON."""
        return self._of(TRIAL)

    @property
    def requests(self) -> Path:
        """What the trial says, a line each."""
        return self._of("MODELWRIGHT_REQUESTS")

    @property
    def answers(self) -> Path:
        """The answers, a line each, in the order of the requests."""
        return self._of("MODELWRIGHT_ANSWERS")

    @property
    def result(self) -> Path:
        """What came of it."""
        return self._of("MODELWRIGHT_RESULT")

    @property
    def stop(self) -> Path:
        """There once the trial is to end."""
        return self._of("MODELWRIGHT_STOP")

    def _of(self, variable: str) -> Path:
        return self.folder / _NAMES[variable]

    @classmethod
    def below(cls, attempt: Path) -> Paths:
        """Return the files of an attempt, given its folder."""
        return cls(attempt.absolute() / "protocol")

    @classmethod
    def beside(cls, trial: Path) -> Paths:
        """Return the files of the attempt whose description is `trial`."""
        return cls(trial.absolute().parent)

    def begin(self, description: Mapping[str, Any]) -> None:
        """Write the description, and the empty files of requests and answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"protocol": PROTOCOL, **description}, indent=2, default=str)
        self.trial.write_text(text + "\n", encoding="utf-8")
        self.requests.touch()
        self.answers.touch()

    def variables(self, description: Mapping[str, Any]) -> dict[str, str]:
        """Return the variables of the environment that tell a command all this."""
        variables = {name: str(self.folder / file) for name, file in _NAMES.items()}
        variables[_CHECKPOINT_DIR] = description["checkpoint_dir"]
        if description["resume_from"] is not None:
            variables[_RESUME_FROM] = description["resume_from"]
        variables[_SEED] = str(description["seed"])
        return variables


def parameter_variables(params: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    """Return the variables of the parameters, and the names of parameters that can have none.

    Examples
    --------
    >>> parameter_variables({"lr": 0.1, "use-bias": True})
    ({'MODELWRIGHT_PARAM_LR': '0.1', 'MODELWRIGHT_PARAM_USE_BIAS': 'true'}, [])
    >>> parameter_variables({"a.b": 1, "a_b": 2})
    ({}, ['a.b', 'a_b'])
    """
    by_variable: dict[str, list[str]] = {}
    for name in params:
        variable = _PARAM + re.sub(r"[^A-Z0-9]", "_", name.upper())
        by_variable.setdefault(variable, []).append(name)
    variables, left_out = {}, []
    for variable, names in by_variable.items():
        text = text_of(params[names[0]])
        if len(names) > 1 or "\0" in text:
            left_out += names
        else:
            variables[variable] = text
    return variables, left_out


def text_of(value: Any) -> str:
    """Return a value as a word of a command or of the environment.

    Examples
    --------
    >>> [text_of(value) for value in (1e-05, 3, True, "adam", None, [1, 2])]
    ['1e-05', '3', 'true', 'adam', '', '[1, 2]']
    """
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, default=str)


def without_ours(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what it says of another trial, in which this run may be."""
    ours = {*_NAMES, _CHECKPOINT_DIR, _RESUME_FROM, _SEED}
    return {
        name: value for name, value in environment.items() if name not in ours and not name.startswith(_PARAM)
    }
