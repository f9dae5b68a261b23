"""A study from one storage to another."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from modelwright.errors import InputError
from modelwright.storage.base import Storage
from modelwright.study import Study
from modelwright.transfer.files import FileSource
from modelwright.transfer.remote import fetch_files, keeps_files
from modelwright.transfer.snapshot import StudySnapshot, read_snapshot
from modelwright.transfer.writing import Written, write_snapshot

__all__ = ["copy_study", "folder_of", "gather_files"]


def copy_study(
    source: Storage,
    name: str,
    target: Storage,
    new_name: str = "",
    *,
    files: bool = True,
    source_folder: Path | None = None,
    folder: Path | None = None,
) -> Written:
    """Copy a study, with all that belongs to it, into another storage or under another name.

    Values, times, attempts, reports and the order in which trials finished stay exactly as they are, so that
    an optimizer proposes in the copy what it would have proposed in the original. Trials that run at this
    moment wait in the copy. What the study has used up of its time and cost is used up in the copy too.

    The copy appears whole or not at all. If the process is killed, the same call starts again.

    Parameters
    ----------
    source : Storage
        Where the study is.
    name : str
        The study.
    target : Storage
        Where the copy shall be; it may be the same storage.
    new_name : str, default=""
        The name of the copy; the same by default.
    files : bool, default=True
        Whether the files of its trials are copied too.
    source_folder, folder : Path, optional
        Where these are, and where they go; the usual places by default.

    Raises
    ------
    StudyNotFoundError
        There is no such study.
    StudyExistsError
        The name is taken in the target.
    StorageError
        A file is not the one that its trial left.

    Examples
    --------
    >>> from modelwright import Float, Space, Study
    >>> from modelwright.storage import MemoryStorage
    >>> here, there = MemoryStorage(), MemoryStorage()
    >>> study = Study(Space(x=Float(0, 1)), name="demo", storage=here)
    >>> copy_study(here, "demo", there, "again").study.spec.name
    'again'
    """
    snapshot = read_snapshot(source, name)
    if new_name:
        snapshot = replace(snapshot, spec=replace(snapshot.spec, name=new_name))
    with ExitStack() as stack:
        place = gather_files(stack, source, name, snapshot, source_folder) if files else None
        sources = [] if place is None else [FileSource(place)]
        return write_snapshot(target, snapshot, folder=folder, files=sources)


def gather_files(
    stack: ExitStack, storage: Storage, name: str, snapshot: StudySnapshot, folder: Path | None = None
) -> Path | None:
    """Return the folder with the files of a study as `folder_of` does; a server's are fetched first.

    What was fetched goes when `stack` is closed.
    """
    found = folder_of(storage, name, folder)
    artifacts = [item for trial in snapshot.trials for item in trial.artifacts]
    if found is not None or not artifacts or not keeps_files(storage):
        return found
    cache = Path(stack.enter_context(TemporaryDirectory(prefix="modelwright-")))
    fetch_files(storage, storage.study(name).id, artifacts, cache)
    return cache


def folder_of(storage: Storage, name: str, folder: Path | None = None) -> Path | None:
    """Return the folder with the files of a study: `folder`, or the usual one; None where there is none.

    Raises
    ------
    InputError
        `folder` was given, and is none.
    """
    if folder is not None:
        if not folder.is_dir():
            raise InputError(
                f"expected the folder with the study's files, got {str(folder)!r}.", code="E_PATH"
            )
        return folder
    usual = Study.load(name, storage=storage).folder
    return usual if usual is not None and usual.is_dir() else None
