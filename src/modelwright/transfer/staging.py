"""Studies that appear whole or not at all: written under a name of their own, and renamed at the end."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from modelwright.errors import (
    InputError,
    ModelwrightError,
    StudyExistsError,
    StudyNotFoundError,
    StudyStateError,
)
from modelwright.records import StudySpec, StudyState
from modelwright.storage.base import Storage, StudyRecord, WorkerInfo
from modelwright.study.folders import default_folder
from modelwright.study.who import this_user
from modelwright.study.worker import is_alive_here, retire, this_worker
from modelwright.transfer.remote import clear_files

__all__ = ["StagedStudy", "staged_study"]

_PREFIX = ".incoming-"
_SILENT_US = 10 * 60 * 1_000_000  # a copy on another machine is taken for dead after so long a silence
_TRIES = 5
_PER_SECOND = 100  # how finely the start of a process is told


@dataclass
class StagedStudy:
    """A study that is being written, and that nobody works on yet.

    Attributes
    ----------
    record : StudyRecord
        As it was created, under its temporary name.
    folder : Path or None
        Where its files go, if anywhere; `take_folder` creates it.
    who : str
        What its events are signed with.
    """

    record: StudyRecord
    folder: Path | None
    who: str
    mark: str

    def take_folder(self) -> Path | None:
        """Create the folder, marked as not whole; what a dead process left there for this study goes.

        Raises
        ------
        InputError
            There are other files.
        """
        folder = self.folder
        if folder is None:
            return None
        self.clear_folder()
        if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
            raise InputError(
                f"expected an empty or a new folder for the files, got {str(folder)!r}.",
                hint="Remove what is there if it is of no use, or name another folder.",
                code="E_PATH",
            )
        folder.mkdir(parents=True, exist_ok=True)
        (folder / self.mark).touch()
        return folder

    def clear_folder(self) -> None:
        """Remove the folder if it is marked as not whole, or empty."""
        folder = self.folder
        if folder is None or folder.is_symlink() or not folder.is_dir():
            return
        mark = folder / self.mark
        if mark.is_file():
            for path in folder.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif path != mark:
                    path.unlink()
            mark.unlink()  # the last to go: whoever is killed before has the next call go on from here
        with suppress(OSError):  # it is not empty
            folder.rmdir()

    def release_folder(self) -> None:
        """Take the mark from the folder."""
        if self.folder is not None:
            (self.folder / self.mark).unlink(missing_ok=True)


@contextmanager
def staged_study(
    storage: Storage, spec: StudySpec, *, state: StudyState, folder: Path | None = None
) -> Iterator[StagedStudy]:
    """Create a study under a temporary name; give it its own, and its state, when the block is done.

    What an earlier call for the same name has left behind, because its process was killed, is removed first.

    Parameters
    ----------
    storage : Storage
        Where it is to be.
    spec : StudySpec
        What it shall be, with its name.
    state : StudyState
        Where it stands in the end.
    folder : Path, optional
        Where its files go; the usual place by default.

    Raises
    ------
    StudyExistsError
        The name is taken.
    StudyStateError
        Another process is writing a study of this name at the moment.
    """
    _check_free(storage, spec.name)
    me = this_worker(storage)
    try:
        record = _created(storage, spec, me)
        staged = _staged(storage, record, spec, folder)
        try:
            _remove_leftovers(storage, record, spec, me)
            yield staged
            # The study is whole now. A worker may take it up between these two lines, which does no harm.
            storage.set_state(record.id, state, who=staged.who)
            storage.rename_study(record.id, spec.name, who=staged.who)
        except BaseException:
            _discard(storage, staged)
            raise
        staged.release_folder()
    finally:
        retire(me.id)


def _staged(storage: Storage, record: StudyRecord, spec: StudySpec, folder: Path | None) -> StagedStudy:
    usual = default_folder(storage, replace(record, spec=replace(record.spec, name=spec.name)))
    return StagedStudy(record, folder or usual, this_user(), _PREFIX + _short(f"{spec.name} {storage.url}"))


def _check_free(storage: Storage, name: str) -> None:
    with suppress(StudyNotFoundError):
        storage.study(name)
        raise StudyExistsError(
            f"a study called {name!r} exists in {storage.url}.",
            hint="Take another name, or delete it first.",
        )


def _created(storage: Storage, spec: StudySpec, me: WorkerInfo) -> StudyRecord:
    """Create the study paused and without trials: a worker may be looking for work at this moment."""
    name = _name_while_written(spec.name, me)
    for _ in range(_TRIES):
        record = storage.create_study(replace(spec, name=name))
        record = storage.set_state(record.id, StudyState.PAUSED, who=this_user())
        if record.issued == 0:
            return record
        storage.delete_study(name, force=True)
    raise StudyStateError(
        f"workers took up the study {spec.name!r} before it was whole, {_TRIES} times.",
        hint="Stop the workers of this storage, or let them work on named studies only.",
    )


def _name_while_written(name: str, me: WorkerInfo) -> str:
    """Return a name that says which study this will be, and which process writes it.

    It says so from the first moment, whatever happens to the process in the next.
    """
    started = round(me.process_started * _PER_SECOND)
    return "-".join((_prefix(name), _short(me.host), _short(me.boot_id), f"{me.pid}", f"{started}", me.id))


def _prefix(name: str) -> str:
    return _PREFIX + _short(name)


def _short(text: str) -> str:
    """Return a checksum: the text itself may be as long as names can be."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _remove_leftovers(storage: Storage, own: StudyRecord, spec: StudySpec, me: WorkerInfo) -> None:
    """Remove what dead processes left of the same study; refuse while one of them lives."""
    for record in storage.studies():
        if record.id == own.id or not record.spec.name.startswith(f"{_prefix(spec.name)}-"):
            continue
        alive = _is_alive(record.spec.name, me)
        if alive or (alive is None and not _is_silent(storage, record, own.created_us)):
            raise StudyStateError(
                "another process is writing a study of this name into this storage at the moment.",
                hint="Wait until it is done. One on another machine that died is forgotten after 10 minutes.",
                code="E_BUSY",
            )
        _discard(storage, _staged(storage, record, spec, None))


def _is_alive(name: str, me: WorkerInfo) -> bool | None:
    """Return whether the process that writes a study lives; None if it belongs to another machine."""
    host, boot, pid, started, worker = name.split("-")[-5:]
    if host != _short(me.host):
        return None
    if boot != _short(me.boot_id):
        return False
    return is_alive_here(replace(me, id=worker, pid=int(pid), process_started=int(started) / _PER_SECOND))


def _is_silent(storage: Storage, record: StudyRecord, now_us: int) -> bool:
    last = storage.events(record.id, max(0, record.revision - 1))
    return not last or now_us - last[-1].at_us >= _SILENT_US


def _discard(storage: Storage, staged: StagedStudy) -> None:
    """Remove a study that is not whole, with its files; one that is gone, or has its name already, stays."""
    name = staged.record.spec.name
    with suppress(ModelwrightError):
        storage.study(name)
        clear_files(storage, staged.record.id)
        staged.clear_folder()
        storage.delete_study(name, force=True)
