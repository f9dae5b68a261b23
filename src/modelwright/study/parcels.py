"""Checkpoints on their way between workers that share no folder: packed as one file in the study's store.

The file's name holds its size and checksum, since nothing of it is in the ledger: an attempt that is given
back has no result to note it in.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tarfile
from pathlib import Path

from modelwright.records import Artifact
from modelwright.storage.artifacts import ArtifactStore, location_of

__all__ = ["fetch_parcel", "remove_parcels", "send_parcel"]

_NAME = re.compile(r"trials/(\d+)-(\d+)/checkpoint-(\d+)-([0-9a-f]{64})\.tar")


def send_parcel(store: ArtifactStore, number: int, fence: int, folder: Path) -> None:
    """Keep the checkpoint `folder` of an attempt in the store."""
    parcel = folder.with_name("parcel.tar")
    try:
        with tarfile.open(parcel, "w") as tar:
            tar.add(folder, ".")
        with parcel.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
        store.put(number, fence, f"checkpoint-{size}-{digest}.tar", parcel)
    finally:
        parcel.unlink(missing_ok=True)


def fetch_parcel(store: ArtifactStore, number: int, fence: int, target: Path) -> Path | None:
    """Unpack the newest checkpoint that attempts at a trial up to `fence` have sent, and return where it is.

    Raises
    ------
    StorageError, OSError, tarfile.TarError
        It cannot be fetched, or cannot be unpacked within `target`.
    """
    found = {at: artifact for at, artifact in _parcels(store, number).items() if at <= fence}
    if not found:
        return None
    artifact = found[max(found)]
    cache = target.with_name("fetched")
    try:
        path = store.get(artifact, cache)
        with tarfile.open(path) as tar:
            tar.extractall(target, filter="data")  # nothing leads out of the folder
    finally:
        shutil.rmtree(cache, ignore_errors=True)
    return target


def remove_parcels(store: ArtifactStore, number: int) -> None:
    """Remove all checkpoints that attempts at a trial have sent."""
    for artifact in _parcels(store, number).values():
        store.delete(artifact.location)


def _parcels(store: ArtifactStore, number: int) -> dict[int, Artifact]:
    """Return the parcels of a trial by the fence of their attempt."""
    found = {}
    for location in store.locations():
        match = _NAME.fullmatch(location)
        if match is not None and int(match[1]) == number:
            name = location.rpartition("/")[2]
            found[int(match[2])] = Artifact(name, location, match[4], int(match[3]), "tar")
    assert all(item.location == location_of(number, fence, item.name) for fence, item in found.items())
    return found
