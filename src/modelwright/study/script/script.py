"""An objective that is a command."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelwright.errors import InputError
from modelwright.space import Space
from modelwright.study.script.command import check_placeholders, environment_text, runnable, words_of

if TYPE_CHECKING:
    from modelwright.study.trial import RunningTrial
    from modelwright.study.values import Broken, Result

__all__ = ["PREFIX", "Script"]

PREFIX = "script:"
"""How the reference of a script begins."""


class Script:
    """A command as an objective, in any language: `Study.run` takes it as it takes a function.

    The command finds its parameters in its arguments (by placeholders), in its environment
    (``MODELWRIGHT_PARAM_LR``) and in a file of JSON (``MODELWRIGHT_TRIAL``), and leaves its result in the
    file that ``MODELWRIGHT_RESULT`` names. How it reports, hears that it shall stop, and goes on from a
    checkpoint is in *How to: scripts in any language*.

    Parameters
    ----------
    command : str or sequence of str
        The program and its arguments. Text is split into words as a shell does, and no shell is run. A word
        may hold placeholders: ``{lr}``, ``{lr:.3f}``, ``{trial.number}``; one that names an inactive
        parameter is left out. Files that end in ``.py`` run by this Python; ``.sh`` and ``.R`` need not be
        executable.
    cwd : str or Path, optional
        Where it runs, and what its path is relative to; where the run, or the worker, is by default.
    env : mapping of str to str, optional
        Further variables of its environment. A study that names its objective keeps them in the ledger, so
        secrets belong elsewhere.
    shell : bool, default=False
        Have ``sh`` run the text; values are quoted. ``${NAME}`` is the shell's then as ever.

    Raises
    ------
    InputError
        It cannot be a command.

    Examples
    --------
    >>> from modelwright import Float, Script, Space, Study
    >>> script = Script('echo {x} > "$MODELWRIGHT_RESULT"', shell=True)
    >>> study = Study(Space(x=Float(0, 1)), seed=1)
    >>> study.run(script, trials=2, executor="inline").best_value == study.best_params["x"]
    True
    """

    def __init__(
        self,
        command: str | Sequence[str],
        *,
        cwd: str | Path | None = None,
        env: Mapping[str, str] | None = None,
        shell: bool = False,
    ) -> None:
        if shell and not (isinstance(command, str) and command.strip()):
            raise InputError(f"expected text for the shell to run, got {command!r:.80}.")
        if cwd is not None and not isinstance(cwd, str | Path):
            raise InputError(f"expected a folder as cwd, got {type(cwd).__name__}.")
        self.words = (str(command),) if shell else words_of(command)
        self.cwd = None if cwd is None else str(cwd)
        self.env = environment_text(env or {})
        self.shell = bool(shell)

    def __repr__(self) -> str:
        return f"Script({self.words[0] if self.shell else shlex.join(self.words)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Script) and self.reference() == other.reference()

    def __hash__(self) -> int:
        return hash(self.reference())

    # by name -----------------------------------------------------------------------------------------

    def reference(self) -> str:
        """Return it as one line of text, by which `from_reference` makes it again.

        Examples
        --------
        >>> Script("./train.sh --lr {lr}").reference()
        'script:{"command": ["./train.sh", "--lr", "{lr}"]}'
        """
        form: dict[str, Any] = {"command": self.words[0] if self.shell else list(self.words)}
        for name, value in (("cwd", self.cwd), ("env", self.env), ("shell", self.shell)):
            if value:
                form[name] = value
        return PREFIX + json.dumps(form)

    @classmethod
    def from_reference(cls, reference: str) -> Script:
        """Return the script that a line of text names: ``script:`` and JSON, or a command.

        Raises
        ------
        InputError
            It is not such a line.

        Examples
        --------
        >>> Script.from_reference("script:./train.sh --lr {lr}").words
        ('./train.sh', '--lr', '{lr}')
        """
        text = reference.removeprefix(PREFIX).strip()
        if not text.startswith("{"):
            return cls(text)
        try:
            form = json.loads(text)
            if not {"command"} <= set(form) <= {"command", "cwd", "env", "shell"}:
                raise ValueError(f"it has the fields {sorted(form)}")
        except (ValueError, RecursionError) as error:
            raise InputError(f"expected a script as JSON, got {reference!r:.100} ({error}).") from None
        return cls(**form)

    # before it runs ----------------------------------------------------------------------------------

    def check(self, space: Space, *, here: bool = True) -> None:
        """Refuse what could never run.

        Parameters
        ----------
        space : Space
            Of the study; placeholders name its parameters.
        here : bool, default=True
            Whether it runs on this machine, so that its files have to be here.

        Raises
        ------
        InputError
            A placeholder names no parameter, or the program is not there.
        """
        check_placeholders(self.words, space)
        if here:
            folder = self.folder()
            if not folder.is_dir():
                raise InputError(f"the folder {str(folder)!r} of the script does not exist.", code="E_SCRIPT")
            if not self.shell and "{" not in self.words[0]:
                runnable(self.words, folder)

    def folder(self) -> Path:
        """Return where it runs."""
        return Path.cwd() if self.cwd is None else Path(self.cwd).expanduser().absolute()

    # as an objective ---------------------------------------------------------------------------------

    def __call__(self, trial: RunningTrial) -> Result | Broken:
        """Run the command for a trial, and return what came of it."""
        from modelwright.study.script.running import run_script  # by processes that run one

        return run_script(self, trial)
