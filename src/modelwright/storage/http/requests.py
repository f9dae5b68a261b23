"""Calls of the contract as requests: where each argument goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from modelwright.errors import InputError
from modelwright.storage.base import Keep
from modelwright.storage.http.routes import LEDGER, Argument, Route
from modelwright.storage.jsontext import encode
from modelwright.storage.wire import MismatchError

__all__ = ["request_of"]


def request_of(route: Route, arguments: Mapping[str, Any]) -> tuple[str, bytes | None]:
    """Return the path, with its query, and the body of a call; what holds anyway is left out.

    Raises
    ------
    InputError
        An argument has no JSON form.
    """
    form: dict[str, Any] = {}
    query = []
    places: dict[str, Any] = {}
    for name, value in arguments.items():
        argument = route.arguments[name]
        if argument.place == "path":
            places[name] = value
        elif _holds_anyway(argument, value):
            continue
        elif argument.place == "query":
            query.append(f"{name}={_quoted(argument.query_text(value))}")
        else:
            form[name] = _written(argument, value)
        if name == "claim":
            places |= {"study_id": value.study_id, "number": value.number}
    path = LEDGER + route.path.format_map(places)
    if query:
        path += "?" + "&".join(query)
    return path, encode(form).encode() if route.in_body else None


def _holds_anyway(argument: Argument, value: Any) -> bool:
    return isinstance(value, Keep) or (not argument.required and value is argument.default)


def _written(argument: Argument, value: Any) -> Any:
    try:
        return argument.form.write(value)
    except MismatchError as error:
        raise InputError(f"{argument.name}: {error.words}.") from None


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe=",")
