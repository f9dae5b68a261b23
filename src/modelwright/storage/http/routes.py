"""Which request stands for which method of `Storage`: the one table that client and server share.

A row names a verb and a path. What the path does not hold travels in the query of a GET or DELETE, or as the
JSON object that is the body of the others; types, defaults and descriptions are those of the contract itself.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from modelwright.errors import InputError
from modelwright.storage import base
from modelwright.storage.base import Storage
from modelwright.storage.wire import Form, MismatchError, form_of

__all__ = [
    "GREETING",
    "LEDGER",
    "MOST_EVENTS",
    "WIRE_HEADER",
    "Argument",
    "Route",
    "plain_from_query",
    "routes",
    "whole_number",
]

GREETING = "/api/v1"
"""Where a server says who it is."""

LEDGER = "/api/v1/ledger"
"""Where the paths of the table begin."""

WIRE_HEADER = "Modelwright-Wire"
"""On every request and every answer, with the version of the protocol."""

MOST_EVENTS = 1000
"""How many events one answer holds at most."""

_STUDY = "/studies/{study_id}"
_TRIAL = "/studies/{study_id}/trials/{number}"

_TABLE = {
    "create_study": "POST /studies",
    "study": "GET /studies/named",
    "studies": "GET /studies",
    "delete_study": "DELETE /studies/named",
    "rename_study": f"PUT {_STUDY}/name",
    "set_priority": f"PUT {_STUDY}/priority",
    "set_state": f"PUT {_STUDY}/state",
    "set_budget": f"PATCH {_STUDY}/budget",
    "set_window": f"PUT {_STUDY}/window",
    "set_started": f"PUT {_STUDY}/started",
    "set_user_attrs": f"PATCH {_STUDY}/user-attrs",
    "add_space": f"POST {_STUDY}/spaces",
    "spaces": f"GET {_STUDY}/spaces",
    "enqueue": f"POST {_STUDY}/queue",
    "claim": f"POST {_STUDY}/claims",
    "adopt": f"POST {_STUDY}/adopted",
    "trim": f"POST {_STUDY}/trimmed",
    "trials": f"GET {_STUDY}/trials",
    "attempts": f"GET {_STUDY}/attempts",
    "counts": f"GET {_STUDY}/counts",
    "changes": f"GET {_STUDY}/changes",
    "events": f"GET {_STUDY}/events",
    "artifacts": f"GET {_STUDY}/artifacts",
    "trial": f"GET {_TRIAL}",
    "reports": f"GET {_TRIAL}/reports",
    "report": f"POST {_TRIAL}/reports",
    "propose": f"PUT {_TRIAL}/proposal",
    "extend": f"PATCH {_TRIAL}/params",
    "finish": f"POST {_TRIAL}/outcome",
    "release": f"POST {_TRIAL}/release",
    "kill": f"POST {_TRIAL}/kill",
    "set_trial_attrs": f"PATCH {_TRIAL}/user-attrs",
    "renew": "POST /leases",
    "register_worker": "POST /workers",
    "workers": "GET /workers",
    "ask_worker": "POST /workers/wishes",
    "retire_worker": "POST /workers/retired",
    "forfeit": "POST /workers/forfeited",
    "add_dataset": "POST /datasets",
    "dataset": "GET /datasets/{dataset_id}",
    "add_partitions": f"POST {_STUDY}/partitions",
    "partitions": f"GET {_STUDY}/partitions",
    "set_partition_status": f"PUT {_STUDY}/partitions/{{index}}/status",
    "lease_ensemble": f"POST {_STUDY}/ensemble-lease",
    "release_ensemble": f"POST {_STUDY}/ensemble-lease/release",
    "add_ensemble": f"POST {_STUDY}/ensembles",
    "ensembles": f"GET {_STUDY}/ensembles",
}


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a method: how it travels, and what holds without it."""

    name: str
    form: Form
    default: Any
    place: typing.Literal["path", "query", "body"]

    @property
    def required(self) -> bool:
        """Whether a request has to name it."""
        return self.default is inspect.Parameter.empty

    def query_text(self, value: Any) -> str:
        """Return a value for a query or a path: ``true``, ``3``, ``complete,failed``."""
        plain = self.form.write(value)
        if isinstance(plain, list):
            return ",".join(plain)
        return str(plain).lower() if isinstance(plain, bool) else str(plain)

    def from_query(self, text: str) -> Any:
        """Read what `query_text` wrote.

        Raises
        ------
        InputError
            The text is no value of this argument.
        """
        try:
            return self.form.read(plain_from_query(self.form.schema, text))
        except MismatchError as error:
            raise InputError(f"{self.name}: {error.words}.", code="E_FORM") from None


def plain_from_query(schema: Mapping[str, Any], text: str) -> Any:
    """Return the JSON value that a field of a query stands for; text where it does not look like one."""
    kind = schema.get("type") or schema.get("anyOf", [{}])[0].get("type")
    if kind == "integer":
        number = whole_number(text)
        return text if number is None else number
    if kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    if kind == "array":
        return text.split(",") if text else []
    return text


def whole_number(text: str) -> int | None:
    """Return a whole number of 1 to 18 plain digits, and None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


@dataclass(frozen=True, slots=True)
class Route:
    """One method of `Storage` as a request.

    Attributes
    ----------
    name : str
        Of the method.
    verb, path : str
        Of the request; the path is relative to `LEDGER`, with names in braces.
    arguments : Mapping of str to Argument
        The method's own arguments.
    result : Form
        Of its answer.
    summary : str
        What the method does, in a sentence.
    """

    name: str
    verb: str
    path: str
    arguments: Mapping[str, Argument]
    result: Form
    summary: str

    @property
    def in_body(self) -> bool:
        """Whether arguments travel in a body."""
        return self.verb not in ("GET", "DELETE")


@cache
def routes() -> Mapping[str, Route]:
    """Return the routes by the names of their methods."""
    return {name: _route(name, *row.split(" ")) for name, row in _TABLE.items()}


@cache
def _contract_names() -> dict[str, Any]:
    return {name: getattr(base, name) for name in base.__all__}


def _route(name: str, verb: str, path: str) -> Route:
    method = getattr(Storage, name)
    hints = typing.get_type_hints(method, localns=_contract_names())
    arguments = {}
    for key, parameter in list(inspect.signature(method).parameters.items())[1:]:
        place: Any = "path" if f"{{{key}}}" in path else "query" if verb in ("GET", "DELETE") else "body"
        default = parameter.default
        arguments[key] = Argument(key, form_of(hints[key]), default, place)
    summary = (method.__doc__ or "").strip().splitlines()[0]
    return Route(name, verb, path, arguments, form_of(hints["return"]), summary)
