"""Files that an objective asks to keep: checked and noted in the trial's process, published by its run."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from modelwright.errors import InputError, StudyStateError

__all__ = ["MOST_FILES", "LoggedFile", "log_file"]

MOST_FILES = 1000
"""How many files a trial may log; all of them are named in its result."""

_MOST_CHARACTERS = 200  # of a name, in the ledger
_FORMAT = re.compile(r"[a-z0-9_+-]{1,20}")


@dataclass(frozen=True, slots=True)
class LoggedFile:
    """A file that a trial has logged; it is kept, with its checksum, once the trial has ended.

    Attributes
    ----------
    name : str
        Unique within the trial.
    path : Path
        Where it lies until then.
    format : str
        Such as ``"npy"``.
    """

    name: str
    path: Path
    format: str = ""

    def form(self, folder: Path) -> dict[str, str]:
        """Return it as JSON, its place within the trial's folder, which may be elsewhere to its run."""
        return {"name": self.name, "file": self.path.relative_to(folder).as_posix(), "format": self.format}

    @classmethod
    def load(cls, form: Mapping[str, str], folder: Path) -> LoggedFile:
        """Return what `form` has written."""
        return cls(form["name"], folder / form["file"], form["format"])


def log_file(
    folder: Path | None, path: str | Path, name: str | None, format: str, taken: Collection[str]
) -> LoggedFile:
    """Return the note of a file, which lies in the trial's folder then; see `RunningTrial.log_artifact`."""
    if folder is None:
        raise StudyStateError(
            "this study has no place for the files of its trials.",
            hint="Give one: Study(..., folder=...), `modelwright worker --files DIR`, or a storage that has "
            "one (a SQLite file, modelwright serve).",
            code="E_NO_FILES",
        )
    source = _checked_source(path)
    within = _within(folder, source)
    found = _checked_name((within or source.name) if name is None else name, taken)
    if within != found:
        _check_free(folder / found)
    if within is None:
        _copy(source, folder, found)
    ending = source.suffix[1:].lower()
    kind = format or (ending if _FORMAT.fullmatch(ending) else "")
    return LoggedFile(found, folder / (within or found), kind)


def _checked_source(path: str | Path) -> Path:
    if not isinstance(path, str | Path):
        raise InputError(f"expected the path of a file to log, got {type(path).__name__}.")
    source = Path(path)
    if source.is_dir():
        raise InputError(
            f"expected a file to log, but {str(path)!r} is a folder.",
            hint="Log its files one by one, or pack them: shutil.make_archive(...).",
            code="E_PATH",
        )
    if not source.exists():
        raise InputError(f"there is no file {str(source.absolute())!r} to log.", code="E_PATH")
    if not source.is_file():
        raise InputError(f"expected a regular file to log, but {str(path)!r} is none.", code="E_PATH")
    return source


def _within(folder: Path, source: Path) -> str | None:
    """Return where a file lies within the trial's folder; None if it does not."""
    base, found = folder.resolve(), source.resolve()
    return found.relative_to(base).as_posix() if found.is_relative_to(base) else None


def _checked_name(name: str, taken: Collection[str]) -> str:
    from modelwright.storage.artifacts import check_location  # not loaded by trials without files

    if not isinstance(name, str) or not name or len(name) > _MOST_CHARACTERS or name != name.strip():
        raise InputError(
            f"expected a name of 1 to {_MOST_CHARACTERS} characters for a file, without spaces around it, "
            f"got {name!r:.80}.",
            code="E_ARTIFACT_NAME",
        )
    check_location(name)
    if name in taken:
        raise InputError(
            f"this trial has logged a file called {name!r} already.",
            hint="Give this one another name: log_artifact(path, name=...).",
            code="E_ARTIFACT_NAME",
        )
    if len(taken) >= MOST_FILES:
        raise InputError(
            f"this trial has logged {MOST_FILES} files already.",
            hint="Pack them into one: shutil.make_archive(...).",
            code="E_TOO_MANY",
        )
    return name


def _check_free(place: Path) -> None:
    if place.exists() or place.is_symlink():
        raise InputError(
            f"the trial's folder holds another file called {place.name!r}.",
            hint="Give this one another name: log_artifact(path, name=...).",
            code="E_ARTIFACT_NAME",
        )


def _copy(source: Path, folder: Path, name: str) -> None:
    from modelwright.storage.artifacts import Incoming

    with source.open("rb") as file, Incoming(folder, name) as incoming:
        incoming.take(file)
        incoming.commit()
