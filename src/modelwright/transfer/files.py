"""The files of trials: found, copied with their checksums, and removed within their folder only."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from modelwright.errors import InputError, StorageError
from modelwright.records import Artifact
from modelwright.storage.artifacts import check_digest

__all__ = [
    "CopiedFiles",
    "FileSource",
    "copy_files",
    "find_files",
    "inside",
    "parts_of",
    "remove_files",
    "renumbered",
]

_BLOCK = 1 << 20
_OF_TRIAL = re.compile(r"trials/(?P<number>[0-9]{1,15})-(?P<fence>[0-9]{1,15})(?:/(?P<name>.+))?", re.DOTALL)


def parts_of(location: str) -> tuple[int, int, str] | None:
    """Return the trial, the fence and the name that a location is made of; None if it is no trial's.

    Examples
    --------
    >>> parts_of("trials/12-1/models/0.txt")
    (12, 1, 'models/0.txt')
    >>> parts_of("report.html") is None
    True
    """
    found = _OF_TRIAL.fullmatch(location)
    return None if found is None else (int(found["number"]), int(found["fence"]), found["name"] or "")


@dataclass(frozen=True, slots=True)
class FileSource:
    """A folder whose files belong to a study that is written.

    Attributes
    ----------
    place : Path
        The folder.
    numbers : mapping of int to int, optional
        For trials that get other numbers: the new one by the old one. Trials that are not named leave their
        files behind. None by default: all files keep their places.
    below : str
        With `numbers`: where files go that are of no trial.
    """

    place: Path
    numbers: Mapping[int, int] | None = None
    below: str = ""

    def new_location(self, location: str) -> str | None:
        """Return where a file of the folder goes; None if it is left behind.

        Examples
        --------
        >>> source = FileSource(Path("files"), {3: 0}, "1")
        >>> source.new_location("trials/3-1/model.txt"), source.new_location("notes.txt")
        ('trials/0-1/model.txt', '1/notes.txt')
        >>> source.new_location("trials/4-1/model.txt") is None
        True
        """
        return location if self.numbers is None else renumbered(location, self.numbers, self.below)


def renumbered(location: str, numbers: Mapping[int, int], below: str) -> str | None:
    """Return `location` for other numbers of trials, as `FileSource` says; None if its trial has none."""
    parts = parts_of(location)
    if parts is None:
        return f"{below}/{location}"
    number, fence, name = parts
    new = numbers.get(number)
    return None if new is None else f"trials/{new}-{fence}" + (f"/{name}" if name else "")


@dataclass(frozen=True, slots=True)
class CopiedFiles:
    """What `copy_files` did.

    Attributes
    ----------
    files, size : int
        How many, and their bytes.
    missing : tuple of str
        Locations of artifacts that are not in the folder.
    links : int
        Links and special files, which are left out.
    """

    files: int = 0
    size: int = 0
    missing: tuple[str, ...] = ()
    links: int = 0


def inside(folder: Path, location: str) -> Path | None:
    """Return the file at `location` within `folder`; None if it lies outside, or is reached by a link.

    Examples
    --------
    >>> inside(Path("files"), "../etc/passwd") is None
    True
    """
    parts = PurePosixPath(location).parts
    if not parts or PurePosixPath(location).is_absolute() or ".." in parts or "\0" in location:
        return None
    path = folder
    for part in parts:
        path = path / part
        if path.is_symlink():
            return None
    return path


def find_files(sources: Sequence[FileSource]) -> tuple[dict[str, Path], int]:
    """Return the regular files of folders by where they go, and the number of links and special files."""
    found: dict[str, Path] = {}
    links = 0
    for source in sources:
        for path, regular in _walk(source.place):
            location = source.new_location(path.relative_to(source.place).as_posix())
            if not regular:
                links += 1
            elif location is not None:
                found[location] = path
    return found, links


def copy_files(sources: Sequence[FileSource], target: Path, artifacts: Mapping[str, Artifact]) -> CopiedFiles:
    """Copy the regular files of folders into another folder, which is there.

    Parameters
    ----------
    sources : sequence of FileSource
        The folders.
    target : Path
        Where the files go.
    artifacts : mapping of str to Artifact
        Artifacts by where they go. Their files are compared with the checksums in the ledger.

    Raises
    ------
    InputError
        One folder lies within the other.
    StorageError
        The bytes of an artifact are not those that its trial left, or did not arrive as they were.
    """
    for source in sources:
        _refuse_overlap(source.place, target)
    found, links = find_files(sources)
    size = sum(_copy(path, target / location, artifacts.get(location)) for location, path in found.items())
    return CopiedFiles(len(found), size, tuple(sorted(artifacts.keys() - found.keys())), links)


def _refuse_overlap(source: Path, target: Path) -> None:
    here, there = source.resolve(), target.resolve()
    if here == there or here in there.parents or there in here.parents:
        raise InputError(
            f"expected two folders apart from each other, got {str(source)!r} and {str(target)!r}.",
            hint="Choose another with --folder.",
            code="E_PATH",
        )


def _walk(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Yield each thing below `folder` that is no folder, and whether it is a regular file."""
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda item: item.name):
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry.path))
            else:
                yield Path(entry.path), entry.is_file(follow_symlinks=False)


def _copy(source: Path, target: Path, artifact: Artifact | None) -> int:
    """Copy one file, check it, and return its size."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    reader = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(reader, "rb") as given, target.open("xb") as taken:
        while block := given.read(_BLOCK):
            digest.update(block)
            size += taken.write(block)
        taken.flush()
        os.fsync(taken.fileno())
    if artifact is not None:
        check_digest(artifact, digest.hexdigest(), size)
    if _sha256(target) != digest.hexdigest():
        raise StorageError(
            f"the file {str(target)!r} did not arrive as it was read.",
            hint="Check the disk, and copy again.",
            code="E_ARTIFACT_HASH",
        )
    return size


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove_files(folder: Path, locations: list[str]) -> tuple[int, int]:
    """Remove the regular files at `locations` within `folder`, and folders that are empty then.

    What lies outside of the folder, is reached by a link, or is no regular file stays.

    Returns
    -------
    tuple of int
        How many files went, and their bytes.
    """
    files, size = 0, 0
    for location in locations:
        path = inside(folder, location)
        if path is None or not path.is_file():
            continue
        size += path.stat().st_size
        path.unlink()
        files += 1
        for parent in path.parents:
            if parent == folder or any(parent.iterdir()):
                break
            parent.rmdir()
    return files, size
