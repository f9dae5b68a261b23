"""Optuna's files: which kind one is, and which studies it holds."""

from __future__ import annotations

from pathlib import Path

from modelwright._base.registry import nearest
from modelwright.errors import InputError
from modelwright.integrations.optuna import database, journal
from modelwright.integrations.optuna.meaning import to_snapshot
from modelwright.integrations.optuna.raw import RawStudy
from modelwright.transfer import StudySnapshot

__all__ = ["list_studies", "read_study"]

_MAGIC = b"SQLite format 3\0"


def list_studies(path: str | Path) -> list[str]:
    """Return the names of the studies in an Optuna file, in their order.

    Raises
    ------
    InputError
        The file is not there, or is none of Optuna's.
    """
    return [study.name for study in _studies(Path(path))]


def read_study(path: str | Path, name: str | None = None) -> StudySnapshot:
    """Read one study of an Optuna file: a SQLite database (of Optuna 3 or newer) or a journal.

    Ranges, choices, values, intermediate values, states, times, user attributes and the values of constraints
    (in the trials' metrics) are kept; what Optuna and its samplers noted for themselves is not. A parameter
    that only some trials have gets a condition if the choice of a category explains it; otherwise it becomes
    one that objectives add while they run. Trials that wait or run wait, and where only some of their values
    were enqueued the others are drawn; those that ran without a whole configuration are lost. Optuna before
    version 5 wrote times in local time: they are read in this machine's zone. The `notes` of the snapshot say
    what could not be kept.

    Parameters
    ----------
    path : str or Path
        The file. It is only read.
    name : str, optional
        The study; may be left out if there is only one.

    Raises
    ------
    InputError
        The file is not there, is none of Optuna's, or has several studies and none was named.
    """
    studies = {study.name: study for study in _studies(Path(path))}
    if name is None:
        if len(studies) != 1:
            shown = ", ".join(map(repr, list(studies)[:20])) or "none"
            raise InputError(
                f"expected one study in {str(path)!r}, got {len(studies)}: {shown}.",
                hint="Name one with --study." if studies else "",
                code="E_OPTUNA",
            )
        name = next(iter(studies))
    if name not in studies:
        hint = nearest(name, list(studies)) if studies else "It holds none."
        raise InputError(f"{str(path)!r} has no study {name!r}.", hint=hint, code="E_OPTUNA")
    return to_snapshot(studies[name], Path(path).name)


def _studies(path: Path) -> list[RawStudy]:
    if not path.is_file():
        raise InputError(f"there is no file {str(path)!r}.", code="E_PATH")
    with path.open("rb") as file:
        start = file.read(len(_MAGIC))
    return database.read(path) if start == _MAGIC else journal.read(path)
