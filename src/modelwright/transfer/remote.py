"""Files of trials that a server keeps: fetched from there, and sent there.

Only artifacts move this way; what trials print stays where it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from modelwright.errors import StorageError
from modelwright.records import Artifact
from modelwright.storage.artifacts import check_digest, store_for
from modelwright.storage.base import Storage
from modelwright.transfer.files import CopiedFiles, parts_of

__all__ = ["clear_attempts", "clear_files", "delete_files", "fetch_files", "keeps_files", "send_files"]


def keeps_files(storage: Storage) -> bool:
    """Return whether the server behind a storage keeps files for it, or would if it was told to."""
    return hasattr(storage, "artifact_store")


def fetch_files(storage: Storage, study_id: int, artifacts: Iterable[Artifact], cache: Path) -> None:
    """Copy a study's artifacts from its server below `cache`, under their locations.

    What is not there is left out; what is there and not what the trial left raises `StorageError`.
    """
    store = store_for(storage, study_id, None)
    if store is None:
        return
    for artifact in artifacts:
        try:
            store.get(artifact, cache)
        except StorageError as error:
            if error.code not in ("E_ARTIFACT_MISSING", "E_NO_FILES"):
                raise


def send_files(
    storage: Storage, study_id: int, artifacts: Mapping[str, Artifact], paths: Mapping[str, Path]
) -> CopiedFiles:
    """Send a study's artifacts to its server.

    Parameters
    ----------
    storage, study_id
        Where the study is.
    artifacts : mapping of str to Artifact
        The artifacts by location.
    paths : mapping of str to Path
        Where their files are on this machine; those without one are missing.
    """
    store = store_for(storage, study_id, None)
    files, size, missing = 0, 0, []
    for location, artifact in artifacts.items():
        parts, path = parts_of(location), paths.get(location)
        if store is None or parts is None or path is None:
            missing.append(location)
            continue
        with path.open("rb") as file:
            check_digest(artifact, hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size)
        try:
            store.put(*parts, path)
        except StorageError as error:
            if error.code != "E_NO_FILES":
                raise
            hint = "Start it with --artifacts FOLDER, or leave the files out (--no-files)."
            raise StorageError(error.message, hint=hint, code=error.code) from None
        files, size = files + 1, size + artifact.size
    return CopiedFiles(files, size, tuple(sorted(missing)))


def delete_files(storage: Storage, study_id: int, artifacts: Iterable[Artifact]) -> tuple[int, int]:
    """Remove the files of artifacts from a study's server; return how many went, and their bytes."""
    store = store_for(storage, study_id, None)
    gone: list[Artifact] = []
    try:
        gone += (item for item in artifacts if store is not None and store.delete(item.location))
    except StorageError as error:
        if error.code != "E_NO_FILES":
            raise
    return len(gone), sum(item.size for item in gone)


def clear_attempts(storage: Storage, study_id: int, numbers: Collection[int]) -> None:
    """Remove what a study's server has of these trials beside their artifacts: files of attempts that do not
    count.
    """
    store = store_for(storage, study_id, None)
    if store is None:
        return
    kept = {item.location for number, item in storage.artifacts(study_id) if number not in numbers}
    with suppress(StorageError):
        for location in store.locations():
            parts = parts_of(location)
            if parts is not None and parts[0] in numbers and location not in kept:
                store.delete(location)


def clear_files(storage: Storage, study_id: int) -> None:
    """Remove the files that a server keeps for a study; a server that keeps none is no error."""
    store = store_for(storage, study_id, None)
    if store is None:
        return
    with suppress(StorageError):
        for location in store.locations():
            store.delete(location)
