"""Requests on studies by name: what each of them is, and the one endpoint that serves them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from starlette.requests import Request
from starlette.responses import Response

from modelwright.errors import InputError
from modelwright.server.bodies import is_empty, read_body, read_json
from modelwright.server.calls import Calls, Endpoint, Lanes, answering
from modelwright.server.limits import Limits
from modelwright.server.openapi import body_of, path_parameter, query_parameter
from modelwright.server.queries import read_query, refuse_query, repeat_key
from modelwright.server.studies.desk import Desk
from modelwright.server.studies.signed import signing
from modelwright.storage.http.routes import plain_from_query, whole_number
from modelwright.storage.jsontext import encode
from modelwright.storage.wire import form_of, read

__all__ = ["MOST_ON_PAGE", "STUDIES", "Action", "Actions", "Asked"]

STUDIES = "/api/v1/studies"
"""Where these paths begin."""

MOST_ON_PAGE = 500
"""How many trials or events one answer holds at most."""

_WHO = "modelwright-user"
_LONGEST_WHO = 100


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for.

    Attributes
    ----------
    name : str
        Of the study; empty where the path names none.
    number : int
        Of the trial; -1 where the path names none.
    body : object
        What the action's `takes` made of the body or the query.
    key : str
        The header ``Idempotency-Key``; may be empty.
    client : str
        The address of who asks.
    """

    name: str
    number: int
    body: Any
    key: str
    client: str


@dataclass(frozen=True, slots=True)
class Action:
    """One request and what it does.

    Attributes
    ----------
    verb, path : str
        The path is relative to `STUDIES`.
    takes : type, optional
        The record that the body holds, or, of a GET or DELETE, the query.
    does : callable
        Gets the desk and what is asked; returns the plain JSON of the answer. May be repeated.
    lane : {"turn", "read", "write"}
        Whether it waits for its turn at the study, behind an optimizer that thinks; otherwise what it does to
        the ledger.
    """

    verb: str
    path: str
    takes: type | None
    does: Callable[[Desk, Asked], Any]
    lane: Literal["turn", "read", "write"] = "turn"

    @property
    def in_body(self) -> bool:
        """Whether there is a body."""
        return self.verb not in ("GET", "DELETE")

    @property
    def may_be_empty(self) -> bool:
        """Whether a request without a body means one without fields."""
        return self.takes is None or not form_of(self.takes).schema["required"]

    @property
    def name(self) -> str:
        """The function's name."""
        return self.does.__name__

    @property
    def summary(self) -> str:
        """The function's description."""
        return (self.does.__doc__ or "").strip().splitlines()[0]

    def described(self) -> dict[str, Any]:
        """Return the description of the request."""
        schema = form_of(self.takes).schema if self.takes else {"properties": {}, "required": []}
        parameters = [path_parameter("name", "string")] if "{name}" in self.path else []
        parameters += [path_parameter("number", "integer")] if "{number}" in self.path else []
        if self.in_body:
            body = body_of(schema["properties"], schema["required"], required=not self.may_be_empty)
            return {"parameters": parameters, "requestBody": body}
        parameters += [query_parameter(key, item) for key, item in schema["properties"].items()]
        return {"parameters": parameters}


class Actions:
    """Endpoints for actions.

    Parameters
    ----------
    desk : Desk
        The studies.
    lanes : Lanes
        Where they are used.
    limits : Limits
        Bounds on bodies.
    """

    def __init__(self, desk: Desk, lanes: Lanes, limits: Limits) -> None:
        self._desk = desk
        self._lanes = lanes
        self._limits = limits

    def endpoint(self, action: Action) -> Endpoint:
        """Return what answers requests of one action."""
        limits = self._limits
        calls: Calls = getattr(self._lanes, action.lane)

        async def endpoint(request: Request) -> Response:
            body = b"{}"
            if action.in_body and not (action.may_be_empty and is_empty(request)):
                body = await read_body(request, limits.large_body, limits.body_timeout_s)
            return await calls.answer(lambda: self._answer(action, request, body))

        return answering(endpoint)

    def _answer(self, action: Action, request: Request, body: bytes) -> str:
        asked = _asked(action, request, body)
        with signing(f"{request.headers.get(_WHO, 'http')[:_LONGEST_WHO]} at {asked.client}"):
            return encode(action.does(self._desk, asked))


def _asked(action: Action, request: Request, body: bytes) -> Asked:
    """Return what a request asks for.

    Raises
    ------
    InputError, RefusedError or KeyError
        It is not what the action takes.
    """
    if action.in_body:
        refuse_query(request)
        form = read_json(body)
    else:
        form = _query_form(action, read_query(request))
    if action.takes is None and form:
        raise InputError("this request takes no fields.", code="E_FORM")
    return Asked(
        request.path_params.get("name", ""),
        _number(request.path_params),
        read(action.takes, form, "the request") if action.takes else None,
        repeat_key(request),
        request.client.host if request.client else "",
    )


def _number(places: Mapping[str, str]) -> int:
    if "number" not in places:
        return -1
    number = whole_number(places["number"])
    if number is None:
        raise KeyError(f"there is no trial with the number {places['number'][:40]!r}")
    return number


def _query_form(action: Action, fields: Mapping[str, str]) -> dict[str, Any]:
    """Return a query as the JSON form of the record that it stands for, with numbers and flags as such."""
    kinds = form_of(action.takes).schema["properties"] if action.takes else {}
    return {name: plain_from_query(kinds.get(name, {}), text) for name, text in fields.items()}
