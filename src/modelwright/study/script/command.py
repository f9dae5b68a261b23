"""From what a user gives as a command to what is run: placeholders, interpreters, checks."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelwright._base.registry import nearest
from modelwright.errors import InputError
from modelwright.space import Space
from modelwright.study.script.paths import text_of

__all__ = ["ABOUT_TRIAL", "check_placeholders", "environment_text", "filled", "runnable", "words_of"]

ABOUT_TRIAL = ("number", "attempt", "seed", "fidelity", "folder", "checkpoint_dir", "resume_from")
"""What ``{trial.…}`` may name."""

# "${NAME}" is the shell's, "{{" and "}}" are braces, "{name}" and "{name:.3f}" are placeholders.
_BRACES = re.compile(r"\$\{[^{}]*\}|\{\{|\}\}|\{([^{}:]*)(?::([^{}]*))?\}")
_INTERPRETERS = {".py": (sys.executable,), ".sh": ("sh",), ".r": ("Rscript",)}


def words_of(command: str | Sequence[str]) -> tuple[str, ...]:
    """Return a command as its words; text is split as a shell would, quotes and all.

    Raises
    ------
    InputError
        It is no command.
    """
    if isinstance(command, str):
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise InputError(f"the command {command!r:.80} cannot be split into words: {error}.") from None
    elif isinstance(command, Sequence) and all(isinstance(word, str | Path) for word in command):
        words = [str(word) for word in command]
    else:
        raise InputError(f"expected a command as text or as a list of words, got {command!r:.80}.")
    if not words or not words[0]:
        raise InputError("expected a command, got an empty one.")
    if any("\0" in word for word in words):
        raise InputError("a command cannot hold a zero byte.")
    return tuple(words)


def filled(word: str, value_of: Callable[[str], Any], quote: Callable[[str], str] = str) -> str | None:
    """Return a word with its placeholders filled in; None if one of them has no value.

    Examples
    --------
    >>> values = {"lr": 0.125, "name": "a b"}
    >>> filled("--lr={lr:.2f} ${HOME} {{x}}", values.__getitem__)
    '--lr=0.12 ${HOME} {x}'
    >>> filled("echo {name}", values.__getitem__, shlex.quote)
    "echo 'a b'"
    """
    missing = False

    def fill(match: re.Match[str]) -> str:
        nonlocal missing
        whole, name, form = match.group(0), match.group(1), match.group(2)
        if name is None:
            return whole if whole.startswith("$") else whole[0]
        try:
            value = value_of(name)
        except KeyError:
            missing = True
            return ""
        try:
            return quote(format(value, form) if form else text_of(value))
        except (ValueError, TypeError) as error:
            raise InputError(f"{whole!r} cannot be filled with {value!r:.40}: {error}.") from None

    text = _BRACES.sub(fill, word)
    return None if missing else text


def check_placeholders(words: Sequence[str], space: Space) -> None:
    """Refuse placeholders that no trial of the space will fill.

    Raises
    ------
    InputError
        The space has no such parameter, or one is not always there and leaves its option alone.
    """
    for before, word in zip(["", *words], words, strict=False):
        names = [match.group(1) for match in _BRACES.finditer(word) if match.group(1) is not None]
        for name in names:
            if name in space:
                _check_alone(before, word, name, space)
            elif not (name.startswith("trial.") and name.removeprefix("trial.") in ABOUT_TRIAL):
                known = [*space, *(f"trial.{item}" for item in ABOUT_TRIAL)]
                raise InputError(
                    f"the command has the placeholder {{{name:.80}}}, and the space has no such parameter.",
                    hint=f"{nearest(name, known)} Write braces that are meant as such twice: {{{{ }}}}.",
                )


def _check_alone(before: str, word: str, name: str, space: Space) -> None:
    alone = _BRACES.fullmatch(word) is not None and before.startswith("-") and "=" not in before
    if alone and space[name].when:
        raise InputError(
            f"the parameter {name!r} is not active in all trials, and {before!r} would stand alone then.",
            hint=f"Write both as one word, which is left out with it: {before}={{{name}}}",
        )


def runnable(words: Sequence[str], folder: Path) -> list[str]:
    """Return the words of a command with its program found, run by its interpreter where it needs one.

    Python files run by this very interpreter; files of the shell and of R that are not executable by ``sh``
    and ``Rscript``.

    Raises
    ------
    InputError
        There is no such program.
    """
    program, *arguments = words
    path = folder / Path(program).expanduser()
    if path.is_file():
        return [*_by_interpreter(path), *arguments]
    if os.sep in program or Path(program).suffix.lower() in _INTERPRETERS:
        what = "is a folder" if path.is_dir() else "does not exist"
        raise InputError(f"the script {str(path)!r} {what}.", code="E_SCRIPT")
    found = _which(program)
    if found is None:
        raise InputError(
            f"there is no program {program!r:.80} on this machine's path.",
            hint=f"Is it a file? Then there is none in {str(folder)!r}.",
            code="E_SCRIPT",
        )
    return [found, *arguments]


def _by_interpreter(path: Path) -> list[str]:
    ending = path.suffix.lower()
    if os.access(path, os.X_OK) and ending != ".py":
        return [str(path)]
    if ending not in _INTERPRETERS:
        raise InputError(
            f"the script {str(path)!r} is not executable, and its name does not say what runs it.",
            hint=f"chmod +x {shlex.quote(str(path))}, or give the interpreter first: "
            f'["perl", {str(path)!r}]. Known endings: .py, .sh, .R.',
            code="E_SCRIPT",
        )
    interpreter = _INTERPRETERS[ending]
    if _which(interpreter[0]) is None:
        raise InputError(f"{str(path)!r} needs {interpreter[0]!r}, which is not there.", code="E_SCRIPT")
    return [*interpreter, str(path)]


def _which(program: str) -> str | None:
    import shutil  # for commands alone

    return shutil.which(program)


def environment_text(env: Mapping[str, Any]) -> dict[str, str]:
    """Return variables for the environment of a command, checked.

    Raises
    ------
    InputError
        A name or a value cannot be one.
    """
    for name, value in env.items():
        if not isinstance(name, str) or not name or "=" in name or "\0" in name:
            raise InputError(f"expected the name of an environment variable, got {name!r:.40}.")
        if not isinstance(value, str | int | float | Path) or "\0" in str(value):
            raise InputError(f"expected text for the environment variable {name!r}, got {value!r:.40}.")
    return {name: str(value) for name, value in env.items()}
