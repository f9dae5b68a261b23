"""Where the files of a study's trials live: a folder, or a server that has one.

An artifact is named by its location, a relative path such as ``trials/12-1/model.txt``: the trial's number
and fence, then its name. A file is there whole or not at all; what is read is compared with the checksum that
the ledger has.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol, runtime_checkable

from modelwright.errors import InputError, StorageError
from modelwright.records import Artifact
from modelwright.storage.base import Storage

__all__ = [
    "ArtifactStore",
    "FolderStore",
    "Incoming",
    "check_digest",
    "check_location",
    "location_of",
    "missing",
    "store_for",
]

_CHUNK = 2**20
_PART = ".part-"
_ABANDONED_S = 3600.0
_SEGMENT = re.compile(r"[^/\\:\x00-\x1f\x7f]{1,200}")


@runtime_checkable
class ArtifactStore(Protocol):
    """The files of one study's trials; safe to use from any thread and process."""

    def put(self, number: int, fence: int, name: str, source: Path, *, format: str = "") -> Artifact:
        """Keep the file `source` as the artifact `name` of an attempt, and return its record.

        A file that is there under this name is replaced: attempts are told apart by their fences.
        """

    def put_at(self, location: str, source: Path, *, name: str = "", format: str = "") -> Artifact:
        """Keep the file `source` at `location`, for files that belong to the study and to no trial.

        The record has the name `name`, or the location where that is empty.
        """

    def get(self, artifact: Artifact, cache: Path) -> Path:
        """Return a local path of an artifact; stores elsewhere copy it below `cache` first.

        Raises
        ------
        StorageError
            It is not there (``E_ARTIFACT_MISSING``), or its bytes are not those that the trial left
            (``E_ARTIFACT_HASH``).
        """

    def delete(self, location: str) -> bool:
        """Remove the file at `location`; False if there is none."""

    def locations(self) -> list[str]:
        """Return the locations of all files, sorted."""


def store_for(storage: Storage, study_id: int, folder: Path | None) -> ArtifactStore | None:
    """Return where a study keeps its files: the server that has its ledger, else `folder`, if given."""
    remote = getattr(storage, "artifact_store", None)
    if remote is not None:
        store: ArtifactStore = remote(study_id)
        return store
    return None if folder is None else FolderStore(folder)


def location_of(number: int, fence: int, name: str) -> str:
    """Return where the artifact `name` of an attempt is.

    Examples
    --------
    >>> location_of(12, 1, "models/0.txt")
    'trials/12-1/models/0.txt'
    """
    return check_location(f"trials/{number}-{fence}/{name}")


def check_location(location: str) -> str:
    """Return `location` if it is a plain relative path that stays below its store.

    Raises
    ------
    InputError
        It is not.
    """
    segments = location.split("/")
    fine = len(segments) <= 20 and all(
        _SEGMENT.fullmatch(item) and item.strip(". ") and not item.startswith(_PART) for item in segments
    )
    if not fine or not _is_text(location):
        raise InputError(
            f"expected the place of a file as plain names joined by '/', got {location[:80]!r}.",
            code="E_ARTIFACT_NAME",
        )
    return location


def _is_text(location: str) -> bool:
    """Whether a name, which a file system may hold as any bytes, is text for databases and addresses."""
    try:
        location.encode()
    except UnicodeEncodeError:
        return False
    return True


class FolderStore:
    """Artifacts in a folder of this machine, or one that machines share.

    No symbolic link below the folder is ever followed.

    Parameters
    ----------
    folder : Path
        Of the study; it is made when the first file comes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __repr__(self) -> str:
        return f"FolderStore({str(self.folder)!r})"

    def put(self, number: int, fence: int, name: str, source: Path, *, format: str = "") -> Artifact:
        """See `ArtifactStore.put`."""
        return self.put_at(location_of(number, fence, name), source, name=name, format=format)

    def put_at(self, location: str, source: Path, *, name: str = "", format: str = "") -> Artifact:
        """See `ArtifactStore.put_at`; a file that is in its place already is only read."""
        place = self.folder / check_location(location)
        with source.open("rb") as file:
            if _is_at(file, place):
                os.fsync(file.fileno())
                _sync_folder(place.parent)
                digest, size = _digest(file)
            else:
                with Incoming(self.folder, location) as incoming:
                    incoming.take(file)
                    incoming.commit()
                digest, size = incoming.digest, incoming.size
        return Artifact(name or location, location, digest, size, format)

    def get(self, artifact: Artifact, cache: Path) -> Path:
        """See `ArtifactStore.get`."""
        with self.open(artifact.location) as file:
            check_digest(artifact, *_digest(file))
        return self.folder / artifact.location

    def open(self, location: str) -> IO[bytes]:
        """Return the file at `location`, open for reading.

        Raises
        ------
        StorageError
            There is none.
        """
        *above, name = check_location(location).split("/")
        try:
            with _inside(self.folder, above) as place:
                descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=place)
        except OSError:
            raise missing(location) from None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise missing(location)
        return os.fdopen(descriptor, "rb")

    def delete(self, location: str) -> bool:
        """See `ArtifactStore.delete`."""
        *above, name = check_location(location).split("/")
        try:
            with _inside(self.folder, above) as place:
                os.unlink(name, dir_fd=place)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def locations(self) -> list[str]:
        """See `ArtifactStore.locations`."""
        return sorted(path for path in self._walk() if not path.rpartition("/")[2].startswith(_PART))

    def sweep(self) -> int:
        """Remove what uploads that broke off an hour ago have left, and return how many there were."""
        found = [path for path in self._walk() if path.rpartition("/")[2].startswith(_PART)]
        gone = 0
        for path in found:
            whole = self.folder / path
            try:
                if whole.stat().st_mtime < time.time() - _ABANDONED_S:
                    whole.unlink()
                    gone += 1
            except FileNotFoundError:
                continue
        return gone

    def _walk(self) -> Iterator[str]:
        for place, _, names in os.walk(self.folder, followlinks=False):
            for name in names:
                path = Path(place, name)
                if not path.is_symlink():
                    yield path.relative_to(self.folder).as_posix()


class Incoming:
    """A file on its way into a folder: below a name of its own until it is whole, on the disk, and renamed.

    Use it as a context: what was not committed when the block ends is gone.
    """

    def __init__(self, folder: Path, location: str) -> None:
        *above, self._name = check_location(location).split("/")
        folder.mkdir(parents=True, exist_ok=True)
        with _inside(folder, above, make=True) as place:
            self._place = os.dup(place)
        self._part = _PART + secrets.token_hex(8)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            self._file = os.fdopen(os.open(self._part, flags, 0o666, dir_fd=self._place), "wb")
        except BaseException:
            os.close(self._place)
            raise
        self._hash = hashlib.sha256()
        self._committed = False
        self.size = 0

    @property
    def digest(self) -> str:
        """The checksum of what has come so far."""
        return self._hash.hexdigest()

    def write(self, piece: bytes) -> None:
        """Append."""
        self._file.write(piece)
        self._hash.update(piece)
        self.size += len(piece)

    def take(self, file: IO[bytes]) -> None:
        """Append all that is left of a file."""
        while piece := file.read(_CHUNK):
            self.write(piece)

    def restart(self) -> None:
        """Forget what has come so far."""
        self._file.seek(0)
        self._file.truncate()
        self._hash = hashlib.sha256()
        self.size = 0

    def commit(self) -> None:
        """Put the file where it belongs."""
        self._file.flush()
        os.fsync(self._file.fileno())
        os.rename(self._part, self._name, src_dir_fd=self._place, dst_dir_fd=self._place)
        self._committed = True
        os.fsync(self._place)

    def __enter__(self) -> Incoming:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._file.close()  # on a full disk this fails, too
        finally:
            if not self._committed:
                os.unlink(self._part, dir_fd=self._place)
            os.close(self._place)


@contextmanager
def _inside(folder: Path, segments: list[str], *, make: bool = False) -> Iterator[int]:
    """Yield a descriptor of the folder below `folder`, reached step by step without following links."""
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for segment in segments:
            if make:
                try:
                    os.mkdir(segment, dir_fd=place)
                except FileExistsError:
                    pass
            below = os.open(segment, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=place)
            os.close(place)
            place = below
        yield place
    finally:
        os.close(place)


def _is_at(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.lstat())
    except OSError:
        return False


def _sync_folder(folder: Path) -> None:
    """Have the disk keep the names in a folder."""
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(place)
    finally:
        os.close(place)


def _digest(file: IO[bytes]) -> tuple[str, int]:
    found, size = hashlib.sha256(), 0
    while piece := file.read(_CHUNK):
        found.update(piece)
        size += len(piece)
    return found.hexdigest(), size


def check_digest(artifact: Artifact, digest: str, size: int) -> None:
    """Raise unless these are the bytes that the ledger knows."""
    if (digest, size) != (artifact.sha256, artifact.size):
        raise StorageError(
            f"the file {artifact.location!r} is not the one that its trial left: expected {artifact.size} "
            f"bytes with the checksum {artifact.sha256[:16]}, got {size} with {digest[:16]}.",
            hint="It has been changed or damaged since.",
            code="E_ARTIFACT_HASH",
        )


def missing(location: str) -> StorageError:
    """Return the error for a file that is not there."""
    return StorageError(f"there is no file {location[:200]!r} in the store.", code="E_ARTIFACT_MISSING")
