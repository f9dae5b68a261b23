"""Studies from files and other tools into a storage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from modelwright.errors import InputError
from modelwright.space import Space
from modelwright.storage.base import Storage
from modelwright.transfer.jsonlines import from_lines
from modelwright.transfer.snapshot import StudySnapshot
from modelwright.transfer.writing import Written, write_snapshot

__all__ = ["import_study", "read_lines_file"]


def import_study(storage: Storage, snapshot: StudySnapshot, *, name: str = "") -> Written:
    """Create a study of what was read from a file or another tool.

    It appears whole or not at all. Files of trials are no part of it.

    Parameters
    ----------
    storage : Storage
        Where it shall be.
    snapshot : StudySnapshot
        What was read: by `read_lines_file`, `read_results` or `modelwright.integrations.optuna`.
    name : str, default=""
        Its name; the one that it had by default.

    Raises
    ------
    StudyExistsError
        The name is taken.
    """
    if name:
        snapshot = replace(snapshot, spec=replace(snapshot.spec, name=name))
    return write_snapshot(storage, snapshot)


def read_lines_file(path: str | Path) -> StudySnapshot:
    """Read a study that `export_study` wrote as JSON Lines; nothing of it was lost.

    Raises
    ------
    InputError
        The file is not there, or a line of it is not what it should be; the message names the line.
    """
    snapshot = from_lines(_lines(Path(path)))
    # The forms of the spaces are checked here, as later ones are only read when the study runs.
    for form in snapshot.spaces:
        Space.from_json(form)
    return snapshot


def _lines(path: Path) -> Iterator[str]:
    if not path.is_file():
        raise InputError(f"there is no file {str(path)!r}.", code="E_PATH")
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from file
    except UnicodeDecodeError as error:
        raise InputError(f"{str(path)!r} is not UTF-8 text: {error}.", code="E_FORM") from None
