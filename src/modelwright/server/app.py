"""The application: routes and layers put together, without a socket."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from modelwright import __version__
from modelwright.server.answers import RefusedError, json_answer, refusal_answer
from modelwright.server.calls import Lanes, error_answer
from modelwright.server.files import PATH, Files, with_files
from modelwright.server.guard import Guard
from modelwright.server.ledger import Ledger
from modelwright.server.limits import Limits
from modelwright.server.openapi import described, document
from modelwright.server.studies.actions import STUDIES, Actions
from modelwright.server.studies.desk import Desk
from modelwright.server.studies.table import ACTIONS
from modelwright.storage import Storage
from modelwright.storage.http.routes import GREETING, LEDGER, routes

__all__ = ["make_app"]


def make_app(
    storage: Storage,
    token: str,
    *,
    hosts: Iterable[str] = (),
    limits: Limits | None = None,
    artifacts: Path | None = None,
) -> Guard:
    """Return the server of a ledger as an ASGI application.

    Parameters
    ----------
    storage : Storage
        The ledger; whoever made it closes it.
    token : str
        What each request has to carry as ``Authorization: Bearer TOKEN``.
    hosts : iterable of str
        Names under which the server may be called, beside those of the loopback.
    limits : Limits, optional
        Bounds on what a client may use.
    artifacts : Path, optional
        Folder for the files of trials; beside a SQLite ledger by default, and none for other storages.

    Returns
    -------
    Guard
        The application; everything in it lies behind the one check.
    """
    bounds = limits or Limits()
    lanes = Lanes(bounds)
    storage = with_files(storage, artifacts)
    app = FastAPI(
        title="Modelwright",
        version=__version__,
        description="The ledger of studies, and ask and tell for programs in any language.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.add_exception_handler(Exception, _on_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    paths = _add_ledger(app, Ledger(storage, lanes, bounds))
    paths |= _add_actions(app, Actions(Desk(storage), lanes, bounds))
    paths |= _add_files(app, Files(storage, artifacts, lanes.file, bounds))
    paths |= _add_greeting(app)
    schema = document(app.title, app.version, app.description, paths)
    app.openapi = lambda: schema  # type: ignore[method-assign]
    return Guard(app, token, hosts, bounds, lanes.close)


def _add_ledger(app: FastAPI, ledger: Ledger) -> dict[str, Any]:
    """Add the routes of the ledger; return their descriptions by path."""
    paths: dict[str, Any] = {}
    for route in routes().values():
        # Plain routes: a body is read once, by our own forms, and a request costs a third less.
        app.add_route(LEDGER + route.path, ledger.endpoint(route), [route.verb], route.name)
        words = {"operationId": f"ledger_{route.name}", "summary": route.summary, "tags": ["ledger"]}
        paths.setdefault(LEDGER + route.path, {})[route.verb.lower()] = {**words, **described(route)}
    return paths


def _add_actions(app: FastAPI, actions: Actions) -> dict[str, Any]:
    """Add the routes by the names of studies; return their descriptions by path."""
    paths: dict[str, Any] = {}
    for tag, actions_of_tag in ACTIONS.items():
        for action in actions_of_tag:
            app.add_route(STUDIES + action.path, actions.endpoint(action), [action.verb], action.name)
            words = {"operationId": action.name, "summary": action.summary, "tags": [tag]}
            paths.setdefault(STUDIES + action.path, {})[action.verb.lower()] = {**words, **action.described()}
    return paths


def _add_files(app: FastAPI, files: Files) -> dict[str, Any]:
    for verb, endpoint in files.endpoints().items():
        app.add_route(LEDGER + PATH, endpoint, [verb], f"{verb.lower()}_file")
    return {LEDGER + PATH: files.described()}


def _add_greeting(app: FastAPI) -> dict[str, Any]:
    words = {"program": "modelwright", "version": __version__}

    async def greeting(_request: Request) -> Response:
        return json_answer(words)

    app.add_route(GREETING, greeting, ["GET"], "greeting")
    return {GREETING: {"get": {"operationId": "greeting", "summary": "Say who answers.", "tags": ["server"]}}}


async def _on_error(_request: Request, error: Exception) -> Response:
    return error_answer(error)


async def _on_http_error(_request: Request, error: Exception) -> Response:
    """Answer what the router itself refuses: an unknown path, or a method that a path does not take."""
    assert isinstance(error, HTTPException)
    words = {
        404: ("E_NOT_FOUND", "there is nothing at this address."),
        405: ("E_METHOD", "not with this method."),
    }
    code, message = words.get(error.status_code, ("E_HTTP", str(error.detail)))
    return refusal_answer(RefusedError(error.status_code, code, message, headers=dict(error.headers or {})))
