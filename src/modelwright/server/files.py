"""Files of trials: taken in and given out as streams, whole or not at all."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from modelwright.errors import InputError, StudyNotFoundError
from modelwright.server.answers import RefusedError
from modelwright.server.bodies import drain, pieces
from modelwright.server.calls import Calls, Endpoint, answering
from modelwright.server.limits import Limits
from modelwright.server.openapi import path_parameter, query_parameter
from modelwright.storage import Storage, StudyRecord
from modelwright.storage.artifacts import FolderStore, Incoming, check_location
from modelwright.storage.http.routes import whole_number
from modelwright.storage.jsontext import encode
from modelwright.study.folders import default_folder, folder_below, remove_folder

__all__ = ["PATH", "Files", "sweep", "with_files"]

PATH = "/studies/{study_id}/files"
_CHUNK = 2**20
_RATE = 10 * 2**20
_STALLED_S = 60.0


class Files:
    """Endpoints for the artifacts of a study.

    Parameters
    ----------
    storage : Storage
        The ledger, which knows the studies.
    folder : Path, optional
        Where the files of all studies are; beside a SQLite ledger by default.
    calls : Calls
        Where the disk is waited for.
    limits : Limits
        Bounds on a file.
    """

    def __init__(self, storage: Storage, folder: Path | None, calls: Calls, limits: Limits) -> None:
        self._storage = storage
        self._folder = folder
        self._calls = calls
        self._limits = limits

    def endpoints(self) -> dict[str, Endpoint]:
        """Return what answers each method of `PATH`."""
        return {verb: answering(does) for verb, does in self._verbs().items()}

    def described(self) -> dict[str, Any]:
        """Return the descriptions by method."""
        place = [path_parameter("study_id"), query_parameter("location", {"type": "string"}, required=True)]
        digest = query_parameter("sha256", {"type": "string"}, required=True)
        binary = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
        return {
            "put": {
                "operationId": "put_file",
                "summary": "Take in a file, if its bytes have the checksum that is given.",
                "tags": ["files"],
                "parameters": [*place, digest],
                "requestBody": {"required": True, **binary},
            },
            "get": {
                "operationId": "get_file",
                "summary": "Return a file, or the list of all where no location is given.",
                "tags": ["files"],
                "parameters": [place[0], {**place[1], "required": False}],
                "responses": {"200": {"description": "The file.", **binary}},
            },
            "delete": {
                "operationId": "delete_file",
                "summary": "Remove a file.",
                "tags": ["files"],
                "parameters": place,
            },
        }

    def _verbs(self) -> dict[str, Endpoint]:
        return {"PUT": self._put, "GET": self._get, "DELETE": self._delete}

    def _store(self, request: Request) -> FolderStore:
        number = whole_number(request.path_params["study_id"])
        record = next((item for item in self._storage.studies() if item.id == number), None)
        if record is None:
            raise StudyNotFoundError(
                f"there is no study with the id {request.path_params['study_id'][:40]!r}."
            )
        folder = _folder_of(self._storage, record, self._folder)
        if folder is None:
            raise RefusedError(
                501, "E_NO_FILES", "this server keeps no files.", "Start it with --artifacts FOLDER."
            )
        return FolderStore(folder)

    async def _put(self, request: Request) -> Response:
        try:
            return await self._take(request)
        except OSError as error:
            await drain(request.receive, self._limits.file)
            raise _disk_trouble(error) from error

    async def _take(self, request: Request) -> Response:
        query = _query(request, {"location", "sha256"})
        location = check_location(query.get("location", ""))
        store = await self._calls.do(lambda: self._store(request))
        announced = whole_number(request.headers.get("content-length", ""))
        if announced is None:
            await drain(request.receive, self._limits.body)
            raise RefusedError(411, "E_LENGTH", "expected the header Content-Length.", close=True)
        within_s = self._limits.body_timeout_s * (1 + announced / _RATE)
        incoming = await self._calls.do(lambda: Incoming(store.folder, location))
        with incoming:
            async for block in _blocks(pieces(request, self._limits.file, within_s)):
                await self._calls.do(lambda block=block: incoming.write(block))  # type: ignore[misc]
            if incoming.digest != query.get("sha256"):
                raise RefusedError(
                    400,
                    "E_ARTIFACT_HASH",
                    f"expected the checksum {query.get('sha256', '')[:64]!r}, got {incoming.digest}.",
                    "The file was damaged on its way, or changed meanwhile: send it again.",
                )
            await self._calls.do(incoming.commit)
        return await self._calls.answer(lambda: encode({"location": location, "size": incoming.size}))

    async def _get(self, request: Request) -> Response:
        query = _query(request, {"location"})
        store = await self._calls.do(lambda: self._store(request))
        if "location" not in query:
            return await self._calls.answer(lambda: encode({"locations": store.locations()}))
        file = await self._calls.do(lambda: store.open(query["location"]))
        return _FileAnswer(file, self._calls)

    async def _delete(self, request: Request) -> Response:
        query = _query(request, {"location"})

        def work() -> str:
            return encode({"deleted": self._store(request).delete(query.get("location", ""))})

        return await self._calls.answer(work)


def sweep(storage: Storage, folder: Path | None) -> int:
    """Remove what uploads that broke off have left in the stores of all studies; return how many."""
    gone = 0
    for record in storage.studies():
        place = _folder_of(storage, record, folder)
        if place is not None and place.is_dir():
            gone += FolderStore(place).sweep()
    return gone


def with_files(storage: Storage, folder: Path | None) -> Storage:
    """Return a ledger that removes the files of a study together with the study.

    Parameters
    ----------
    storage : Storage
        The ledger.
    folder : Path, optional
        As `Files` has it.
    """
    return cast(Storage, _WithFiles(storage, folder))


class _WithFiles:
    """Calls of the ledger; one of them does more."""

    def __init__(self, storage: Storage, folder: Path | None) -> None:
        self._storage = storage
        self._folder = folder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def delete_study(self, name: str, *, force: bool = False) -> None:
        """Delete a study, and then its files: what is left if this is cut off is of no study."""
        record = self._storage.study(name)
        self._storage.delete_study(name, force=force)
        remove_folder(_folder_of(self._storage, record, self._folder))


def _folder_of(storage: Storage, record: StudyRecord, folder: Path | None) -> Path | None:
    return default_folder(storage, record) if folder is None else folder_below(folder, record)


def _disk_trouble(error: OSError) -> RefusedError:
    """Return what a client is told of a disk that does not take its file."""
    reason = error.strerror or type(error).__name__
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RefusedError(
            507,
            "E_NOSPACE",
            f"the server has no room for the file: {reason}.",
            "Make room on its disk.",
            close=True,
        )
    return RefusedError(
        500, "E_ARTIFACT_DISK", f"the server's disk does not take the file: {reason}.", close=True
    )


async def _blocks(parts: Any) -> Any:
    """Yield what comes in larger pieces, so that the disk is not asked for every packet."""
    block = bytearray()
    async for part in parts:
        block += part
        if len(block) >= _CHUNK:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)


class _FileAnswer(Response):
    """An answer that is the rest of a file, which is closed whatever becomes of the connection."""

    def __init__(self, file: IO[bytes], calls: Calls) -> None:
        super().__init__(None, 200, {"content-disposition": "attachment"}, "application/octet-stream")
        del self.headers["content-length"]
        self._file = file
        self._calls = calls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._file:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            more = True
            while more:
                piece = await self._calls.do(lambda: self._file.read(_CHUNK))
                more = len(piece) > 0
                async with asyncio.timeout(_STALLED_S):
                    await send({"type": "http.response.body", "body": piece, "more_body": more})


def _query(request: Request, known: set[str]) -> dict[str, str]:
    text = request.scope["query_string"].decode("ascii")
    pairs = parse_qsl(text, keep_blank_values=True)
    if len(dict(pairs)) < len(pairs) or not set(dict(pairs)) <= known:
        raise InputError(f"expected {', '.join(sorted(known))} after the '?', each once.", code="E_QUERY")
    return dict(pairs)
