"""From what a study says of its objective to a function that can be called here."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modelwright.errors import InputError, ModelwrightError
from modelwright.storage.base import StudyRecord
from modelwright.study.objective import check_objective, load_objective

__all__ = ["NotRunnableError", "NotYetRunnableError", "Objectives"]


class NotRunnableError(InputError):
    """A study cannot be run by this worker; the message says why and what would help."""

    code = "E_NOT_RUNNABLE"


class NotYetRunnableError(NotRunnableError):
    """What a study needs is on its way."""


class Objectives:
    """Loads objectives, each once.

    Parameters
    ----------
    given : str
        What ``--objective`` says; taken for studies that name none that can be loaded here.
    """

    def __init__(self, given: str = "") -> None:
        self._given = given
        self._loaded: dict[str, Callable[..., Any]] = {}
        here = str(Path.cwd())
        if here not in sys.path and "" not in sys.path:
            sys.path.insert(0, here)  # where users' modules lie, as for `python -m`

    def find(self, record: StudyRecord) -> Callable[..., Any]:
        """Return the objective of a study.

        Raises
        ------
        NotRunnableError
            There is none that can be loaded.
        """
        name, reference = record.spec.name, record.spec.objective_ref
        why = "it does not say which function to evaluate"
        for candidate in filter(None, (reference, self._given)):
            try:
                function = self._load(candidate)
                check_objective(function, record.spec.space)
                return function
            except (Exception, SystemExit) as error:  # whatever a user's module does when it is imported
                why = f"{candidate!r} cannot be loaded: {_in_words(error)}"
        raise NotRunnableError(
            f"the study {name!r} cannot be run here: {why.rstrip('.')}.",
            hint="Name it: --objective module:function, --objective path/to/file.py:function, or "
            "--objective path/to/script.sh.",
        )

    def _load(self, reference: str) -> Callable[..., Any]:
        if reference not in self._loaded:
            function = load_objective(reference)
            self._loaded[reference] = function
        return self._loaded[reference]


def _in_words(error: BaseException) -> str:
    if isinstance(error, ModelwrightError):
        return error.message
    if isinstance(error, SystemExit):
        return "its module ends the program when it is imported"
    return f"{type(error).__name__}: {error}".replace(os.linesep, " ")
