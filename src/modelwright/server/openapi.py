"""What the description of the interface says of each request, from the same forms that read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelwright.storage.http.routes import Argument, Route

__all__ = ["body_of", "described", "document", "path_parameter", "query_parameter"]

_ERROR = {
    "type": "object",
    "properties": {
        "code": {"type": "string", "description": "A stable short name."},
        "message": {"type": "string", "description": "What was expected and what came."},
        "hint": {"type": "string", "description": "What to do about it."},
    },
}

_ERRORS = {
    str(status): {"description": words, "content": {"application/json": {"schema": _ERROR}}}
    for status, words in {
        400: "What was sent makes no sense.",
        401: "The token is missing or wrong.",
        404: "There is no such thing.",
        409: "Not possible in the present state.",
        413: "The body is too long.",
        415: "The body is not of the content type that is expected.",
        503: "Not now: the server has too much to do, or its database is away. Ask again.",
    }.items()
}


def document(title: str, version: str, description: str, paths: Mapping[str, Any]) -> dict[str, Any]:
    """Return the whole description, with what holds of every request."""
    for operations in paths.values():
        for operation in operations.values():
            answers = operation.setdefault("responses", {"200": {"description": "The answer."}})
            operation["responses"] = {**answers, **_ERRORS}
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": description},
        "paths": dict(paths),
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{"token": []}],
    }


def described(route: Route) -> dict[str, Any]:
    """Return the description of one route of the ledger."""
    result: dict[str, Any] = {"parameters": [_parameter(a) for a in _outside_body(route)]}
    inside = [argument for argument in route.arguments.values() if argument.place == "body"]
    if "claim" in route.arguments:
        result["parameters"] = [path_parameter("study_id"), path_parameter("number")]
    if route.in_body:
        required = [argument.name for argument in inside if argument.required]
        properties = {argument.name: argument.form.schema for argument in inside}
        result["requestBody"] = body_of(properties, required)
    result["responses"] = {
        "200": {
            "description": "The answer.",
            "content": {"application/json": {"schema": route.result.schema}},
        }
    }
    return result


def body_of(
    properties: Mapping[str, Any], required_fields: list[str], *, required: bool = True
) -> dict[str, Any]:
    """Return the description of a body that is one JSON object."""
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    if required_fields:
        schema["required"] = required_fields
    return {"required": required, "content": {"application/json": {"schema": schema}}}


def _outside_body(route: Route) -> list[Argument]:
    return [argument for argument in route.arguments.values() if argument.place != "body"]


def _parameter(argument: Argument) -> dict[str, Any]:
    if argument.place == "path":
        return path_parameter(argument.name)
    return query_parameter(argument.name, argument.form.schema, required=argument.required)


def path_parameter(name: str, kind: str = "integer") -> dict[str, Any]:
    """Return the description of a name or a number in a path."""
    schema = {"type": "integer", "minimum": 0} if kind == "integer" else {"type": kind}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def query_parameter(name: str, schema: Mapping[str, Any], *, required: bool = False) -> dict[str, Any]:
    """Return the description of a field after the '?'; lists are joined by commas."""
    return {
        "name": name,
        "in": "query",
        "required": required,
        "schema": schema,
        "style": "form",
        "explode": False,
    }
