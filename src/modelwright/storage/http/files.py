"""Files of trials that a server keeps."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from urllib.parse import quote

from modelwright.errors import StorageError
from modelwright.records import Artifact
from modelwright.storage.artifacts import FolderStore, Incoming, check_digest, check_location, location_of
from modelwright.storage.http.routes import LEDGER
from modelwright.storage.http.transport import Transport

__all__ = ["HTTPArtifactStore"]


class HTTPArtifactStore:
    """The artifacts of one study behind a `modelwright serve`; see `ArtifactStore`.

    Parameters
    ----------
    transport : Transport
        How to reach the server.
    study_id : int
        The study.
    """

    def __init__(self, transport: Transport, study_id: int) -> None:
        self._transport = transport
        self._path = f"{LEDGER}/studies/{study_id}/files"

    def __repr__(self) -> str:
        return f"HTTPArtifactStore({self._transport.url + self._path!r})"

    def _at(self, location: str, **query: str) -> str:
        fields = {"location": check_location(location), **query}
        return (
            self._path + "?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in fields.items())
        )

    def put(self, number: int, fence: int, name: str, source: Path, *, format: str = "") -> Artifact:
        """See `ArtifactStore.put`."""
        return self.put_at(location_of(number, fence, name), source, name=name, format=format)

    def put_at(self, location: str, source: Path, *, name: str = "", format: str = "") -> Artifact:
        """See `ArtifactStore.put_at`."""
        with source.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
            file.seek(0)
            headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
            self._transport.request("PUT", self._at(location, sha256=digest), body=file, headers=headers)
        return Artifact(name or location, location, digest, size, format)

    def get(self, artifact: Artifact, cache: Path) -> Path:
        """See `ArtifactStore.get`; a file that is in the cache already is not fetched again."""
        try:
            return FolderStore(cache).get(artifact, cache)
        except StorageError:  # not there, or not this one
            pass
        with Incoming(cache, artifact.location) as incoming:
            self._transport.download(self._at(artifact.location), incoming, artifact.size)
            check_digest(artifact, incoming.digest, incoming.size)
            incoming.commit()
        return cache / artifact.location

    def delete(self, location: str) -> bool:
        """See `ArtifactStore.delete`."""
        answer = self._transport.request("DELETE", self._at(location))
        return bool(json.loads(answer.data)["deleted"])

    def locations(self) -> list[str]:
        """See `ArtifactStore.locations`."""
        answer = self._transport.request("GET", self._path)
        return [str(item) for item in json.loads(answer.data)["locations"]]
