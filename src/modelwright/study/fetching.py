"""Files of a study brought to this machine: into the user's cache, or to a place of the user's choice."""

from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

from modelwright.errors import InputError
from modelwright.records import Artifact
from modelwright.storage.artifacts import ArtifactStore, Incoming, check_digest
from modelwright.storage.base import Storage, StudyRecord
from modelwright.study.folders import user_cache

__all__ = ["cache_for", "copy_to", "target_of"]


def cache_for(storage: Storage, record: StudyRecord) -> Path:
    """Return the folder in which files of a study are kept that were fetched from elsewhere.

    What is in it is compared with its checksum before it is used, so it may be deleted at any time.
    """
    words = f"{storage.url} {record.id} {record.created_us}"
    return user_cache() / "studies" / hashlib.sha256(words.encode()).hexdigest()[:24]


def target_of(to: str | Path, name: str) -> Path:
    """Return where a copy goes: below a folder that exists under the file's name, else exactly there."""
    return Path(to) / name if Path(to).is_dir() else Path(to)


def copy_to(store: ArtifactStore, artifact: Artifact, target: Path) -> Path:
    """Put a copy of a file at `target`, whole or not at all; the same file may be there already.

    Raises
    ------
    InputError
        Another file, or something else, is there.
    """
    if target.exists() or target.is_symlink():
        _check_same(artifact, target)
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent, prefix=".fetched-") as cache:
        found = store.get(artifact, Path(cache))
        if found.is_relative_to(cache):
            found.replace(target)
        else:
            with found.open("rb") as file, Incoming(target.parent, target.name) as incoming:
                incoming.take(file)
                check_digest(artifact, incoming.digest, incoming.size)
                incoming.commit()
    return target


def _check_same(artifact: Artifact, target: Path) -> None:
    if target.is_file() and not target.is_symlink():
        with target.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() == artifact.sha256:
                return
    raise InputError(
        f"{str(target)!r} is there already, and is not the file {artifact.name!r}.",
        hint="Move it away, or fetch to another place.",
        code="E_PATH",
    )
