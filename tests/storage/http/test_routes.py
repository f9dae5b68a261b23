"""The table of routes is the contract, whole."""

from __future__ import annotations

import inspect
import json

from modelwright.records import TrialState
from modelwright.storage import Storage
from modelwright.storage.base import KEEP
from modelwright.storage.http import HTTPStorage
from modelwright.storage.http.requests import request_of
from modelwright.storage.http.routes import plain_from_query, routes, whole_number

METHODS = {name for name, _ in inspect.getmembers(Storage, inspect.isfunction) if not name.startswith("_")}


def test_every_method_has_a_route_and_no_two_share_one() -> None:
    assert set(routes()) == METHODS - {"close"}
    assert len({(route.verb, route.path) for route in routes().values()}) == len(routes())


def test_the_client_has_every_method_with_its_arguments() -> None:
    for name in METHODS:
        ours = inspect.signature(getattr(HTTPStorage, name)).parameters
        theirs = inspect.signature(getattr(Storage, name)).parameters
        assert [(p.name, p.kind, p.default) for p in ours.values()] == [
            (p.name, p.kind, p.default) for p in theirs.values()
        ], name


def test_every_argument_has_its_place() -> None:
    for route in routes().values():
        assert route.summary
        for argument in route.arguments.values():
            assert (argument.place == "body") == (route.in_body and f"{{{argument.name}}}" not in route.path)


def test_what_stays_is_not_sent() -> None:
    arguments = {"study_id": 7, "trials": KEEP, "cost": None, "parallel": 5, "who": ""}
    path, body = request_of(routes()["set_budget"], arguments)
    assert path == "/api/v1/ledger/studies/7/budget"
    assert json.loads(body or b"") == {"cost": None, "parallel": 5}
    states = [TrialState.COMPLETE, TrialState.FAILED]
    path, body = request_of(routes()["trials"], {"study_id": 7, "states": states})
    assert (path, body) == ("/api/v1/ledger/studies/7/trials?states=complete,failed", None)


def test_fields_after_the_question_mark() -> None:
    """What does not look like its type is left to the type to refuse."""
    for schema, text, value in (
        ({"type": "integer"}, "12", 12),
        ({"type": "integer"}, "-1", "-1"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "0", 0),
        ({"type": "boolean"}, "true", True),
        ({"type": "boolean"}, "yes", "yes"),
        ({"type": "array"}, "a,b", ["a", "b"]),
        ({"type": "array"}, "", []),
        ({"type": "string"}, "7", "7"),
        ({}, "x", "x"),
    ):
        assert plain_from_query(schema, text) == value


def test_whole_numbers() -> None:
    assert whole_number("12") == 12
    for text in ("", "-1", "+1", "1.0", "٣", "1_0", " 1", "9" * 19):
        assert whole_number(text) is None
